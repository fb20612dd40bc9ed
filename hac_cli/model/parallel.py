"""What several training processes share, so that together they compute what one would on all of their crops."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; the one of rank 0 writes files."""
    return dist.get_rank() if world() > 1 else 0


def shared_mean(x: Tensor) -> Tensor:
    """The mean over processes, through which gradients flow back to every one of them."""
    return _exchange(x) if world() > 1 else x


def _shared_mean(x: Tensor) -> Tensor:
    shared: Tensor = _Mean.apply(x)
    return shared


_exchange = _shared_mean


def keep_uncompiled() -> None:
    """To be called before a network is compiled: no compiler knows what passes between processes. Not done at once, as
    what tells it takes a second to import."""
    global _exchange
    _exchange = torch.compiler.disable(_shared_mean)


class _Mean(torch.autograd.Function):
    """Each process's loss counts 1/n, and the trainer takes the mean of the gradients: so the gradient of the mean is
    again the mean over processes."""

    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        return _mean(x)

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> Tensor:
        return _mean(gradients[0])


def _mean(x: Tensor) -> Tensor:
    shared = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(shared)
    return shared / world()


@torch.no_grad()
def average_(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by its mean over processes: one vector, one exchange."""
    if world() == 1 or not tensors:
        return
    vector = torch.cat([tensor.flatten().float() for tensor in tensors])
    dist.all_reduce(vector)
    vector /= world()
    for tensor, part in zip(tensors, vector.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
