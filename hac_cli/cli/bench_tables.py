"""What ``hac bench`` prints: tables for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import sys
from typing import Any

from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from hac_cli.cli.console import count
from hac_cli.eval.compare import Change, Changes
from hac_cli.eval.judges import EVERY
from hac_cli.eval.metrics import Metric
from hac_cli.eval.results import Results

_WIDTH_OF_FILES = 120
_LABELS = {metric.key: metric for metric in EVERY}


def show(results: Results, per_clip: bool) -> None:
    terminal = _terminal()
    if per_clip:
        terminal.print(_clip_table(results))
    terminal.print(_quality_table(results))
    if results.speed:
        terminal.print(_speed_table(results))
    machine = results.run["machine"]
    terminal.print(Text(f"{machine['processor']}, {count(machine['cores'], 'core')}, {machine['system']}, "
                        f"Python {machine['python']}, HAC {results.run['version']}", style="dim"))  # fmt: skip
    for name, install in results.run["missing"].items():
        terminal.print(Text(f"not measured: {name}; {install}", style="yellow"))
    for codec, metric, rows in _refusals(results):
        clips = "; ".join(f"{clip}: {reason}" for clip, reason in rows)
        terminal.print(Text(f"{_LABELS[metric].label} refuses {count(len(rows), 'clip')} of {codec}: {clips}"))
    for name, clip in results.run["clips"].items():
        if clip["notes"]:
            terminal.print(Text(f"{name} is {' and '.join(clip['notes'])}"))


def show_changes(changes: Changes) -> None:
    terminal = _terminal()
    table = Table(title="means, and the 95 % interval of the difference")
    for heading in ("codec", "metric", "old", "new", "difference", "verdict"):
        table.add_column(heading, justify="left" if heading in ("codec", "metric", "verdict") else "right")
    for change in changes.means:
        table.add_row(change.codec, _label(change.what), *_old_and_new(change), _difference(change), _verdict(change))
    terminal.print(table)
    for change in changes.clips:
        old, new = _old_and_new(change)
        terminal.print(Text(f"{change.clip}: {change.codec}: {_label(change.what)} {old} -> {new}, ").append(
            _verdict(change)))  # fmt: skip
    for change in changes.failures:
        terminal.print(Text(f"{change.clip}: {change.codec}: {change.reason}", style="red"))
    for what in changes.left_out:
        terminal.print(Text(f"not compared, only one side has it: {what}", style="dim"))


def as_csv(results: Results) -> str:
    """A line for each clip and codec. ``refused`` and ``error`` say why a cell is empty."""
    text = io.StringIO()
    head = ["codec", "clip", "seconds", "file_bytes", "payload_bytes", "bitrate", "payload_bitrate"]
    writer = csv.DictWriter(text, [*head, *results.metrics, "refused", "error"], lineterminator="\n")
    writer.writeheader()
    for row in results.rows:
        values = {key: value for key, value in row.as_dict().items() if key in head}
        refused = "; ".join(f"{metric}: {reason}" for metric, reason in row.refused.items())
        writer.writerow(values | row.scores | {"refused": refused, "error": row.error})
    return text.getvalue().rstrip("\n")


def _quality_table(results: Results) -> Table:
    clips = count(len(results.run["clips"]), "clip")
    table = Table(title=f"quality on {clips}, mean and 95 % interval")
    table.add_column("codec", no_wrap=True)
    table.add_column("kbit/s", justify="right")
    table.add_column("payload", justify="right")
    for key in results.metrics:
        metric = _LABELS[key]
        table.add_column(metric.label + (" ↓" if metric.lower_is_better else ""), justify="right")
    for codec in results.codecs:
        rates = [_kilobits(results.rate(codec, payload)) for payload in (False, True)]
        table.add_row(codec, *rates, *(_interval(results, codec, _LABELS[key]) for key in results.metrics))
    return table


def _interval(results: Results, codec: str, metric: Metric) -> Text:
    interval = results.mean(codec, metric.key)
    if interval is None:
        return Text("–")
    text = Text(f"{interval.mean:.{metric.digits}f}", style="bold")
    if interval.low is not None and interval.high is not None:
        digits = metric.digits
        text.append(f"\n{interval.low:.{digits}f} {interval.high:.{digits}f}", style="not bold dim")
    refused = sum(metric.key in row.refused for row in results.of_codec(codec))
    return text.append(f"\nof {len(results.of_codec(codec)) - refused} clips", style="yellow") if refused else text


def _clip_table(results: Results) -> Table:
    table = Table(title="every clip")
    table.add_column("clip", overflow="fold")
    table.add_column("codec", no_wrap=True)
    for heading in ("kbit/s", *(_LABELS[key].label for key in results.metrics)):
        table.add_column(heading, justify="right")
    for row in results.rows:
        scores = [_number(row.scores.get(key), _LABELS[key].digits) for key in results.metrics]
        table.add_row(row.clip, row.codec, _kilobits(row.bitrate), *(["failed"] if row.error else scores))
    return table


def _speed_table(results: Results) -> Table:
    table = Table(title="speed: × real time, seconds for a 10 s clip, peak memory, time to the first block")
    table.add_column("codec", no_wrap=True)
    for heading in ("cores", "encode ×", "decode ×", "encode 10 s", "decode 10 s", "MB", "first block"):
        table.add_column(heading, justify="right")
    for line in results.speed:
        if line["error"]:
            table.add_row(line["codec"], str(line["cores"]), "failed")
            continue
        seconds = [_number(line[key], 2, " s") for key in ("encode_short", "decode_short")]
        speeds = [_number(line[key], 0 if line[key] and line[key] >= 10 else 1) for key in ("encode", "decode")]
        below = line["memory_mb"] <= line["least_mb"] + 0.5  # no more than what measured it
        memory = f"< {line['least_mb']:.0f}" if below else f"{line['memory_mb']:.0f}"
        table.add_row(line["codec"], str(line["cores"]), *speeds, *seconds, memory,
                      _number(line["first_block"], 2, " s"))  # fmt: skip
    return table


def _refusals(results: Results) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Codec, metric, and the clips refused with the reasons."""
    found = []
    for codec in results.codecs:
        for metric in results.metrics:
            rows = [(row.clip, row.refused[metric]) for row in results.of_codec(codec) if metric in row.refused]
            if rows:
                found.append((codec, metric, rows))
    return found


def _label(what: str) -> str:
    return _LABELS[what].label if what in _LABELS else what


def _old_and_new(change: Change) -> tuple[str, str]:
    if change.what == "bitrate":
        return _kilobits(change.old), _kilobits(change.new)
    digits = _LABELS[change.what].digits
    return _number(change.old, digits), _number(change.new, digits)


def _difference(change: Change) -> str:
    if change.low is None or change.high is None:
        return "–"
    digits = _LABELS[change.what].digits + 1
    return f"{change.low:+.{digits}f} … {change.high:+.{digits}f}"


def _verdict(change: Change) -> Text:
    return Text(change.verdict, style={"better": "green", "worse": "bold red"}.get(change.verdict, "dim"))


def _kilobits(rate: float | None) -> str:
    return _number(None if rate is None else rate / 1000, 2)


def _number(value: Any, digits: int, unit: str = "") -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def _terminal() -> Terminal:
    return Terminal() if sys.stdout.isatty() else Terminal(width=_WIDTH_OF_FILES)
