"""The bandwidth: many recordings end at 8 kHz or below, whatever their sample rate, and a network that can't know it
adds a hiss above. A number that goes with the tokens tells where they end, and a low-pass behind the decoder keeps to
it."""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from hac_cli import biquads
from hac_cli.container import BANDWIDTH_HERTZ, CODEC_SAMPLE_RATE
from hac_cli.segments import Runs

Samples = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bandwidths = NDArray[np.int8]
"""``[channels, frames]``, each so many times ``BANDWIDTH_HERTZ``; 0: all there is."""

LOWEST, MOST = 8, 28  # 3 kHz; 10.5 kHz, above which it makes no difference
NEARLY_ALL = 0.45  # of the recording's rate: it tells by itself that nothing is above half of it
BANDS = round(CODEC_SAMPLE_RATE / 2 / BANDWIDTH_HERTZ) - LOWEST
"""As wide as a step, from the lowest bandwidth on."""
EMPTY, FAINT = 10**-6.5, 10**-4.5
"""Of the power of speech: what the highest band never reaches where a recording ends before, and what no band reaches
behind its end."""
WARM_UP = 320  # samples in which a filter has found its state


def band_powers(power: Doubles) -> Doubles:
    """``[..., BANDS]``: sums of each band's bins, of ``[..., bins]`` from 0 Hz to 12 kHz."""
    bins = (power.shape[-1] - 1) // (BANDS + LOWEST)
    bands: Doubles = power[..., -BANDS * bins :].reshape(*power.shape[:-1], BANDS, bins).sum(-1)
    return bands


def most_for(sample_rate: int) -> int:
    """The most that a recording of that rate is limited to."""
    return min(MOST, int(NEARLY_ALL * sample_rate / BANDWIDTH_HERTZ))


def wanted(peaks: Doubles, before: int, most: int) -> int:
    """That of a recording whose bands never have more than ``peaks`` ``[BANDS]`` of the power of speech, 0 for more
    than ``most``; ``before`` where it is nearly that: a change costs bytes."""
    heard = np.flatnonzero(peaks > FAINT).tolist()
    bandwidth = LOWEST + (heard[-1] + 1 if heard else 0)
    if peaks[-1] > EMPTY or bandwidth > most:
        return 0
    return before if bandwidth == before - 1 else bandwidth


@functools.cache
def _sections(bandwidth: int) -> Doubles:
    return biquads.low_pass(bandwidth * BANDWIDTH_HERTZ / CODEC_SAMPLE_RATE)


class BandFilter:
    """Takes off audio ``[channels, samples]`` what is above its bandwidth. ``skip``: samples of the first frame that
    nobody asks for."""

    def __init__(self, channels: int, hop: int, skip: int) -> None:
        self._channels = [_Channel(hop, skip) for _ in range(channels)]

    def add(self, bandwidths: Bandwidths) -> None:
        """Those of the next frames, one at least."""
        for channel, row in zip(self._channels, bandwidths.tolist(), strict=True):
            for bandwidth, frames in itertools.groupby(row):
                channel.add(bandwidth, len(list(frames)))

    def apply(self, audio: Samples) -> Samples:
        """The next samples."""
        return np.array([channel.apply(samples) for channel, samples in zip(self._channels, audio, strict=True)])


class _Channel:
    def __init__(self, hop: int, skip: int) -> None:
        self._hop = hop
        self._runs: Runs[tuple[int, int]] = Runs(skip)  # bandwidths from and to
        self._last: int | None = None
        self._past = np.zeros(WARM_UP)
        self._states: dict[int, Doubles] = {}  # of the filters in use

    def add(self, bandwidth: int, frames: int) -> None:
        """That of the next frames."""
        if self._last is not None and self._last != bandwidth:
            self._runs.add(self._hop, (self._last, bandwidth))
            frames -= 1
        self._runs.add(frames * self._hop, (bandwidth, bandwidth))
        self._last = bandwidth

    def apply(self, audio: Samples) -> Samples:
        """The next samples, ``[samples]``; where the bandwidth changes, one fades into the other in a frame."""
        known, out = np.concatenate([self._past, audio]), audio.copy()
        done = 0
        for samples, left, (before, after) in self._runs.take(len(audio)):
            piece = self._filtered(known, WARM_UP + done, samples, after)
            if before != after:
                rise = 1 - np.arange(left - 1, left - samples - 1, -1) / self._hop
                piece = rise * piece + (1 - rise) * self._filtered(known, WARM_UP + done, samples, before)
            self._states = {limit: self._states[limit] for limit in (before, after) if limit}
            out[done : done + samples] = piece
            done += samples
        self._past = known[-WARM_UP:].copy()
        return out

    def _filtered(self, known: Doubles, start: int, samples: int, bandwidth: int) -> Doubles:
        """Samples from ``start`` on of what is ``known``."""
        if not bandwidth:
            return known[start : start + samples]
        warm_up = 0 if bandwidth in self._states else WARM_UP
        piece = known[start - warm_up : start + samples].copy()
        biquads.run(_sections(bandwidth), self._states.setdefault(bandwidth, np.zeros((2, 2))), piece)
        return piece[warm_up:]
