"""Takes off what lies below speech: a constant offset, rumble, hum of the mains. The network can't code these, and
loses speech where it tries to.

It is taken from the audio as it is at 300 Hz, low-passed: for files with no shift in phase, and live, where nobody can
look ahead, as a mean that follows slowly, which ends offsets alone.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 24_000
STEP = 80  # samples to one at 300 Hz
CUTOFF = 60.0  # Hz: 6 dB; nothing from 77 Hz on, and at 43 Hz 40 dB
SPAN, TAPS = 7, 31  # steps that a sample at 300 Hz is heard in, and samples there that the low-pass takes
REACH = (SPAN - 1 + TAPS - 1 + SPAN - 1) // 2 * STEP  # samples before and behind a step that make out what is low in it
PIECE = 96 * STEP  # taken at a time, so that all pieces are rounded alike

HOP = 320  # samples to a mean, live
FOLLOWING = 1 - math.exp(-2 * math.pi * 5 * HOP / RATE)  # of each, for a corner of 5 Hz


def _low_pass(taps: int, cutoff: float) -> NDArray[np.float64]:
    """Windowed sinc (Hamming) of unit gain; ``cutoff`` in cycles a sample."""
    time = np.arange(taps) - (taps - 1) / 2
    response = np.sinc(2 * cutoff * time) * np.hamming(taps)
    return response / response.sum()


@functools.cache
def _filters() -> tuple[Samples, Samples, Samples]:
    """Down to 300 Hz ``[STEP, SPAN]``, the low-pass ``[TAPS]``, and up again ``[SPAN, STEP]``."""
    around = np.pad(_low_pass((SPAN - 1) * STEP, 0.5 / STEP), STEP // 2).reshape(SPAN, STEP)
    narrow = _low_pass(TAPS, CUTOFF * STEP / RATE)
    up = around[::-1] / around.sum(0)
    return around.T.astype(np.float32), narrow.astype(np.float32), up.astype(np.float32)


def low(audio: Samples) -> Samples:
    """What is low in audio ``[channels, samples]``, whole steps, but for ``REACH`` samples at both ends."""
    down, narrow, up = _filters()
    parts = audio.reshape(len(audio), -1, STEP) @ down
    steps = sum(parts[:, i : parts.shape[1] - SPAN + 1 + i, i] for i in range(SPAN))
    return (sliding_window_view(sliding_window_view(steps, TAPS, axis=1) @ narrow, SPAN, axis=1) @ up).reshape(
        len(audio), -1
    )


class RumbleFilter:
    """Audio ``[channels, samples]`` in pieces of any size to the same without rumble, up to 0.4 s later."""

    def __init__(self, channels: int) -> None:
        self._audio = np.zeros((channels, REACH), np.float32)
        self._due = 0

    def push(self, audio: Samples) -> Samples:
        """Takes samples, gives those for which enough is known of what follows."""
        self._due += audio.shape[1]
        self._audio = np.concatenate([self._audio, audio], 1)
        parts = []
        for start in range(0, self._audio.shape[1] - PIECE - 2 * REACH + 1, PIECE):
            piece = self._audio[:, start : start + PIECE + 2 * REACH]
            parts.append(piece[:, REACH:-REACH] - low(piece))
        self._audio = self._audio[:, len(parts) * PIECE :]
        self._due -= len(parts) * PIECE
        return np.concatenate([audio[:, :0], *parts], 1)

    def flush(self) -> Samples:
        """The rest: the audio is over."""
        due = self._due
        return self.push(np.zeros((len(self._audio), PIECE + 2 * REACH), np.float32))[:, :due]


class OffsetFilter:
    """The same for who can't wait: audio without what is constant in it."""

    def __init__(self, channels: int) -> None:
        self._started = np.zeros((channels, 0), np.float32)  # the hop that isn't whole yet
        self._offset = self._before = np.zeros((channels, 1))

    def push(self, audio: Samples) -> Samples:
        """Takes samples and gives as many."""
        heard = self._started.shape[1]
        known = np.concatenate([self._started, audio], 1)
        whole = known.shape[1] // HOP * HOP
        offsets = [self._before, self._offset]
        for mean in known[:, :whole].reshape(len(audio), -1, HOP).mean(2, dtype=np.float64).T:
            offsets.append(offsets[-1] + FOLLOWING * (mean[:, None] - offsets[-1]))
        self._started, (self._before, self._offset) = known[:, whole:], offsets[-2:]
        ends = np.concatenate(offsets, 1)[..., None]
        lines = ends[:, :-1] + (ends[:, 1:] - ends[:, :-1]) * (np.arange(1, HOP + 1) / HOP)
        curve = lines.reshape(len(audio), -1)[:, heard : heard + audio.shape[1]]
        return audio - curve.astype(np.float32)

    def flush(self) -> Samples:
        return self._started[:, :0]
