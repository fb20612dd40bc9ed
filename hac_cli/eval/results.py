"""What a benchmark found, as JSON lines: one about the run, one for each clip and codec, then speeds and means.

The same lines are the journal of a run that goes on: a file that ends early is complete up to there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hac_cli import outputs
from hac_cli.errors import InputError, output_errors
from hac_cli.eval.statistics import Interval, mean_interval
from hac_cli.eval.texts import read_text

SCHEMA = "hac-bench-1"


@dataclass(frozen=True)
class Row:
    """One clip through one codec: ``scores`` by metric, ``refused`` the reasons of metrics that can't judge it,
    ``error`` why there is nothing at all."""

    codec: str
    clip: str
    digest: str
    seconds: float
    file_bytes: int | None = None
    payload_bytes: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def bitrate(self) -> float | None:
        """Bits of the file a second."""
        return None if self.file_bytes is None else 8 * self.file_bytes / self.seconds

    @property
    def payload_bitrate(self) -> float | None:
        return None if self.payload_bytes is None else 8 * self.payload_bytes / self.seconds

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"bitrate": self.bitrate, "payload_bitrate": self.payload_bitrate}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        return cls(**{key: values[key] for key in cls.__dataclass_fields__})


@dataclass
class Results:
    """``run`` is the first line: machine, versions, codecs, metrics, clips. ``speed`` holds a line for each codec."""

    run: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    speed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def codecs(self) -> list[str]:
        return [codec["name"] for codec in self.run["codecs"]]

    @property
    def metrics(self) -> list[str]:
        return list(self.run["metrics"])

    @property
    def failures(self) -> list[tuple[str, str]]:
        """What failed, and why: clips, and clips in single codecs."""
        clips = list(self.run["failed_clips"].items())
        speeds = [(f"speed of {line['codec']}", line["error"]) for line in self.speed if line.get("error")]
        return clips + [(f"{row.clip}: {row.codec}", row.error) for row in self.rows if row.error] + speeds

    def of_codec(self, codec: str) -> list[Row]:
        """The rows of a codec that did not fail."""
        return [row for row in self.rows if row.codec == codec and not row.error]

    def mean(self, codec: str, metric: str) -> Interval | None:
        return mean_interval([row.scores[metric] for row in self.of_codec(codec) if metric in row.scores])

    def rate(self, codec: str, payload: bool = False) -> float | None:
        """Bits of all clips' files over their whole length, in bit/s: what an archive of them takes."""
        rows = self.of_codec(codec)
        sizes = [row.payload_bytes if payload else row.file_bytes for row in rows]
        known = [size for size in sizes if size is not None]
        return 8 * sum(known) / sum(row.seconds for row in rows) if rows and len(known) == len(rows) else None

    def sort(self) -> None:
        """By clip, then codec, whichever came first."""
        codecs = self.codecs
        self.rows.sort(key=lambda row: (row.clip, codecs.index(row.codec)))

    def lines(self) -> Iterator[str]:
        yield _line("run", self.run)
        for row in self.rows:
            yield _line("clip", row.as_dict())
        for speed in self.speed:
            yield _line("speed", speed)
        for codec in self.codecs:
            yield _line("mean", self._means(codec))

    def write(self, path: Path) -> None:
        """In the place of what was there, once it is complete. Raises OutputError."""
        _replace(path, self.lines())

    def _means(self, codec: str) -> dict[str, Any]:
        rows = self.of_codec(codec)
        scores = {}
        for metric in self.metrics:
            if interval := self.mean(codec, metric):
                refused = sum(metric in row.refused for row in rows)
                scores[metric] = asdict(interval) | {"clips": len(rows) - refused, "refused": refused}
        rates = {"bitrate": self.rate(codec), "payload_bitrate": self.rate(codec, payload=True)}
        return {"codec": codec, "clips": len(rows), **rates, "scores": scores}


def read(path: Path) -> Results:
    """Results from a file. Lines after one that is cut off are not there. Raises InputError for anything else."""
    lines = [value for line in read_text(path).splitlines() if (value := _parse(line))]
    if not lines or lines[0].get("schema") != SCHEMA or lines[0].get("kind") != "run":
        raise InputError(f"holds no results of hac bench in the schema {SCHEMA}", str(path))
    if missing := {"codecs", "metrics", "clips", "failed_clips"} - lines[0].keys():
        raise InputError(f"doesn't tell {min(missing)} of its run; measure again", str(path))
    try:
        rows = [Row.from_dict(line) for line in lines if line["kind"] == "clip"]
    except KeyError as error:
        raise InputError(f"doesn't tell {error.args[0]} of a clip; measure again", str(path)) from None
    speed = [_bare(line) for line in lines if line["kind"] == "speed"]
    return Results(_bare(lines[0]), rows, speed)


class Journal:
    """A results file that grows row by row, so that a run that was stopped can go on."""

    def __init__(self, path: Path, results: Results) -> None:
        """Begins with what ``results`` holds already. Raises OutputError."""
        self._path = path
        _replace(path, [_line("run", results.run), *(_line("clip", row.as_dict()) for row in results.rows)])

    def add(self, row: Row) -> None:
        with output_errors(str(self._path)), self._path.open("a", encoding="utf-8") as file:
            file.write(_line("clip", row.as_dict()) + "\n")


def _replace(path: Path, lines: Iterable[str]) -> None:
    with output_errors(str(path)), outputs.replacing(str(path)) as partial:
        Path(partial).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _line(kind: str, values: dict[str, Any]) -> str:
    return json.dumps({"schema": SCHEMA, "kind": kind, **values}, ensure_ascii=False, allow_nan=False)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "kind" in value else None


def _bare(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ("schema", "kind")}
