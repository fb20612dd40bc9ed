"""Where the bytes come from: a regular file, a pipe, or any binary stream, behind one small interface."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from pathlib import Path
from typing import IO, BinaryIO

from hac_cli.audio.cutoff import read_at
from hac_cli.errors import CorruptError, OutputError, RangeError, UsageError, input_errors

Source = str | os.PathLike[str] | BinaryIO

_COPY_SIZE = 1 << 20


def is_seekable(stream: object) -> bool:
    """Whether a binary stream can seek. Some have nothing but ``read`` or ``write``."""
    return bool(getattr(stream, "seekable", bool)())


def make_blocking(stream: object) -> None:
    """Has a stream wait for its other end, whoever left it otherwise: "nothing there yet" would look like the end, and
    what a full pipe doesn't take would be lost. One without a descriptor is in memory."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        os.set_blocking(stream.fileno(), True)  # type: ignore[attr-defined]


class ByteSource:
    """Reads bytes from a path or a binary stream; a stream is only read forwards, and never closed here.

    ``path`` is None for a stream. ``size`` is the length in bytes of a regular file, None for whatever may be a
    pipe (every stream, and a path such as a FIFO).
    """

    def __init__(self, source: Source) -> None:
        self._spool: IO[bytes] | None = None
        self._pushed_back = b""
        self.size: int | None = None
        if isinstance(source, str | os.PathLike):
            self.path: str | None = os.fspath(source)
            self._errors = input_errors(self.path)
            with self._errors:
                # unbuffered, so that libsndfile can go on with the same descriptor
                self._stream: IO[bytes] = Path(self.path).open("rb", buffering=0)  # noqa: SIM115  closed by close()
                status = os.fstat(self._stream.fileno())
                self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
        elif callable(getattr(source, "read", None)) and not isinstance(source, io.TextIOBase):
            self.path = None
            self._errors = input_errors(None)
            self._stream = source
        else:
            raise UsageError(f"a source is a path or a stream of bytes, not {type(source).__name__}")
        make_blocking(self._stream)
        # read1 returns what a pipe holds now, where read would wait for all of it; unbuffered streams lack it
        self._read_once = getattr(self._stream, "read1", self._stream.read)

    def read_available(self, size: int) -> bytes:
        """Waits for at least one byte, then returns what one read gives, at most ``size`` bytes.

        Empty at the end of the input. Raises InputError if the system can't read on.
        """
        data, self._pushed_back = self._pushed_back[:size], self._pushed_back[size:]
        if data:
            return data
        with self._errors:
            return self._read_once(size) or b""

    def seekable(self) -> bool:
        """Whether it is a file or in memory, where a pipe keeps its reader waiting."""
        return is_seekable(self._stream)

    def wait_for_all(self) -> None:
        """From now on a buffered stream is read for as much as ``read_available`` is asked for, or up to its end."""
        self._read_once = self._stream.read

    def read(self, size: int) -> bytes:
        """Waits for ``size`` bytes; fewer mean the end of the input."""
        data = self.read_available(size)
        while len(data) < size and (more := self.read_available(size - len(data))):
            data += more
        return data

    def push_back(self, data: bytes) -> None:
        """Makes ``data`` the next bytes to be read."""
        self._pushed_back = data + self._pushed_back

    def bytes_left(self) -> int:
        """How many bytes a regular file still has."""
        assert self.size is not None
        return self.size - os.lseek(self._stream.fileno(), 0, os.SEEK_CUR) + len(self._pushed_back)

    def read_at(self, position: int, size: int) -> bytes:
        """Up to ``size`` bytes of a regular file from ``position`` on, without leaving where it is being read."""
        with self._errors:
            return read_at(self._stream, position, size)

    def as_file(self) -> IO[bytes]:
        """The whole input as a file on disk, at its start; what comes through a pipe is first copied to one.

        For before any audio is read, with everything that was read pushed back. Raises OutputError if the
        temporary file can't be written.
        """
        if self.size is None:
            self._spool_all()
        file = self._stream if self._spool is None else self._spool
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return file

    def __enter__(self) -> ByteSource:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """What is wrong with what was read gets the name of the file that it was read from."""
        self.close()
        if isinstance(error, CorruptError | RangeError) and error.path is None:
            error.path = self.path

    def close(self) -> None:
        if self.path is not None:
            self._stream.close()
        if self._spool is not None:
            self._spool.close()

    def _spool_all(self) -> None:
        import tempfile  # which takes long to load, and few inputs need

        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
            while data := self.read_available(_COPY_SIZE):
                self._spool.write(data)
            self._spool.flush()
        except OSError as error:
            raise OutputError(
                "input of this format has to be stored first, and the folder for temporary files can't take it: "
                f"{error.strerror or error}; set TMPDIR to a folder with room, or give a file instead of a pipe",
                self.path,
            ) from error
