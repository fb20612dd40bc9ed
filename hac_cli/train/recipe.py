"""Recipes: TOML files read into frozen dataclasses. One ``extends`` names a base; an unknown key is an error."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hac_cli.errors import UsageError
from hac_cli.model.config import ModelConfig
from hac_cli.train.data import CropSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class LossWeights:
    waveform: float = 3.0
    spectral: float = 1.0
    linear: float = 0.5
    entropy: float = 0.05
    commitment: float = 0.0


@dataclass(frozen=True)
class OptimSettings:
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup_steps: int = 300
    final_fraction: float = 0.02
    clip_norm: float = 3.0
    ema_decay: float = 0.999


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run is made of, but its data and its budget of time."""

    seed: int = 0
    max_steps: int = 1_000_000
    windows: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    mels: tuple[int, ...] | None = (12, 24, 48, 80, 120)
    model: ModelConfig = field(default_factory=ModelConfig)
    crops: CropSettings = field(default_factory=CropSettings)
    losses: LossWeights = field(default_factory=LossWeights)
    optim: OptimSettings = field(default_factory=OptimSettings)

    @classmethod
    def read(cls, name: str) -> Recipe:
        """A recipe by path, or by name from those that ship. Raises UsageError for a missing file or a bad key."""
        return cls.from_dict(_read_toml(name))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        recipe: Recipe = _build(cls, values, "recipe")
        return recipe


def _read_toml(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise UsageError(f"is not a recipe; give a .toml file or one of {known}", name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"is not valid TOML: {error}", name) from None
    base = values.pop("extends", None)
    if base is None:
        return values
    beside = path.with_name(f"{base}.toml")
    return _merge(_read_toml(str(beside) if beside.is_file() else base), values)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


SECTIONS = {"model": ModelConfig, "crops": CropSettings, "losses": LossWeights, "optim": OptimSettings}


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - known):
        raise UsageError(f"unknown key {unknown[0]!r} in [{where}]; known are {', '.join(sorted(known))}")
    made: dict[str, Any] = {}
    for key, value in values.items():
        if kind is Recipe and key in SECTIONS:
            value = _build(SECTIONS[key], value, key)
        made[key] = tuple(value) if isinstance(value, list) else value
    return kind(**made)
