"""``hac cat``: several ``.hac`` files in a row as one, without coding them again."""

from __future__ import annotations

import click

from hac_cli.cli import files
from hac_cli.cli.console import FILE, Console, common_options


@click.command()
@click.argument("sources", metavar="IN...", type=FILE, nargs=-1, required=True)
@click.argument("target", metavar="OUT", type=FILE)
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@common_options
@click.pass_obj
def cat(console: Console, sources: tuple[str, ...], target: str, force: bool) -> None:
    """Join .hac files of one model, sample rate and number of channels.

    Nothing is coded again. Each file begins on the first whole frame behind the one before it, so that up to 54 ms
    of silence come between them. Title, date, and how long blocks are, are those of the first file: a live recording in
    front makes all of it larger. OUT may be -, standard output.
    """
    plans = [files.make_plan(source, target, ".hac", force) for source in sources]
    from hac_cli import editing

    with plans[0].named_errors(), files.writing(plans[0].target, force) as sink:
        begins = editing.cat([plan.source or files.standard_input() for plan in plans], sink)
    for plan, begin in zip(plans, begins, strict=True):
        console.say(f"{plan.source_name} at {begin:.3f} s of {plans[0].target_name}")
