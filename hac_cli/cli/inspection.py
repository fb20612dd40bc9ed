"""What ``hac info`` and ``hac verify`` share: several files, each read to its end without a codec."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hac_cli.cli import files
from hac_cli.cli.console import Console, printable
from hac_cli.errors import CorruptError, HacError, InputError

if TYPE_CHECKING:
    from hac_cli.container import Report

Facts = dict[str, Any]


def inspect(
    console: Console,
    paths: tuple[str, ...],
    schema: str | None,
    describe: Callable[[Report], Facts],
    as_text: Callable[[str, Facts], str],
    with_tokens: bool = False,
) -> None:
    """Show what ``describe`` finds in each file: as JSON of that schema, or by ``as_text(name, facts)`` if None.
    ``with_tokens``: coded tokens are decoded and checked as well, where their predictor is installed.

    A folder stands for the .hac files in it and below. Goes on after files that fail. The exit code is theirs if they
    all fail alike, and 1 if not.
    """
    codes, examined = [], 0
    for path, problem in itertools.chain.from_iterable(map(_files, paths)):
        name = files.input_name(path)
        facts, failure = _examine(path, name, describe, with_tokens, problem)
        if schema:
            console.show(json.dumps({"schema": schema, "file": name, **facts}))
        elif "error" not in facts and not console.quiet:
            console.show(as_text(printable(name), facts))
        if failure:
            console.failure(failure)
            codes.append(failure.exit_code)
        examined += 1
    if examined > len(paths):
        console.say(f"{examined} files, {len(codes) or 'none'} of them damaged or not to be read")
    if codes:
        raise click.exceptions.Exit(codes[0] if len({*codes}) == 1 else HacError.exit_code)


def _files(path: str) -> list[tuple[str, HacError | None]]:
    """In order; those in a folder, links to others followed, with what can't be looked at and why."""
    if not files.is_folder(path):
        return [(path, None)]
    from hac_cli.batch.storage import LocalFolder

    folder = LocalFolder(path)
    found: dict[str, HacError | None] = {}
    for entry in folder.files(found.__setitem__):
        if entry.name.lower().endswith(".hac"):
            try:
                with folder.reading(entry.name):
                    found[entry.name] = None
            except InputError as error:  # a pipe, which would be waited for
                found[entry.name] = error
    if not found:
        return [(path, InputError("is a folder without .hac files"))]
    return [(os.path.normpath(Path(path, name)), problem) for name, problem in sorted(found.items())]


def _examine(
    path: str, name: str, describe: Callable[[Report], Facts], with_tokens: bool, problem: HacError | None
) -> tuple[Facts, HacError | None]:
    """What is known of a file, and what is wrong with it; no more than that if it can't be read at all."""
    from hac_cli import predictors
    from hac_cli.container import verify

    try:
        if problem:
            raise problem
        with files.reading(path) as stream:
            report = verify(stream, predictors.for_header if with_tokens else None)
    except HacError as error:
        error.path = name
        return {"ok": False, "error": error.message, "exit_code": error.exit_code}, error
    advice = "copy it again, or decompress it with --recover"
    if not report.ok and report.damages[-1].behind:
        advice = report.damages[-1].reason  # no number tells of it
    damage = CorruptError(f"is damaged; {advice}", name)
    return {"ok": report.ok, **describe(report)}, None if report.ok else damage
