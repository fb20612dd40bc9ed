"""The discriminators' side of training: when they join, what they tell the generator, how they learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hac_cli.losses.adversarial import discriminator_loss, feature_loss, generator_loss
from hac_cli.losses.discriminators import SIZES, Discriminators, Features
from hac_cli.model.parallel import average_
from hac_cli.train.checkpoint import restore
from hac_cli.train.recipe import AdversarialSettings
from hac_cli.train.schedule import Schedule


class Adversary:
    """In each step the discriminators hear target and output once: the generator is judged by them as they are, then
    they learn from the same feature maps. ``are_new``: they know nothing of a run before."""

    def __init__(self, settings: AdversarialSettings, device: torch.device) -> None:
        self.settings = settings
        self.discriminators = Discriminators(SIZES[settings.size], settings.stft, settings.filter_bands).to(device)
        self.optimizer = torch.optim.AdamW(
            self.discriminators.parameters(), settings.learning_rate, settings.betas, weight_decay=settings.weight_decay
        )
        self.joined_at: int | None = None
        self.are_new = True

    def joined(self, schedule: Schedule) -> bool:
        """Whether they take part in this step."""
        if self.joined_at is None and schedule.progress >= self.settings.start:
            self.joined_at = schedule.step
        return self.joined_at is not None

    def ramp(self, step: int) -> float:
        """How much of their weight their terms have by now."""
        if self.joined_at is None:
            return 0.0
        return min(1.0, (step - self.joined_at) / max(1, self.settings.ramp_steps))

    def hear(self, signal: Tensor) -> list[Features]:
        """Feature maps of target or output ``[B, T]``, for ``terms`` and ``learn``."""
        return self.discriminators(signal)

    def terms(self, real: list[Features], fake: list[Features]) -> dict[str, Tensor]:
        """The generator's terms, to be differentiated by the output alone: the graph is still needed to ``learn``."""
        return {"adversarial": generator_loss(fake, self.settings.kind), "features": feature_loss(real, fake)}

    def learn(self, real: list[Features], fake: list[Features], rate: float) -> Tensor:
        """One step of the discriminators; gives their loss."""
        loss = discriminator_loss(real, fake, self.settings.kind)
        parameters = list(self.discriminators.parameters())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)  # no further: the generator has its gradient
        average_([p.grad for p in parameters if p.grad is not None])
        torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate
        self.optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {
            "discriminators": self.discriminators.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "joined_at": self.joined_at,
        }

    def start_from(self, state: dict[str, Any]) -> None:
        """Begins with the discriminators of another run, which know more than new ones, and their moments; the settings
        are this run's. Stays as it is where they are of another shape."""
        theirs = {name: value.shape for name, value in state["discriminators"].items()}
        if theirs == {name: value.shape for name, value in self.discriminators.state_dict().items()}:
            self.discriminators.load_state_dict(state["discriminators"])
            restore(self.optimizer, self.optimizer.state_dict() | state["optimizer"])  # a release has no groups
            self.are_new = False

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.discriminators.load_state_dict(state["discriminators"])
        restore(self.optimizer, state["optimizer"])
        self.joined_at, self.are_new = state["joined_at"], False
