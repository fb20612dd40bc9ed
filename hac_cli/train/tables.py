"""Tables of TOML as frozen dataclasses: every key has to be a field, every value of its type and within its bounds."""

from __future__ import annotations

import dataclasses
import math
import operator
import typing
from typing import Annotated, Any, Literal

from hac_cli.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Of a number, or of each in a list, which then isn't empty. ``ends``: whether they may be reached."""

    least: float
    most: float
    ends: tuple[bool, bool]
    said: str

    def hold(self, numbers: tuple[float, ...]) -> bool:
        above, below = (operator.le if end else operator.lt for end in self.ends)
        return all(above(self.least, number) and below(number, self.most) for number in numbers)


NOT_NEGATIVE = Bounds(0, math.inf, (True, False), "finite and not below 0")  # where a field says nothing
FINITE = Bounds(-math.inf, math.inf, (False, False), "finite")
ABOVE_ZERO = Bounds(0, math.inf, (False, False), "above 0")
DECAY = Bounds(0, 1, (True, False), "from 0 to below 1")

Positive = Annotated[float, ABOVE_ZERO]
Decay = Annotated[float, DECAY]
Share = Annotated[float, Bounds(0, 1, (True, True), "from 0 to 1")]
Part = Annotated[float, Bounds(0, 1, (False, True), "above 0 and at most 1")]


def build(kind: type, values: dict[str, Any], where: str) -> Any:
    """A dataclass from a table. Raises UsageError for a key that it doesn't have, a value of another kind, or one out
    of the ``Bounds`` that its field is annotated with."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if unknown := sorted(set(values) - hints.keys()):
        raise UsageError(f"unknown key {unknown[0]!r} in [{where}]; known are {', '.join(sorted(hints))}")
    made: dict[str, Any] = {}
    for key, value in values.items():
        hint, bounds = _parts(hints[key])
        if dataclasses.is_dataclass(hint):
            value = build(typing.cast(type, hint), value, key) if isinstance(value, dict) else value
        made[key] = tuple(value) if isinstance(value, list) else value
        if wanted := _mismatch(made[key], hint) or _outside(made[key], bounds):
            raise UsageError(f"[{where}] {key} is {value!r}; it has to be {wanted}")
    return kind(**made)


def _parts(hint: Any) -> tuple[Any, Bounds]:
    """A field's type, and its bounds."""
    if typing.get_origin(hint) is Annotated:
        return typing.get_args(hint)
    return hint, NOT_NEGATIVE


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


def _outside(value: Any, bounds: Bounds) -> str:
    """What a number, or those in a list, ought to be where they aren't."""
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(number, (int, float)) for number in numbers):
        return ""
    if not numbers:
        return "" if bounds is NOT_NEGATIVE else "a list of one or more"
    return "" if bounds.hold(numbers) else bounds.said
