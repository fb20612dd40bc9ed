"""What travels between the process that plans and its workers; everything here can be pickled."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

COMPRESS = "compress"
DECOMPRESS = "decompress"
SHARD_FORMATS = ("npz", "parquet", "jsonl")
EXISTS = "its output {} exists, and isn't this batch's own; overwrite it with -f, or leave it with --skip-existing"
ANOTHERS = ("its output {} was made of {}, which isn't among these inputs; move that elsewhere, overwrite it with -f, "
            "or leave it with --skip-existing")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What is the same for every job. ``source`` and ``target`` are folders, or URLs of folders.

    ``shard_format`` is what ``compress`` writes instead of ``.hac`` files, None for those; ``extension`` that of the
    recordings that ``decompress`` writes. ``version`` and ``weights_digest`` are those of the planning process: workers
    that have others refuse to work.
    """

    command: str
    source: str
    target: str
    version: str
    model: str
    weights_digest: str
    mono: bool = False
    effort: str = "normal"
    shard_format: str | None = None
    extension: str = ".wav"
    recover: bool = False
    metadata: bool = True
    hash_inputs: bool = False

    @property
    def kind(self) -> str:
        """What is written: ``shards`` or ``files``."""
        return "shards" if self.shard_format else "files"

    def fingerprint(self) -> dict[str, Any]:
        """What decides how an output comes out: a change makes earlier outputs out of date. Not ``recover``: what was
        made without it was whole."""
        bare = {} if self.metadata else {"metadata": False}
        if self.command == COMPRESS:
            return {"command": COMPRESS, "weights_digest": self.weights_digest, "mono": self.mono,
                    "to": self.shard_format or "hac", "effort": self.effort, **bare}  # fmt: skip
        return {"command": DECOMPRESS, "to": self.extension, **bare}


class Candidate(NamedTuple):
    """An input that was found; ``target`` is None where shards are written, which get their names later."""

    name: str
    size: int
    stamp: str
    target: str | None
    member: str | None = None


class Counts(NamedTuple):
    """Inputs and their ``bytes`` that are left to do, in ``jobs``; how many are ``done``, ``warned`` of them with a
    warning, and how many ``skipped``."""

    inputs: int
    bytes: int
    jobs: int
    done: int
    warned: int
    skipped: int


@dataclass(frozen=True)
class Item:
    """One recording: file ``name`` of the source folder, or its ``member`` if it is a shard; ``target`` in the other.

    ``size`` (bytes) and ``stamp`` tell an input from a later version of it; ``digest`` (SHA-256) is that of the input
    when ``target`` was made from it, None if it wasn't or if digests are not compared. ``free``: there was no file by
    the name of ``target``, and none is to be overwritten; ``unsure``: there is one that is ours or not;
    ``whole``: there is one that was made of all that the input was, and stays unless another such takes its place.
    """

    name: str
    target: str
    size: int
    stamp: str
    member: str | None = None
    digest: str | None = None
    free: bool = False
    unsure: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Job:
    """Items that one worker does at once: those of one shard, else a single one. ``size``: bytes of input."""

    items: tuple[Item, ...]
    size: int

    def again(self) -> Job:
        """For when a worker may have done it before, and died: what there is then is its own."""
        return Job(tuple(replace(item, free=False) for item in self.items), self.size)


@dataclass(frozen=True)
class Outcome:
    """What became of one item; ``error`` is None if all went well. The manifest's records have the same fields.

    ``output_bytes`` and ``digest`` (SHA-256) are those of the output file, ``seconds``, ``sample_rate`` and
    ``channels`` those of the recording, ``took`` the seconds that it took. ``unchanged``: there was nothing to do.
    ``disk_full``: there is no sense in going on.
    """

    input: str
    output: str
    member: str | None
    input_bytes: int
    input_stamp: str
    input_digest: str | None = None
    output_bytes: int = 0
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    bitrate: float = 0.0
    digest: str | None = None
    took: float = 0.0
    warning: str | None = None
    error: str | None = None
    exit_code: int = 0
    unchanged: bool = False
    disk_full: bool = False

    @classmethod
    def failed(cls, item: Item, error: str, exit_code: int, **more: Any) -> Outcome:
        return cls(item.name, item.target, item.member, item.size, item.stamp, error=error, exit_code=exit_code, **more)

    def record(self) -> dict[str, Any]:
        """The outcome as a record of the manifest, without what has no value."""
        event = "failed" if self.error else "unchanged" if self.unchanged else "done"
        values = {key: value for key, value in asdict(self).items() if value or key in ("seconds", "input_bytes")}
        for flag in ("unchanged", "disk_full"):
            values.pop(flag, None)
        return {"event": event, **values}
