"""The look-up-free binary quantizer: 18 latents, each becomes its sign, and the signs are the token.

The kind of quantizer that MAGVIT-v2 introduced and MaskBit uses (Yu et al., 2023; Weber et al., 2024). Bit i of a
token is latent i: 1 when the latent is greater than 0. There is no codebook; the decoder is given the signs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hac_cli.model.parallel import shared_mean

MARGIN = 0.3  # of latents with an RMS of 1


def binarize(latents: Tensor, curvature: float = 0.0) -> Tensor:
    """Latents ``[B, F, D]`` to signs -1 and +1 (0 gives -1); the gradient is that of ``tanh`` (straight through).

    A loss that is curved likes a bit to be less than it is, whichever it is, and so pulls latents to 0, where their
    signs are chance. ``curvature``, in mean gradients of the frame, is what of that pull is taken off again.
    """
    signs: Tensor = _Signs.apply(latents, curvature)
    return signs


class _Signs(torch.autograd.Function):
    @staticmethod
    def forward(latents: Tensor, curvature: float) -> Tensor:
        return torch.where(latents > 0, 1.0, -1.0).to(latents.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.curvature = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        latents, signs = ctx.saved_tensors
        pull = ctx.curvature * gradient.abs().mean(-1, keepdim=True) * signs
        return (gradient - pull) * (1 - torch.tanh(latents).square()), None


def on_sphere(latents: Tensor) -> Tensor:
    """Latents ``[B, F, D]`` with an RMS of 1 in each frame (the binary spherical quantizer of Zhao et al., 2024): large
    ones have hardly a gradient, and nothing else keeps them from growing."""
    return latents / latents.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-3)


def to_tokens(latents: Tensor) -> Tensor:
    """Latents ``[B, F, D]`` to tokens ``[B, F, 1]`` (int64). Integers come from booleans, never from floats."""
    bits = (latents > 0).long()
    return (bits << torch.arange(bits.shape[-1], device=bits.device)).sum(-1, keepdim=True)


def to_signs(tokens: Tensor, bits_per_token: int) -> Tensor:
    """Tokens ``[B, F, 1]`` to signs ``[B, F, D]`` (float32)."""
    bits = (tokens >> torch.arange(bits_per_token, device=tokens.device)) % 2
    return bits.float() * 2 - 1


def entropy_gap(latents: Tensor, group: int = 6) -> Tensor:
    """How far the bits are from being certain each and uniform together, in bits a bit: 0 at best, or about 0.5 where
    latents on a sphere can't be more certain.

    H(bit | latent) - H(group of bits) over the batch of all processes, for random groups of ``group`` bits: the joint
    entropy over all 2^18 tokens doesn't fit in memory, and that of single bits alone doesn't see bits that say the
    same. The joint entropy is that of the hard bits, with the gradient of the soft ones: latents may be balanced in the
    mean and still nearly always be below zero.
    """
    p = torch.sigmoid(2 * latents.float()).flatten(0, 1)
    certain = _binary_entropy(p).mean()
    hard = p + ((p > 0.5).to(p.dtype) - p).detach()
    hard = hard[:, torch.randperm(p.shape[-1]).to(p.device)]  # drawn on the CPU: a resumed run draws the same
    joint = torch.stack([_joint_entropy(part) for part in hard.split(group, -1)]).sum() / p.shape[-1]
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
