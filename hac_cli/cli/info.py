"""``hac info``: what a ``.hac`` file holds, without a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hac_cli.cli.console import FILE, Console, common_options, count, printable
from hac_cli.cli.inspection import Facts, inspect

if TYPE_CHECKING:
    from hac_cli.container import Report

SCHEMA = "hac-info-1"


@click.command()
@click.argument("paths", metavar="FILE...", type=FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each file.")
@common_options
@click.pass_obj
def info(console: Console, paths: tuple[str, ...], as_json: bool) -> None:
    """Tell what .hac files hold.

    - is standard input, a folder stands for all .hac files in it and below. Each file is read to its end, where its
    exact length stands. A damaged one is described as far as it can be read, with exit code 5.
    """
    inspect(console, paths, SCHEMA if as_json else None, _describe, _as_text)


def _describe(report: Report) -> Facts:
    """Everything that is known about a file; None for what only a missing end block could tell."""
    from hac_cli.container import PAYLOAD_CODINGS

    header, summary = report.header, report.summary
    whole = summary if report.ok else None  # of a damaged file, what was lost isn't counted
    return {
        "format_version": f"{header.version >> 4}.{header.version & 0x0F}",
        "model": header.model_name,
        "model_id": header.model_id,
        "weights_digest": header.weights_digest.hex(),
        "weights_installed": _is_installed(header.model_id, header.weights_digest),
        "sample_rate": header.sample_rate,
        "channels": header.channels,
        "samples": summary.samples if summary else None,
        "seconds": summary.seconds if summary else None,
        "samples_announced": header.total_samples,
        "frames": summary.frames if summary else None,
        "blocks": report.blocks,
        "frames_per_block": header.frames_per_block,
        "bits_per_token": header.bits_per_token,
        "metadata": report.metadata,
        "payload_coding": PAYLOAD_CODINGS[header.payload_coding],
        "file_bytes": report.bytes_read,
        "payload_bytes": whole.payload_bytes if whole else None,
        "bitrate": summary.bitrate if summary else None,
        "payload_bitrate": whole.payload_bitrate if whole else None,
    }


def _is_installed(model_id: int, weights_digest: bytes) -> bool:
    from hac_cli.model.released import released

    return any(model.model_id == model_id and model.short_digest == weights_digest for model in released())


def _as_text(name: str, facts: Facts) -> str:
    model = facts["model"] or f"number {facts['model_id']}, which is not known here"
    installed = "installed" if facts["weights_installed"] else "not installed"
    length, frames, rate = "length unknown", "frames unknown", ""
    if facts["samples"] is not None:
        length = f"{facts['seconds']:.3f} s ({facts['samples']} samples)"
        frames = count(facts["frames"], "frame")
    elif facts["samples_announced"] is not None:
        length += f", {facts['samples_announced'] / facts['sample_rate']:.3f} s announced"
    if facts["bitrate"] is not None:
        rate = f", {facts['bitrate'] / 1000:.3f} kbit/s"
    if facts["payload_bitrate"] is not None:
        rate += f" (payload {facts['payload_bitrate'] / 1000:.3f} kbit/s)"
    blocks = f" in {count(facts['blocks'], 'block')}" if facts["ok"] else f", {count(facts['blocks'], 'good block')}"
    coding = "raw" if facts["payload_coding"] == "raw" else "entropy coded"
    return (
        f"{name}\n"
        f"  model      {model}, weights {facts['weights_digest']} ({installed})\n"
        f"  recording  {facts['sample_rate']} Hz, {count(facts['channels'], 'channel')}, {length}\n"
        f"  tokens     {frames}{blocks} of up to {facts['frames_per_block']}, {coding}\n"
        f"  size       {facts['file_bytes']} bytes{rate}"
        + "".join(f"\n  {printable(key):10} {printable(value)}" for key, value in facts["metadata"].items())
    )
