"""The hum of a network: lines in its sound at multiples of the rates of its layers. Signals are ``[B, T]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.container import CODEC_SAMPLE_RATE
from hac_cli.losses.spectrum import spectrum

WINDOW = 1600  # 67 ms at 24 kHz, a hiss; bins of 15 Hz
RATE = 300.0  # Hz; the layers' own are multiples of it, or too slow for lines that can be told apart
LOWEST = 900.0  # Hz; below, voices have lines of their own
NEIGHBOURS = (-5, -4, -3, 3, 4, 5)  # bins; a line in a Hann window is in the two on either side of it
FLOOR = 3e-4  # relative magnitude: what is quieter than -70 dB isn't heard


class LinesLoss(nn.Module):
    """How far the lines at multiples of 300 Hz stand out of what is beside them, further than in the target: the mean
    over lines of that in nepers of power, which is a mean over time. Noise of any colour has none.

    A layer that always does the same draws a line at each multiple of its rate. Mel bands are too wide to see it, and
    a distance of single bins is as far from noise to other noise.
    """

    taper: Tensor
    bins: Tensor

    def __init__(self) -> None:
        super().__init__()
        spacing = RATE * WINDOW / CODEC_SAMPLE_RATE
        lines = torch.arange(LOWEST / RATE, CODEC_SAMPLE_RATE / 2 / RATE) * spacing
        bins = lines.round().long()[:, None] + torch.tensor((0, *NEIGHBOURS))
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("bins", bins, persistent=False)

    def heights(self, signal: Tensor) -> Tensor:
        """Of each line ``[B, lines]`` above what is beside it, in nepers of power, the mean over time."""
        bins = spectrum(signal, self.taper, WINDOW // 4)
        parts = torch.view_as_real(bins)[:, :, self.bins] / (WINDOW / 4)  # of a full-scale sine the magnitude is 1
        levels = (parts.square().sum(-1) + FLOOR**2).log()
        return (levels[..., 0] - levels[..., 1:].mean(-1)).mean(1)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            meant = self.heights(target)
        return (self.heights(output) - meant).relu().mean()
