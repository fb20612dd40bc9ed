"""Weights become those of a model that ships: ``python -m hac_cli.train.publish MODEL WEIGHTS --data CORPUS``.

The package gets them with what judged them and with a predictor that is learned of their tokens, which makes files
smaller; ``released.json`` gets their digests. The card, ``MODEL.md``, is for people to write.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hac_cli.errors import HacError
from hac_cli.model.released import WEIGHTS, find
from hac_cli.train.checkpoint import replaced
from hac_cli.train.data import Source
from hac_cli.train.predictor import learn
from hac_cli.train.release import DISCRIMINATORS


def publish(name: str, weights: Path, sources: Sequence[Path], folder: Path = WEIGHTS) -> str:
    """Gives what there is to say of the predictor. ``folder``: that of ``released.json``.

    Raises ModelError for a model that isn't there or weights that can't be read, InputError for data that can't be
    used, OutputError where something can't be written; until all of it is made nothing is.
    """
    find(name)
    predictor, report = learn(weights, sources)
    index = json.loads((folder / "released.json").read_text(encoding="utf-8"))
    (entry,) = (entry for entry in index if entry["name"] == name)
    entry["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    entry["predictor_sha256"] = hashlib.sha256(predictor).hexdigest()
    judges = weights.with_suffix(DISCRIMINATORS)
    for source in filter(Path.exists, (weights, judges)):
        with replaced(folder / f"{name}{source.suffix}") as partial:
            shutil.copyfile(source, partial)
    with replaced(folder / f"{name}.predictor") as partial:
        partial.write_bytes(predictor)
    with replaced(folder / "released.json") as partial:
        partial.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", nargs="+", required=True, help="folders or manifests of speech")
    arguments = parser.parse_args()
    try:
        sources = [Source.parse(text).path for text in arguments.data]
        print(publish(arguments.model, arguments.weights, sources))
    except HacError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
