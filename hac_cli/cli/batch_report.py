"""What people and machines see of a batch: a live display on a terminal, events as JSON, a summary."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hac_cli.batch.manifest import SCHEMA
from hac_cli.cli import signals
from hac_cli.cli.console import Console, count, printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, TaskID

    from hac_cli.batch.job import Counts, Outcome, Settings
    from hac_cli.batch.run import Planned, Summary

LISTED = 100
"""Failures that are listed at the end; the manifest has all."""


class Report:
    """Everything that a batch says. ``failed``: whether any input has."""

    def __init__(self, console: Console, settings: Settings, as_json: bool) -> None:
        self.failed = False
        self._console = console
        self._settings = settings
        self._as_json = as_json
        self._live = not (as_json or console.quiet) and sys.stderr is not None and sys.stderr.isatty()
        self._bad: list[Outcome] = []
        self._bad_count = 0
        self._display: _Display | None = None

    @contextlib.contextmanager
    def planning(self) -> Iterator[None]:
        """While the inputs are looked at, which takes a while where there are millions."""
        if not self._live:
            yield
            return
        from rich.console import Console as Terminal

        with signals.hidden_cursor(), Terminal(stderr=True).status("looking at the inputs"):
            yield

    def planned(self, planned: Planned) -> None:
        counts, passed_over = planned.counts, planned.selection.passed_over
        self._event("plan", **counts._asdict(), passed_over=passed_over.total(), refused=len(planned.refused))
        if self._as_json:
            return
        warned = f" ({counts.warned} with warnings, in the manifest)" if counts.warned else ""
        already = f", {counts.done} done before{warned}" if counts.done else ""
        skipped = f", {counts.skipped} skipped that exist" if counts.skipped else ""
        self._console.say(f"{count(counts.inputs, 'input')} of {size(counts.bytes)} to {self._settings.command}"
                          f"{already}{skipped}")  # fmt: skip
        if passed_over:
            kinds = ", ".join(kind or "no extension" for kind, _ in passed_over.most_common(5))
            total = count(passed_over.total(), "other file")
            self._console.say(f"{total} passed over ({kinds}); --include takes any")

    def show_jobs(self, planned: Planned) -> None:
        """What a dry run is for."""
        self.outcomes(planned.refused)
        for job in planned.plan.jobs():
            for item in job.items:
                facts = {"input": item.name, "output": item.target, "input_bytes": item.size}
                self._event("item", **facts, **({"member": item.member} if item.member else {}))
                if not self._as_json:
                    self._console.show(f"{printable(item.member or item.name)} -> {printable(item.target)}")
        self._list_failures(None)

    @contextlib.contextmanager
    def working(self, counts: Counts) -> Iterator[None]:
        if not self._live:
            yield
            return
        with signals.hidden_cursor(), _Display(counts) as self._display:
            yield
        self._display = None

    def outcomes(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error or outcome.warning:
                self._note(outcome)
            if self._as_json:
                self._console.show(json.dumps({"schema": SCHEMA, **outcome.record()}))
            elif self._display is None:
                self._console.detail(f"{printable(outcome.member or outcome.input)} -> {printable(outcome.output)}")
        if self._display is not None:
            self._display.advance(outcomes, self._bad_count)

    def finished(self, summary: Summary, manifest: Path) -> None:
        self._list_failures(manifest)
        numbers = {key: value for key, value in vars(summary).items() if key != "command"}
        rates = {"bitrate": summary.bitrate, "ratio": summary.ratio, "speed": summary.speed}
        self._event("summary", **{key: round(value, 6) if isinstance(value, float) else value
                                  for key, value in {**numbers, **rates}.items()})  # fmt: skip
        if summary.stopped:
            self.failed = True
            self._console.error(f"stopped: {summary.stopped}; make room and run the same command again")
        if not self._as_json:
            self._say_summary(summary)

    def _say_summary(self, summary: Summary) -> None:
        unchanged = f", {summary.unchanged} unchanged" if summary.unchanged else ""
        failed = f", {summary.failed} failed" if summary.failed else ""
        warned = f" ({summary.warnings} with warnings)" if summary.warnings else ""
        self._console.say(f"{summary.done} done{warned}{unchanged}{failed} in {duration(summary.wall)}")
        if summary.seconds:
            self._console.say(
                f"{duration(summary.seconds)} of audio, {summary.speed:.1f}x real time; "
                f"{size(summary.bytes_before)} -> {size(summary.bytes_after)} (1:{summary.ratio:.1f}), "
                f"{summary.bitrate / 1000:.3f} kbit/s"
            )

    def _note(self, outcome: Outcome) -> None:
        self.failed = True
        self._bad_count += 1
        if len(self._bad) < LISTED:
            self._bad.append(outcome)

    def _list_failures(self, manifest: Path | None) -> None:
        for outcome in self._bad:
            name = outcome.member or outcome.input
            self._console.error(f"{printable(name)}: {outcome.error or outcome.warning}")
        if self._bad_count > len(self._bad):
            where = f", in {manifest}" if manifest else ""
            self._console.error(f"and {self._bad_count - len(self._bad)} more{where}")

    def _event(self, event: str, **facts: Any) -> None:
        if self._as_json:
            self._console.show(json.dumps({"schema": SCHEMA, "event": event, **facts}))


class _Display:
    """One line that tells how far a batch is: by bytes of input, since nobody knows how long the rest is."""

    def __init__(self, counts: Counts) -> None:
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._counts = counts
        self._started = time.monotonic()
        self._inputs = self._bytes = 0
        self._seconds = 0.0
        self._progress: Progress = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f}%"),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=Terminal(stderr=True),
            transient=True,
            refresh_per_second=4,
            speed_estimate_period=120,
        )
        self._task: TaskID = self._progress.add_task("", total=max(1, counts.bytes), facts="starting workers")

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, outcomes: list[Outcome], failures: int) -> None:
        self._inputs += len(outcomes)
        self._bytes += sum(outcome.input_bytes for outcome in outcomes)
        self._seconds += sum(outcome.seconds for outcome in outcomes)
        wall = max(1e-3, time.monotonic() - self._started)
        failed = f", [red]{failures} failed[/]" if failures else ""
        facts = (f"{self._inputs} of {count(self._counts.inputs, 'file')}, {duration(self._seconds)} of audio, "
                 f"{self._seconds / wall:.1f}x real time, {self._inputs / wall:.1f} files/s{failed}")  # fmt: skip
        self._progress.update(self._task, completed=self._bytes, facts=facts)


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.4g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"
