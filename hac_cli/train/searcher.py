"""Tokens for crops as a coder would choose them: a decoder learns from what it will be given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hac_cli.cores import cores
from hac_cli.model.engine import load_weights
from hac_cli.model.numpy_engine import NumpyEngine
from hac_cli.model.parallel import world
from hac_cli.search_stream import SearchingStream


class Searcher:
    """Searches as ``hac compress`` does, with the weights in a file."""

    def __init__(self, weights: Path) -> None:
        engine = load_weights(weights)
        assert isinstance(engine, NumpyEngine)
        self._engine = engine

    def __call__(self, audio: Tensor) -> Tensor:
        """Tokens ``[B, F, 1]`` of crops ``[B, T]``, whole frames each."""
        threads = max(1, cores() // world())
        stream = SearchingStream(self._engine, "normal", len(audio), threads)
        tokens = np.concatenate([stream.push(audio.cpu().numpy()), stream.flush()], 1)
        return torch.from_numpy(tokens[:, : audio.shape[1] // self._engine.config.hop_length])
