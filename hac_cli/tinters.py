"""Which tint a recording has, and what takes it off: see ``tint``; and which bandwidth."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hac_cli import bandwidth
from hac_cli.container import CODEC_SAMPLE_RATE, TINT_TERMS
from hac_cli.levels import ACTIVE, SILENT
from hac_cli.segments import SEGMENT_SAMPLES, Ahead, Live
from hac_cli.tint import HIGH, LOW, TintFilter, Tints, cosines

Samples = NDArray[np.float32]
Powers = NDArray[np.float64]
"""Of the bands."""

WINDOW = 512  # samples of a spectrum
EVERY = 3  # so many windows one is looked at
HANN = np.hanning(WINDOW).astype(np.float32)
TYPICAL = np.array([-2, 0.2, 9.2, 11.4, 11.3, 10.7, 8.8, 4.8, -0.5, -4.7, -8.3, -11.1, -14.6, -16.1, -19.2, -25.7])
"""dB: the power of bands as wide as each other on a logarithmic axis, at the median of 283 speakers."""
TINT_BANDS = len(TYPICAL)
EDGES = np.geomspace(LOW, HIGH, TINT_BANDS + 1)
SHARES = np.diff(EDGES) / (CODEC_SAMPLE_RATE / 2)  # of all power, where that is the same everywhere
WEIGHTS = np.array([0.4, 0.7] + [1.0] * (TINT_BANDS - 3) + [0.4])
"""Low bands tell how high a voice is, and the highest one may be empty."""
STRENGTH = 0.7  # of the difference that is taken off
FURTHEST = 15  # dB that a band may be off, or it is another thing than a tint
TOLERANCE = 1.2  # dB that a term may be off: a change costs bytes
MOST = 12  # dB of a term
LOWEST = -3.0  # dB at the low end: below most voices, what the decoder does wrong comes back as much louder
PAST, AHEAD = 30, 4
"""Segments that a segment's tint goes by, beside itself."""
PERIOD = 4  # segments from one tint to the next
LIVE_PAST, LIVE_STEP, LIVE_LEAST = 94, 2, 20
"""Where nothing waits: half a minute is remembered, a term changes by no more than so many dB a segment, and after so
many of speech a bandwidth is known."""


@functools.cache
def _bands() -> NDArray[np.float64]:
    """``[bins, TINT_BANDS]``: what each bin has of a band, whose power is the mean over its width."""
    width = CODEC_SAMPLE_RATE / WINDOW
    upper = (np.arange(WINDOW // 2 + 1)[:, None] + 0.5) * width
    shared = np.maximum(np.minimum(upper, EDGES[1:]) - np.maximum(upper - width, EDGES[:-1]), 0)
    return shared / shared.sum(0)


def spectra(segments: Samples) -> Powers:
    """``[..., bins]`` of segments ``[..., SEGMENT_SAMPLES]``: for white noise all of them its power."""
    windows = segments.reshape(*segments.shape[:-1], -1, WINDOW)[..., ::EVERY, :]
    lines = np.fft.rfft(windows * HANN)
    powers: Powers = (lines.real**2 + lines.imag**2).mean(-2) / np.square(HANN).sum()
    return powers


def powers_of(segments: Samples) -> Powers:
    """``[..., TINT_BANDS + bandwidth.BANDS]`` of segments: what a tint goes by, and what a bandwidth does."""
    powers = spectra(segments)
    return np.concatenate([powers @ _bands(), bandwidth.band_powers(powers) * 2 / WINDOW], -1)


@functools.cache
def _fit() -> NDArray[np.float64]:
    """``[TINT_TERMS, TINT_BANDS]``: the terms of a curve, by least squares beside an offset."""
    shapes = np.vstack([np.ones(TINT_BANDS), cosines((np.arange(TINT_BANDS) + 0.5) / TINT_BANDS)])
    return (np.linalg.pinv((shapes * WEIGHTS).T) * WEIGHTS)[1:]


def spoken(powers: Sequence[Powers]) -> Powers:
    """Powers of the segments in which somebody speaks, ``[segments, bands]``."""
    heard = np.array(powers).reshape(-1, TINT_BANDS + bandwidth.BANDS)
    sums = heard[:, :TINT_BANDS] @ SHARES
    most = sums.max(initial=0)
    return heard[sums > ACTIVE * most] if most > SILENT else heard[:0]


def wanted_tint(spoken: Powers) -> NDArray[np.float64]:
    """The terms that bring segments of these powers, one at least, near the usual tint."""
    missing = TYPICAL - 10 * np.log10(spoken[:, :TINT_BANDS].mean(0) + 1e-12)
    missing = (missing - np.sort(missing)[TINT_BANDS // 2]).clip(-FURTHEST, FURTHEST)
    terms = STRENGTH * (_fit() @ missing)
    terms += max(0.0, LOWEST - terms.sum()) / TINT_TERMS  # each cosine is 1 there
    return terms.clip(-MOST, MOST)


class _Channel:
    """``numbers``: of one channel, the terms of its tint and its bandwidth, no more than ``most``."""

    def __init__(self, most: int) -> None:
        self.numbers = np.zeros(TINT_TERMS + 1, np.int8)
        self._most = most

    def decide(self, powers: Sequence[Powers], step: int = 2 * MOST, least: int = 1) -> None:
        """By what was heard, changing no term by more than ``step`` dB, and limiting nothing before somebody has spoken
        in ``least`` segments."""
        heard = spoken(powers)
        if not len(heard):
            return
        tint = self.numbers[:TINT_TERMS]
        change = wanted_tint(heard) - tint
        if np.abs(change).max() > TOLERANCE:
            tint += change.clip(-step, step).round().astype(np.int8)
        if len(heard) >= least:
            peaks = np.max(powers, 0)[TINT_BANDS:] / (heard[:, :TINT_BANDS] @ SHARES).mean()
            self.numbers[-1] = bandwidth.wanted(peaks, int(self.numbers[-1]), self._most)


class Tinter(Ahead):
    """Audio ``[channels, samples]`` at the codec's rate, in pieces of any size, to the same of nearly the usual tint,
    up to two seconds later. ``delay``: how many samples later the network gives it back. Behind the terms, numbers have
    the bandwidth, by which nothing is done; ``most``: no larger one."""

    def __init__(self, channels: int, hop: int, delay: int, most: int = bandwidth.MOST) -> None:
        filter_ = TintFilter(channels, hop, delay)
        super().__init__(np.zeros((channels, 0, TINT_TERMS + 1), np.int8), filter_, hop, delay, AHEAD)
        self._first = 0  # segment of the first powers that are kept
        self._powers: list[list[Powers]] = [[] for _ in range(channels)]
        self._channels = [_Channel(most) for _ in range(channels)]

    def _hear(self, segments: Samples) -> None:
        for known, heard in zip(self._powers, powers_of(segments), strict=True):
            known += list(heard)

    def _numbers_of(self, segment: int) -> Tints:
        forgotten = max(0, segment - PAST - self._first)
        self._first += forgotten
        for channel, powers in zip(self._channels, self._powers, strict=True):
            del powers[:forgotten]
            if segment % PERIOD == 0:
                channel.decide(powers[: segment + AHEAD + 1 - self._first])
        return np.array([channel.numbers for channel in self._channels])


class LiveTinter(Live):
    """As ``Tinter``, for who can't wait: whole frames are given at once."""

    def __init__(self, channels: int, hop: int, delay: int, most: int = bandwidth.MOST) -> None:
        filter_ = TintFilter(channels, hop, delay)
        super().__init__(np.zeros((channels, 0, TINT_TERMS + 1), np.int8), filter_, hop, delay)
        self._powers: list[deque[Powers]] = [deque(maxlen=LIVE_PAST) for _ in range(channels)]
        self._channels = [_Channel(most) for _ in range(channels)]
        self._heard = np.zeros((channels, 0, hop), np.float32)

    def _decide(self, frames: Samples) -> None:
        """By the segments before."""
        segment = SEGMENT_SAMPLES // self._hop
        while frames.shape[1]:
            new = frames[:, : segment - self._heard.shape[1]]
            frames = frames[:, new.shape[1] :]
            self._add(np.array([[channel.numbers] for channel in self._channels]).repeat(new.shape[1], 1))
            self._heard = np.concatenate([self._heard, new], 1)
            if self._heard.shape[1] == segment:
                self._hear(self._heard.reshape(len(self._heard), -1))
                self._heard = self._heard[:, :0]

    def _hear(self, audio: Samples) -> None:
        for channel, known, powers in zip(self._channels, self._powers, powers_of(audio), strict=True):
            known.append(powers)
            channel.decide(known, LIVE_STEP, LIVE_LEAST)
