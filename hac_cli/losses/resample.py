"""Resampling by a rational factor that gradients pass through."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ZERO_CROSSINGS = 24
ROLL_OFF = 0.92  # of the lower Nyquist frequency: where the transition begins
KAISER_BETA = 9.0


class Resample(nn.Module):
    """``[B, T]`` from one sample rate to another by a Kaiser-windowed sinc; zeros before and after the signal.

    The output has ``ceil(T·to/from)`` samples, without delay: its sample n is the input at n·from/to.
    """

    filters: Tensor

    def __init__(self, from_rate: int, to_rate: int) -> None:
        super().__init__()
        common = math.gcd(from_rate, to_rate)
        self.up, self.down = to_rate // common, from_rate // common
        cutoff = ROLL_OFF * min(1.0, to_rate / from_rate)
        self.reach = math.ceil(ZERO_CROSSINGS / cutoff)
        # one filter for each phase of the output, around the input samples of one period
        positions = torch.arange(-self.reach, self.reach + self.down, dtype=torch.float64)
        phases = torch.arange(self.up, dtype=torch.float64)[:, None] * self.down / self.up
        distance = positions - phases
        window = torch.special.i0(KAISER_BETA * (1 - (distance / self.reach).square()).clamp_min(0).sqrt())
        window = window / torch.special.i0(torch.tensor(KAISER_BETA, dtype=torch.float64))
        filters = cutoff * torch.sinc(cutoff * distance) * window * (distance.abs() <= self.reach)
        self.register_buffer("filters", filters[:, None].float(), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        samples = -(-signal.shape[1] * self.up // self.down)
        padded = F.pad(signal[:, None], (self.reach, self.reach + 2 * self.down))
        phases = F.conv1d(padded, self.filters, stride=self.down)
        return phases.transpose(1, 2).flatten(1)[:, :samples]
