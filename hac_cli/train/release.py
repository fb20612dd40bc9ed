"""From a training checkpoint to a released weights file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hac_cli.errors import ModelError, OutputError, UsageError
from hac_cli.model.network import Codec
from hac_cli.model.release import as_released, fold, load_file_release, save_release
from hac_cli.model.released import read_metadata
from hac_cli.train import checkpoint, data
from hac_cli.train.crops import Crops, CropSettings
from hac_cli.train.matching import match_colour, match_level, match_silence

DISCRIMINATORS = ".discriminators"
"""Suffix of the file beside released weights that holds what judged them, for runs that start from these."""
PLAIN_SPEECH = CropSettings(music=0, sfx=0, silence=0, noise=0, wide_level=0)


def export(
    source: Path,
    target: Path,
    about: dict[str, str],
    sources: Sequence[str] = (),
    others: Sequence[tuple[Path, float]] = (),
) -> str:
    """Writes the averaged weights of a checkpoint, folded, and gives the file's SHA-256; beside them, in bfloat16, the
    discriminators if there are any. ``others``: weights to average with, each with its share of all. ``sources``:
    training data, on whose held-out speakers the highs and the level are matched first.

    Raises ModelError for a checkpoint that can't be read, others of another shape, or a network above the limit of
    parameters, OutputError for what can't be written, UsageError for data of fewer than three speakers.
    """
    if not target.parent.is_dir():
        raise OutputError("there is no such folder; make it first", str(target.parent))
    model, state = checkpoint.load_average(source)
    story = {"steps": str(state["step"]), "hours": f"{state['elapsed'] / 3600:.2f}"} | state.get("about", {})
    if others:
        model = _averaged(fold(model), others)
        story["averaged_with"] = ", ".join(f"{share:g} of {path.stem}" for path, share in others)
    if sources:
        corpus = data.load([data.Source.parse(text) for text in sources], source.parent.parent / "audio-cache")
        _, held_out = data.split(corpus, data.HELD_OUT_SPEAKERS, _held_out(story))
        if not held_out.clips:
            raise UsageError("nobody was held out of so few speakers to match the level by: leave out --data")
        crops = Crops(held_out, PLAIN_SPEECH, seed=0)
        story["colour_gain_db"] = f"{match_colour(model, crops):.2f}"
        story["level_gain_db"] = f"{match_level(model, crops):.2f}"
        model = as_released(model)
        story["silence_dbfs"] = f"{match_silence(model):.1f} before it was taken away"
    judges = target.with_suffix(DISCRIMINATORS)
    with checkpoint.replaced(target) as partial:
        save_release(model, partial, story | about)
    if state["adversary"]:
        found = state["adversary"]["discriminators"].items()
        with checkpoint.replaced(judges) as partial:
            partial.write_bytes(save({name: value.to(torch.bfloat16) for name, value in found}))
    else:
        judges.unlink(missing_ok=True)  # of other weights
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _averaged(model: Codec, others: Sequence[tuple[Path, float]]) -> Codec:
    """``model`` has what the shares of the others leave. Weights of runs that began alike are better in the mean than
    alone (Wortsman et al., Model soups, 2022); of strangers, the mean is noise."""
    mean = {name: value * (1 - sum(share for _, share in others)) for name, value in model.state_dict().items()}
    for path, share in others:
        other = load_file_release(path)
        if other.config != model.config:
            raise ModelError("is of a network of another shape", str(path))
        for name, value in other.state_dict().items():
            mean[name] += share * value
    model.load_state_dict(mean)
    return model


def held_out_before(source: Path) -> list[str]:
    """Pseudonyms of the speakers that the run of a checkpoint, or of released weights, kept apart, as far as it tells.

    Raises ModelError for a file that is neither.
    """
    if source.suffix == ".safetensors":
        return _held_out(read_metadata(source))
    return _held_out(checkpoint.load(source).get("about", {}))


def _held_out(about: dict[str, str]) -> list[str]:
    return about.get("held_out", "").split()


def load_discriminators(weights: Path) -> dict[str, Any] | None:
    """What was released beside weights, as a checkpoint holds it, but without moments; None if there is nothing.

    Raises ModelError for a file that is broken.
    """
    path = weights.with_suffix(DISCRIMINATORS)
    if not path.exists():
        return None
    try:
        discriminators = {name: value.float() for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise ModelError(f"holds no discriminators: {error}; remove it, or take it from where you got the weights",
                         str(path)) from None  # fmt: skip
    return {"discriminators": discriminators, "optimizer": {"state": {}}}
