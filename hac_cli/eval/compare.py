"""Two results side by side: what got better or worse beyond noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from hac_cli.errors import InputError
from hac_cli.eval import judges
from hac_cli.eval.metrics import Metric
from hac_cli.eval.results import SCHEMA, Results, Row
from hac_cli.eval.statistics import Interval, mean_interval

CLIP_FACTOR = 10
"""A single clip's change counts from ten times the tolerance of the mean."""
RATE_TOLERANCE = 0.005


@dataclass(frozen=True)
class Change:
    """``what`` is a metric's key, ``bitrate``, or ``failure``; ``clip`` is None for the mean over all clips. ``low``
    and ``high`` are the 95 % interval of ``new - old`` over clips, paired. ``verdict`` is better, worse or same."""

    codec: str
    what: str
    verdict: str
    old: float | None = None
    new: float | None = None
    low: float | None = None
    high: float | None = None
    clip: str | None = None
    reason: str | None = None


@dataclass
class Changes:
    means: list[Change] = field(default_factory=list)
    clips: list[Change] = field(default_factory=list)
    failures: list[Change] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def regressions(self) -> list[Change]:
        """What must not happen from one release to the next: a mean that is worse, or a clip that fails. Single clips
        may lose where others win."""
        return [change for change in self.means + self.failures if change.verdict == "worse"]

    def lines(self) -> Iterator[dict[str, Any]]:
        for change in self.means + self.clips + self.failures:
            yield {"schema": SCHEMA, "kind": "change", **asdict(change)}
        yield {"schema": SCHEMA, "kind": "verdict", "regressions": len(self.regressions), "left_out": self.left_out}


def compare(old: Results, new: Results) -> Changes:
    """Codecs of one name on clips of one name and content. Raises InputError if there are none."""
    changes = Changes()
    for codec in [codec for codec in old.codecs if codec in new.codecs]:
        before, after = ({row.clip: row for row in results.rows if row.codec == codec} for results in (old, new))
        pairs = [(before[clip], after[clip]) for clip in before if clip in after]
        pairs = [(then, now) for then, now in pairs if then.digest == now.digest]
        changes.failures += [_failure(then, now) for then, now in pairs if now.error and not then.error]
        sound = [(then, now) for then, now in pairs if not then.error and not now.error]
        changes.means += _rates(codec, sound)
        for metric in judges.EVERY:
            _compare_metric(changes, codec, metric, sound)
    changes.failures += [
        Change("every codec", "failure", "worse", clip=clip, reason=reason)
        for clip, reason in new.run["failed_clips"].items()
        if clip in old.run["clips"]
    ]
    if not changes.means and not changes.failures:
        raise InputError("have no codec and clip in common, so there is nothing to compare")
    changes.left_out = _left_out(old, new)
    return changes


def _compare_metric(changes: Changes, codec: str, metric: Metric, pairs: list[tuple[Row, Row]]) -> None:
    key = metric.key
    changes.failures += [
        Change(codec, key, "worse", clip=now.clip, reason=f"{metric.label} refuses it: {now.refused[key]}")
        for then, now in pairs
        if key in then.scores and key in now.refused
    ]
    scored = [(now.clip, then.scores[key], now.scores[key]) for then, now in pairs
              if key in then.scores and key in now.scores]  # fmt: skip
    for clip, then, now in scored:
        if abs(now - then) > CLIP_FACTOR * metric.tolerance:
            verdict = "better" if metric.gain(then, now) > 0 else "worse"
            changes.clips.append(Change(codec, key, verdict, then, now, clip=clip))
    difference = mean_interval([now - then for _, then, now in scored])
    if difference:
        means = [sum(values) / len(scored) for values in list(zip(*scored, strict=True))[1:]]
        low, high = difference.low, difference.high
        changes.means.append(Change(codec, key, _verdict(metric, difference), means[0], means[1], low, high))


def _verdict(metric: Metric, difference: Interval) -> str:
    """Beyond noise: the interval keeps clear of zero, and the change is one that matters."""
    low = difference.mean if difference.low is None else difference.low
    high = difference.mean if difference.high is None else difference.high
    if abs(difference.mean) <= metric.tolerance or low <= 0 <= high:
        return "same"
    return "better" if metric.gain(0, difference.mean) > 0 else "worse"


def _rates(codec: str, pairs: list[tuple[Row, Row]]) -> list[Change]:
    """Bits a second, of the file where there is one, else of the payload."""
    for what in ("file_bytes", "payload_bytes"):
        sizes = [(getattr(then, what), getattr(now, what)) for then, now in pairs]
        if sizes and all(then is not None and now is not None for then, now in sizes):
            seconds = sum(then.seconds for then, _ in pairs)
            old, new = (8 * sum(side) / seconds for side in zip(*sizes, strict=True))
            small = abs(new - old) <= RATE_TOLERANCE * old
            return [Change(codec, "bitrate", "same" if small else "better" if new < old else "worse", old, new)]
    return []


def _failure(then: Row, now: Row) -> Change:
    return Change(now.codec, "failure", "worse", clip=then.clip, reason=now.error)


def _left_out(old: Results, new: Results) -> list[str]:
    """What only one of the two holds."""
    left = [f"codec {name}" for name in sorted(set(old.codecs) ^ set(new.codecs))]
    clips = [{(name, clip["digest"]) for name, clip in results.run["clips"].items()} for results in (old, new)]
    failed = new.run["failed_clips"].keys()
    return left + [f"clip {name}" for name in sorted({name for name, _ in clips[0] ^ clips[1]} - failed)]
