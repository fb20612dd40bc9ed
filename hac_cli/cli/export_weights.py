"""``hac export-weights``: from a training checkpoint to a weights file."""

from __future__ import annotations

from pathlib import Path

import click

from hac_cli.cli.console import Console, common_options


@click.command("export-weights")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--data", "sources", metavar="PATH", multiple=True,
              help="Match the output's level to the input's, on the speakers of PATH that were held out.")  # fmt: skip
@click.option("--about", metavar="KEY=VALUE", multiple=True, help="More metadata; may be repeated.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@common_options
@click.pass_obj
def export_weights(
    console: Console, checkpoint: Path, target: Path, sources: tuple[str, ...], about: tuple[str, ...], force: bool
) -> None:
    """Write the weights of a training run's CHECKPOINT to OUT, a .safetensors file to code with.

    They are the running averages of the run, their scales folded into them, in bfloat16. The file tells its recipe,
    its data and how long it was trained. Discriminators, if there are any, go beside it."""
    from hac_cli.errors import OutputError, UsageError
    from hac_cli.train.release import DISCRIMINATORS, export

    for path in (target, target.with_suffix(DISCRIMINATORS)):
        if path.exists() and not force:
            raise OutputError("exists already; -f overwrites it", str(path))
    if wrong := [item for item in about if "=" not in item]:
        raise UsageError(f"--about {wrong[0]}: give KEY=VALUE")
    metadata = dict(item.split("=", 1) for item in about)
    digest = export(checkpoint, target, metadata, list(sources))
    console.say(f"saved {target}, sha256 {digest}")
