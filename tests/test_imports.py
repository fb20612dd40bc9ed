"""Which part of the package may import which: one way only, and torch in few places."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hac_cli

PACKAGE = Path(__file__).parent.parent / "hac_cli"

# The command line may ask every part that works without torch; coding goes through codec and recordings alone.
ALLOWED = {
    "errors": set(),
    "outputs": set(),
    "cores": set(),
    "rate": set(),
    "interrupts": set(),
    "window": set(),
    "compiled": set(),
    "container": {"compiled", "rate"},
    "audio": {"outputs"},
    "model": {"compiled", "rate"},
    "losses": {"container", "rate", "model.config", "model.parallel"},
    "recogniser": {"losses.hearing", "model"},
    "listener": {"losses.hearing", "recogniser"},
    "search": {"listener", "model"},
    "search_stream": {"listener", "model", "search"},
    "segments": set(),
    "levels": {"container", "segments"},
    "biquads": {"compiled"},
    "rumble": {"biquads", "container"},
    "tint": {"compiled", "container", "segments"},
    "bandwidth": {"biquads", "container", "segments"},
    "tinters": {"bandwidth", "container", "levels", "segments", "tint"},
    "conditioning": {"bandwidth", "container", "levels", "rumble", "segments", "tint", "tinters"},
    "codec": {"conditioning", "container.gains", "model", "search_stream"},
    "predictors": {"container", "model"},
    "player": {"audio", "conditioning", "container", "model", "window"},
    "recorder": {"audio", "conditioning", "container", "model", "search_stream"},
    "recordings": {
        "codec",
        "search_stream",
        "predictors",
        "player",
        "recorder",
        "audio",
        "container",
        "model",
        "window",
    },
    "editing": {"audio", "container", "model", "predictors", "window"},
    "eval": {
        "cores",
        "interrupts",
        "container",
        "outputs",
        "codec",
        "conditioning",
        "search_stream",
        "recordings",
        "audio",
        "model.released",
        "model.engine",
    },
    "train": {
        "cores",
        "outputs",
        "model",
        "losses",
        "audio",
        "conditioning",
        "codec",
        "recogniser",
        "segments",
        "container",
        "eval.metrics",
        "eval.spectrogram",
    },
    "batch": {"interrupts", "outputs", "codec", "recordings", "predictors", "audio", "container", "model.released"},
    "cli": {
        "cores",
        "compiled",
        "outputs",
        "batch",
        "codec",
        "recordings",
        "predictors",
        "editing",
        "eval",
        "train",
        "audio",
        "container",
        "model.released",
        "model.export",
    },
}
PUBLIC = {"", "__version__", *hac_cli.__all__}  # of the package itself, which hands on what codec has
WITHOUT_TORCH = (
    "errors",
    "outputs",
    "cores",
    "rate",
    "interrupts",
    "window",
    "compiled",
    "container",
    "audio",
    "segments",
    "levels",
    "biquads",
    "rumble",
    "tint",
    "bandwidth",
    "tinters",
    "conditioning",
    "predictors",
    "player",
    "recorder",
    "recogniser",
    "listener",
    "search",
    "search_stream",
    "batch",
    "cli",
)


def imports_of(file: Path) -> set[str]:
    """Full names of what a file imports anywhere in it; ``a.b`` for ``from a import b``, which may be a module."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_layers(part):
    files = [PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").exists() else (PACKAGE / part).rglob("*.py")
    for file in files:
        for name in imports_of(file):
            top, _, inside = name.partition(".")
            inside = "codec" if inside in PUBLIC else inside
            assert not (top == "torch" and part in WITHOUT_TORCH), f"{file} imports torch"
            allowed = {part, "errors"} | ALLOWED[part]
            if top == "hac_cli" and inside not in allowed:
                assert any(inside.startswith(f"{other}.") for other in allowed), f"{file} imports {name}"


def test_every_part_is_known():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert parts <= ALLOWED.keys() | {"__init__", "__main__"}


def test_no_file_is_long():
    for file in PACKAGE.rglob("*.py"):
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 260, f"{file} has {lines} lines; split it"
