"""How far what was decoded is from what was meant, and which way is nearer: what a search for tokens goes by.

The losses of training, but for the judges of the decoder, ``losses.spectral``, ``loudness``, ``envelope`` and
``recogniser``, in numpy, with their gradients: torch takes longer to import than seconds of audio take to search.
Signals are ``[T]``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hac_cli.losses import hearing
from hac_cli.losses.hearing import BARK_BANDS, BARK_WIDTH
from hac_cli.recogniser import recogniser

Array = NDArray[np.float32]
Heard = tuple[float, Array]
"""A loss, and its gradient by the signal, or by what it was made of."""
Loss = tuple[int, float, Callable[[Array], Heard]]
"""Of the powers in which part of the bands, its weight, and what gives it."""

SPECTRAL, LOUDNESS, ENVELOPE, WAVEFORM, WORDS = 4.0, 3.0, 12.0, 5.0, 5.0
"""Weights of the losses, chosen on held-out speakers."""
SHORT, LONG = 256, hearing.LOUDNESS_WINDOW
"""Windows of 11 and 32 ms. In the long one all losses look at the same spectra, which are most of the work."""
MELS = {SHORT: 24, LONG: hearing.RECOGNISER_MELS}  # bands of the spectral loss
OVERLAP = 2  # windows that a sample is in: the 4 of training's spectral loss lead no further
LOG_FLOOR, LINEAR = 0.001, 0.5
TINY = 1e-9


class _Bands:
    """Power in bands of windows with a taper, half a window apart."""

    def __init__(self, window: int, *filters: Array) -> None:
        """``filters [bins, bands]``: those of each loss."""
        self.window, self.hop = window, window // OVERLAP
        self.taper = hearing.hann(window)
        self.filters = np.concatenate(filters, 1)
        self.parts = np.cumsum([part.shape[1] for part in filters])[:-1]
        self.back_filters = np.ascontiguousarray(2 * self.filters.T)
        self.back_filters[:, [0, -1]] *= 2  # all other bins count twice in the inverse transform

    def __call__(self, signal: Array) -> tuple[list[Array], NDArray[np.complex64]]:
        """``[steps, bands]`` for each loss, from whole windows alone, and the spectra, which ``back`` needs."""
        windows = sliding_window_view(signal, self.window)[:: self.hop]
        spectra = np.fft.rfft(windows * self.taper).astype(np.complex64, copy=False)
        power = (np.square(spectra.real) + np.square(spectra.imag)) @ self.filters
        return np.split(power, self.parts, 1), spectra

    def back(self, gradients: list[Array], spectra: NDArray[np.complex64], samples: int) -> Array:
        """The gradient of the signal, from those of the powers."""
        gradient = np.concatenate(gradients, 1)
        windows = np.fft.irfft(spectra * (gradient @ self.back_filters), self.window, norm="forward")
        windows = windows.astype(np.float32, copy=False) * (0.5 * self.taper)
        parts = windows.reshape(len(windows), OVERLAP, self.hop)
        total = np.zeros((len(parts) + OVERLAP - 1, self.hop), np.float32)
        for index in range(OVERLAP):
            total[index : index + len(parts)] += parts[:, index]
        found = np.zeros(samples, np.float32)
        found[: total.size] = total.ravel()[:samples]
        return found


@dataclass(frozen=True)
class Target:
    """What was meant, divided by its level, and what the losses have to know of it."""

    level: float
    audio: Array
    short: Array  # magnitudes in the bands of MELS
    long: Array
    over_time: Array  # envelopes, normalized over time, and over bands as well
    over_bands: Array
    counts: Array
    powers: Array
    features: Array  # of the recogniser, and how much they change
    changes: float


class Listener:
    """Compares what was decoded with what was meant."""

    def __init__(self) -> None:
        mels = {
            window: hearing.mel_filters(window // 2 + 1, bands) * np.float32(4 / window**2)
            for window, bands in MELS.items()
        }
        self._short = _Bands(SHORT, mels[SHORT])
        self._long = _Bands(LONG, mels[LONG], hearing.third_octaves(LONG // 2 + 1), hearing.bark_filters())
        self._segment = hearing.segment_steps(LONG)
        self._threshold = hearing.hearing_threshold()
        self._recogniser = recogniser()

    def target(self, audio: Array) -> Target:
        """What outputs of the same length are to be compared with. There must be windows in it: 32 ms and more."""
        level = max(math.sqrt(np.square(audio, dtype=np.float64).mean()), hearing.LEVEL_FLOOR)
        audio = audio / np.float32(level)
        (fine,), _ = self._short(audio)
        (mels, octaves, barks), _ = self._long(audio)
        envelopes = self._segments(np.sqrt(octaves + np.float32(hearing.POWER_FLOOR)))
        power = np.square(envelopes).sum(1).mean(-1)
        counts = (power > hearing.SILENCE * power.max()).astype(np.float32)
        over_time, _ = _normalized(envelopes, -1)
        over_bands, _ = _normalized(over_time, -2)
        features, _ = self._recogniser(np.log(_magnitudes(mels) + np.float32(hearing.RECOGNISER_FLOOR)))
        return Target(level, audio, _magnitudes(fine), _magnitudes(mels), over_time, over_bands,
                      counts / max(counts.sum(), 1), barks, features,
                      max(float(np.abs(features - features.mean(0)).mean()), 1e-3))  # fmt: skip

    def __call__(self, output: Array, target: Target, words: bool = True) -> Heard:
        """The distance of an output, and its gradient. ``words``: by the recogniser as well."""
        output = output / np.float32(target.level)
        difference = output - target.audio
        total = WAVEFORM * float(np.abs(difference).mean())
        gradient = np.float32(WAVEFORM / len(output)) * np.sign(difference)
        for bands, losses in self._losses(target, words):
            powers, spectra = bands(output)
            slopes = [np.zeros_like(power) for power in powers]
            for part, weight, compare in losses:
                found, slope = compare(powers[part])
                total += weight * found
                slopes[part] += np.float32(weight) * slope
            gradient += bands.back(slopes, spectra, len(output))
        return total, gradient / np.float32(target.level)

    def _losses(self, target: Target, words: bool) -> list[tuple[_Bands, list[Loss]]]:
        """Bands, and the losses on the powers in each part of them."""
        fine: list[Loss] = [(0, SPECTRAL / 2, functools.partial(self._spectral, x=target.short, window=SHORT))]
        coarse: list[Loss] = [
            (0, SPECTRAL / 2, functools.partial(self._spectral, x=target.long, window=LONG)),
            (1, ENVELOPE, functools.partial(self._envelope, target=target)),
            (2, LOUDNESS, functools.partial(self._loudness, x=target.powers)),
        ]
        if words:
            coarse.append((0, WORDS, functools.partial(self._words, x=target.features, size=target.changes)))
        return [(self._short, fine), (self._long, coarse)]

    @staticmethod
    def _spectral(power: Array, x: Array, window: int) -> Heard:
        """``losses.spectral``: mean distance of log magnitudes, and of magnitudes against those of the target."""
        y = _magnitudes(power)
        usual = math.sqrt(1.5 / window)  # RMS magnitude of a signal of unit RMS
        floor, distance = np.float32(LOG_FLOOR * usual), y - x
        logs = np.log((y + floor) / (x + floor))
        away = math.sqrt(np.square(distance).mean() + TINY**2)
        size = max(math.sqrt(np.square(x).mean()), usual)
        slope = np.sign(logs) / (y + floor) + np.float32(LINEAR / (away * size)) * distance
        return float(np.abs(logs).mean()) + LINEAR * away / size, slope / (2 * y.size * y)

    def _segments(self, envelopes: Array) -> Array:
        """``[segments, bands, steps]``; a signal that is too short is one segment."""
        return sliding_window_view(envelopes, min(self._segment, len(envelopes)), axis=0)[:: self._segment // 3]

    def _envelope(self, power: Array, target: Target) -> Heard:
        """``losses.envelope``: what correlations lack to 1, over time in each band, and over bands at each step."""
        envelopes = np.sqrt(power + np.float32(hearing.POWER_FLOOR))
        y, y_size = _normalized(self._segments(envelopes), -1)
        over, over_size = _normalized(y, -2)
        x, meant = target.over_time, target.over_bands
        segments, bands, steps = y.shape
        shares = 0.5 * target.counts[:, None, None]
        found = (shares * (y * x)).sum() / bands + (shares * (over * meant)).sum() / steps
        slope = _back_normalized(shares * meant / steps, over, over_size, -2) + shares * x / bands
        slope = _back_normalized(slope, y, y_size, -1)
        gradient = np.zeros_like(envelopes)
        for segment in range(segments):
            start = segment * (self._segment // 3)
            gradient[start : start + steps] -= slope[segment].T
        return float(target.counts.sum() - found), gradient / (2 * envelopes)

    def _loudness(self, power: Array, x: Array) -> Heard:
        """``losses.loudness``: points of the raw score of PESQ."""
        weight = ((x.sum(-1) + 1e5) / 1e7) ** np.float32(0.04)
        quiet, faint = np.float32(hearing.QUIET), np.float32(hearing.FAINT)
        mean, wanted = power.mean(0), x.mean(0)
        total, meant = mean.sum() + quiet, wanted.sum() + quiet
        ratio = (mean * (meant / total) + faint) / (wanted + faint)
        x = x * ratio.clip(1 / hearing.MOST_FILTERED, hearing.MOST_FILTERED)
        factor = (x.sum(-1).mean() + quiet) / total
        y = power * factor
        found, by_x, by_y = self._disturbances(y, x, BARK_WIDTH * BARK_BANDS / weight)
        # the level and the filter that are forgiven go by what was heard as well
        by_factor = (by_y * power).sum()
        by_ratio = ((by_x + by_factor / (len(y) * total)) * x).sum(0) / ratio
        by_ratio *= (ratio > 1 / hearing.MOST_FILTERED) & (ratio < hearing.MOST_FILTERED)
        by_mean = by_ratio * (meant / total) / (wanted + faint)
        by_total = -((by_mean * mean).sum() + by_factor * factor) / total
        return found, by_y * factor + (by_mean + by_total) / np.float32(len(y))

    def _disturbances(self, y: Array, x: Array, extent: Array) -> tuple[float, Array, Array]:
        """Both, and the gradients by the powers of the target and of the output, of which each step counts as much as
        ``extent`` says."""
        (heard, steep_x), (loud, steep_y) = (self._sones(p) for p in (x, y))
        more = loud - heard
        disturbance = (np.abs(more) - 0.25 * np.minimum(loud, heard)).clip(0)
        added = ((y + 50) / (x + 50)) ** np.float32(1.2)
        growth = 1.2 * added * ((added >= 3) & (added < 12))
        added = np.where(added < 3, 0, added.clip(max=12))
        root = np.sqrt(np.square(disturbance).mean(-1) + TINY)
        steps = extent * (root - TINY**0.5), extent * (disturbance * added).mean(-1)
        sizes = [math.sqrt(np.square(step).mean() + TINY) for step in steps]
        shares = hearing.SYMMETRIC, hearing.ASYMMETRIC
        first, second = (share * step * extent / (size * y.size)
                         for share, step, size in zip(shares, steps, sizes, strict=True))  # fmt: skip
        by_disturbance = (disturbance > 0) * ((first / root)[:, None] * disturbance + second[:, None] * added)
        growth *= second[:, None] * disturbance
        by_x = by_disturbance * (-np.sign(more) - 0.25 * (more > 0)) * steep_x - growth / (x + 50)
        by_y = by_disturbance * (np.sign(more) - 0.25 * (more < 0)) * steep_y + growth / (y + 50)
        found = sum(share * size for share, size in zip(shares, sizes, strict=True))
        return found, by_x.astype(np.float32), by_y.astype(np.float32)

    def _words(self, power: Array, x: Array, size: float) -> Heard:
        """``losses.recogniser``: distance of features against how much those of the target change."""
        magnitude = _magnitudes(power)
        heard = magnitude + np.float32(hearing.RECOGNISER_FLOOR)
        features, trace = self._recogniser(np.log(heard))
        distance = features - x
        slope = self._recogniser.back(np.sign(distance) / np.float32(x.size * size), trace)
        return float(np.abs(distance).mean()) / size, slope / (2 * heard * magnitude)

    def _sones(self, power: Array) -> Heard:
        """Specific loudness of each band, and its slope."""
        excitation = 0.5 + 0.5 * power / self._threshold
        scale = hearing.SONES * (2 * self._threshold) ** hearing.EXPONENT
        sones = excitation.clip(1) ** np.float32(hearing.EXPONENT)
        slope = scale * hearing.EXPONENT * sones / excitation * (0.5 / self._threshold) * (excitation > 1)
        return scale * (sones - 1), slope  # type: ignore[return-value]


def _magnitudes(power: Array) -> Array:
    return np.sqrt(power + np.float32(TINY))


def _normalized(x: Array, axis: int) -> tuple[Array, Array]:
    """Zero mean and unit length along an axis; what hardly changes stays near zero. And what it was divided by."""
    x = x - x.mean(axis, keepdims=True)
    size = np.sqrt(np.square(x).sum(axis, keepdims=True) + np.float32(hearing.VARIANCE_FLOOR))
    return x / size, size


def _back_normalized(gradient: Array, y: Array, size: Array, axis: int) -> Array:
    along = (gradient - y * (gradient * y).sum(axis, keepdims=True)) / size
    return along - along.mean(axis, keepdims=True)
