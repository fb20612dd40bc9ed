"""One training step: networks, optimizers and losses, and what of them a checkpoint holds."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from hac_cli.errors import HacError, ModelError, UsageError
from hac_cli.losses.balancer import Balancer
from hac_cli.losses.bits import bit_entropy, disagreement
from hac_cli.losses.spectral import normalize_level
from hac_cli.model.config import MAX_PARAMETERS, ModelConfig
from hac_cli.model.network import Codec
from hac_cli.model.parallel import average_, keep_uncompiled, shared_mean
from hac_cli.train import precision
from hac_cli.train.adversary import Adversary
from hac_cli.train.checkpoint import restore
from hac_cli.train.feedback import Feedback
from hac_cli.train.foreteller import Foreteller
from hac_cli.train.muon import build_optimizers
from hac_cli.train.objective import Objective, Terms, heard
from hac_cli.train.recipe import Recipe
from hac_cli.train.schedule import Schedule


class Learner:
    """The generator, its running average that will be released, and the discriminators if the recipe has any.

    Raises UsageError for a network above the limit of parameters, unless the recipe says ``large``.
    """

    def __init__(self, recipe: Recipe, device: torch.device, compiled: bool = True) -> None:
        self.recipe, self.device = recipe, device
        torch.manual_seed(recipe.seed)
        self.model = Codec(recipe.model).to(device)
        count = self.model.parameter_count
        if count > MAX_PARAMETERS and not recipe.large:
            raise UsageError(f"the recipe asks for {count:,} parameters; a release has at most {MAX_PARAMETERS:,}: "
                             "make the network smaller, or say large = true")  # fmt: skip
        self.average = copy.deepcopy(self.model).eval()
        if recipe.frozen != "none":
            getattr(self.model, recipe.frozen).eval().requires_grad_(False)
            self.model.input_scale.eval()  # both halves go by it
        self.precision = precision.chosen(recipe.precision, device)
        if self.precision == torch.bfloat16 and device.type == "cpu":  # a GPU has TF32
            precision.round_gradients(self.model)
        if compiled:
            keep_uncompiled()
        self.network = torch.compile(self.model) if compiled else self.model
        self.objective = Objective(recipe, device)
        self.feedback = Feedback().to(device) if recipe.losses.feedback else None
        self.teacher = torch.compile(self.average.encode) if compiled else self.average.encode
        self.optimizers = build_optimizers(self.model, recipe.optim, self.precision)
        judged = recipe.losses.adversarial or recipe.losses.features
        self.adversary = Adversary(recipe.adversarial, device) if judged else None
        self.foreteller = Foreteller(recipe.model.bits_per_token, device) if recipe.losses.foretold else None
        self.balancer = Balancer(recipe.balancer.norm, mean=shared_mean) if recipe.balancer.on else None

    # -- one step ---------------------------------------------------------------------------------------------

    def step(self, audio: Tensor, schedule: Schedule) -> dict[str, float]:
        """Learns from crops ``[B, T]``; gives every loss term and what else is worth a curve, means over processes.

        Raises HacError, naming the terms, when one of them is not finite.
        """
        audio = audio.to(self.device)
        output, target, latents = self.reconstruct(audio)
        signal, latent = self.objective.signal_terms(output, target), self.objective.latent_terms(latents)
        if self.feedback:
            latent["feedback"] = disagreement(latents, self.better_latents(audio, output, target))
        if self.foreteller:
            guessed = self.foreteller.guess(latents)
            latent["foretold"] = self.foreteller.term(latents, guessed)
        if self.adversary and self.adversary.joined(schedule):
            few = heard(output, self.recipe.adversarial.part)
            with self.autocast():
                real, fake = self.adversary.hear(target[few]), self.adversary.hear(output[few])
                signal |= self.adversary.terms(real, fake)
        weights = self.weights(schedule.step)
        self.model.zero_grad(set_to_none=True)
        self.backward(signal, latent, output, weights)
        values = {name: term.detach() for name, term in (signal | latent).items()}
        values["total"] = torch.stack([weights[name] * term for name, term in values.items()]).sum()
        if "adversarial" in signal:
            with self.autocast():
                values["discriminator"] = self.adversary.learn(real, fake, schedule.rate)  # type: ignore[union-attr]
        if self.foreteller:
            values["said"] = self.foreteller.learn(latents, guessed, schedule.rate)
        values["bits"] = bit_entropy(latents.detach()).mean()
        return self.update(values, schedule)

    def autocast(self) -> torch.autocast:
        """For discriminators. Not for the generator's output: they would hear its rounding."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16)

    def reconstruct(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The network's output and what it should be, aligned and at one level, and the latents."""
        recipe = self.recipe
        output, latents = self.network(audio, recipe.curvature, recipe.spherical, recipe.dither)
        delay = recipe.model.look_ahead
        output, target = normalize_level(output[:, delay:], audio[:, : audio.shape[1] - delay])
        return output, target, latents

    @torch.no_grad()
    def better_latents(self, audio: Tensor, output: Tensor, target: Tensor) -> Tensor:
        """What the averaged encoder says when it has heard what came of its words."""
        assert self.feedback
        level = audio[:, : target.shape[1]].norm(dim=1, keepdim=True) / target.norm(dim=1, keepdim=True).clamp_min(1e-9)
        better = self.feedback(audio, output * level)
        return self.teacher(better, self.average.fresh_encoder(len(better)))[0]

    def weights(self, step: int) -> dict[str, float]:
        """Each term's weight in this step."""
        weights: dict[str, float] = asdict(self.recipe.losses)
        ramp = self.adversary.ramp(step) if self.adversary else 0.0
        return weights | {name: ramp * weights[name] for name in ("adversarial", "features")}

    def backward(self, signal: Terms, latent: Terms, output: Tensor, weights: dict[str, float]) -> None:
        """Gradients of the weighted sum; with the balancer, weights on the signal are shares of its gradient."""
        if self.balancer:
            gradient = self.balancer.gradient(signal, output, weights)
        else:
            total = sum((weights[name] * term for name, term in signal.items()), 0 * output.sum())
            (gradient,) = torch.autograd.grad(total, output, retain_graph=True)
        rest = sum((weights[name] * term for name, term in latent.items()), output.new_zeros(()))
        # a product with the gradient has that gradient, and goes back through the network together with the rest
        ((output * gradient).sum() + rest).backward()

    def update(self, values: Terms, schedule: Schedule) -> dict[str, float]:
        """Shares gradients, moments and values among processes, and moves weights, scales and averages."""
        shared = torch.stack([value.float() for value in values.values()])
        scales = [scale for scale in self.model.scales() if scale.training]
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        average_([*gradients, *(scale.moments for scale in scales), shared])
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optim.clip_norm)
        found = dict(zip(values, shared.tolist(), strict=True)) | {"norm": float(norm)}
        if broken := [name for name, value in found.items() if not math.isfinite(value) and name != "total"]:
            raise HacError(f"not finite at step {schedule.step}: {', '.join(broken)}; the last checkpoint is kept, "
                           "lower the learning rate and resume")  # fmt: skip
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.optim.learning_rate * schedule.rate
            optimizer.step()
        for scale in scales:
            scale.track()
        self.update_average(schedule.step)
        return found

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """EMA of the weights and of the scales that belong to them."""
        decay = min(self.recipe.optim.ema_decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        torch._foreach_lerp_(list(self.average.buffers()), list(self.model.buffers()), 1 - decay)

    # -- checkpoints ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "config": asdict(self.recipe.model),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "adversary": self.adversary.state_dict() if self.adversary else None,
            "foreteller": self.foreteller.state_dict() if self.foreteller else None,
            "balancer": self.balancer.state_dict() if self.balancer else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ModelError for the state of another network, or of one with other discriminators."""
        if ModelConfig.from_dict(state["config"]) != self.recipe.model:
            raise ModelError("is a checkpoint of another network; resume with the recipe that began it")
        for part, mine in (("adversary", self.adversary), ("foreteller", self.foreteller), ("balancer", self.balancer)):
            if (state.get(part) is None) != (mine is None):
                raise ModelError(f"was saved with{'out' if mine else ''} {part}; resume with the recipe that began it")
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                restore(optimizer, saved)
            if self.adversary:
                self.adversary.load_state_dict(state["adversary"])
            if self.foreteller:
                self.foreteller.load_state_dict(state["foreteller"])
        except (RuntimeError, KeyError, ValueError):
            raise ModelError("is a checkpoint of a network of another shape, or of other optimizers") from None
        if self.balancer:
            self.balancer.load_state_dict(state["balancer"])
