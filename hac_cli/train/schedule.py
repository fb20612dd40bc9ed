"""Where a run stands in its budget of steps and time, and the learning rate that follows from it."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist

from hac_cli.model.parallel import rank, world
from hac_cli.train.recipe import OptimSettings


class Schedule:
    """``step`` and ``elapsed`` seconds against ``max_steps`` and ``budget`` seconds: whichever is further used counts.

    Several processes take the first one's clock, and anyone's wish to stop, at every step: the learning rate follows
    the clock and has to be the same in all of them, and all have to end with the same step. ``stopping`` is this one's
    wish, which a signal may set at any time.
    """

    def __init__(self, optim: OptimSettings, max_steps: int, budget: float) -> None:
        self.optim, self.max_steps, self.budget = optim, max_steps, budget
        self.step, self.elapsed, self.stopping = 0, 0.0, False
        self._stopped = False

    @property
    def progress(self) -> float:
        """Share of the budget that is used."""
        return min(1.0, max(self.step / self.max_steps, self.elapsed / self.budget))

    @property
    def rate(self) -> float:
        """What learning rates are multiplied with: linear warm-up, then cosine to ``final_fraction``."""
        warm = min(1.0, (self.step + 1) / self.optim.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        return warm * (self.optim.final_fraction + (1 - self.optim.final_fraction) * cosine)

    @property
    def seconds_left(self) -> float:
        return self.elapsed * (1 / self.progress - 1) if self.progress else math.inf

    @property
    def finished(self) -> bool:
        return self.progress >= 1.0 or self._stopped

    def advance(self, seconds: float) -> None:
        """One step was made, and took so long."""
        self.step += 1
        said = torch.tensor([seconds if rank() == 0 else 0.0, float(self.stopping)], dtype=torch.double)
        if world() > 1:
            dist.all_reduce(said)
        self.elapsed += float(said[0])
        self._stopped = bool(said[1])
