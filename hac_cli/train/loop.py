"""The training loop: one recipe, one run folder, resumable."""

from __future__ import annotations

import copy
import json
import math
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from hac_cli.errors import HacError, ModelError
from hac_cli.losses.spectral import SpectralLoss, normalize_level, waveform_loss
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import bit_entropy, commitment, entropy_gap
from hac_cli.model.release import load_file_release, unfold
from hac_cli.train import checkpoint
from hac_cli.train.data import Crops
from hac_cli.train.recipe import Recipe

AGREE_EVERY = 10


class Trainer:
    """Holds the run's state. ``budget_seconds`` sets the schedule: the learning rate ends with it."""

    def __init__(self, recipe: Recipe, crops: Crops, folder: Path, budget_seconds: float, compiled: bool = True):
        self.recipe, self.crops, self.folder, self.budget = recipe, crops, folder, budget_seconds
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.model = Codec(recipe.model)
        self.average = copy.deepcopy(self.model).eval()
        self.network = torch.compile(self.model) if compiled else self.model
        self.spectral = SpectralLoss(recipe.windows, recipe.mels, linear_weight=recipe.losses.linear)
        optim = recipe.optim
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), optim.learning_rate, optim.betas, weight_decay=optim.weight_decay, fused=True
        )
        self.step, self.elapsed, self.stopping = 0, 0.0, False
        self._unagreed = 0.0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if dist.is_initialized() else 0

    # -- schedule ---------------------------------------------------------------------------------------------

    @property
    def progress(self) -> float:
        """Share of the budget that is used, by steps or by time, whichever is further."""
        return min(1.0, max(self.step / self.recipe.max_steps, self.elapsed / self.budget))

    def learning_rate(self) -> float:
        """Linear warm-up, then cosine to ``final_fraction``."""
        optim = self.recipe.optim
        warm = min(1.0, (self.step + 1) / optim.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        return optim.learning_rate * warm * (optim.final_fraction + (1 - optim.final_fraction) * cosine)

    @property
    def finished(self) -> bool:
        """Several processes look at their clocks only where they have just agreed on them."""
        agreed = self.world == 1 or self.step % AGREE_EVERY == 0
        return agreed and (self.progress >= 1.0 or self.stopping)

    # -- one step ---------------------------------------------------------------------------------------------

    def losses(self, audio: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Every loss term, unweighted, and the latents."""
        output, latents = self.network(audio)
        delay = self.recipe.model.look_ahead
        output, target = normalize_level(output[:, delay:].float(), audio[:, : audio.shape[1] - delay])
        return {
            "waveform": waveform_loss(output, target),
            "spectral": self.spectral(output, target),
            "entropy": entropy_gap(latents),
            "commitment": commitment(latents),
        }, latents

    def train_step(self, audio: Tensor) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        terms, latents = self.losses(audio)
        total = sum(getattr(self.recipe.losses, name) * term for name, term in terms.items())
        if not torch.isfinite(total):
            broken = [name for name, term in terms.items() if not torch.isfinite(term)]
            raise HacError(f"the loss is not finite at step {self.step} ({', '.join(broken)}); "
                           "the last checkpoint is kept, lower the learning rate and resume")  # fmt: skip
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.share_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optim.clip_norm)
        self.optimizer.step()
        self.update_average()
        self.step += 1
        values = {name: float(term.detach()) for name, term in terms.items()}
        return values | {"total": float(total.detach()), "norm": float(norm),
                         "bits": float(bit_entropy(latents.detach()).mean())}  # fmt: skip

    @torch.no_grad()
    def share_gradients(self) -> None:
        """Mean of the gradients, and of the tracked scales, over all processes: one vector, one exchange."""
        if self.world == 1:
            return
        tensors = [p.grad for p in self.model.parameters() if p.grad is not None] + list(self.model.buffers())
        vector = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(vector)
        vector /= self.world
        for tensor, part in zip(tensors, vector.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    @torch.no_grad()
    def update_average(self) -> None:
        """EMA of the weights and of the scales that belong to them."""
        decay = min(self.recipe.optim.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        torch._foreach_lerp_(list(self.average.buffers()), list(self.model.buffers()), 1 - decay)

    # -- the run ----------------------------------------------------------------------------------------------

    def run(self, save_every: float = 240.0, log_every: int = 100, quiet: bool = False) -> None:
        """Trains until the budget is used or a signal comes; saves either way."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        sums: dict[str, float] = {}
        last_save = time.monotonic()
        self.model.train()
        while not self.finished:
            started = time.monotonic()
            values = self.train_step(torch.from_numpy(self.crops.batch(self.step * self.world + self.rank)))
            self.agree(time.monotonic() - started)
            sums = {key: sums.get(key, 0.0) + value for key, value in values.items()}
            if self.step % log_every == 0 and self.rank == 0:
                self.log({key: value / log_every for key, value in sums.items()}, quiet)
                sums = {}
            if self.rank == 0 and time.monotonic() - last_save > save_every:
                self.save()
                last_save = time.monotonic()
        if self.rank == 0:
            self.save()

    def agree(self, seconds: float) -> None:
        """Moves the clock. Several processes take the first one's and anyone's wish to stop, every tenth step:
        the learning rate follows the clock and has to be the same in all."""
        self._unagreed += seconds
        if self.step % AGREE_EVERY and self.world > 1:
            return
        if self.world > 1:
            said = torch.tensor([self._unagreed if self.rank == 0 else 0.0, float(self.stopping)], dtype=torch.double)
            dist.all_reduce(said)
            self._unagreed, self.stopping = float(said[0]), bool(said[1])
        self.elapsed += self._unagreed
        self._unagreed = 0.0

    def _stop(self, *_: Any) -> None:
        self.stopping = True

    def log(self, values: dict[str, float], quiet: bool) -> None:
        seconds = self.step * self.world * self.crops.settings.batch * self.crops.settings.seconds
        line = {
            "step": self.step,
            "minutes": self.elapsed / 60,
            "lr": self.learning_rate(),
            "audio_hours": seconds / 3600,
            "rate": seconds / max(self.elapsed, 1e-9),
        } | values
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({key: round(value, 5) for key, value in line.items()}) + "\n")
        if not quiet:
            print(" ".join(f"{key} {value:.4g}" for key, value in line.items()), flush=True)

    # -- saving -----------------------------------------------------------------------------------------------

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        checkpoint.save(self.checkpoint_path, {
            "config": asdict(self.recipe.model), "model": self.model.state_dict(),
            "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
            "step": self.step, "elapsed": self.elapsed, "random": torch.get_rng_state(),
        })  # fmt: skip

    def resume(self) -> None:
        """Goes on exactly where the run's checkpoint was saved. Raises ModelError if its shape is another."""
        state = checkpoint.load(self.checkpoint_path)
        self._load(state, "model", self.model)
        self._load(state, "average", self.average)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed = state["step"], state["elapsed"]
        torch.set_rng_state(state["random"])

    def start_from(self, path: Path) -> None:
        """Begins a new run from another run's averaged weights, or from released ones (``.safetensors``)."""
        if path.suffix == ".safetensors":
            audio = torch.from_numpy(np.concatenate([self.crops.batch(number) for number in range(16)]))
            state = {"average": unfold(load_file_release(path), audio).state_dict()}
        else:
            state = checkpoint.load(path)
        self._load(state, "average", self.model)
        self._load(state, "average", self.average)

    def _load(self, state: dict[str, Any], part: str, module: torch.nn.Module) -> None:
        try:
            module.load_state_dict(state[part])
        except (RuntimeError, KeyError):
            raise ModelError("is a checkpoint of a network of another shape", str(self.checkpoint_path)) from None
