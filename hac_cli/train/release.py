"""From a training checkpoint to a released weights file: ``python -m hac_cli.train.release CHECKPOINT OUT``."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch

from hac_cli.model.config import ModelConfig
from hac_cli.model.layers import Up
from hac_cli.model.network import Codec
from hac_cli.model.release import save_release
from hac_cli.train import checkpoint, data

BATCHES = 25


@torch.no_grad()
def match_level(model: Codec, crops: data.Crops) -> float:
    """Scales the output so that speech comes back at its level, in the mean over crops in dB; gives the gain in dB.

    A network trained on distances gives back less than it got: what it is unsure of, it leaves out.
    """
    delay = model.config.look_ahead
    changes = []
    for number in range(BATCHES):
        audio = torch.from_numpy(crops.batch(number))
        output, target = model(audio)[0][:, delay:], audio[:, : audio.shape[1] - delay]
        levels = [10 * signal.square().mean(1).log10() for signal in (output, target)]
        changes += [float(change) for change in levels[0] - levels[1]]
    gain = -float(np.median(changes))
    last = model.decoder[-1]
    assert isinstance(last, Up)
    last.weight.mul_(10 ** (gain / 20))
    return gain


def export(source: Path, target: Path, about: dict[str, str], crops: data.Crops | None = None) -> str:
    """Writes the averaged weights of a checkpoint, folded, and gives the file's SHA-256. With crops, of speakers that
    were held out, the level is matched first."""
    state = checkpoint.load(source)
    model = Codec(ModelConfig.from_dict(state["config"]))
    model.load_state_dict(state["average"])
    about = {"steps": str(state["step"]), "hours": f"{state['elapsed'] / 3600:.2f}"} | about
    if crops:
        about["level_gain_db"] = f"{match_level(model.eval(), crops):.2f}"
    save_release(model, target, about)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="match the level on its held-out speakers")
    parser.add_argument("--cache", type=Path, default=Path("runs/audio-cache"), help="where decoded audio is kept")
    parser.add_argument("--about", nargs="*", default=[], metavar="KEY=VALUE", help="more metadata")
    arguments = parser.parse_args()
    crops = None
    if arguments.data:
        _, held_out = data.split(data.load(arguments.data, arguments.cache), data.HELD_OUT_SPEAKERS)
        crops = data.Crops(held_out, data.CropSettings(music=0, sfx=0, silence=0, noise=0, wide_level=0), seed=0)
    about = dict(item.split("=", 1) for item in arguments.about)
    print(export(arguments.checkpoint, arguments.target, about, crops))


if __name__ == "__main__":
    main()
