"""Metrics of a decoded signal against its original, both ``[samples]`` float at ``sample_rate``."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

Signal = NDArray[np.floating]


def align(reference: Signal, decoded: Signal, most: int) -> tuple[Signal, Signal]:
    """Removes one constant delay of up to ``most`` samples, found by cross-correlation; equal lengths come back."""
    size = 1 << (len(reference) + len(decoded)).bit_length()
    spectrum = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(spectrum, size)
    lags = np.concatenate([np.arange(most + 1), np.arange(-most, 0)])
    lag = int(lags[np.argmax(correlation[lags])])
    reference, decoded = (reference, decoded[lag:]) if lag >= 0 else (reference[-lag:], decoded)
    length = min(len(reference), len(decoded))
    return reference[:length], decoded[:length]


def si_sdr(reference: Signal, decoded: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019), means removed."""
    reference, decoded = reference - reference.mean(), decoded - decoded.mean()
    target = reference * (decoded @ reference) / (reference @ reference + 1e-12)
    noise = decoded - target
    return float(10 * np.log10((target @ target + 1e-12) / (noise @ noise + 1e-12)))


def level_change(reference: Signal, decoded: Signal) -> float:
    """Change of the RMS level in dB."""
    return float(10 * np.log10((np.square(decoded).mean() + 1e-12) / (np.square(reference).mean() + 1e-12)))


def pesq(reference: Signal, decoded: Signal, sample_rate: int, band: str) -> float:
    """PESQ MOS-LQO, ``band`` 'wb' at 16 kHz (ITU-T P.862.2) or 'nb' at 8 kHz (P.862.1). Needs the package pesq,
    whose errors (no speech found, too short) pass through."""
    from pesq import pesq as score

    rate = 16_000 if band == "wb" else 8_000
    signals = [soxr.resample(signal, sample_rate, rate) for signal in (reference, decoded)]
    return float(score(rate, *signals, band))


def stoi(reference: Signal, decoded: Signal, sample_rate: int, extended: bool = False) -> float:
    """STOI (Taal et al., 2011) or ESTOI (Jensen and Taal, 2016). Needs the package pystoi."""
    from pystoi import stoi as score

    return float(score(reference, decoded, sample_rate, extended=extended))
