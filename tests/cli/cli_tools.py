"""What the tests of the command line share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from hac_cli.audio import AudioWriter
from hac_cli.container import Header, Writer
from hac_cli.model import released

HAC = str(Path(sys.executable).with_name("hac"))
TALK_RATE = 16_000
TALK_SAMPLES = 16_123


def make_hac(
    path: Path, frames: int = 100, samples: int = 0, total_known: bool = True, seed: int = 1, **header: Any
) -> Path:
    """A ``.hac`` file of the default model with tokens that mean nothing; ``samples``: all of its frames if 0."""
    model = released.find(released.DEFAULT_MODEL)
    samples = samples or frames * 320
    values: dict[str, Any] = {
        "sample_rate": 24_000,
        "channels": 1,
        "model_id": model.model_id,
        "weights_digest": model.short_digest,
        "frames_per_block": 30,
        "pre_skip": model.config.look_ahead,
        "total_samples": samples if total_known else None,
    }
    with path.open("wb") as file:
        writer = Writer(file, Header(**(values | header)))
        writer.write(np.random.default_rng(seed).integers(0, 1 << 18, (1, frames, 1)))
        writer.finish(samples)
    return path


def write_talk(path: Path, samples: int = 4_000, channels: int = 1) -> Path:
    """A recording, in folders that are made. libsndfile opens it by a name that it knows, whatever it is to be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(np.arange(samples) * np.arange(1, channels + 1)[:, None] / 20)
    plain = path.with_name(f"plain-{os.urandom(4).hex()}{path.suffix}")
    with AudioWriter(plain, TALK_RATE, channels, samples=samples) as writer:
        writer.write(wave.astype(np.float32))
    return plain.rename(path)


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())
