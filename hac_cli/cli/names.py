"""Names of files, as ``find`` and others list them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hac_cli.cli import files
from hac_cli.errors import UsageError, input_errors


@contextlib.contextmanager
def names_in(path: str, null: bool) -> Iterator[Iterator[str]]:
    """The names in a file, or in standard input by the name of -, as they come: a line each, or with ``null`` up to a
    zero byte each. Raises InputError for what can't be read, UsageError for zero bytes in lines."""
    if path == "-":
        yield _split(files.standard_input(), path, null)
        return
    with contextlib.ExitStack() as stack:
        with input_errors(path):
            file = stack.enter_context(Path(path).open("rb"))
        yield _split(file, path, null)


def _split(file: Any, path: str, null: bool) -> Iterator[str]:
    lines = _split_at_zeros(file) if null else _lines(file)
    while True:
        with input_errors(path):
            line = next(lines, None)
        if line is None:
            return
        if line:
            yield os.fsdecode(line)


def _lines(file: Any) -> Iterator[bytes]:
    for line in file:
        if b"\0" in line:
            raise UsageError("names in --files-from end in a zero byte; add -0")
        yield line.rstrip(b"\r\n")


def _split_at_zeros(file: Any) -> Iterator[bytes]:
    rest = b""
    while data := file.read(1 << 16):
        *names, rest = (rest + data).split(b"\0")
        yield from names
    yield rest
