"""How well the envelopes of speech are kept: a loss after the measures of intelligibility. Signals are ``[B, T]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.container import CODEC_SAMPLE_RATE
from hac_cli.losses.spectrum import squares

WINDOW = 640  # 27 ms at 24 kHz
BANDS = 15  # third octaves from 150 Hz
SEGMENT = 30  # steps of half a window: 0.4 s, the modulations that carry words
EPSILON = 1e-3
FLOOR = 0.2  # power in a band, where a full one has about 1000: what is quieter has hardly a gradient
SILENCE = 1e-2  # a segment with this much less power than the clip's loudest is as good as silent


def third_octaves(bins: int) -> Tensor:
    """Which bins ``[bins]`` belong to each of 15 third-octave bands from 150 Hz on: 0 and 1 ``[bins, bands]``."""
    hertz = torch.linspace(0, CODEC_SAMPLE_RATE / 2, bins, dtype=torch.float64)[:, None]
    center = 150 * 2 ** (torch.arange(BANDS, dtype=torch.float64) / 3)
    return ((hertz >= center * 2 ** (-1 / 6)) & (hertz < center * 2 ** (1 / 6))).float()


class EnvelopeLoss(nn.Module):
    """1 minus the correlation of third-octave envelopes over segments of 0.4 s: the mean of that over time in each
    band (STOI; Taal et al., 2011) and of that over bands at each step, after bands are normalised over time (ESTOI;
    Jensen and Taal, 2016). Segments in which the target is silent don't count; every clip counts the same."""

    taper: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        bands = third_octaves(WINDOW // 2 + 1)
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("bands", bands.repeat_interleave(2, 0), persistent=False)

    def envelopes(self, signal: Tensor) -> Tensor:
        """Segments ``[B, segments, bands, steps]`` of band magnitudes; a signal that is too short is one segment."""
        power = squares(signal, self.taper, WINDOW // 2) @ self.bands
        return (power + FLOOR).sqrt().unfold(1, min(SEGMENT, power.shape[1]), SEGMENT // 3)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return self.distance(output, self.segments(target))

    @torch.no_grad()
    def segments(self, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What ``distance`` has to know of a target: its envelopes, which of them count, the best correlation."""
        x = self.envelopes(target)
        power = x.square().sum(2).mean(-1)
        heard = (power > SILENCE * power.amax(1, keepdim=True)).to(x.dtype)
        best = self._correlation(x, x)  # a little less than 1 where there is hardly a signal
        return x, heard, best

    def distance(self, output: Tensor, segments: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        x, heard, best = segments
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
    return x / (x.square().sum(dim, keepdim=True) + EPSILON).sqrt()
