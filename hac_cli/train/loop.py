"""The training loop: one recipe, one run folder, resumable."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hac_cli import outputs
from hac_cli.errors import ModelError, UsageError
from hac_cli.model.config import ModelConfig
from hac_cli.model.network import Codec
from hac_cli.model.parallel import rank, world
from hac_cli.model.release import fold, load_file_release, refitted, unfold
from hac_cli.train import checkpoint
from hac_cli.train.crops import SIGNALS, Crops
from hac_cli.train.evaluation import Evaluation
from hac_cli.train.journal import Journal
from hac_cli.train.learner import Learner
from hac_cli.train.recipe import Recipe, changes
from hac_cli.train.release import load_discriminators
from hac_cli.train.schedule import Schedule

CHECKPOINT = "checkpoint.pt"
CPU = torch.device("cpu")
FIRST_BATCHES = 16  # whose statistics scales begin with


class Trainer:
    """Holds the run's state. ``budget_seconds`` sets the schedule: the learning rate ends with it. ``clips``
    ``[N, samples]`` are for evaluation; ``about`` goes with the weights to whoever uses them; ``workers`` are the
    processes that draw crops ahead. ``stopped_by``: the signal that ended the run, if one did; ``changes``: what a run
    that was resumed didn't begin with, a line each.

    Raises UsageError for a recipe that asks for too many parameters or for crops of broken frames.
    """

    def __init__(
        self,
        recipe: Recipe,
        crops: Crops,
        folder: Path,
        budget_seconds: float,
        compiled: bool = True,
        device: torch.device = CPU,
        clips: np.ndarray | None = None,
        about: dict[str, str] | None = None,
        workers: int = 0,
    ) -> None:
        self.recipe, self.crops, self.folder, self.about = recipe, crops, folder, about or {}
        self.workers = workers
        self._batches: Iterator[Tensor] | None = None
        self.stopped_by: int | None = None
        self.changes: list[str] = []
        self.seconds_heard = 0.0
        if crops.length % recipe.model.hop_length:
            raise UsageError(f"crops of {crops.settings.seconds} s are no whole number of frames: make [crops] seconds "
                             f"a multiple of 1/{recipe.model.frame_rate:g}")  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.schedule = Schedule(recipe.optim, recipe.max_steps, budget_seconds)
        self.learner = Learner(recipe, device, compiled)
        self.evaluation: Evaluation | None = None
        if clips is not None and len(clips) and recipe.evaluation.minutes and rank() == 0:
            self.evaluation = Evaluation(clips, folder, recipe.evaluation.samples)

    def train_step(self) -> dict[str, float]:
        """Learns from the next crops: with n processes, step k sees what step k of one with n-fold batches would."""
        if self._batches is None:  # not before a run is resumed: until then nobody knows which is the first
            self._batches = self.crops.batches(self.schedule.step * world() + rank(), world(), self.workers)
        return self.learner.step(next(self._batches), self.schedule)

    def run(self, save_every: float = 240.0, log_every: int = 100, quiet: bool = False) -> None:
        """Trains until the budget is used or a signal comes; saves either way. A loss that is not finite ends it with
        HacError and leaves the last checkpoint as it is."""
        numbers = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # as nohup has it
        handlers = {number: signal.signal(number, self._stop) for number in numbers}
        journal = Journal(self.folder, quiet) if rank() == 0 else None
        try:
            self._run(journal, save_every, log_every)
        finally:
            self._batches = None  # whoever draws them ahead ends now, and not, as they heed no signal, never
            if journal:
                journal.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _run(self, journal: Journal | None, save_every: float, log_every: int) -> None:
        seen: dict[str, list[float]] = defaultdict(list)
        try:
            self._steps(journal, seen, save_every, log_every)
        finally:
            if journal and seen:  # what came before a fault is of interest as well
                self._log(journal, seen)
        if journal:
            self.save()
            if self.stopped_by is None:
                self.evaluate(journal)

    def _steps(self, journal: Journal | None, seen: dict[str, list[float]], save_every: float, log_every: int) -> None:
        schedule = self.schedule
        now = saved = time.monotonic()
        evaluated = schedule.elapsed
        while not schedule.finished:
            for key, value in self.train_step().items():
                seen[key].append(value)
            before, now = now, time.monotonic()
            schedule.advance(now - before)
            self.seconds_heard += world() * self.crops.settings.batch * self.crops.settings.seconds
            if journal is None:
                continue
            if schedule.step % log_every == 0:
                self._log(journal, seen)
            judged = self.evaluation and schedule.elapsed - evaluated > 60 * self.recipe.evaluation.minutes
            if judged or now - saved > save_every:  # before it is judged, which may fail
                self.save()
                saved = now
            if judged:
                self.evaluate(journal)
                evaluated = schedule.elapsed

    def _log(self, journal: Journal, seen: dict[str, list[float]]) -> None:
        """The means of what was seen since the last line."""
        line = self.facts() | {key: float(np.mean(values)) for key, values in seen.items()}
        journal.write("log", line)
        journal.show(line, self.schedule.progress, self.schedule.seconds_left)
        seen.clear()

    def facts(self) -> dict[str, float]:
        """Where the run stands."""
        schedule = self.schedule
        return {
            "step": schedule.step,
            "minutes": schedule.elapsed / 60,
            "lr": self.recipe.optim.learning_rate * schedule.rate,
            "audio_hours": self.seconds_heard / 3600,
            "rate": self.seconds_heard / max(schedule.elapsed, 1e-9),
        }

    def evaluate(self, journal: Journal) -> None:
        if self.evaluation:
            scores = self.evaluation(self.learner.average, self.schedule.step)
            line = {"step": self.schedule.step, "minutes": self.schedule.elapsed / 60} | scores
            journal.write("evaluation", line)
            journal.show(line, self.schedule.progress, self.schedule.seconds_left)

    def _stop(self, number: int, _: Any) -> None:
        self.schedule.stopping, self.stopped_by = True, number
        os.write(2, b"stopping: this step is finished, and saved\n")

    # -- saving -----------------------------------------------------------------------------------------------

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / CHECKPOINT

    def save(self) -> None:
        position = {"step": self.schedule.step, "elapsed": self.schedule.elapsed, "processes": world(),
                    "seconds_heard": self.seconds_heard, "random": torch.get_rng_state()}  # fmt: skip
        if self.learner.device.type == "cuda":  # dither is drawn there
            position["gpu_random"] = torch.cuda.get_rng_state(self.learner.device)
        checkpoint.save(self.checkpoint_path, self.learner.state_dict() | position | {"about": self.about})

    def resume(self) -> None:
        """Goes on exactly where the run's checkpoint was saved. Raises ModelError if it is of another network,
        UsageError if nothing is left of the budget."""
        state = checkpoint.load(self.checkpoint_path)
        for path in self.folder.glob(f"*{self.checkpoint_path.suffix}"):
            if outputs.is_temporary(path.name):  # of a run that was killed; another process does the same
                path.unlink(missing_ok=True)
        try:
            self.learner.load_state_dict(state)
        except ModelError as error:
            raise ModelError(error.message, str(self.checkpoint_path)) from None
        self.schedule.step, self.schedule.elapsed = state["step"], state["elapsed"]
        self.seconds_heard = state.get("seconds_heard", 0.0)
        torch.set_rng_state(state["random"])
        if "gpu_random" in state and self.learner.device.type == "cuda":
            torch.cuda.set_rng_state(state["gpu_random"], self.learner.device)
        about = state.get("about", {})
        recipe = changes(json.loads(about.get("recipe", "{}")), asdict(self.recipe))
        self.changes = [f"changed in the recipe: {change}" for change in recipe]
        if about.get("data") != self.about.get("data"):
            self.changes.append(f"other data; before:\n{about.get('data')}")
        if (before := state.get("processes", world())) != world():
            self.changes.append(f"processes: {before} before, {world()} now, so that the batches are others")
        if self.schedule.finished:
            had = f"{self.schedule.elapsed / 60:.0f} minutes and {self.schedule.step} steps"
            raise UsageError(f"has had its time, {had}: give more by --max-minutes, which counts from the beginning",
                             str(self.folder))  # fmt: skip

    @torch.no_grad()
    def begin(self) -> None:
        """Measures the input's scale for a run from nothing: to track it from 1 on would take thousands of steps."""
        audio = self._first_crops().to(self.learner.device)
        for mine in (self.learner.model, self.learner.average):
            mine.input_scale.begin(audio[..., None])

    def start_from(self, path: Path) -> None:
        """Begins a new run with the averaged generator of another run, or a released one (``.safetensors``), and its
        discriminators if there are any and of the same shape; nothing else of that run is taken over. Where scaling
        differs, scales are measured anew: the network computes the same. What a network of other strides or with noise
        has to begin with, ``refitted`` tells.

        Raises ModelError if it is of another shape.
        """
        config = self.recipe.model
        if path.suffix == ".safetensors":
            model = self._unfolded(load_file_release(path))
            judges = load_discriminators(path)
        else:
            model, state = checkpoint.load_average(path)
            if model.config.feature_scaling != config.feature_scaling:
                model = self._unfolded(fold(model))
            judges = state["adversary"]
        if self.learner.adversary and judges:
            self.learner.adversary.start_from(judges)
        try:
            for mine in (self.learner.model, self.learner.average):
                mine.load_state_dict(refitted(model, mine.config))
        except ModelError as error:
            raise ModelError(error.message, str(path)) from None
        except RuntimeError:
            raise ModelError("is of a network of another shape", str(path)) from None

    def _first_crops(self) -> Tensor:
        """The same in every process."""
        return torch.from_numpy(np.concatenate([self.crops.batch(number) for number in range(FIRST_BATCHES)]))

    def _unfolded(self, folded: Codec) -> Codec:
        scaling = {"feature_scaling": self.recipe.model.feature_scaling}
        return unfold(folded, self._first_crops(), ModelConfig.from_dict(folded.config.as_dict() | scaling))
