"""What a training step costs: python benchmarks/step.py RECIPE --data DIR [--steps 20] [--gradients]

Seconds of audio a second, of whole steps: of the generator with its own losses alone and, if the recipe has
discriminators, with those for a CPU and with full-size ones. They take turns, so that their ratios hold even where
other work goes on beside them.
`--gradients` tells instead how large the gradient of each term is at the output (mean norm over clips at level 1),
after the discriminators learned for `--steps` steps: what its weight multiplies.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from hac_cli.train import data
from hac_cli.train.crops import Crops
from hac_cli.train.loop import Trainer
from hac_cli.train.recipe import Recipe
from hac_cli.train.run import choose_device

WARM_UP = 3


def variant(recipe: Recipe, size: str | None) -> Recipe:
    """The recipe with discriminators of a size from the first step on, or without any."""
    if size is None:
        return replace(recipe, losses=replace(recipe.losses, adversarial=0.0, features=0.0))
    return replace(recipe, adversarial=replace(recipe.adversarial, size=size, start=0.0, ramp_steps=0))


def speeds(trainers: dict[str, Trainer], steps: int) -> dict[str, float]:
    """Seconds of audio a second."""
    spent = dict.fromkeys(trainers, 0.0)
    for step in range(WARM_UP + steps):
        for name, trainer in trainers.items():
            started = time.perf_counter()
            trainer.train_step()  # ends with reading its loss, so a GPU is done too
            trainer.schedule.advance(0.0)
            spent[name] += (time.perf_counter() - started) * (step >= WARM_UP)
    settings = next(iter(trainers.values())).crops.settings
    return {name: steps * settings.batch * settings.seconds / seconds for name, seconds in spent.items()}


def gradients(trainer: Trainer, steps: int) -> dict[str, float]:
    """Mean norm of each term's gradient at the output."""
    learner, sums = trainer.learner, {}
    for number in range(2 * steps):
        with torch.no_grad():
            output, target, _ = learner.reconstruct(torch.from_numpy(trainer.crops.batch(number)).to(learner.device))
        output.requires_grad_()
        real, fake = learner.adversary.hear(target), learner.adversary.hear(output)
        if number >= steps:
            terms = learner.objective.signal_terms(output, target) | learner.adversary.terms(real, fake)
            for name, term in terms.items():
                (gradient,) = torch.autograd.grad(term, output, retain_graph=True)
                sums[name] = sums.get(name, 0.0) + float(gradient.norm(dim=1).mean()) * len(output) / steps
        learner.adversary.learn(real, fake, rate=1.0)
    return sums


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--start-from", type=Path, help="weights or a checkpoint to begin with")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    arguments = parser.parse_args()
    recipe = Recipe.read(arguments.recipe)
    if arguments.batch:
        recipe = replace(recipe, crops=replace(recipe.crops, batch=arguments.batch))
    judged = bool(recipe.losses.adversarial or recipe.losses.features)
    if arguments.gradients and not judged:
        parser.error("--gradients is for recipes with discriminators")
    device = choose_device(None)
    with tempfile.TemporaryDirectory() as folder:
        corpus = data.load([data.Source.parse(text) for text in arguments.data], Path(folder) / "cache")
        crops = Crops(corpus, recipe.crops, seed=0)

        def trainer(size: str | None) -> Trainer:
            made = Trainer(variant(recipe, size), crops, Path(folder), 1e9, not arguments.no_compile, device)
            if arguments.start_from:
                made.start_from(arguments.start_from)
            return made

        if arguments.gradients:
            for name, size in gradients(trainer(recipe.adversarial.size), arguments.steps).items():
                print(f"{name:12s} {size:8.4f}")
            return
        names = {"generator alone": None}
        if judged:
            names |= {"with CPU discriminators": "cpu", "with full-size ones": "full"}
        print(f"{recipe.model.name} on {device}, {torch.get_num_threads()} threads, batch {recipe.crops.batch}")
        for name, rate in speeds({name: trainer(size) for name, size in names.items()}, arguments.steps).items():
            print(f"{name:24s} {rate:8.1f} s of audio a second", flush=True)


if __name__ == "__main__":
    main()
