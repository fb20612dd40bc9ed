"""Audio and files that several test modules need."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hac_cli.audio import AudioReader, AudioWriter

SAMPLE_RATE = 24000
COMPRESSED = ["flac", "ogg", "opus", "mp3"]


def speechlike(channels: int, seconds: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    samples = round(seconds * sample_rate)
    pitch = 2 * np.pi * np.cumsum(150 + 40 * np.sin(np.arange(samples) / sample_rate * 5)) / sample_rate
    tones = [sum(np.sin((k + 1) * pitch + channel) / (k + 1) for k in range(6)) for channel in range(channels)]
    return (0.2 * np.stack(tones)).astype(np.float32)


def write(path: Path, audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> Path:
    with AudioWriter(path, sample_rate, len(audio)) as writer:
        writer.write(audio)
    return path


def read_all(reader: AudioReader) -> np.ndarray:
    with reader:
        return np.concatenate([np.zeros((reader.channels, 0), np.float32), *reader], axis=1)
