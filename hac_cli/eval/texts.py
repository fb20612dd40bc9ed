"""Files of text that users name."""

from __future__ import annotations

from pathlib import Path

from hac_cli.errors import InputError, input_errors


def read_text(path: Path) -> str:
    """All of it. Raises InputError if it can't be read, or isn't UTF-8."""
    try:
        with input_errors(str(path)):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError("can't be read: it is no text", str(path)) from None
