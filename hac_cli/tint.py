"""The tint: by what a voice, a room or a microphone is brighter or darker than most, which is taken off before coding.

A network would have to learn every tint, and spend bits of every frame on it. So it is given speech of nearly the usual
tint, and a few numbers go with the tokens, by which the decoder gives it back. What takes it off is the linear
predictor of a smooth curve: it delays nothing, and has an exact inverse.
"""

from __future__ import annotations

import ctypes
import functools
import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hac_cli.compiled import is_there, library, pointer
from hac_cli.container import CODEC_SAMPLE_RATE, TINT_TERMS
from hac_cli.segments import Runs

Samples = NDArray[np.float32]
Doubles = NDArray[np.float64]
Tints = NDArray[np.int8]
"""In dB, ``[channels, frames, TINT_TERMS]``: the curve by which frames were made brighter, as a series of cosines."""
Curve = tuple[float, ...]
"""The terms of one."""

LOW, HIGH = 60.0, 12_000.0  # Hz; a cosine's half period reaches from one to the other, on a logarithmic axis
ORDER = 16  # of the predictor
GRID = 1024  # frequencies, those above half of the rate as well, of which it is made
PARTS = 8  # of a frame, over which one curve becomes another


def cosines(places: Doubles) -> Doubles:
    """``[TINT_TERMS, places]``; a place is 0 at ``LOW`` and 1 at ``HIGH``."""
    return np.cos(np.pi * np.arange(1, TINT_TERMS + 1)[:, None] * places)


@functools.cache
def _series() -> Doubles:
    frequencies = (np.arange(GRID // 2 + 1) * CODEC_SAMPLE_RATE / GRID).clip(LOW, HIGH)
    return cosines(np.log(frequencies / LOW) / math.log(HIGH / LOW))


@functools.lru_cache(1024)
def coefficients(curve: Curve) -> Doubles:
    """``[ORDER]``: the factors of the samples before that are added to one to make it brighter by this curve.

    It is the predictor of the spectrum that the curve makes flat (Makhoul, Linear prediction: a tutorial review, 1975,
    by Levinson's recursion).
    """
    correlation = np.fft.irfft(10 ** (np.array(curve) @ _series() / -10))[: ORDER + 1].tolist()
    factors: list[float] = []  # as numbers, since arrays as short as that are slower
    error = correlation[0]
    for order in range(ORDER):
        reflection = -(correlation[order + 1] + sum(map(float.__mul__, factors, correlation[order:0:-1]))) / error
        factors = [*(a + reflection * b for a, b in zip(factors, reversed(factors), strict=True)), reflection]
        error *= 1 - reflection**2
    return np.array(factors)


class TintFilter:
    """Takes the tint off audio ``[channels, samples]``, or gives it back: the ``inverse``. ``skip``: samples of the
    first frame that nobody asks for."""

    def __init__(self, channels: int, hop: int, skip: int, inverse: bool = False) -> None:
        assert hop % PARTS == 0
        self._channels = [_Channel(hop, skip, inverse) for _ in range(channels)]

    def add(self, tints: Tints) -> None:
        """Those of the next frames, one at least; what stands behind the terms isn't for a filter."""
        for channel, tint in zip(self._channels, tints, strict=True):
            channel.add(tint[:, :TINT_TERMS])

    def apply(self, audio: Samples) -> Samples:
        """The next samples."""
        return np.array([channel.apply(samples) for channel, samples in zip(self._channels, audio, strict=True)])


class _Channel:
    def __init__(self, hop: int, skip: int, inverse: bool) -> None:
        self._hop, self._inverse = hop, inverse
        self._before: NDArray[np.int8] | None = None  # the last frame's
        self._curves: Runs[Curve] = Runs(skip)
        self._past = np.zeros(ORDER)  # samples without this filter

    def add(self, tints: NDArray[np.int8]) -> None:
        """Those of the next frames, ``[frames, TINT_TERMS]``."""
        before = tints[:1] if self._before is None else self._before
        self._before = tints[-1:]
        if (tints == before).all():
            self._append(len(tints), before[0])
            return
        known = np.concatenate([before, tints]).astype(float)
        places = [*np.flatnonzero((known[1:] != known[:-1]).any(1)).tolist(), len(tints)]
        self._append(places[0], known[0])
        for change, after in pairwise(places):
            rise = (known[change + 1] - known[change]) / PARTS
            for part in range(1, PARTS + 1):
                self._append(1 / PARTS, known[change] + part * rise)
            self._append(after - change - 1, known[change + 1])

    def _append(self, frames: float, curve: NDArray[Any]) -> None:
        self._curves.add(int(frames * self._hop), tuple(curve.tolist()))

    def apply(self, audio: Samples) -> Samples:
        """The next samples, ``[samples]``."""
        known = np.concatenate([self._past, audio])
        out = known.copy()
        done = ORDER
        for samples, _, curve in self._curves.take(len(audio)):
            if any(curve):
                _apply(coefficients(curve), known, out, done, samples, self._inverse)
            done += samples
        self._past = (out if self._inverse else known)[-ORDER:].copy()
        return out[ORDER:].astype(np.float32)


def _plain_apply(factors: Doubles, known: Doubles, out: Doubles, first: int, samples: int, inverse: bool) -> None:
    if not inverse:
        piece = known[first - ORDER : first + samples]
        out[first : first + samples] = np.convolve(piece, np.concatenate([[1.0], factors]), "valid")
        return
    past, backwards = out[first - ORDER : first].tolist(), factors[::-1].tolist()
    for i, value in enumerate(known[first : first + samples].tolist()):
        past.append(value - sum(map(float.__mul__, backwards, past[i:])))
    out[first : first + samples] = past[ORDER:]


def _compiled_apply(factors: Doubles, known: Doubles, out: Doubles, first: int, samples: int, inverse: bool) -> None:
    function = library().hac_untint if inverse else library().hac_tint
    function(pointer(factors), pointer(known[first:]), pointer(out[first:]), ctypes.c_ssize_t(samples))


_apply = _compiled_apply if is_there() else _plain_apply
