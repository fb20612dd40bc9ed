"""Where the bytes go: a file, a pipe, or any binary stream, with errors that say what to do."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hac_cli import outputs
from hac_cli.audio.source import make_blocking
from hac_cli.errors import UsageError, output_errors

Target = str | os.PathLike[str] | BinaryIO


def refuse_same_file(source: object, target: object) -> None:
    """Raises UsageError for two paths of one file, which would be emptied before it is read."""
    if isinstance(source, str | os.PathLike) and isinstance(target, str | os.PathLike):
        with contextlib.suppress(OSError):  # one of them isn't there
            if Path(source).samefile(target):
                raise UsageError("is the input as well, which would be lost; name another output", os.fspath(target))


@contextlib.contextmanager
def whole(target: Target) -> Iterator[Target]:
    """Where to write: a file gets its name when it is complete, and what was there stays until then. A stream or
    a device is written as it is, and so is the temporary file of somebody who does the same. Raises OutputError."""
    path = os.fspath(target) if isinstance(target, str | os.PathLike) else None
    if path is None or path in outputs.unfinished or (Path(path).exists() and not outputs.has_a_name(path)):
        yield target
    else:
        with output_errors(path), outputs.replacing(path) as temporary:
            yield temporary


class ByteTarget:
    """Writes bytes to a path or a binary stream; only a file that was opened here is seekable.

    A stream may be a file that already holds something, so it is only appended to, and never closed here.
    Everything raises OutputError, or BrokenPipeError as it is.
    """

    def __init__(self, target: Target) -> None:
        if isinstance(target, str | os.PathLike):
            self.path: str | None = os.fspath(target)
            self._errors = output_errors(self.path)
            with self._errors:
                self._stream: BinaryIO = Path(self.path).open("wb")  # noqa: SIM115  closed by close()
            self.seekable = self._stream.seekable()
        elif callable(getattr(target, "write", None)) and not isinstance(target, io.TextIOBase):
            self.path = None
            self._errors = output_errors(None)
            self._stream = target
            make_blocking(target)
            self.seekable = False
        else:
            raise UsageError(f"a target is a path or a stream of bytes, not {type(target).__name__}")

    def write(self, data: bytes | memoryview) -> int:
        """Writes all of ``data``, at once to a pipe, and returns its length."""
        rest = memoryview(data)
        with self._errors:
            while rest:
                written = self._stream.write(rest)
                rest = rest[len(rest) if written is None else written :]
            if not self.seekable:
                self._stream.flush()
        return len(data)

    def flush(self) -> None:
        if self.seekable:
            with self._errors:
                self._stream.flush()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._errors:
            return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        if self.path is not None:
            with self._errors:
                self._stream.close()


@contextlib.contextmanager
def whole_bytes(target: Target) -> Iterator[ByteTarget]:
    """As ``whole``, to write bytes to."""
    with whole(target) as place, contextlib.closing(ByteTarget(place)) as sink:
        yield sink
