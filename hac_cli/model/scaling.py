"""Feature scaling: maps divided by how large they are, on ``[B, T, C]``."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from hac_cli.model.parallel import shared_mean


class FeatureScale(nn.Module):
    """Divides a feature map by how large each of its channels is, and subtracts its mean where ``center`` is set.

    ``tracking='ema'``: the running statistics are used in training too, and no gradient flows through them (v2).
    ``tracking='batch'``: the batch's own statistics with their gradient (v1). At inference both are constants,
    which ``fold`` moves into the neighbouring weights.

    A forward in training leaves the batch's ``moments``; whoever trains may average them with other processes', and
    then calls ``track`` to move the running statistics. The forward itself changes nothing that it uses.
    """

    scale: Tensor
    mean: Tensor
    moments: Tensor

    def __init__(
        self,
        channels: int,
        kind: Literal["std", "mean_abs"] = "std",
        tracking: Literal["ema", "batch"] = "ema",
        center: bool = False,
        momentum: float = 0.05,
    ) -> None:
        super().__init__()
        self.kind, self.tracking, self.center, self.momentum = kind, tracking, center, momentum
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("moments", torch.tensor([[0.0], [1.0]]).repeat(1, channels), persistent=False)

    def measure(self, x: Tensor) -> Tensor:
        """The two moments ``[2, C]`` over batch and time, in float32: the mean, and that of the square or absolute
        value. Unlike a standard deviation they may be averaged over processes."""
        x = x.float()
        size = x.abs() if self.kind == "mean_abs" else x.square()
        return torch.stack([x.mean((0, 1)), size.mean((0, 1))])

    def statistics(self, moments: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and mean of each channel from its moments."""
        mean, size = moments
        if self.kind == "mean_abs":
            return size.clamp_min(1e-4), mean
        return (size - mean.square()).clamp_min(1e-8).sqrt(), mean

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Sets the running statistics to those of ``x``, unless they are constants."""
        if self.momentum:
            self._move(self.measure(x), 1.0)

    @torch.no_grad()
    def track(self) -> None:
        """Moves the running statistics towards those of the last batch."""
        self._move(self.moments, self.momentum)

    def _move(self, moments: Tensor, part: float) -> None:
        for running, batch in zip((self.scale, self.mean), self.statistics(moments), strict=True):
            running.lerp_(batch, part)

    def forward(self, x: Tensor) -> Tensor:
        scale, mean = self.scale, self.mean
        if self.training:
            moments = self.measure(x if self.tracking == "batch" else x.detach())
            if self.tracking == "batch":
                moments = shared_mean(moments)
                scale, mean = self.statistics(moments)
            self.moments.copy_(moments.detach())
        if self.center:
            x = x - mean.to(x.dtype)
        return x / scale.to(x.dtype).clamp_min(1e-4)
