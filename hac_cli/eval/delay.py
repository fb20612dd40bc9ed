"""The constant delay of a codec, found in the same way for every codec, and taken out before anything is scored.

Where a codec keeps the waveform, the normalised cross-correlation of original and decoded has a clear peak at its
delay. A parametric codec keeps only how loud the speech is; then that of the envelopes is taken instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hac_cli.eval import SAMPLE_RATE

MOST = SAMPLE_RATE // 5
"""The longest delay looked for, in samples, both ways."""
WAVEFORM_KEPT = 0.3
"""Correlation from which on the waveform counts as kept; it equals an SI-SDR of -10 dB."""
_SMOOTHING = SAMPLE_RATE // 100

Signal = NDArray[np.floating]


@dataclass(frozen=True)
class Delay:
    """``samples`` at 24 kHz that the decoded signal is late; ``by`` is ``waveform`` or ``envelope``."""

    samples: int = 0
    by: str = "waveform"

    @property
    def keeps_waveform(self) -> bool:
        return self.by == "waveform"

    def remove(self, original: Signal, decoded: Signal) -> tuple[Signal, Signal]:
        """Both signals cut to what they share; ``decoded`` may be longer or shorter than ``original``."""
        if self.samples >= 0:
            decoded = decoded[self.samples :]
        else:
            original = original[-self.samples :]
        length = min(len(original), len(decoded))
        return original[:length], decoded[:length]


@dataclass(frozen=True)
class Correlations:
    """Normalised cross-correlations of one clip for every lag from ``-MOST`` to ``MOST``."""

    waveform: Signal
    envelope: Signal


def correlate(original: Signal, decoded: Signal) -> Correlations:
    envelopes = [_envelope(signal) for signal in (original, decoded)]
    return Correlations(_cross_correlation(original, decoded), _cross_correlation(*envelopes))


def find(clips: Sequence[Correlations]) -> Delay:
    """The one delay that suits all clips best; none if there are no clips."""
    if not clips:
        return Delay()
    waveform = np.mean([clip.waveform for clip in clips], axis=0)
    if waveform.max() >= WAVEFORM_KEPT:
        return Delay(int(waveform.argmax()) - MOST)
    return Delay(int(np.mean([clip.envelope for clip in clips], axis=0).argmax()) - MOST, "envelope")


def _envelope(signal: Signal) -> Signal:
    """Magnitude over 10 ms, less its mean."""
    window = np.hanning(_SMOOTHING + 2)[1:-1]
    envelope = np.convolve(np.abs(signal), window / window.sum(), "same")
    return envelope - envelope.mean()


def _cross_correlation(original: Signal, decoded: Signal) -> Signal:
    size = 1 << (max(len(original), len(decoded)) + MOST).bit_length()
    product = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(product, size)
    lags = np.concatenate([correlation[-MOST:], correlation[: MOST + 1]])
    return lags / (np.linalg.norm(original) * np.linalg.norm(decoded) + 1e-12)
