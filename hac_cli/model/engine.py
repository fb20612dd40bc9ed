"""Engines: the ways to run a released network. All give the same tokens, but for latents next to zero.

``numpy`` starts in a moment and is what everything codes with by default; ``torch`` is the reference, and runs on
other devices, too.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Protocol

from hac_cli.errors import UsageError
from hac_cli.model.config import ModelConfig
from hac_cli.model.pipeline import Half
from hac_cli.model.released import ReleasedModel, Tensors, checked_weights, read_config, read_weights

ENGINES = ("numpy", "torch")
DEFAULT_ENGINE = "numpy"


class Engine(Protocol):
    """Codes streams of some channels in calls of whole frames; each half of a network holds the state of its stream."""

    config: ModelConfig

    def encoder(self, channels: int) -> tuple[Half, Half]:
        """Audio ``[channels, samples]``, a whole number of frames, to tokens ``[channels, frames, 1]``, int32."""

    def decoder(self, channels: int, frame: int = 0) -> tuple[Half, Half]:
        """Tokens ``[channels, frames, 1]``, from ``frame`` of a recording on, to audio ``[channels, samples]``,
        float32."""


@functools.cache
def load_engine(model: ReleasedModel, name: str = DEFAULT_ENGINE) -> Engine:
    """A released network, after its digest was checked, in the engine of that name; ``torch:cuda`` is torch on a GPU.

    Raises UsageError for an unknown engine or device, ModelError for damaged weights.
    """
    return _load(model.path, checked_weights(model), name)


@functools.cache
def load_weights(path: Path, name: str = DEFAULT_ENGINE) -> Engine:
    """The network that a weights file holds, released or not."""
    return _load(path, read_weights(path), name)


def _load(path: Path, weights: bytes, name: str) -> Engine:
    kind, _, device = name.partition(":")
    if kind == "numpy" and not device:
        from hac_cli.model.numpy_engine import NumpyEngine

        return NumpyEngine(read_config(path), Tensors(weights))
    if kind == "torch":
        from hac_cli.model.release import load_file_release
        from hac_cli.model.torch_engine import TorchEngine

        return TorchEngine(load_file_release(path), device or "cpu")
    raise UsageError(f"there is no engine {name!r}; there are: {', '.join(ENGINES)}, torch:DEVICE")
