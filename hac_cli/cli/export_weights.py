"""``hac export-weights``: from a training checkpoint to a weights file."""

from __future__ import annotations

from pathlib import Path

import click

from hac_cli.cli.console import Console, common_options
from hac_cli.errors import OutputError, UsageError


@click.command("export-weights")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--data", "sources", metavar="PATH", multiple=True,
              help="Match the output's highs and level to the input's, on the speakers of PATH held out.")  # fmt: skip
@click.option("--with", "others", metavar="FILE=SHARE", multiple=True,
              help="Average with other weights that began alike, SHARE of all (0 to 1); may be repeated.")  # fmt: skip
@click.option("--about", metavar="KEY=VALUE", multiple=True, help="More metadata; may be repeated.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@common_options
@click.pass_obj
def export_weights(
    console: Console,
    checkpoint: Path,
    target: Path,
    sources: tuple[str, ...],
    others: tuple[str, ...],
    about: tuple[str, ...],
    force: bool,
) -> None:
    """Write the weights of a training run's CHECKPOINT to OUT, a .safetensors file to code with.

    They are the running averages of the run, their scales folded into them, in bfloat16. The file tells its recipe,
    its data and how long it was trained. Discriminators, if there are any, go beside it."""
    from hac_cli.train.release import DISCRIMINATORS, export

    for path in (target, target.with_suffix(DISCRIMINATORS)):
        if path.exists() and not force:
            raise OutputError("exists already; -f overwrites it", str(path))
    if wrong := [item for item in about if "=" not in item]:
        raise UsageError(f"--about {wrong[0]}: give KEY=VALUE")
    metadata = dict(item.split("=", 1) for item in about)
    digest = export(checkpoint, target, metadata, sources, _shares(others))
    console.say(f"saved {target}, sha256 {digest}")


def _shares(others: tuple[str, ...]) -> list[tuple[Path, float]]:
    """Raises UsageError for shares that leave nothing to the checkpoint, or are none."""
    from hac_cli.train.data import weight_of

    shares = []
    for text in others:
        path, _, share = text.rpartition("=")
        try:
            shares.append((Path(path), weight_of(share)))
        except ValueError:
            raise UsageError(f"--with {text}: give FILE=SHARE, SHARE above 0, such as one.safetensors=0.25") from None
    if sum(share for _, share in shares) >= 1:
        raise UsageError("--with: shares are less than 1 together; the checkpoint has the rest")
    return shares
