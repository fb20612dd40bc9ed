"""``hac export``: a released network for other programs to run."""

from __future__ import annotations

from pathlib import Path

import click

from hac_cli.cli.console import Console, common_options, model_names


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--onnx", "as_onnx", is_flag=True, required=True, help="As ONNX, which is all there is so far.")
@click.option("--model", metavar="NAME", shell_complete=model_names, help="One of `hac models`.")
@common_options
@click.pass_obj
def export(console: Console, folder: Path, as_onnx: bool, model: str | None) -> None:
    """Export a model for browsers, phones and other languages.

    Writes NAME-encoder.onnx and NAME-decoder.onnx to FOLDER, over those that are there. Both stream: they take and
    give their state. hac_cli/model/export.py tells the names and shapes of everything that goes in and out.
    """
    from hac_cli.model import released
    from hac_cli.model.export import export_onnx

    for path in export_onnx(released.find(model or released.DEFAULT_MODEL), folder):
        console.say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
