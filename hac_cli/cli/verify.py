"""``hac verify``: is a ``.hac`` file whole, and if not, what is missing? Without a codec."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from hac_cli.cli.console import FILE, Console, common_options, count
from hac_cli.cli.inspection import Facts, inspect

if TYPE_CHECKING:
    from hac_cli.container import Damage, Header, Report

SCHEMA = "hac-verify-1"


@click.command()
@click.argument("paths", metavar="FILE...", type=FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each file.")
@common_options
@click.pass_obj
def verify(console: Console, paths: tuple[str, ...], as_json: bool) -> None:
    """Check .hac files to the last bit.

    - is standard input, a folder stands for all .hac files in it and below. Says OK, or lists what is damaged, with
    exit code 5.
    """
    inspect(console, paths, SCHEMA if as_json else None, _describe, _as_text, with_tokens=True)


def _describe(report: Report) -> Facts:
    return {
        "seconds": report.summary.seconds if report.summary else None,
        "blocks": report.blocks,
        "tokens_checked": report.tokens_checked,
        "damages": [_place(damage, report.header) for damage in report.damages],
    }


def _place(damage: Damage, header: Header) -> Facts:
    """Where a damage is, in blocks and seconds; ends are None if only a missing end block could tell."""
    if damage.frames is None and _is_complete(damage.first_frame, header):
        reason = damage.reason.replace("no end block", "the end block is missing")
        damage = dataclasses.replace(damage, frames=0, reason=reason)
    start = header.heard_at(damage.first_frame)
    last_block = end = None
    if damage.frames is not None:
        last_block = (damage.first_frame + max(0, damage.frames - 1)) // header.frames_per_block
        end = header.heard_at(damage.first_frame + damage.frames)
    return {
        "first_block": damage.first_frame // header.frames_per_block,
        "last_block": last_block,
        "start_seconds": start,
        "end_seconds": end,
        "reason": damage.reason,
    }


def _is_complete(frames: int, header: Header) -> bool:
    """Whether so many frames are all: the last block was a short one, or there are as many as were announced."""
    announced = header.frames_announced
    return frames % header.frames_per_block > 0 or (announced is not None and frames >= announced)


def _as_text(name: str, facts: Facts) -> str:
    if facts["ok"]:
        checked = "" if facts["tokens_checked"] else "; its tokens were not checked, the model is not installed"
        return f"{name}: OK, {facts['seconds']:.2f} s in {count(facts['blocks'], 'block')}{checked}"
    return "\n".join([f"{name}: DAMAGED, {count(facts['blocks'], 'good block')}", *map(_line, facts["damages"])])


def _line(place: Facts) -> str:
    first, last = place["first_block"], place["last_block"]
    start, end = place["start_seconds"], place["end_seconds"]
    if end is None:
        return f"  from block {first} ({start:.2f} s) on: {place['reason']}"
    if end == start:
        return f"  at {start:.2f} s, nothing is lost there: {place['reason']}"
    blocks = f"block {first}" if first == last else f"blocks {first} to {last}"
    return f"  {blocks} ({start:.2f} s to {end:.2f} s): {place['reason']}"
