"""Folders that recordings come from and go to: one interface for disks and for what fsspec reaches."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hac_cli import outputs
from hac_cli.errors import HacError, InputError, OutputError, UsageError

DISK_FULL = "the disk is full; make room and run the same command again, which goes on from here"


@dataclass(frozen=True)
class Entry:
    """A file in a folder: its name relative to it, with ``/``, and what changes when the file does."""

    name: str
    size: int
    stamp: str


Problem = Callable[[str, HacError], None]
"""Told the name of a folder that can't be looked into, and why."""


Skip = Callable[[str], bool]
"""Whether a folder is to be passed over, by its name."""


def no_folder(_: str) -> bool:
    return False


class Folder(Protocol):
    """A folder by its location. All names are relative to it, with ``/``; errors are InputError and OutputError."""

    location: str

    def check(self) -> None:
        """Raises InputError unless it is there."""

    def files(self, report: Problem, leave_out: Folder | None = None, skip: Skip = no_folder) -> Iterator[Entry]:
        """Every file in it, in no order, but for those in ``leave_out`` and in folders to ``skip``."""

    def find(self, name: str) -> Entry | None:
        """None if there is no such file. Where that can't be told, one of no size and no time."""

    def digest(self, name: str) -> str | None:
        """The SHA-256 of a file; None where it would have to be fetched."""

    def reading(self, name: str) -> contextlib.AbstractContextManager[str]:
        """The path of a local file with the content."""

    def writing(self, name: str, free: bool = False) -> contextlib.AbstractContextManager[str]:
        """The path of a temporary file that becomes ``name``, as a whole, when the block is left in good order.

        ``free``: there was no such file. Raises OutputError if somebody has made one by now, where that can be told.
        """

    def clean(self, name: str) -> None:
        """Deletes what a process that was killed has left of ``name``, but not ``name`` itself."""

    def sweep(self) -> None:
        """``clean`` for all names, when nobody is at work in the folder."""

    def remove(self, name: str) -> None:
        """Deletes a file, if there is one. Raises OutputError if that can't be done."""


def open_folder(location: str) -> Folder:
    """A folder by its path or URL. Raises UsageError for a URL that nothing is installed for."""
    scheme, separator, path = location.partition("://")
    if not separator:
        return LocalFolder(location)
    if scheme in ("file", "local"):
        return LocalFolder(path)
    from hac_cli.batch.remote import RemoteFolder

    return RemoteFolder(location)


class LocalFolder:
    """A folder on a disk. Links are followed, but not into a folder that they stand in."""

    def __init__(self, location: str) -> None:
        self.location = location

    def check(self) -> None:
        if not os.path.isdir(self.location):  # noqa: PTH112  as bytes that are no UTF-8 come
            raise InputError("is no folder; name one, and give single files to hac compress and decompress",
                             self.location)  # fmt: skip

    def files(self, report: Problem, leave_out: Folder | None = None, skip: Skip = no_folder) -> Iterator[Entry]:
        skipped = _identity(leave_out.location) if isinstance(leave_out, LocalFolder) else None
        if skipped == _identity(self.location):
            skipped = None  # outputs lie beside their inputs
        stack: list[tuple[str, tuple[object, ...]]] = [("", ())]  # folders to look into, and what they stand in
        while stack:
            folder, above = stack.pop()
            here = _identity(self._path(folder))
            if here is not None and here == skipped:
                continue
            if here in above:
                report(folder, InputError("is a link to a folder that it stands in, and was passed over"))
                continue
            try:
                with os.scandir(self._path(folder) or ".") as entries:
                    for entry in entries:
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if _is_folder(entry):
                            stack += [] if skip(name) else [(name, (*above, here))]
                        else:
                            yield self.find(name) or Entry(name, 0, "")  # a broken link, as reading it will tell
            except OSError as error:
                report(folder or ".", explain_input(error))

    def find(self, name: str) -> Entry | None:
        try:
            status = os.stat(self._path(name))  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:  # a link to itself, or no permission, which reading it will tell
            return None if error.errno == errno.ENAMETOOLONG else Entry(name, 0, "")
        return None if stat.S_ISDIR(status.st_mode) else Entry(name, status.st_size, str(status.st_mtime_ns))

    def digest(self, name: str) -> str | None:
        return sha256(self._path(name))

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[str]:
        path = self._path(name)
        with contextlib.suppress(OSError):
            mode = Path(path).stat().st_mode
            if not stat.S_ISREG(mode):
                raise InputError("is no regular file")
        yield path

    @contextlib.contextmanager
    def writing(self, name: str, free: bool = False) -> Iterator[str]:
        final = Path(self._path(name))
        temporary = final.with_name(f"{_prefix(final.name)}{os.urandom(8).hex()}.part")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            settle = functools.partial(_place, name) if free else Path.replace
            with outputs.written(temporary, final, settle) as path:
                yield path
        except OSError as error:
            raise explain_output(error) from error

    def clean(self, name: str) -> None:
        final = Path(self._path(name))
        with contextlib.suppress(OSError), os.scandir(final.parent) as entries:
            for entry in entries:
                if entry.name.startswith(_prefix(final.name)) and entry.name.endswith(".part"):
                    Path(entry.path).unlink()

    def sweep(self) -> None:
        for entry in self.files(lambda *_: None):
            if outputs.is_temporary(entry.name):
                with contextlib.suppress(OSError):
                    Path(self._path(entry.name)).unlink()

    def remove(self, name: str) -> None:
        try:
            Path(self._path(name)).unlink(missing_ok=True)
        except OSError as error:
            raise explain_output(error) from error

    def _path(self, name: str) -> str:
        return os.path.join(self.location, name) if name else self.location  # noqa: PTH118  keeps any bytes


def _place(name: str, temporary: Path, final: Path) -> None:
    if outputs.place(temporary, final):
        return
    if final.is_file():
        raise OutputError(f"its output {name} has come to exist meanwhile, and was left alone; move it first")
    temporary.replace(final)  # a link to nothing, or what can't be replaced


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; reading it will tell
        return False


def _prefix(name: str) -> str:
    """How the names of temporary files for ``name`` begin; short, whatever the length of the name."""
    return f".hac-{hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()}-"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path or ".")  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def sha256(path: str) -> str:
    """Of a file's content; nothing where that can't be read, as whoever reads it next will tell."""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        digest = hashlib.sha256()
        while data := file.read(1 << 20):
            digest.update(data)
        return digest.hexdigest()
    return ""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is a lack of room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def explain_input(error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("no such file")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(f"can't be read: {reason[:1].lower() + reason[1:]}")


def explain_output(error: Exception) -> OutputError:
    if is_disk_full(error):
        return OutputError(DISK_FULL)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return OutputError("stands where a folder is needed, or is one; name another target folder")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return OutputError(f"can't be written: {reason[:1].lower() + reason[1:]}")


def safe_name(name: str) -> str:
    """A relative name that can't lead out of its folder. Raises UsageError for another."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or name.startswith("/") or not _can_be_a_name(name):
        raise UsageError(f"{name!r} doesn't name a file inside the source folder")
    return "/".join(parts)


def _can_be_a_name(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # a shard may say anything
        return False
