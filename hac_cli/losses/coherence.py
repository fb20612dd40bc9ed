"""How closely the waveform of a voice is followed, where it can be. Signals are ``[B, T]``, at the target's level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.container import CODEC_SAMPLE_RATE
from hac_cli.losses.spectrum import spectrum

WINDOW = 2048  # 85 ms at 24 kHz
CORNER = 1000.0  # Hz: above, nobody hears phases, and so few bits don't follow them
QUIET = 1e-2  # of the mean power: what is quieter hardly counts
LEAST = 1e-4  # and below this the output counts as no softer


class CoherenceLoss(nn.Module):
    """1 minus the correlation of waveforms over 85 ms, below 1 kHz.

    A difference of samples is least where the output is softer than the target as far as it is unsure, and above 500 Hz
    it is: nine tenths of such a loss's gradient do nothing but play softer, most of all the highs. A correlation knows
    no level.
    """

    taper: Tensor
    share: Tensor

    def __init__(self) -> None:
        super().__init__()
        hertz = torch.linspace(0, CODEC_SAMPLE_RATE / 2, WINDOW // 2 + 1)
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)
        # Butterworth's power response of second order
        self.register_buffer("share", 1 / (1 + (hertz / CORNER) ** 4), persistent=False)
        self.unit = WINDOW / 2 * float(self.taper.square().sum())  # of a signal of unit RMS

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        y, x = (torch.view_as_real(spectrum(signal, self.taper, WINDOW // 2)) for signal in (output, target))
        product, own, meant = (self._below(*pair) for pair in ((y, x), (y, y), (x, x)))
        own, meant = own.clamp_min(LEAST), meant.clamp_min(LEAST)
        return (meant / (meant + QUIET) * (1 - product / (own * meant).sqrt())).mean()

    def _below(self, y: Tensor, x: Tensor) -> Tensor:
        """Inner product of each step's samples ``[B, steps]``, as far as they lie below the corner."""
        return (y * x).sum(-1) @ self.share / self.unit
