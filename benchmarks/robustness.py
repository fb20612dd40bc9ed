"""Does the level come back, is silence silent, does nothing howl: python benchmarks/robustness.py CLIP...

Speech is scaled to peaks and RMS levels from -45 to 0 dBFS; silence, sines and noise are coded as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
import soxr

from hac_cli.codec import decode, encode
from hac_cli.eval.metrics import level_change

RATE = 24_000
LEVELS = (-45, -40, -35, -30, -25, -20, -15, -10, -5, 0)


def coded(audio: np.ndarray) -> np.ndarray:
    return decode(encode(audio.astype(np.float32)), samples=len(audio))[0]


def decibels(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-12))


def levels(clips: list[np.ndarray]) -> None:
    """Level is the RMS in dBFS; where that would clip, the peak is put to full scale instead."""
    print("speech at dBFS   change in dB (mean, worst)")
    for level in LEVELS:
        changes = []
        for clip in clips:
            gain = min(10 ** ((level - decibels(clip)) / 20), 1 / np.abs(clip).max())
            changes.append(level_change(gain * clip, coded(gain * clip)))
        print(f"{level:10d}       {np.mean(changes):+6.2f}  {max(changes, key=abs):+6.2f}")


def signals() -> None:
    time = np.arange(4 * RATE) / RATE
    cases = {"silence": np.zeros(4 * RATE)}
    cases |= {f"sine {hertz} Hz": 0.25 * np.sin(2 * np.pi * hertz * time) for hertz in (100, 440, 1000, 4000, 9000)}
    cases["white noise"] = 0.05 * np.random.default_rng(0).standard_normal(4 * RATE)
    print("signal            in dBFS   out dBFS   out peak")
    for name, signal in cases.items():
        out = coded(signal)
        print(f"{name:16s} {decibels(signal):8.1f} {decibels(out):10.1f} {np.abs(out).max():10.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    loaded = []
    for path in parser.parse_args().clips:
        audio, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
        loaded.append(soxr.resample(audio.mean(1), sample_rate, RATE))
    levels(loaded)
    signals()


if __name__ == "__main__":
    main()
