"""What of a training step is done in bfloat16, where the machine multiplies that faster: discriminators, the gradients
of linear layers, and Muon."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Precision = Literal["auto", "float32", "bfloat16"]


def chosen(precision: Precision, device: torch.device) -> torch.dtype:
    """What a recipe's ``precision`` means here; "auto" is bfloat16 on a GPU, and on a CPU with units for it."""
    if precision == "auto":
        # torch has no public question for the units of a CPU, and before 2.6 none at all
        cpu_has_units = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return torch.bfloat16 if device.type == "cuda" or cpu_has_units() else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


class _Rounded(torch.autograd.Function):
    """``F.linear`` whose gradients are products of bfloat16, summed in float32. The output is exact."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        half, steps = gradient.bfloat16(), gradient.flatten(0, -2)
        by_x = (half @ weight.bfloat16()).float() if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return by_x, None, None
        return by_x, (half.flatten(0, -2).mT @ x.flatten(0, -2).bfloat16()).float(), steps.sum(0)


class _RoundedLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        rounded: Tensor = _Rounded.apply(x, self.weight, self.bias)
        return rounded


def round_gradients(model: nn.Module) -> None:
    """Makes the linear layers' gradients products of bfloat16: two thirds of a step's operations. What the network says
    stays exact, for discriminators would hear its rounding."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = _RoundedLinear
