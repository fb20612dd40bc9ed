"""Codecs described by command templates in TOML: the ones that HAC is usually compared with, and a user's own."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Any

from hac_cli.errors import InputError
from hac_cli.eval import SAMPLE_RATE
from hac_cli.eval.coders import CommandCoder
from hac_cli.eval.texts import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUILT_IN = Path(__file__).with_name("baselines.toml")

_FIELDS = {field.name: field for field in dataclasses.fields(CommandCoder)}


def read(path: Path, time_limit: float) -> list[CommandCoder]:
    """The codecs of a file, in its order; baselines.toml explains the keys.

    Raises InputError for what can't be read or makes no sense.
    """
    try:
        tables = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is no valid TOML: {error}", str(path)) from None
    try:
        return [_coder(name, table, time_limit) for name, table in tables.items()]
    except ValueError as error:
        raise InputError(str(error), str(path)) from None


def _coder(name: str, table: Any, time_limit: float) -> CommandCoder:
    if not isinstance(table, dict):
        raise ValueError(f'{name!r} stands outside of a table; begin each codec with ["its name"]')
    if unknown := table.keys() - (_FIELDS.keys() - {"name", "time_limit"}):
        raise ValueError(f"{name}: unknown key {sorted(unknown)[0]!r}")
    for key in ("encode", "decode"):
        _check_command(name, key, table.get(key))
    if table.get("format", "wav") not in ("wav", "raw"):
        raise ValueError(f'{name}: format is "wav" or "raw"')
    sample_rate = table.get("sample_rate", SAMPLE_RATE)
    if not isinstance(sample_rate, int) or not 8_000 <= sample_rate <= 192_000:
        raise ValueError(f"{name}: sample_rate is from 8000 to 192000")
    for key in ("extension", "install"):
        if not isinstance(table.get(key, ""), str):
            raise ValueError(f"{name}: {key} is a text")
    payload = table.get("payload")
    if not (payload in (None, "file", "ogg") or isinstance(payload, int | float)):
        raise ValueError(f'{name}: payload is "file", "ogg" or a number of bit/s')
    return CommandCoder(name, **table, time_limit=time_limit)


def _check_command(name: str, key: str, command: Any) -> None:
    if not isinstance(command, str) or not command.strip():
        raise ValueError(f"{name}: {key} is missing; give the command, with {{in}} and {{out}}")
    if missing := [place for place in ("{in}", "{out}") if place not in command]:
        raise ValueError(f"{name}: {key} has no {missing[0]}, so the files have no place in it")
    try:
        shlex.split(command)
    except ValueError as error:
        raise ValueError(f"{name}: {key}: {error}") from None
