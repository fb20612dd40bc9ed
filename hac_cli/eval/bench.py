"""Every clip of a folder through every codec, scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hac_cli.errors import HacError, InputError
from hac_cli.eval import clips, delay, machine
from hac_cli.eval.clips import Clip
from hac_cli.eval.coders import Coder
from hac_cli.eval.delay import Correlations, Delay
from hac_cli.eval.metrics import Metric, MetricRefused
from hac_cli.eval.results import Journal, Results, Row
from hac_cli.eval.workers import run_all

DELAY_CLIPS = 8
"""How many clips, spread over the folder, a codec's delay is found by."""

DECIMALS = 6
"""Of a score; those beyond depend on where in memory a signal lies."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many of it are done, and how many there are."""


@dataclass(frozen=True)
class Bench:
    """What is to be measured. ``metrics`` are those that are installed; ``missing`` tells of what is not."""

    folder: Path
    coders: Sequence[Coder]
    metrics: Sequence[Metric]
    missing: dict[str, str]
    jobs: int

    def run(self, old: Results | None, journal_path: Path | None, progress: Progress) -> Results:
        """Codes and scores all that ``old`` does not hold already; rows go to the journal as they come.

        Raises InputError if not one clip can be used, or if ``old`` was measured in another way.
        """
        found, failed = self._describe_clips(progress)
        about = self._about(found, failed)
        delays = _known_delays(old, about) if old else self._find_delays(found, progress)
        about["codecs"] = [_about_codec(coder, delays[coder.name]) for coder in self.coders]
        digests = {clip.name: clip.digest for clip in found}
        kept = [row for row in old.rows if digests.get(row.clip) == row.digest and not row.error] if old else []
        measured = old.speed if old and not any(line.get("error") for line in old.speed) else []
        results = Results(about, kept, measured)
        journal = Journal(journal_path, results) if journal_path else None
        done = {(row.clip, row.codec) for row in kept}
        tasks = [
            Task(self.folder, clip, coder, tuple(self.metrics), delays[coder.name])
            for clip in found
            for coder in self.coders
            if (clip.name, coder.name) not in done
        ]
        for number, (task, row) in enumerate(run_all(_score, tasks, self.jobs)):
            progress("scoring", number + 1, len(tasks))
            results.rows.append(row if isinstance(row, Row) else task.failed(row))
            if journal:
                journal.add(results.rows[-1])
        results.sort()
        return results

    def _describe_clips(self, progress: Progress) -> tuple[list[Clip], dict[str, str]]:
        found, failed, names = [], {}, clips.find(self.folder)
        for number, name in enumerate(names):
            progress("reading", number + 1, len(names))
            try:
                found.append(clips.describe(self.folder / name, name))
            except HacError as error:
                failed[name] = error.message
        if not found:
            name, reason = next(iter(failed.items()))
            raise InputError(f"holds no clip that can be used; the first one, {name}, {reason}", str(self.folder))
        return found, failed

    def _about(self, found: list[Clip], failed: dict[str, str]) -> dict[str, Any]:
        return {
            "version": machine.versions()["hac-cli"],
            "machine": machine.describe(),
            "versions": machine.versions(),
            "metrics": [metric.key for metric in self.metrics],
            "codecs": [{"name": coder.name, "definition": coder.definition} for coder in self.coders],
            "missing": self.missing,
            "clips": {clip.name: clip.as_dict() for clip in found},
            "failed_clips": failed,
        }

    def _find_delays(self, found: list[Clip], progress: Progress) -> dict[str, Delay]:
        sounding = [clip for clip in found if "silent" not in clip.notes]
        chosen = sounding[:: -(-len(sounding) // DELAY_CLIPS) or 1]
        tasks = [Task(self.folder, clip, coder, (), Delay()) for coder in self.coders for clip in chosen]
        measured: dict[str, dict[str, Correlations]] = {coder.name: {} for coder in self.coders}
        for number, (task, result) in enumerate(run_all(_correlate, tasks, self.jobs)):
            progress("aligning", number + 1, len(tasks))
            if isinstance(result, Correlations):  # else the clip fails once more when it is scored, and is reported
                measured[task.coder.name][task.clip.name] = result
        return {name: delay.find([of[clip] for clip in sorted(of)]) for name, of in measured.items()}


@dataclass(frozen=True)
class Task:
    """One clip through one codec."""

    folder: Path
    clip: Clip
    coder: Coder
    metrics: tuple[Metric, ...]
    delay: Delay

    def failed(self, error: Exception) -> Row:
        reason = error.message if isinstance(error, HacError) else f"unexpected {type(error).__name__}: {error}"
        return Row(self.coder.name, self.clip.name, self.clip.digest, self.clip.seconds, error=reason)


def _correlate(task: Task) -> Correlations:
    audio = clips.load(task.folder / task.clip.name)
    return delay.correlate(audio, task.coder.code(audio).audio)


def _score(task: Task) -> Row:
    audio = clips.load(task.folder / task.clip.name)
    try:
        coded = task.coder.code(audio)
    except HacError as error:
        return task.failed(error)
    original, decoded = task.delay.remove(audio, coded.audio)
    scores, refused = {}, {}
    for metric in task.metrics:
        if metric.needs_waveform and not task.delay.keeps_waveform:
            continue
        try:
            score = metric.measure(original, decoded)
        except MetricRefused as reason:
            refused[metric.key] = str(reason)
            continue
        if np.isfinite(score):
            scores[metric.key] = round(score, DECIMALS)
        else:
            refused[metric.key] = f"the score is {score}"
    clip = task.clip
    return Row(task.coder.name, clip.name, clip.digest, clip.seconds, coded.file_bytes, coded.payload_bytes,
               scores, refused)  # fmt: skip


def _about_codec(coder: Coder, found: Delay) -> dict[str, Any]:
    about = {"name": coder.name, "definition": coder.definition}
    return about | {"delay_samples": found.samples, "delay_by": found.by}


def _known_delays(old: Results, about: dict[str, Any]) -> dict[str, Delay]:
    """The delays that earlier results were scored with. Raises InputError if those were made in another way."""
    defined = [{key: codec[key] for key in ("name", "definition")} for codec in old.run["codecs"]]
    for now, then, what in (
        (about["codecs"], defined, "codecs"),
        (about["metrics"], old.run["metrics"], "metrics"),
        (about["versions"], old.run["versions"], "package versions"),
    ):
        if now != then:
            raise InputError(f"has other {what} than this run; name another file, or start anew with -f")
    return {codec["name"]: Delay(codec["delay_samples"], codec["delay_by"]) for codec in old.run["codecs"]}
