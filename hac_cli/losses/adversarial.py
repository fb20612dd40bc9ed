"""What discriminators and generator each minimise. Feature maps are lists of layers, one list a discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from hac_cli.losses.discriminators import Features

Kind = Literal["hinge", "least_squares"]


def discriminator_loss(real: Sequence[Features], fake: Sequence[Features], kind: Kind) -> Tensor:
    """Real scores are to be above 1 and others below -1 (hinge; Lim and Ye, 2017), or exactly 1 and 0 (least squares;
    Mao et al., 2017). Mean over discriminators."""
    if kind == "hinge":
        losses = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
    else:
        losses = [(1 - r[-1]).square().mean() + f[-1].square().mean() for r, f in zip(real, fake, strict=True)]
    return _mean(losses)


def generator_loss(fake: Sequence[Features], kind: Kind) -> Tensor:
    """The generator wants its own scores at 1: 0 when every discriminator takes its output for real."""
    if kind == "hinge":
        return _mean([F.relu(1 - f[-1]).mean() for f in fake])
    return _mean([(1 - f[-1]).square().mean() for f in fake])


def feature_loss(real: Sequence[Features], fake: Sequence[Features]) -> Tensor:
    """Feature matching (Larsen et al., 2016): mean absolute difference of every layer's map, relative to the real
    one's, for each clip on its own, so that neither a layer's scale nor a batch's make-up matters."""
    losses = []
    for layers, others in zip(real, fake, strict=True):
        for r, f in zip(layers[:-1], others[:-1], strict=True):
            r = r.detach().flatten(1)
            distance = (f.flatten(1) - r).abs().mean(1)
            losses.append((distance / r.abs().mean(1).clamp_min(1e-5)).mean())
    return _mean(losses)


def _mean(losses: Sequence[Tensor]) -> Tensor:
    total = losses[0]
    for loss in losses[1:]:
        total = total + loss
    return total / len(losses)
