"""A training run from its parts: recipe, data, folder, budget. ``torchrun`` makes it one of several processes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist

from hac_cli.cores import cores
from hac_cli.errors import UsageError
from hac_cli.model.parallel import rank, world
from hac_cli.train import data
from hac_cli.train.crops import Crops
from hac_cli.train.evaluation import pick
from hac_cli.train.loop import CHECKPOINT, Trainer
from hac_cli.train.recipe import Recipe
from hac_cli.train.release import held_out_before

CPP_COMPILERS = (os.environ.get("CXX", "g++"), "g++", "clang++", "c++")


def train(
    recipe: Recipe,
    sources: Sequence[data.Source],
    folder: Path,
    *,
    max_minutes: float,
    start_from: Path | None = None,
    resume: bool = False,
    compiled: bool = True,
    device: str | None = None,
    log_every: int = 100,
    quiet: bool = False,
) -> Trainer:
    """Trains and gives what did it. ``device``: a GPU when there is one, unless it is said.

    Raises UsageError when the folder already holds a run and ``resume`` is not set, or the other way round, when it is
    among the data, which its audio samples would join, or without a compiler; InputError for data that can't be used.
    """
    if resume and start_from:
        raise UsageError("a run that is resumed has begun already; leave --start-from out")
    _check_folder(folder, resume, sources)
    place = choose_device(device)
    if compiled and place.type == "cpu" and not any(map(shutil.which, CPP_COMPILERS)):
        raise UsageError("compiling the network takes a C++ compiler: install g++, or train with --no-compile")
    if place.type == "cuda":
        torch.cuda.set_device(place)
    parallel = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if parallel and not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
    torch.set_flush_denormal(True)
    if place.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32
        torch.backends.cudnn.benchmark = True
    earlier = folder / CHECKPOINT if resume else start_from
    unheard = held_out_before(earlier) if earlier else ()
    corpus, held_out = data.split(data.load(sources, folder.parent / "audio-cache"), data.HELD_OUT_SPEAKERS, unheard)
    crops = Crops(corpus, recipe.crops, recipe.seed)
    about = {
        "recipe": json.dumps(asdict(recipe)),
        "data": corpus.report().split("\nskipped")[0],
        "held_out": " ".join(sorted({data.pseudonym(clip.speaker) for clip in held_out.clips})),
    }
    clips = pick(held_out, recipe.evaluation)
    workers = _workers() if place.type == "cuda" else 0  # a CPU has no core to spare for it
    trainer = Trainer(recipe, crops, folder, 60 * max_minutes, compiled, place, clips, about, workers)
    if resume:
        trainer.resume()
    elif start_from:
        trainer.start_from(start_from)
    else:
        trainer.begin()
    if not quiet and rank() == 0:
        print(_report(corpus, crops, trainer), flush=True)
    trainer.run(log_every=log_every, quiet=quiet)
    return trainer


def _check_folder(folder: Path, resume: bool, sources: Sequence[data.Source]) -> None:
    exists = (folder / CHECKPOINT).exists()
    if exists and not resume:
        raise UsageError("holds a run already; resume it or give another folder", str(folder))
    if resume and not exists:
        raise UsageError("holds no run that could be resumed", str(folder))
    for source in sources:
        if data.is_searched(source.path) and folder.resolve().is_relative_to(source.path.resolve()):
            raise UsageError(f"is inside {source.path}, whose recordings are trained on: its samples would be as well; "
                             "give a folder elsewhere", str(folder))  # fmt: skip


def choose_device(name: str | None) -> torch.device:
    """This process's own GPU where there is one, or what is asked for. Raises UsageError for one that isn't there."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"no device {name!r}: {error}") from None


def _workers() -> int:
    """How many processes draw crops for this one: half of the cores that it has."""
    return max(1, cores() // 2 // world())


def _report(corpus: data.Corpus, crops: Crops, trainer: Trainer) -> str:
    """What is trained on what, and what is left out."""
    model = trainer.learner.model
    lines = [corpus.report()]
    if crops.too_short:
        lines.append(f"not used: {crops.too_short} files that are not longer than a crop, {crops.settings.seconds} s")
    lines.append(f"network {model.config.name}: {model.parameter_count:,} parameters on {trainer.learner.device}")
    if trainer.learner.adversary:
        count = sum(p.numel() for p in trainer.learner.adversary.discriminators.parameters())
        new = "new" if trainer.learner.adversary.are_new else "of the run before"
        lines.append(f"discriminators: {count:,} parameters, {new}")
    lines += trainer.changes
    if trainer.evaluation is None:
        lines.append("no evaluation: " + ("off" if not trainer.recipe.evaluation.minutes else "no held-out speakers"))
    elif trainer.evaluation.missing:
        lines += [f"not evaluated: {metric}; {how}" for metric, how in trainer.evaluation.missing.items()]
    return "\n".join(lines)
