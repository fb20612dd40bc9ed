"""``hac cut``: a part of a ``.hac`` file, without coding it again."""

from __future__ import annotations

import click

from hac_cli.cli import files
from hac_cli.cli.console import FILE, Console, common_options, seconds


@click.command()
@click.argument("source", metavar="IN", type=FILE)
@click.argument("target", metavar="OUT", type=FILE)
@click.option("--start", type=seconds, default="0", metavar="TIME", help="Begin there, such as 5s, 400ms or 1:02:03.")
@click.option("--duration", type=seconds, metavar="TIME", help="Take no more than that.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT.")
@common_options
@click.pass_obj
def cut(console: Console, source: str, target: str, start: float, duration: float | None, force: bool) -> None:
    """Cut a part out of a .hac file.

    Nothing is coded again. The part ends at exactly the sample asked for, and begins up to 14 ms earlier than
    asked for, on a whole frame (up to 40 ms at some sample rates, a second at odd ones such as
    22222 Hz). - is standard input or standard output.
    """
    plan = files.make_plan(source, target, ".hac", force)
    from hac_cli import editing

    with plan.named_errors(), files.writing(plan.target, force) as sink, files.reading(plan.source) as stream:
        piece = editing.cut(stream, sink, start=start, duration=duration)
    first, length = piece.first / piece.sample_rate, piece.samples / piece.sample_rate
    console.say(f"{plan.source_name} -> {plan.target_name}: {length:.3f} s from {first:.3f} s on")
