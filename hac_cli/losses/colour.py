"""Whether every band of a passage is as loud as it was: the colour of a voice. Signals are ``[B, T]``, at the target's
level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.losses.hearing import mel_filters
from hac_cli.losses.spectrum import squares

WINDOW = 1024  # 43 ms at 24 kHz
STEPS = 8  # of half a window: 0.2 s, so that powers are told from those of other noise
BANDS = 32
EXPONENT = 0.23  # Zwicker's, of power: quiet bands count, but not as they would in a log
FLOOR = 1e-8  # 80 dB below a band of white noise of unit RMS


class ColourLoss(nn.Module):
    """Mean absolute difference of the loudness of bands, each over 0.2 s.

    Distances of single bins or steps are least where a noise that can't be foretold is too weak, and most for quiet
    bands, those above 5 kHz: speech gets dull. Of a mean over many of them nothing is gained by that.
    """

    taper: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        taper = torch.hann_window(WINDOW)
        filters = torch.from_numpy(mel_filters(WINDOW // 2 + 1, BANDS)) / taper.square().sum()
        self.register_buffer("taper", taper, persistent=False)
        self.register_buffer("bands", filters.repeat_interleave(2, 0), persistent=False)

    def loudness(self, signal: Tensor) -> Tensor:
        """Of each band in each passage ``[B, passages, bands]``: 1 for white noise of unit RMS. What is shorter than a
        passage is one."""
        power = squares(signal, self.taper, WINDOW // 2) @ self.bands
        passages = power.unfold(1, min(STEPS, power.shape[1]), STEPS // 2).mean(-1)
        return (passages + FLOOR) ** EXPONENT

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            meant = self.loudness(target)
        return (self.loudness(output) - meant).abs().mean()
