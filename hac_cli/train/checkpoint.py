"""Checkpoints of a run: everything that an exact resume needs, written atomically."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hac_cli import outputs
from hac_cli.errors import ModelError, OutputError
from hac_cli.model.config import ModelConfig
from hac_cli.model.network import Codec

FOREIGN = "is not a checkpoint of a training run; give the checkpoint.pt in a run's folder"
PARTS = {"config", "model", "average", "optimizers", "adversary", "step", "elapsed", "random"}


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Where to write what becomes ``path`` when it is complete and on the disk. Until then, and after a failure, the
    file before stays. Raises OutputError."""
    try:
        with outputs.replacing(str(path)) as partial:
            yield Path(partial)
    except (OSError, RuntimeError) as error:  # torch has no OSError for a full disk
        raise OutputError(f"can't be written, what was there is kept: {error}", str(path)) from error


def save(path: Path, state: dict[str, Any]) -> None:
    """Raises OutputError."""
    with replaced(path) as partial:
        torch.save(state, partial)


def load(path: Path) -> dict[str, Any]:
    """Raises ModelError for a file that is not a checkpoint. Only tensors and plain values are read."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ModelError(f"no checkpoint can be read there: {error.strerror}", str(path)) from None
    except Exception:  # torch's own words are on how to read files that may do harm
        raise ModelError(FOREIGN, str(path)) from None
    if not isinstance(state, dict) or not state.keys() >= PARTS:
        raise ModelError(FOREIGN, str(path))
    return state


def load_average(path: Path) -> tuple[Codec, dict[str, Any]]:
    """The averaged network of a checkpoint, and all that the checkpoint holds. Raises ModelError where it has none."""
    state = load(path)
    try:
        model = Codec(ModelConfig.from_dict(state["config"])).eval()
        model.load_state_dict(state["average"])
    except ModelError as error:
        raise ModelError(error.message, str(path)) from None
    except (AttributeError, RuntimeError, TypeError, ValueError):
        raise ModelError(FOREIGN, str(path)) from None
    return model, state


def restore(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Goes on with the moments of a saved optimizer; the settings are this one's. Raises ValueError or KeyError for
    moments of other parameters."""
    mine = optimizer.state_dict()["param_groups"]
    groups = [group | {"params": old["params"]} for group, old in zip(mine, saved["param_groups"], strict=True)]
    optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
