"""Metrics of a decoded signal against its original, both ``[samples]`` float at 24 kHz and of one length."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from hac_cli.eval import SAMPLE_RATE

Signal = NDArray[np.floating]

_SILENCE = 1e-8  # mean power, -80 dBFS
_WINDOW, _HOP, _BANDS = 1024, 256, 80
_LONGEST_PESQ = 60  # seconds


class MetricRefused(Exception):
    """The clip is one that a metric can't judge; the message says why."""


@dataclass(frozen=True)
class Metric:
    """``tolerance``: a change of the mean up to this means nothing to anybody, however sure it is.
    ``package``: what has to be importable, and ``extra``, the extra of hac-cli that brings it."""

    key: str
    label: str
    measure: Callable[[Signal, Signal], float]
    digits: int
    tolerance: float
    lower_is_better: bool = False
    needs_waveform: bool = False
    package: str | None = None
    extra: str = "bench"

    def gain(self, old: float, new: float) -> float:
        """How much better ``new`` is, below 0 if it is worse."""
        return old - new if self.lower_is_better else new - old


def si_sdr(original: Signal, decoded: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019), means removed."""
    _refuse_silence(original)
    original, decoded = original - original.mean(), decoded - decoded.mean()
    target = original * (decoded @ original) / (original @ original + 1e-12)
    noise = decoded - target
    return float(10 * np.log10((target @ target + 1e-12) / (noise @ noise + 1e-12)))


def level_change(original: Signal, decoded: Signal) -> float:
    """Change of the RMS level in dB."""
    return float(10 * np.log10((np.square(decoded).mean() + 1e-12) / (np.square(original).mean() + 1e-12)))


def pesq(original: Signal, decoded: Signal, band: str) -> float:
    """PESQ MOS-LQO, ``band`` 'wb' at 16 kHz (ITU-T P.862.2) or 'nb' at 8 kHz (P.862.1), by the package pesq."""
    from pesq import PesqError
    from pesq import pesq as score

    _refuse_silence(original)
    _refuse_silence(decoded, "what was decoded is silent")
    if len(original) > _LONGEST_PESQ * SAMPLE_RATE:
        raise MetricRefused(f"longer than {_LONGEST_PESQ} s, and PESQ is made for some 10 s")
    rate = 16_000 if band == "wb" else 8_000
    signals = [soxr.resample(signal, SAMPLE_RATE, rate) for signal in (original, decoded)]
    try:
        return float(score(rate, *signals, band))
    except PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise MetricRefused(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def stoi(original: Signal, decoded: Signal, extended: bool = False) -> float:
    """STOI (Taal et al., 2011) or ESTOI (Jensen and Taal, 2016), by the package pystoi."""
    from pystoi import stoi as score

    _refuse_silence(original)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # it warns and returns 1e-5 where it can't judge
        try:
            return float(score(original, decoded, SAMPLE_RATE, extended=extended))
        except RuntimeWarning:
            raise MetricRefused("less than 0.4 s of it is speech") from None


def mel_distance(original: Signal, decoded: Signal) -> float:
    """Mean absolute difference of log10 mel spectrograms: 80 bands, windows of 1024, a hop of 256.

    Magnitudes below 1e-5 count as 1e-5, as in DAC (Kumar et al., 2023).
    """
    if len(original) < _WINDOW:
        raise MetricRefused(f"shorter than {_WINDOW} samples")
    spectra = [np.log10(np.maximum(mel_spectrogram(signal), 1e-5)) for signal in (original, decoded)]
    return float(np.abs(spectra[0] - spectra[1]).mean())


def magnitudes(signal: Signal, window: int = _WINDOW, hop: int = _HOP) -> Signal:
    """STFT magnitudes ``[steps, bins]`` with a periodic Hann window, without padding."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, window)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1], axis=1))


def mel_spectrogram(signal: Signal) -> Signal:
    """``[steps, bands]`` of magnitudes."""
    return magnitudes(signal) @ _mel_filters()


@functools.cache
def _mel_filters() -> Signal:
    """Triangles ``[bins, bands]`` of unit area in Hz from 0 to 12 kHz, on the mel scale of Slaney's Auditory
    Toolbox (1998): linear up to 1 kHz, logarithmic above."""
    hertz = np.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)[:, None]
    mels = np.linspace(0, 15 + 27 * np.log(SAMPLE_RATE / 2000) / np.log(6.4), _BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    rise = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return np.maximum(np.minimum(rise, fall), 0) * 2 / (edges[2:] - edges[:-2])


def _refuse_silence(signal: Signal, reason: str = "silent") -> None:
    if not len(signal) or np.square(signal).mean() < _SILENCE:
        raise MetricRefused(reason)


def available(chosen: Sequence[Metric]) -> tuple[list[Metric], dict[str, str]]:
    """The metrics that can be measured here, and how to get each of the others."""
    there, missing = [], {}
    for metric in chosen:
        if metric.package is None or importlib.util.find_spec(metric.package):
            there.append(metric)
        else:
            missing[metric.label] = f"pip install 'hac-cli[{metric.extra}]'"
    return there, missing


STANDARD = (
    Metric("pesq_wb", "PESQ-WB", functools.partial(pesq, band="wb"), 2, 0.01, package="pesq"),
    Metric("pesq_nb", "PESQ-NB", functools.partial(pesq, band="nb"), 2, 0.01, package="pesq"),
    Metric("stoi", "STOI", stoi, 3, 0.002, package="pystoi"),
    Metric("estoi", "ESTOI", functools.partial(stoi, extended=True), 3, 0.002, package="pystoi"),
    Metric("si_sdr", "SI-SDR", si_sdr, 1, 0.05, needs_waveform=True),
    Metric("mel", "mel", mel_distance, 3, 0.002, lower_is_better=True),
)
