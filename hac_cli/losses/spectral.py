"""Reconstruction losses on waveforms and spectrograms. Signals are ``[B, T]``."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hac_cli.losses.hearing import LEVEL_FLOOR, mel_filters
from hac_cli.losses.spectrum import squares

TINY = 1e-16


class SpectralLoss(nn.Module):
    """Mean distance of log and of linear spectrograms over several windows.

    With ``mels`` the power is pooled into mel bands first (more bands for longer windows); without, or for a window
    of 0 bands, every STFT bin counts. The log part hears quiet detail, the linear part (spectral convergence, Arık et
    al., 2018) loud detail. The gradient of a log is that of 1/magnitude, so the quietest bins would drown the rest:
    ``log_floor``, relative to the usual magnitude (0.02: -34 dB), is what a bin counts as at least. Each sample is in
    ``overlap`` windows.
    """

    def __init__(
        self,
        windows: tuple[int, ...] = (128, 256, 512, 1024, 2048),
        mels: tuple[int, ...] = (12, 24, 48, 80, 120),
        linear: float = 1.0,
        log_floor: float = 0.02,
        overlap: int = 4,
    ) -> None:
        super().__init__()
        self.windows, self.linear, self.log_floor, self.overlap = windows, linear, log_floor, overlap
        self.mels = dict(zip(windows, mels or [0] * len(windows), strict=True))
        for window in windows:
            self.register_buffer(f"window{window}", torch.hann_window(window), persistent=False)
            if self.mels[window]:
                filters = torch.from_numpy(mel_filters(window // 2 + 1, self.mels[window]))
                # each row twice: one product sums the two parts of a bin and the bins of a band
                self.register_buffer(f"bands{window}", filters.repeat_interleave(2, 0), persistent=False)

    def magnitudes(self, signal: Tensor, window: int) -> Tensor:
        """Magnitude spectrogram ``[B, steps, bands]``; of a full-scale sine the peak is about 1/2."""
        taper = getattr(self, f"window{window}") * (2 / window)
        padded = F.pad(signal[:, None], (window // 2, window // 2), mode="reflect")[:, 0]
        parts = squares(padded, taper, window // self.overlap)
        power = parts @ getattr(self, f"bands{window}") if self.mels[window] else parts.unflatten(-1, (-1, 2)).sum(-1)
        return (power + 1e-9).sqrt()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        total = output.new_zeros(())
        for window in self.windows:
            y = self.magnitudes(output, window)
            with torch.no_grad():
                x = self.magnitudes(target, window)
            usual = math.sqrt(1.5 / window)  # RMS magnitude of a signal of unit RMS
            floor = self.log_floor * usual
            log = ((y + floor).log() - (x + floor).log()).abs().mean()
            squares = (y - x).square().mean((1, 2)) + TINY  # a gradient at 0
            linear = squares.sqrt() / x.square().mean((1, 2)).sqrt().clamp_min(usual)
            total = total + log + self.linear * linear.mean()
        return total / len(self.windows)


def normalize_level(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both signals divided by the target's RMS, so that quiet and loud clips weigh the same."""
    rms = target_level(target)
    return output / rms, target / rms


def target_level(target: Tensor) -> Tensor:
    """RMS ``[B, 1]`` that ``normalize_level`` divides by."""
    return target.square().mean(-1, keepdim=True).sqrt().clamp_min(LEVEL_FLOOR)


def waveform_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of samples."""
    return (output - target).abs().mean()
