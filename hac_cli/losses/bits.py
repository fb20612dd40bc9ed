"""What bits are worth: how certain, how balanced, how much the same. Latents are ``[B, F, D]``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hac_cli.model.parallel import shared_mean

GROUP = 6
MARGIN = 0.3  # of latents with an RMS of 1


def entropy_gap(latents: Tensor) -> Tensor:
    """How far the bits are from being certain each and uniform together, in bits a bit: 0 at best, or about 0.5 where
    latents on a sphere can't be more certain.

    H(bit | latent) - H(group of bits) over the batch of all processes, for random groups of six bits: the joint
    entropy over all 2^18 tokens doesn't fit in memory, and that of single bits alone doesn't see bits that say the
    same. The joint entropy is that of the hard bits, with the gradient of the soft ones: latents may be balanced in the
    mean and still nearly always be below zero.
    """
    p = torch.sigmoid(2 * latents.float()).flatten(0, 1)
    certain = _binary_entropy(p).mean()
    hard = p + ((p > 0.5).to(p.dtype) - p).detach()
    hard = hard[:, torch.randperm(p.shape[-1]).to(p.device)]  # drawn on the CPU: a resumed run draws the same
    joint = torch.stack([_joint_entropy(part) for part in hard.split(GROUP, -1)]).sum() / p.shape[-1]
    return certain + 1.0 - joint


def commitment(latents: Tensor) -> Tensor:
    """Mean squared distance of the soft bit ``tanh(latent)`` from its sign."""
    return (1 - torch.tanh(latents.float()).abs()).square().mean()


def disagreement(latents: Tensor, others: Tensor) -> Tensor:
    """How far latents ``[B, F, D]`` are from being of the same signs as others, and ``MARGIN`` beyond 0: the mean."""
    return F.relu(MARGIN - latents.float() * torch.where(others > 0, 1.0, -1.0)).mean()


def bit_entropy(latents: Tensor) -> Tensor:
    """Entropy in bits of each bit's balance over batch and time: ``[D]``."""
    return _binary_entropy((latents > 0).float().mean((0, 1)))


def _binary_entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-6, 1 - 1e-6)
    return -(p * p.log2() + (1 - p) * (1 - p).log2())


def _joint_entropy(p: Tensor) -> Tensor:
    """Entropy in bits of the mean distribution over the 2^n values of n bits, from ``p [N, n]``."""
    joint = torch.ones_like(p[:, :1])
    for i in range(p.shape[-1]):
        bit = p[:, i : i + 1]
        joint = torch.cat([joint * (1 - bit), joint * bit], -1)
    mean = shared_mean(joint.mean(0)) + 1e-6  # a value that no frame has yet still has a gradient
    return -(mean * mean.log2()).sum()
