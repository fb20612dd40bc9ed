"""The look-up-free binary quantizer: 18 latents, each becomes its sign, and the signs are the token.

The kind of quantizer that MAGVIT-v2 introduced and MaskBit uses (Yu et al., 2023; Weber et al., 2024). Bit i of a
token is latent i: 1 when the latent is greater than 0. There is no codebook; the decoder is given the signs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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
