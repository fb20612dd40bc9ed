"""The recordings that codecs are measured on: any format, as mono at 24 kHz."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.audio import AudioReader, Resampler, to_mono
from hac_cli.audio.formats import RECORDINGS
from hac_cli.errors import InputError
from hac_cli.eval import SAMPLE_RATE

_CLIPPED_SHARE = 1e-3

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """What is known of a clip without its samples. ``name`` is its path within the folder, with slashes."""

    name: str
    digest: str
    seconds: float
    sample_rate: int
    channels: int
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"notes": list(self.notes)}


def load(path: Path) -> Samples:
    """Mono ``[samples]`` at 24 kHz, the mean of all channels.

    Raises InputError for what is no audio, is cut off, or has no samples.
    """
    return _read(path)[0]


def describe(path: Path, name: str) -> Clip:
    """Reads a clip once, to know that it can be used. Raises InputError as ``load`` does."""
    audio, reader = _read(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Clip(name, digest, len(audio) / SAMPLE_RATE, reader.sample_rate, reader.channels, tuple(_notes(audio)))


def find(folder: Path) -> list[str]:
    """Names of the recordings in a folder and those below, sorted; hidden ones are left out.

    Raises InputError if there are none.
    """
    if not folder.is_dir():
        raise InputError("is no folder; name one that holds recordings", str(folder))
    found = (path for path in folder.rglob("*") if path.suffix.lower() in RECORDINGS)
    files = (path.relative_to(folder) for path in found if path.is_file() or not path.exists())  # a pipe would wait
    names = sorted(file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts))
    if not names:
        raise InputError("holds no audio; put recordings into it, such as .wav or .flac", str(folder))
    return names


def _read(path: Path) -> tuple[Samples, AudioReader]:
    with AudioReader(path) as reader:
        resampler = Resampler(reader.sample_rate, SAMPLE_RATE, 1)
        parts = [resampler.process(to_mono(block)) for block in reader]
        audio = np.concatenate([*parts, resampler.flush()], 1)[0]
        if reader.truncated:
            raise InputError(f"{reader.truncated}; copy it again, or cut it to what is there", str(path))
    if not len(audio):
        raise InputError("has no samples; take it out of the folder", str(path))
    return audio, reader


def _notes(audio: Samples) -> list[str]:
    """What makes a clip a doubtful witness."""
    peak = np.abs(audio).max()
    if peak < 1e-4:
        return ["silent"]
    return ["clipped"] if np.mean(np.abs(audio) >= 0.999) > _CLIPPED_SHARE else []
