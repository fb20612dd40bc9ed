"""Takes off what lies below speech: a constant offset, rumble, hum of the mains. The network can't code these, and
loses speech where it tries to.

For files what is low is made out at 300 Hz, where that is quick, with no shift in phase; live, where nobody can look
ahead, a recursive filter takes it off.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hac_cli import biquads
from hac_cli.container import CODEC_SAMPLE_RATE as RATE

Samples = NDArray[np.float32]

STEP = 80  # samples to one at 300 Hz
CUTOFF = 60.0  # Hz: 6 dB; nothing from 77 Hz on, and at 43 Hz 40 dB
SPAN, TAPS = 7, 31  # steps that a sample at 300 Hz is heard in, and samples there that the low-pass takes
REACH = (SPAN - 1 + TAPS - 1 + SPAN - 1) // 2 * STEP  # samples before and behind a step that make out what is low in it
PIECE = 96 * STEP  # taken at a time, so that all pieces are rounded alike


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
    count = parts.shape[1] - SPAN + 1
    steps = np.sum([parts[:, i : i + count, i] for i in range(SPAN)], 0)
    steps = np.array([np.convolve(channel, narrow, "valid") for channel in steps])
    count = steps.shape[1] - SPAN + 1
    windows = np.array([steps[:, i : i + count] for i in range(SPAN)])
    return (windows.transpose(1, 2, 0) @ up).reshape(len(audio), -1)


class RumbleFilter:
    """Audio ``[channels, samples]`` in pieces of any size to the same without rumble, up to 0.4 s later."""

    def __init__(self, channels: int) -> None:
        self._audio = np.zeros((channels, 0), np.float32)
        self._begun = False
        self._due = 0

    def push(self, audio: Samples) -> Samples:
        """Takes samples, gives those for which enough is known of what follows."""
        self._due += audio.shape[1]
        self._audio = np.concatenate([self._audio, audio], 1)
        return self._filtered() if self._audio.shape[1] >= PIECE + 2 * REACH else audio[:, :0]

    def flush(self) -> Samples:
        """The rest: the audio is over."""
        due = self._due
        if not due:
            return self._audio[:, :0]
        missing = -due % PIECE
        self._audio = np.pad(self._audio, ((0, 0), (0, missing + REACH)), "symmetric")
        return self._filtered()[:, :due]

    def _filtered(self) -> Samples:
        if not self._begun:  # mirrored, as it is in the end: an offset goes on
            self._audio = np.pad(self._audio, ((0, 0), (REACH, 0)), "symmetric")
            self._begun = True
        parts = []
        for start in range(0, self._audio.shape[1] - PIECE - 2 * REACH + 1, PIECE):
            piece = self._audio[:, start : start + PIECE + 2 * REACH]
            parts.append(piece[:, REACH:-REACH] - low(piece))
        self._audio = self._audio[:, len(parts) * PIECE :]
        self._due -= len(parts) * PIECE
        return np.concatenate(parts, 1)


class LiveRumbleFilter:
    """The same for who can't wait: Butterworth of fourth order, which shifts low voices in phase."""

    def __init__(self, channels: int) -> None:
        self._states: NDArray[np.float64] | None = None
        self._channels = channels

    def push(self, audio: Samples) -> Samples:
        """Takes samples and gives as many."""
        out = np.array(audio, np.float64, order="C")
        if not out.size:
            return audio
        if self._states is None:
            self._states = _settled(out[:, 0])
        for channel, states in zip(out, self._states, strict=True):
            biquads.run(SECTIONS, states, channel)
        return out.astype(np.float32)

    def flush(self) -> Samples:
        return np.zeros((self._channels, 0), np.float32)


SECTIONS = biquads.high_pass(CUTOFF / RATE)


def _settled(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """States ``[channels, sections, 2]`` as if what begins now had always had these offsets."""
    states = np.zeros((len(offsets), len(SECTIONS), 2))
    states[:, 0] = offsets[:, None] * [-SECTIONS[0][0], SECTIONS[0][2]]
    return states
