"""What is known of hearing, in numpy: tables and constants of the losses, and of the search, which has no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hac_cli.rate import CODEC_SAMPLE_RATE

Table = NDArray[np.float32]

LEVEL_FLOOR = 0.05  # -26 dBFS: a quieter target is not lifted to full level, or quiet clips would rule every batch

# Loudness, after PESQ (ITU-T P.862; Rix et al., 2001)
LOUDNESS_WINDOW = round(0.032 * CODEC_SAMPLE_RATE)
BARK_BANDS = 56
BARK_WIDTH = 0.45  # 56 bands reach 12 kHz; P.862.2 ends at 8 kHz with 49 bands
SPEECH_LEVEL = 79.0  # dB SPL of a signal of unit RMS, the listening level of P.862
EXPONENT = 0.23  # Zwicker's
SONES = 0.187  # of P.862, so that its weights of the two disturbances hold
QUIET = 1e4  # 40 dB SPL, added to powers before they are made equal: silence is not lifted to speech
FAINT, MOST_FILTERED = 1e3, 100.0  # 30 dB SPL, below which a band's mean asks for no filter; 20 dB
ASYMMETRIC, SYMMETRIC = 0.0309, 0.1  # what each disturbance takes from 4.5, the best raw score

# Envelopes, after STOI and ESTOI (Taal et al., 2011; Jensen and Taal, 2016)
ENVELOPE_WINDOW = 640  # 27 ms at 24 kHz
OCTAVE_BANDS = 15  # third octaves from 150 Hz
SEGMENT = 0.4  # seconds: the modulations that carry words
VARIANCE_FLOOR = 1e-3
POWER_FLOOR = 0.2  # in a band, where a full one has about 1000: what is quieter has hardly a gradient
SILENCE = 1e-2  # a segment with this much less power than the clip's loudest is as good as silent

# The recogniser
RECOGNISER_MELS = 80  # bands of windows of LOUDNESS_WINDOW
RECOGNISER_FLOOR = 0.003 * (1.5 / LOUDNESS_WINDOW) ** 0.5  # a magnitude, 50 dB below that of unit RMS
STEPS_PER_POSITION = 1.6  # 32 ms of features in Whisper's 20 ms


def hann(window: int) -> Table:
    """The periodic taper."""
    return np.hanning(window + 1)[:-1].astype(np.float32)


def mel_filters(bins: int, mels: int) -> Table:
    """Triangular filters ``[bins, mels]`` on the mel scale 2595·log10(1 + f/700) (O'Shaughnessy, 1987), each of
    unit sum, so that a filter gives the mean power in its band."""
    edges = np.linspace(0, 2595 * np.log10(1 + CODEC_SAMPLE_RATE / 2 / 700), mels + 2)
    edges = 700 * (10 ** (edges / 2595) - 1)
    hertz = np.linspace(0, CODEC_SAMPLE_RATE / 2, bins)[:, None]
    rise = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    filters = np.minimum(rise, fall).clip(0)
    nearest = np.abs(hertz - edges[1:-1]).argmin(0)
    filters[nearest, np.arange(mels)] += 1e-3  # a band narrower than a bin still sees its nearest bin
    return (filters / filters.sum(0)).astype(np.float32)


def bark_bands(bins: int) -> Table:
    """Share of each of ``bins`` in each band of 0.45 Bark ``[bins, bands]``; what lies above the last is lost. The
    critical-band rate is ``7·asinh(f/650)`` (Schroeder, 1977)."""
    width = CODEC_SAMPLE_RATE / 2 / (bins - 1)
    center = np.arange(bins) * width
    low, high = (7 * np.arcsinh((center + side).clip(0) / 650)[:, None] for side in (-width / 2, width / 2))
    edge = BARK_WIDTH * np.arange(BARK_BANDS + 1)
    return ((np.minimum(high, edge[1:]) - np.maximum(low, edge[:-1])).clip(0) / (high - low)).astype(np.float32)


def bark_filters() -> Table:
    """``bark_bands`` that give powers, 1 for 0 dB SPL, of the bins of a window with the taper ``hann``."""
    one_sided = 2 * 10 ** (SPEECH_LEVEL / 10) / (LOUDNESS_WINDOW * np.square(hann(LOUDNESS_WINDOW)).sum())
    return bark_bands(LOUDNESS_WINDOW // 2 + 1) * np.float32(one_sided)


def hearing_threshold() -> Table:
    """Power of the threshold in quiet in each band of 0.45 Bark ``[bands]`` (Terhardt, 1979), 1 for 0 dB SPL."""
    center = BARK_WIDTH * (np.arange(BARK_BANDS) + 0.5)
    kilohertz = (650 * np.sinh(center / 7) / 1000).clip(0.05, 10)
    decibels = 3.64 * kilohertz**-0.8 - 6.5 * np.exp(-0.6 * (kilohertz - 3.3) ** 2) + 1e-3 * kilohertz**4
    return (10 ** (decibels / 10)).astype(np.float32)


def segment_steps(window: int) -> int:
    """Steps of half a window in a segment, such that the next begins a third of it later."""
    return 3 * round(SEGMENT * CODEC_SAMPLE_RATE / (window // 2) / 3)


def sinusoids(count: int, width: int, offset: float = 0.0) -> Table:
    """What tells positions ``[count, width]`` of the recogniser apart (Vaswani et al., 2017): Whisper's, of their
    middles."""
    rates = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = (STEPS_PER_POSITION * (np.arange(count) + 0.5) + offset)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)


def third_octaves(bins: int) -> Table:
    """Which of ``bins`` belong to each of 15 third-octave bands from 150 Hz on: 0 and 1 ``[bins, bands]``."""
    hertz = np.linspace(0, CODEC_SAMPLE_RATE / 2, bins)[:, None]
    center = 150 * 2 ** (np.arange(OCTAVE_BANDS) / 3)
    return ((hertz >= center * 2 ** (-1 / 6)) & (hertz < center * 2 ** (1 / 6))).astype(np.float32)
