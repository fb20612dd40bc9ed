"""Checkpoints of a run: everything that an exact resume needs, written atomically."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from hac_cli.errors import ModelError


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside the target first, so that a crash leaves the last good checkpoint."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Raises ModelError for a file that is not a checkpoint. Only tensors and plain values are read."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    except FileNotFoundError:
        raise ModelError("no such checkpoint", str(path)) from None
    except Exception as error:
        raise ModelError(f"is not a checkpoint that can be read: {error}", str(path)) from None
