"""Tables of TOML as frozen dataclasses: every key has to be a field, every value of its type and within its bounds."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any, Literal

from hac_cli.errors import UsageError

SIGNED = ("crops.level", "crops.level_range")  # in dB; no other number may be below 0
SHARES = (
    "music", "sfx", "silence", "noise", "reverb", "band_limit", "wide_level", "start", "final_fraction",
)  # fmt: skip
DECAYS = ("betas", "ema_decay")
ABOVE_ZERO = (
    "max_steps", "seconds", "batch", "windows", "log_floor", "norm", "learning_rate", "warmup_steps", "clip_norm",
    "strides", "widths", "dilations", "kernel", "expansion", "bits_per_token", "decoder_taps",
)  # fmt: skip


def build(kind: type, values: dict[str, Any], where: str) -> Any:
    """A dataclass from a table. Raises UsageError for a key that it doesn't have or a value of another kind."""
    hints = typing.get_type_hints(kind)
    if unknown := sorted(set(values) - hints.keys()):
        raise UsageError(f"unknown key {unknown[0]!r} in [{where}]; known are {', '.join(sorted(hints))}")
    made: dict[str, Any] = {}
    for key, value in values.items():
        if dataclasses.is_dataclass(hints[key]):
            value = build(typing.cast(type, hints[key]), value, key) if isinstance(value, dict) else value
        made[key] = tuple(value) if isinstance(value, list) else value
        if wanted := _mismatch(made[key], hints[key]) or _outside(made[key], where, key):
            raise UsageError(f"[{where}] {key} is {value!r}; it has to be {wanted}")
    return kind(**made)


def _mismatch(value: Any, hint: Any) -> str:
    """What a value ought to be, where it isn't."""
    kind, among = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Literal:
        return "" if value in among else f"one of {', '.join(among)}"
    if kind is tuple:
        some = among[-1] is ...
        fits = isinstance(value, tuple) and (some or len(value) == len(among))
        fits = fits and not any(_mismatch(item, among[0]) for item in value)
        return "" if fits else f"a list of {'' if some else f'{len(among)} '}{among[0].__name__}s"
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return ""
    fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    return "" if fits else f"of type {kind.__name__}"


def _outside(value: Any, where: str, key: str) -> str:
    """What a number, or those in a list, ought to be where they aren't."""
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(number, (int, float)) for number in numbers):
        return ""
    if key in ABOVE_ZERO and not numbers:
        return "a list of one or more"
    if key in ABOVE_ZERO:
        return "" if all(0 < number < math.inf for number in numbers) else "above 0"
    if key == "part":
        return "" if all(0 < number <= 1 for number in numbers) else "above 0 and at most 1"
    if key in SHARES:
        return "" if all(0 <= number <= 1 for number in numbers) else "from 0 to 1"
    if key in DECAYS:
        return "" if all(0 <= number < 1 for number in numbers) else "from 0 to below 1"
    if f"{where}.{key}" in SIGNED:
        return "" if all(map(math.isfinite, numbers)) else "finite"
    return "" if all(0 <= number < math.inf for number in numbers) else "finite and not below 0"
