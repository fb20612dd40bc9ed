"""Does any level and any microphone sound as good and come back, is silence silent, does nothing howl:

    python benchmarks/robustness.py DIR [--model v2-150]

The clips of the folder are scaled to RMS levels from -45 to 0 dBFS, and filtered as by rooms and microphones; silence,
sines and noise are coded as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hac_cli.eval import SAMPLE_RATE, clips
from hac_cli.eval.coders import HacCoder
from hac_cli.eval.metrics import level_change, mel_distance, pesq, stoi
from hac_cli.model.released import DEFAULT_MODEL

LEVELS = (-45, -40, -35, -30, -25, -20, -15, -10, -5, 0)


def coded(audio: np.ndarray, model: str) -> np.ndarray:
    return HacCoder(model).code(audio.astype(np.float32)).audio


def decibels(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-12))


def levels(loaded: list[np.ndarray], model: str) -> None:
    """Level is the RMS in dBFS; where that would clip, the peak is put to full scale instead."""
    print("speech at dBFS   change in dB (mean, worst)   PESQ-WB")
    for level in LEVELS:
        changes, scores = [], []
        for clip in loaded:
            gain = min(10 ** ((level - decibels(clip)) / 20), 1 / np.abs(clip).max())
            out = coded(gain * clip, model)
            changes.append(level_change(gain * clip, out))
            scores.append(pesq(gain * clip, out, "wb"))
        worst = max(changes, key=abs)
        print(f"{level:10d}       {np.mean(changes):+6.2f}  {worst:+6.2f}              {np.mean(scores):.3f}")


def tints(loaded: list[np.ndarray], model: str) -> None:
    """Filters of first order, but for the telephone's."""
    filters = {
        "as they are": lambda hertz: 1 + 0 * hertz,
        "dark": lambda hertz: 1 / np.sqrt(1 + (hertz / 700) ** 2),
        "bright": lambda hertz: np.sqrt(1 + (hertz / 700) ** 2) / np.sqrt(1 + (hertz / 4000) ** 2),
        "boomy": lambda hertz: np.sqrt(1 + (1000 / (hertz + 1)) ** 2) / np.sqrt(1 + (150 / (hertz + 1)) ** 2),
        "thin": lambda hertz: 1 / np.sqrt(1 + (500 / (hertz + 1)) ** 2),
        "telephone": lambda hertz: (hertz > 300) & (hertz < 3400),
    }
    print("recordings that are   PESQ-WB   ESTOI    mel")
    for name, gain in filters.items():
        scores = []
        for clip in loaded:
            spectrum = np.fft.rfft(clip)
            audio = np.fft.irfft(spectrum * gain(np.fft.rfftfreq(len(clip), 1 / SAMPLE_RATE)), len(clip))
            audio *= min(10 ** (-25 / 20) / np.sqrt(np.square(audio).mean()), 1 / np.abs(audio).max())
            out = coded(audio, model)
            scores.append([pesq(audio, out, "wb"), stoi(audio, out, extended=True), mel_distance(audio, out)])
        print("{:20s} {:8.3f} {:8.3f} {:7.3f}".format(name, *np.mean(scores, 0)))


def signals(model: str) -> None:
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    cases = {"silence": np.zeros(4 * SAMPLE_RATE)}
    cases |= {f"sine {hertz} Hz": 0.25 * np.sin(2 * np.pi * hertz * time) for hertz in (100, 440, 1000, 4000, 9000)}
    cases["white noise"] = 0.05 * np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE)
    print("signal            in dBFS   out dBFS   out peak")
    for name, signal in cases.items():
        out = coded(signal, model)
        print(f"{name:16s} {decibels(signal):8.1f} {decibels(out):10.1f} {np.abs(out).max():10.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    loaded = [clips.load(arguments.folder / name) for name in clips.find(arguments.folder)]
    levels(loaded, arguments.model)
    tints(loaded, arguments.model)
    signals(arguments.model)


if __name__ == "__main__":
    main()
