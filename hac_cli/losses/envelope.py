"""How well the envelopes of speech are kept: a loss after the measures of intelligibility. Signals are ``[B, T]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.losses.hearing import (
    ENVELOPE_WINDOW,
    POWER_FLOOR,
    SILENCE,
    VARIANCE_FLOOR,
    hann,
    segment_steps,
    third_octaves,
)
from hac_cli.losses.spectrum import squares


class EnvelopeLoss(nn.Module):
    """1 minus the correlation of third-octave envelopes over segments of 0.4 s: the mean of that over time in each
    band (STOI; Taal et al., 2011) and of that over bands at each step, after bands are normalised over time (ESTOI;
    Jensen and Taal, 2016). Segments in which the target is silent don't count; every clip counts the same."""

    taper: Tensor
    bands: Tensor

    def __init__(self, window: int = ENVELOPE_WINDOW) -> None:
        super().__init__()
        self.hop, self.segment = window // 2, segment_steps(window)
        bands = torch.from_numpy(third_octaves(window // 2 + 1))
        self.register_buffer("taper", torch.from_numpy(hann(window)), persistent=False)
        self.register_buffer("bands", bands.repeat_interleave(2, 0), persistent=False)

    def envelopes(self, signal: Tensor) -> Tensor:
        """Segments ``[B, segments, bands, steps]`` of band magnitudes; a signal that is too short is one segment."""
        power = squares(signal, self.taper, self.hop) @ self.bands
        return (power + POWER_FLOOR).sqrt().unfold(1, min(self.segment, power.shape[1]), self.segment // 3)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.envelopes(target)
            power = x.square().sum(2).mean(-1)
            heard = (power > SILENCE * power.amax(1, keepdim=True)).to(x.dtype)
            best = self._correlation(x, x)  # a little less than 1 where there is hardly a signal
        lost = best - self._correlation(self.envelopes(output), x)
        return ((lost * heard).sum(1) / heard.sum(1).clamp_min(1)).mean()

    @staticmethod
    def _correlation(y: Tensor, x: Tensor) -> Tensor:
        """Of each segment: the mean of the correlation over time (STOI) and that over bands (ESTOI)."""
        y, x = _normalize(y, -1), _normalize(x, -1)
        over_time = (y * x).sum(-1).mean(-1)
        over_bands = (_normalize(y, -2) * _normalize(x, -2)).sum(-2).mean(-1)
        return 0.5 * (over_time + over_bands)


def _normalize(x: Tensor, dim: int) -> Tensor:
    """Zero mean and unit length along ``dim``; what hardly changes stays near zero."""
    x = x - x.mean(dim, keepdim=True)
    return x / (x.square().sum(dim, keepdim=True) + VARIANCE_FLOOR).sqrt()
