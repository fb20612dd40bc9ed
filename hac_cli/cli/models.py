"""``hac models``: what this installation can code with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hac_cli.cli.console import Console, common_options, model_names

if TYPE_CHECKING:
    from hac_cli.model.released import ReleasedModel

SCHEMA = "hac-models-1"


@click.command()
@click.argument("name", metavar="[NAME]", required=False, shell_complete=model_names)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each model.")
@common_options
@click.pass_obj
def models(console: Console, name: str | None, as_json: bool) -> None:
    """List the models.

    With NAME it is that one alone, with its card: what it was trained on, what it reaches, what it is not for. The
    default is marked with a star.
    """
    from hac_cli.model import released

    chosen = [released.find(name)] if name else released.released()
    for model in chosen:
        facts = _describe(model) | ({"card": model.card} if name else {})
        console.show(json.dumps({"schema": SCHEMA, **facts}) if as_json else _as_text(facts))


def _describe(model: ReleasedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "default": model.is_default,
        "description": model.description,
        "model_id": model.model_id,
        "parameters": model.parameters,
        "bitrate": model.config.bitrate,
        "tokens_per_second": model.config.frame_rate,
        "bits_per_token": model.config.bits_per_token,
        "latency_ms": 1000 * model.config.latency_seconds,
        "file_bytes": model.path.stat().st_size,
        "digest": model.digest,
    }


def _as_text(facts: dict[str, Any]) -> str:
    return (
        f"{'*' if facts['default'] else ' '} {facts['name']}: {facts['description']}\n"
        f"    {facts['bitrate'] / 1000:.3f} kbit/s, {facts['tokens_per_second']:g} tokens/s of "
        f"{facts['bits_per_token']} bits, latency {facts['latency_ms']:.1f} ms\n"
        f"    {facts['parameters']:,} parameters, {facts['file_bytes'] / 1e6:.1f} MB, sha256 {facts['digest']}"
    ) + (f"\n\n{facts['card'].strip()}" if "card" in facts else "")
