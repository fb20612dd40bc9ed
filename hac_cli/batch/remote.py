"""Folders that fsspec reaches: object stores and other machines. Workers copy a file, work on it, and copy it back."""

from __future__ import annotations

import contextlib
import functools
import os
import posixpath
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hac_cli.batch.storage import Entry, Folder, Problem, Skip, explain_input, explain_output, no_folder
from hac_cli.errors import HacError, InputError, UsageError

ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "memory"})
"""Object stores: an upload appears as a whole or not at all, and there are no folders to make."""


class RemoteFolder:
    """A folder by its URL, such as ``s3://bucket/corpus``. Raises UsageError if nothing is installed for it."""

    def __init__(self, location: str) -> None:
        self.location = location
        try:
            from fsspec.core import url_to_fs

            self._system, root = url_to_fs(location)
        except (ImportError, ValueError) as error:
            raise UsageError(f"can't be reached: {error}; pip install 'hac-cli[remote]' may help", location) from error
        except Exception as error:  # some connect at once; every file system has errors of its own
            raise InputError(f"can't be reached: {error}", location) from error
        # what it remembers may be older than what others wrote, and fills memory; some don't take this as an option
        self._system.dircache.use_listings_cache = False
        self._root = str(root).rstrip("/")
        self._atomic = location.partition("://")[0] in ATOMIC

    def __reduce__(self) -> tuple[type[RemoteFolder], tuple[str]]:
        return RemoteFolder, (self.location,)  # connections are not for other processes

    def check(self) -> None:
        """Raises InputError unless it is there."""
        with _as_input_error():
            if not self._system.isdir(self._root):
                raise InputError("there is no such folder", self.location)

    def files(self, report: Problem, leave_out: Folder | None = None, skip: Skip = no_folder) -> Iterator[Entry]:
        skipped = leave_out._root if isinstance(leave_out, RemoteFolder) else None
        waiting = [self._root]
        while waiting:
            folder = waiting.pop()
            for facts in self._listed(folder, report):
                path = facts["name"].rstrip("/")
                if facts["type"] == "directory":
                    left_out = path in (folder, skipped) or skip(posixpath.relpath(path, self._root))
                    waiting += [] if left_out else [path]
                elif path != folder:  # S3 has objects that stand for folders
                    yield _entry(posixpath.relpath(path, self._root), facts)

    def _listed(self, folder: str, report: Problem) -> list[dict[str, Any]]:
        """What is in a folder. fsspec's own ``walk`` is silent of folders that it can't list."""
        try:
            listed: list[dict[str, Any]] = self._system.ls(folder, detail=True)
            return listed
        except FileNotFoundError:  # it has just gone
            return []
        except Exception as error:  # every file system has errors of its own
            report(posixpath.relpath(folder, self._root), explain_input(error))
            return []

    def find(self, name: str) -> Entry | None:
        folder, _, base = name.rpartition("/")
        with _as_input_error():
            return self._listing(folder).get(base)

    def digest(self, name: str) -> str | None:
        return None

    @functools.lru_cache(maxsize=16)  # noqa: B019  a folder is asked for its files one after the other
    def _listing(self, folder: str) -> dict[str, Entry]:
        """The files of one folder: a question to a store costs as much for a thousand of them as for one."""
        try:
            listed = self._system.ls(self._path(folder) if folder else self._root, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        files = [(facts["name"].rpartition("/")[2], facts) for facts in listed if facts["type"] == "file"]
        return {base: _entry(f"{folder}/{base}" if folder else base, facts) for base, facts in files}

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[str]:
        with _temporary_file(name) as temporary:
            try:
                self._system.get_file(self._path(name), temporary)
            except Exception as error:  # every file system has errors of its own
                raise explain_input(error) from error
            yield temporary

    @contextlib.contextmanager
    def writing(self, name: str, free: bool = False) -> Iterator[str]:
        with _temporary_file(name) as temporary:
            yield temporary
            try:
                self._upload(temporary, self._path(name))
            except Exception as error:
                raise explain_output(error) from error

    def clean(self, name: str) -> None:
        """What a killed worker leaves here is a temporary file of its own machine, or a part with another's name."""

    def sweep(self) -> None:
        """As for ``clean``, there is nothing to do."""

    def remove(self, name: str) -> None:
        try:
            self._system.rm_file(self._path(name))
        except FileNotFoundError:
            return
        except Exception as error:
            raise explain_output(error) from error

    def _upload(self, local: str, path: str) -> None:
        if self._atomic:
            self._system.put_file(local, path)
            return
        part = f"{path}.{os.urandom(4).hex()}.part"
        self._system.makedirs(posixpath.dirname(path), exist_ok=True)
        try:
            self._system.put_file(local, part)
            self._system.mv(part, path)
        except Exception:
            with contextlib.suppress(Exception):
                self._system.rm_file(part)
            raise

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _entry(name: str, facts: dict[str, Any]) -> Entry:
    """Stores tell a version by different keys; where none is known, the size has to do."""
    keys = ("ETag", "etag", "mtime", "LastModified", "updated", "last_modified")
    stamp = next((str(facts[key]) for key in keys if facts.get(key)), "")
    return Entry(name, int(facts.get("size") or 0), stamp)


@contextlib.contextmanager
def _temporary_file(name: str) -> Iterator[str]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="hac-")
    except OSError as error:
        raise explain_output(error) from error
    with folder:
        yield str(Path(folder.name) / f"file{Path(name).suffix}")


@contextlib.contextmanager
def _as_input_error() -> Iterator[None]:
    try:
        yield
    except HacError:
        raise
    except Exception as error:
        raise explain_input(error) from error
