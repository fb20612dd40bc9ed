"""What can go wrong, as exceptions: each kind carries the exit code of the command line.

A message says what is wrong and what to do about it, in one line, without the file's name; ``path`` holds the
name where there is one, and the command line prints ``hac: PATH: message``.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from types import TracebackType


def shown(location: str) -> str:
    """A path or URL for messages and records: a password in a URL is for nobody else to read."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", location)


def reason_of(error: OSError) -> str:
    """What the system says of it, for the middle of a message."""
    return error.strerror.lower() if error.strerror else str(error)


class SystemErrors:
    """Around code: OSErrors become what ``explain`` makes of them, those of which it makes nothing stay what they are.
    No generator, which would take five times as long, as much as packing the tokens of a live block."""

    def __init__(self, explain: Callable[[OSError], HacError | None]) -> None:
        self._explain = explain

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and (explained := self._explain(error)):
            raise explained from error


def input_errors(path: str | None) -> SystemErrors:
    """Around code that reads: InputErrors."""
    words = {
        errno.ENOENT: "no such file; check the name",
        errno.EISDIR: "is a directory; name the files in it, or give it to hac batch",
    }
    return _told(InputError, words, "can't be read", path)


def output_errors(path: str | None) -> SystemErrors:
    """Around code that writes: OutputErrors."""
    full = "the disk is full; make room and start again"
    words = {
        errno.ENOSPC: full,
        errno.EDQUOT: full,
        errno.ENOENT: "its folder does not exist; create it first",
        errno.EISDIR: "is a directory; name a file in it",
    }
    return _told(OutputError, words, "can't be written", path)


def _told(kind: type[HacError], words: dict[int, str], otherwise: str, path: str | None) -> SystemErrors:
    """``words`` by the system's numbers. A reader of the output that has gone away is no error of a file."""

    def explained(error: OSError) -> HacError | None:
        if isinstance(error, BrokenPipeError):
            return None
        return kind(words.get(error.errno or 0) or f"{otherwise}: {reason_of(error)}", path)

    return SystemErrors(explained)


class HacError(Exception):
    """Base of every error that HAC raises on purpose. ``exit_code`` is the process's exit status."""

    exit_code = 1

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.message}" if self.path else self.message


class UsageError(HacError):
    """Arguments that do not make sense together, or a refusal that an option lifts."""

    exit_code = 2


class RangeError(UsageError):
    """A part of a recording was asked for that lies behind its end."""


class InputError(HacError):
    """The input is missing, is not audio, or ends before it should."""

    exit_code = 3


class OutputError(HacError):
    """The output can't be written: it exists, the disk is full, the folder is missing."""

    exit_code = 4


class CorruptError(HacError):
    """A ``.hac`` file is damaged, truncated, or not a ``.hac`` file at all."""

    exit_code = 5


class ModelError(HacError):
    """The model that a file or a user names is missing, or its weights are not the right ones."""

    exit_code = 6
