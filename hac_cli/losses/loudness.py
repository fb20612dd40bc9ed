"""How loud what was added and lost is: a loss after the psychoacoustic model of PESQ. Signals are ``[B, T]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hac_cli.losses.hearing import (
    ASYMMETRIC,
    BARK_BANDS,
    BARK_WIDTH,
    EXPONENT,
    FAINT,
    LOUDNESS_WINDOW,
    MOST_FILTERED,
    QUIET,
    SONES,
    SYMMETRIC,
    bark_filters,
    hann,
    hearing_threshold,
)
from hac_cli.losses.spectrum import squares

EPSILON = 1e-9


def levelled(powers: Tensor, model: Tensor) -> Tensor:
    """``powers`` with each clip's mean made that of ``model``, both ``[B, steps, bands]``."""
    total, meant = (p.sum(-1).mean(-1) + QUIET for p in (powers, model))
    return powers * (meant / total)[:, None, None]


def filtered(powers: Tensor, model: Tensor) -> Tensor:
    """``powers`` with the mean of each clip's bands made that of ``model``, within 20 dB."""
    mean, meant = (p.mean(1, keepdim=True) + FAINT for p in (powers, model))
    return powers * (meant / mean).clamp(1 / MOST_FILTERED, MOST_FILTERED)


class LoudnessLoss(nn.Module):
    """Points of the raw PESQ score that the output loses against the target (ITU-T P.862; Rix et al., 2001).

    Powers in Bark bands become loudness in sones (Zwicker). Differences of loudness count where they are not masked,
    and once more where power was added, which is heard more than what is missing. As in P.862 neither the clip's level
    nor its mean spectrum matters, or to be soft or dull would be the way to add less. Other than P.862 it expects
    signals that are aligned, goes on to 12 kHz, and doesn't forgive changes of level within a clip.
    """

    taper: Tensor
    bands: Tensor
    threshold: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taper", torch.from_numpy(hann(LOUDNESS_WINDOW)), persistent=False)
        bands = torch.from_numpy(bark_filters()).repeat_interleave(2, 0)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("threshold", torch.from_numpy(hearing_threshold()), persistent=False)

    def powers(self, signal: Tensor) -> Tensor:
        """Power in each band ``[B, steps, bands]``, 1 for 0 dB SPL."""
        return squares(signal, self.taper, LOUDNESS_WINDOW // 2) @ self.bands

    def loudness(self, powers: Tensor) -> Tensor:
        """Specific loudness in sones a Bark; below the threshold there is none."""
        audible = (0.5 + 0.5 * powers / self.threshold).clamp_min(1) ** EXPONENT - 1
        return SONES * (2 * self.threshold) ** EXPONENT * audible

    def disturbances(self, output: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Symmetric and asymmetric disturbance of each step ``[B, steps]`` of a target whose ``powers`` are ``x``."""
        y = self.powers(output)
        weight = ((x.sum(-1) + 1e5) / 1e7) ** 0.04
        x = filtered(x, levelled(y, x))
        y = levelled(y, x)
        heard = self.loudness(x)
        loud = self.loudness(y)
        masked = 0.25 * torch.minimum(loud, heard)
        disturbance = ((loud - heard).abs() - masked).clamp_min(0)
        added = ((y + 50) / (x + 50)) ** 1.2
        added = torch.where(added < 3, 0, added.clamp_max(12))
        extent = BARK_WIDTH * BARK_BANDS
        symmetric = extent * _root(disturbance.square().mean(-1)) / weight
        asymmetric = extent * (disturbance * added).mean(-1) / weight
        return symmetric, asymmetric

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            powers = self.powers(target)
        # Bad steps count more. P.862 takes the sixth power within segments of 0.3 s and stops at 45, where the gradient
        # would come from one step in twenty, or from none.
        symmetric, asymmetric = (_root(d.square().mean(-1)) for d in self.disturbances(output, powers))
        return (SYMMETRIC * symmetric + ASYMMETRIC * asymmetric).mean()


def _root(x: Tensor) -> Tensor:
    """Square root whose gradient is finite at 0."""
    return (x + EPSILON).sqrt() - EPSILON**0.5
