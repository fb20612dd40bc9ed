"""Balancing losses by their gradients instead of their values, as EnCodec does (Défossez et al., 2022, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

LIMIT = 3.0
"""Times the mean that a single clip's gradient may have."""


class Balancer:
    """Gives each loss on one signal a fixed share of the gradient, whatever its scale.

    With shares λ and gradients gᵢ = ∂lᵢ/∂signal the balanced gradient is ``norm · Σ λᵢ/Σλ · gᵢ/⟨‖gᵢ‖⟩``, where ⟨‖gᵢ‖⟩
    is the running mean of one clip's gradient. A clip has at most ``LIMIT`` times the mean: in a silent one some losses
    have gradients a hundred times those of speech. ``mean`` averages a vector over processes.
    """

    def __init__(self, norm: float = 1.0, decay: float = 0.999, mean: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        self.norm, self.decay, self.mean = norm, decay, mean
        self.sums: dict[str, Tensor] = {}  # where the signal is: nothing here waits for a GPU
        self.weights: dict[str, float] = {}

    def gradient(self, losses: Mapping[str, Tensor], signal: Tensor, shares: Mapping[str, float]) -> Tensor:
        """The balanced gradient at ``signal [B, T]``; each loss is a mean over the clips of a batch."""
        names = [name for name in losses if shares[name]]
        gradients = {
            name: self._limited(name, torch.autograd.grad(losses[name], signal, retain_graph=True)[0]) for name in names
        }
        # a mean over B clips leaves each 1/B of its own gradient
        clips = torch.stack([g.norm(dim=1).mean() * len(g) for g in gradients.values()])
        for name, clip in zip(names, self.mean(clips.detach()), strict=True):
            self.sums[name] = self.decay * self.sums.get(name, 0.0) + clip
            self.weights[name] = self.decay * self.weights.get(name, 0.0) + 1.0
        total = sum(shares[name] for name in names)
        balanced = torch.zeros_like(signal)
        for name in names:
            balanced += gradients[name] * (self.norm * shares[name] / total / self._usual(name).clamp_min(1e-12))
        return balanced

    def _usual(self, name: str) -> Tensor:
        return self.sums[name] / self.weights[name]

    def _limited(self, name: str, gradient: Tensor) -> Tensor:
        if name not in self.sums:
            return gradient
        usual, norms = self._usual(name), gradient.norm(dim=1, keepdim=True)
        most = torch.where(usual > 0, LIMIT * usual / (norms > 0).sum(), torch.inf)
        return gradient * (most / norms.clamp_min(1e-12)).clamp_max(1.0)

    def state_dict(self) -> dict[str, dict[str, float]]:
        return {"sums": {name: float(value) for name, value in self.sums.items()}, "weights": dict(self.weights)}

    def load_state_dict(self, state: dict[str, dict[str, float]]) -> None:
        self.sums = {name: torch.tensor(value) for name, value in state["sums"].items()}
        self.weights = dict(state["weights"])
