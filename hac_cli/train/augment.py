"""Changes to a crop ``[T]`` that make the corpus more various than it is. Each takes its chance from ``random``."""

from __future__ import annotations

import numpy as np

from hac_cli.container import CODEC_SAMPLE_RATE as SAMPLE_RATE


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + 1e-12))


def coloured_noise(samples: int, random: np.random.Generator) -> np.ndarray:
    """Noise of unit RMS whose magnitude falls by up to f^-1.2 from 60 Hz on, as ``conditioning`` leaves it."""
    spectrum = np.fft.rfft(random.standard_normal(samples).astype(np.float32))
    spectrum[: round(60 * samples / SAMPLE_RATE)] = 0
    spectrum *= np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -random.uniform(0, 1.2)
    noise = np.fft.irfft(spectrum, samples).astype(np.float32)
    return noise / rms(noise)


def reverberate(crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Adds the reverberation of a made-up room: noise that decays by 60 dB in 0.15 to 0.9 s (Moorer, 1979), 3 to 18 dB
    below the direct sound."""
    decay = random.uniform(0.15, 0.9)
    time = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
    tail = random.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    tail[: int(random.uniform(0.001, 0.01) * SAMPLE_RATE)] = 0  # the way to the first wall
    tail *= 10 ** (-random.uniform(3, 18) / 20) / np.sqrt(np.square(tail).sum())
    size = 1 << (len(crop) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(crop, size) * np.fft.rfft(tail, size), size)[: len(crop)]
    return (crop + wet).astype(np.float32)


def limit_band(crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Takes away what a narrow channel would: above 3.4 to 9 kHz and, half of the time, below 300 Hz."""
    spectrum = np.fft.rfft(crop)
    hertz = np.fft.rfftfreq(len(crop), 1 / SAMPLE_RATE)
    edge = random.uniform(3400, 9000)
    spectrum *= np.clip((1.08 * edge - hertz) / (0.08 * edge), 0, 1)  # a straight slope rings less than a step
    if random.random() < 0.5:
        spectrum *= np.clip((hertz - 150) / 150, 0, 1)
    return np.fft.irfft(spectrum, len(crop)).astype(np.float32)
