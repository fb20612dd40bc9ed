"""``hac train``: from recordings and a recipe to weights."""

from __future__ import annotations

from pathlib import Path

import click

from hac_cli.cli.console import Console, common_options


@click.command()
@click.argument("recipe")
@click.option("--data", "sources", metavar="PATH[=WEIGHT]", multiple=True, required=True,
              help="A folder of recordings, with a folder for each speaker, or a CSV manifest of "
              "path,kind,speaker,weight; may be repeated. Speakers of a PATH of weight 2 are heard twice "
              "as often.")  # fmt: skip
@click.option("--out", "folder", metavar="DIR", type=click.Path(path_type=Path), required=True,
              help="The run's folder: checkpoint, logs, audio samples, pictures.")  # fmt: skip
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), required=True,
              help="Time to train for, with what a resumed run had; the learning rate falls over it.")  # fmt: skip
@click.option("--start-from", metavar="CHECKPOINT", type=click.Path(path_type=Path),
              help="Begin with the networks of another run's checkpoint, or of a release (.safetensors).")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on where the run in DIR was stopped.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, ...; without, a GPU where there is one.")
@click.option("--no-compile", is_flag=True, help="Don't compile the network first (starts at once, runs slower).")
@common_options
@click.pass_obj
def train(
    console: Console,
    recipe: str,
    sources: tuple[str, ...],
    folder: Path,
    max_minutes: float,
    start_from: Path | None,
    resume: bool,
    device: str | None,
    no_compile: bool,
) -> None:
    """Train a network by RECIPE, a .toml file or the name of one that ships.

    Ctrl-C and SIGTERM save before they end the run, with exit code 130 or 143. Up to 12 speakers, one in three at most,
    are held out to evaluate by. Two processes of one thread each use two cores best: `torchrun --nproc-per-node 2 -m
    hac_cli train ...`; several GPUs take one process each. `hac export-weights` makes weights of a checkpoint.
    """
    from hac_cli.train.data import Source
    from hac_cli.train.recipe import Recipe
    from hac_cli.train.run import train as run

    trainer = run(
        Recipe.read(recipe),
        [Source.parse(source) for source in sources],
        folder,
        max_minutes=max_minutes,
        start_from=start_from,
        resume=resume,
        device=device,
        compiled=not no_compile,
        quiet=console.quiet,
    )
    if trainer.stopped_by:
        console.say(f"stopped at step {trainer.schedule.step}, saved {trainer.checkpoint_path}; --resume goes on")
        raise SystemExit(128 + trainer.stopped_by)
    console.say(f"saved {trainer.checkpoint_path}")
