"""A training run from its parts: recipe, data, folder, budget. ``torchrun`` makes it one of several processes."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist

from hac_cli.errors import UsageError
from hac_cli.train import data
from hac_cli.train.loop import Trainer
from hac_cli.train.recipe import Recipe


def train(
    recipe: Recipe,
    sources: list[Path],
    folder: Path,
    *,
    max_minutes: float,
    start_from: Path | None = None,
    resume: bool = False,
    compiled: bool = True,
    log_every: int = 100,
    quiet: bool = False,
) -> Path:
    """Trains and gives the path of the checkpoint.

    Raises UsageError when the folder already holds a run and ``resume`` is not set, or the other way round;
    InputError for data that can't be used.
    """
    parallel = "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1
    if parallel and not dist.is_initialized():
        dist.init_process_group("gloo")
    torch.set_flush_denormal(True)
    corpus, _ = data.split(data.load(sources, folder.parent / "audio-cache"), data.HELD_OUT_SPEAKERS)
    trainer = Trainer(recipe, data.Crops(corpus, recipe.crops, recipe.seed), folder, 60 * max_minutes, compiled)
    exists = trainer.checkpoint_path.exists()
    if exists and not resume:
        raise UsageError("holds a run already; resume it or give another folder", str(folder))
    if resume and not exists:
        raise UsageError("holds no run that could be resumed", str(folder))
    if resume:
        trainer.resume()
    elif start_from:
        trainer.start_from(start_from)
    if not quiet and trainer.rank == 0:
        print(corpus.report(), flush=True)
    trainer.run(log_every=log_every, quiet=quiet)
    return trainer.checkpoint_path
