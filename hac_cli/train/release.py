"""From a training checkpoint to a released weights file: ``python -m hac_cli.train.release CHECKPOINT OUT``."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from hac_cli.model.config import ModelConfig
from hac_cli.model.network import Codec
from hac_cli.model.release import save_release
from hac_cli.train import checkpoint


def export(source: Path, target: Path, about: dict[str, str]) -> str:
    """Writes the averaged weights of a checkpoint, folded, and gives the file's SHA-256."""
    state = checkpoint.load(source)
    model = Codec(ModelConfig.from_dict(state["config"]))
    model.load_state_dict(state["average"])
    save_release(model, target, {"steps": str(state["step"]), "hours": f"{state['elapsed'] / 3600:.2f}"} | about)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--about", nargs="*", default=[], metavar="KEY=VALUE", help="more metadata")
    arguments = parser.parse_args()
    about = dict(item.split("=", 1) for item in arguments.about)
    print(export(arguments.checkpoint, arguments.target, about))


if __name__ == "__main__":
    main()
