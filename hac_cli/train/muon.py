"""Muon: momentum whose update of a matrix has all its singular values near one.

Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks"; the size of its steps is that of Liu et
al., 2025, "Muon is Scalable for LLM Training", so that learning rates of AdamW hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hac_cli.model.layers import Block, Down, Up
from hac_cli.model.parallel import rank, world
from hac_cli.train.recipe import OptimSettings

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
ADAM_RMS = 0.2  # of AdamW's usual update, at a learning rate of 1


def orthogonalized(matrices: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """Matrices ``[N, A, B]``, A ≤ B, with singular values of 0.7 to 1.2, by the quintic Newton-Schulz iteration, which
    bfloat16 is precise enough for."""
    a, b, c = COEFFICIENTS
    x = (matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).to(precision)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For parameters that are matrices. Processes, whose gradients have to be equal already, share the work.

    ``precision``: that of the iteration."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._precision = precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            same: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    same[tuple(sorted(parameter.shape))].append(parameter)
            for parameters in same.values():
                self._step(parameters, group)

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Moves matrices of one shape, some of them transposed."""
        looks = []
        for parameter in parameters:
            state, gradient = self.state[parameter], parameter.grad
            assert gradient is not None
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            look = gradient.lerp(state["momentum"], group["momentum"])  # Nesterov's
            looks.append(look if look.shape[0] <= look.shape[1] else look.mT)
        for parameter, update in zip(parameters, self._shared(torch.stack(looks)), strict=True):
            rate = group["lr"] * ADAM_RMS * max(parameter.shape) ** 0.5
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update if parameter.shape == update.shape else update.mT, alpha=-rate)

    def _shared(self, matrices: Tensor) -> Tensor:
        """``orthogonalized``, each process doing its part."""
        if world() == 1:
            return orthogonalized(matrices, self._precision)
        updates = torch.zeros_like(matrices)
        mine = slice(rank(), None, world())
        if len(matrices[mine]):
            updates[mine] = orthogonalized(matrices[mine], self._precision)
        dist.all_reduce(updates)  # with zeros from the others: the sum is exact
        return updates


def build_optimizers(model: nn.Module, settings: OptimSettings, precision: torch.dtype) -> list[torch.optim.Optimizer]:
    """For all parameters that learn: AdamW, or Muon for the matrices within the layers and AdamW for the rest, biases,
    filter taps, and what leads to and from the tokens. ``precision``: Muon's."""
    layers = [module for module in model.modules() if isinstance(module, (Block, Down, Up))] if settings.muon else []
    linear = [part for layer in layers for part in layer.children() if isinstance(part, nn.Linear)]
    hidden = [part.weight for part in linear if part.weight.requires_grad]
    chosen = {id(weight) for weight in hidden}
    rest = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in chosen]
    rate, decay = settings.learning_rate, settings.weight_decay
    adam = torch.optim.AdamW(rest, rate, settings.betas, weight_decay=decay, fused=True)
    return [adam, Muon(hidden, rate, weight_decay=decay, precision=precision)] if hidden else [adam]
