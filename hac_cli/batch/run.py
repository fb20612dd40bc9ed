"""A batch from beginning to end: plan, work, manifest, summary."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hac_cli.batch.job import COMPRESS, Counts, Job, Outcome, Settings
from hac_cli.batch.manifest import Manifest, Record
from hac_cli.batch.plan import Plan
from hac_cli.batch.pool import Pool
from hac_cli.batch.selection import Selection, candidates
from hac_cli.batch.storage import open_folder
from hac_cli.errors import HacError, OutputError

CLAIM = 64
"""Jobs that are entered in the manifest at once, before the first of them begins."""

SHARDS_PER_WORKER = 4


@dataclass
class Summary:
    """What a run did. ``bytes_before`` and ``bytes_after`` are those of inputs and outputs that went well."""

    command: str
    done: int = 0
    unchanged: int = 0
    failed: int = 0
    warnings: int = 0
    seconds: float = 0.0
    bytes_before: int = 0
    bytes_after: int = 0
    wall: float = 0.0
    stopped: str | None = None

    @property
    def bitrate(self) -> float:
        """Mean bits a second of the coded side."""
        coded = self.bytes_after if self.command == COMPRESS else self.bytes_before
        return 8 * coded / self.seconds if self.seconds else 0.0

    @property
    def ratio(self) -> float:
        """How many times smaller the coded side is."""
        pair = (self.bytes_before, self.bytes_after)
        return max(pair) / min(pair) if min(pair) else 0.0

    @property
    def speed(self) -> float:
        """Seconds of audio a second."""
        return self.seconds / self.wall if self.wall else 0.0

    def add(self, outcomes: list[Outcome]) -> None:
        good = [outcome for outcome in outcomes if not outcome.error]
        coded = [outcome for outcome in good if not outcome.unchanged]
        self.done += len(coded)
        self.unchanged += len(good) - len(coded)
        self.failed += len(outcomes) - len(good)
        self.warnings += sum(outcome.warning is not None for outcome in coded)
        self.seconds += sum(outcome.seconds for outcome in coded)
        self.bytes_before += sum(outcome.input_bytes for outcome in coded)  # a shard's members have a part of it each
        outputs = {outcome.output: outcome.output_bytes for outcome in coded}  # a shard is that of many
        self.bytes_after += sum(outputs.values())


@dataclass
class Planned:
    """A plan that is ready to be carried out; ``refused`` are inputs that can't be done, with the reason."""

    plan: Plan
    counts: Counts
    selection: Selection
    refused: list[Outcome] = field(default_factory=list)


@contextlib.contextmanager
def _room_for_plan() -> Iterator[None]:
    """A plan that the folder for temporary files can't take is an OutputError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError("what is to be done is kept in the folder for temporary files, which can't take it: "
                          f"{error}; set TMPDIR to a folder with room") from error  # fmt: skip


@_room_for_plan()
def make_plan(
    settings: Settings,
    selection: Selection,
    records: Iterator[Record],
    existing: str,
    shard_bytes: int,
    workers: int,
    inside: bool = True,
) -> Planned:
    """Looks at all inputs and at what ``records`` of earlier runs say, from a manifest ``inside`` the target folder or
    elsewhere. Writes nothing.

    Raises UsageError if shards of several settings or sources would be mixed, OutputError if there is no room for a
    plan of so many.
    """
    plan = Plan(settings, open_folder(settings.target), existing)
    plan.history.remember(records, inside)
    refused: list[Outcome] = []

    def report(name: str, error: HacError) -> None:
        refused.append(Outcome(name, "", None, 0, "", error=error.message, exit_code=error.exit_code))

    for candidate in candidates(settings, selection, report):
        plan.add(candidate)
    refused += [Outcome.failed(item, error.message, error.exit_code) for item, error in plan.refusals()]
    return Planned(plan, plan.group(shard_bytes, SHARDS_PER_WORKER * workers), selection, refused)


@_room_for_plan()
def carry_out(
    planned: Planned, settings: Settings, manifest: Manifest, pool: Pool, listen: Callable[[list[Outcome]], None]
) -> Summary:
    """Does what is planned; ``listen`` is told the outcomes of every job. A full disk ends it early.

    Raises HacError if the manifest can't be written or there is nobody to do the work.
    """
    started = time.perf_counter()
    summary = Summary(settings.command)
    target = open_folder(settings.target)
    for name, known in planned.plan.history.interrupted():
        target.clean(name)
        if settings.shard_format and not known:
            target.remove(name)  # its recordings go to other shards now
    manifest.begin(settings)
    for outcome in planned.refused:
        manifest.add([outcome])
        summary.add([outcome])
        listen([outcome])
    jobs = _claimed(planned.plan.jobs(), manifest)
    for _, outcomes in pool.run(itertools.takewhile(lambda _: not summary.stopped, jobs)):
        manifest.add(outcomes)
        summary.add(outcomes)
        listen(outcomes)
        if any(outcome.disk_full for outcome in outcomes):
            summary.stopped = "the disk is full"
    summary.wall = time.perf_counter() - started
    return summary


def _claimed(jobs: Iterator[Job], manifest: Manifest) -> Iterator[Job]:
    while claim := list(itertools.islice(jobs, CLAIM)):
        manifest.start(claim)
        yield from claim
