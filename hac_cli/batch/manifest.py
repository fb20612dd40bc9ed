"""The manifest: JSON lines, only ever appended to, of what was begun and what became of it.

A run begins with a line of the event ``run`` and its settings. ``start`` names outputs, and is on disk before any of
them can appear; so an output of that name is the batch's own even if its process was killed before it could say so.
``done`` and ``failed`` are ``Outcome`` records. Bytes of names that are not UTF-8 are lone surrogates, as Python has
them. Lines that can't be read, such as the last one before a power cut, are passed over: at worst something is done
again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from hac_cli.batch.job import Job, Outcome, Settings
from hac_cli.batch.storage import explain_output, is_disk_full
from hac_cli.errors import OutputError, UsageError, shown

SCHEMA = "hac-batch-1"
NAME = "hac-batch.jsonl"
Record = dict[str, Any]
_KINDS = {"event": str, "input": str, "member": str, "output": str, "digest": str, "input_stamp": str,
          "input_digest": str, "input_bytes": int, "output_bytes": int, "outputs": list, "together": int}  # fmt: skip
_FIRST = json.dumps({"schema": SCHEMA}).encode()[:-1]  # how one begins, even if its only line was torn


def read(path: Path) -> Iterator[Record]:
    """The records of a manifest, the oldest first; none if there is no file."""
    with _errors(path), contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(line)
                if _is_record(record):
                    yield record


def _is_record(found: object) -> bool:
    """Whether its names are text and its sizes numbers, as far as it has any."""
    return (
        isinstance(found, dict)
        and all(isinstance(found[key], kind) for key, kind in _KINDS.items() if found.get(key) is not None)
        and all(isinstance(name, str) for name in found.get("outputs") or ())
    )


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Whether a file of JSON lines is one, whatever its name; False where it can't be read, as reading it will tell."""
    with contextlib.suppress(OutputError):
        return next(read(Path(path)), {}).get("schema") == SCHEMA
    return False


def same_folder(recorded: object, location: str) -> bool:
    """Whether a record means this folder."""
    return str(recorded).rstrip("/") == shown(location).rstrip("/")


class Manifest:
    """A manifest that is open for appending, locked against other batches.

    Raises UsageError if another batch has it, or if it is something else, OutputError if it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _errors(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("ab+")
            self._lock()
            if self._file.tell():
                self._refuse_other()
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":  # a line that was torn; what follows is on a line of its own
                    self._file.write(b"\n")

    def begin(self, settings: Settings) -> None:
        self._write({"schema": SCHEMA, "event": "run", "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                     "version": settings.version, "model": settings.model, "kind": settings.kind,
                     "source": shown(settings.source), "target": shown(settings.target),
                     "settings": settings.fingerprint()})  # fmt: skip

    def start(self, jobs: Iterable[Job]) -> None:
        """To be called before any of the jobs is begun; on return it would survive a power cut."""
        outputs = dict.fromkeys(item.target for job in jobs for item in job.items)
        self._write({"event": "start", "outputs": list(outputs)})
        self._sync()

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Those of one job, in one write. Survives the end of this process; the next ``start`` makes sure of it. Each
        tells how many there are of its output: of a shard that lacks one, none counts."""
        outcomes = list(outcomes)
        of_output = Counter(outcome.output for outcome in outcomes)
        self._write(*(outcome.record() | {"together": of_output[outcome.output]} for outcome in outcomes))

    def close(self) -> None:
        with _errors(self.path):
            try:
                os.fsync(self._file.fileno())
            finally:
                self._file.close()  # which writes once more what a full disk didn't take

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(OutputError) if kind else contextlib.nullcontext():  # the first error tells more
            self.close()

    def _write(self, *records: Record) -> None:
        with _errors(self.path):
            self._file.write(b"".join(json.dumps(record).encode() + b"\n" for record in records))
            self._file.flush()

    def _sync(self) -> None:
        with _errors(self.path):
            os.fsync(self._file.fileno())

    def _refuse_other(self) -> None:
        self._file.seek(0)
        if not (self._file.read(len(_FIRST)) == _FIRST or is_manifest(self.path)):
            self._file.close()
            raise UsageError("is no manifest of a batch, and is left as it is; name another file with --manifest",
                             str(self.path))  # fmt: skip

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UsageError("another batch is at work with it; wait for its end", str(self.path)) from None
        except OSError:  # some network file systems have no locks
            return


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        explained = explain_output(error)
        if not is_disk_full(error):
            explained = OutputError(f"{explained.message}; name another file with --manifest")
        explained.path = str(path)
        raise explained from error
