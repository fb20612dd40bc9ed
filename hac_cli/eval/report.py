"""The results as one page that needs nothing else: tables, plots, pictures, and players that switch in mid-word."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hac_cli import outputs
from hac_cli.errors import HacError, output_errors
from hac_cli.eval import SAMPLE_RATE, clips, plot, spectrogram
from hac_cli.eval.coders import Coder, Samples
from hac_cli.eval.delay import Delay
from hac_cli.eval.judges import EVERY
from hac_cli.eval.metrics import Metric
from hac_cli.eval.results import Results, Row
from hac_cli.eval.workers import run_all

_PAGE = Path(__file__).parent / "page"
_METRICS = {metric.key: metric for metric in EVERY}


@dataclass(frozen=True)
class Player:
    """One signal of a clip: FLAC to hear, PNG to see."""

    name: str
    flac: bytes
    png: bytes


def write(
    path: Path,
    results: Results,
    folder: Path,
    coders: Sequence[Coder],
    heard: int,
    jobs: int,
    progress: Callable[[str, int, int], None],
) -> None:
    """The page with ``heard`` clips to listen to, the worst first; these are coded once more.

    Raises OutputError if it can't be written.
    """
    names = worst_first(results)[:heard]
    delays = {about["name"]: Delay(about["delay_samples"], about["delay_by"]) for about in results.run["codecs"]}
    make = partial(_players, folder, [(coder, delays[coder.name]) for coder in coders])
    players: dict[str, list[Player]] = {}
    for number, (name, made) in enumerate(run_all(make, names, jobs)):
        progress("drawing", number + 1, len(names))
        if isinstance(made, Exception):
            raise HacError(f"the page can't be made: {made}", name) from made
        players[name] = made
    page = _fill("page.html", title=escape(folder.resolve().name), style=_part("page.css"), script=_part("page.js"),
                 about=_about(results), quality=_quality(results), plots=_plots(results), speed=_speed(results),
                 clips="".join(_clip(results, name, players[name]) for name in names),
                 heard=f"{len(names)} of {len(results.run['clips'])}", problems=_problems(results))  # fmt: skip
    with output_errors(str(path)), outputs.replacing(str(path)) as unfinished:
        Path(unfinished).write_text(page, encoding="utf-8")


def worst_first(results: Results) -> list[str]:
    """Clips by the score of the first codec, which is HAC unless it was left out, in the first metric there is."""
    key = next((metric for metric in results.metrics if results.mean(results.codecs[0], metric)), None)
    if key is None:
        return sorted(results.run["clips"])
    sign = -1 if _METRICS[key].lower_is_better else 1
    scores = {row.clip: sign * row.scores[key] for row in results.of_codec(results.codecs[0]) if key in row.scores}
    return sorted(results.run["clips"], key=lambda name: (scores.get(name, -np.inf), name))


def _players(folder: Path, chosen: list[tuple[Coder, Delay]], name: str) -> list[Player]:
    """The original and what each codec makes of it, cut to one start; a codec that fails is left out."""
    original = clips.load(folder / name)
    signals = {"Original": original}
    for coder, delay in chosen:
        try:
            decoded = coder.code(original).audio
        except HacError:
            continue
        late = decoded[max(0, delay.samples) :]
        late = np.pad(late, (max(0, -delay.samples), 0))[: len(original)]
        signals[coder.name] = np.pad(late, (0, len(original) - len(late)))
    return [Player(key, _flac(signal), spectrogram.png(signal)) for key, signal in signals.items()]


def _flac(signal: Samples) -> bytes:
    import io

    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(signal, -1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _part(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _fill(template: str, **values: str) -> str:
    page = _part(template)
    for key, value in values.items():
        page = page.replace(f"<!--{key}-->", value).replace(f"/*{key}*/", value)
    return page


def _about(results: Results) -> str:
    machine = results.run["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results.run["versions"].items())
    return escape(f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
                  f"Python {machine['python']}; {versions}")  # fmt: skip


def _quality(results: Results) -> str:
    metrics = [_METRICS[key] for key in results.metrics]
    head = ["codec", "kbit/s", "payload", *(metric.label + " ↓" * metric.lower_is_better for metric in metrics)]
    rows = []
    for codec in results.codecs:
        rates = [_kilobits(results.rate(codec, payload)) for payload in (False, True)]
        rows.append([escape(codec), *rates, *(_score(results, codec, metric) for metric in metrics)])
    return _table(head, rows)


def _score(results: Results, codec: str, metric: Metric) -> str:
    interval = results.mean(codec, metric.key)
    if interval is None:
        return "–"
    text = f"{interval.mean:.{metric.digits}f}"
    if interval.low is not None and interval.high is not None:
        text += f"<small>{interval.low:.{metric.digits}f} to {interval.high:.{metric.digits}f}</small>"
    return text


def _speed(results: Results) -> str:
    if not results.speed:
        return "<p>Not measured.</p>"
    keys = ("encode", "decode", "encode_short", "decode_short", "memory_mb", "first_block")
    head = ["codec", "cores", "encode ×", "decode ×", "encode 10 s, s", "decode 10 s, s", "MB", "first block, s"]
    rows = [[escape(line["codec"]), str(line["cores"]), *(_plain(line[key]) for key in keys)] for line in results.speed]
    return _table(head, rows)


def _plots(results: Results) -> str:
    """A plot for each metric; the first one is shown."""
    drawn = {key: found for key in results.metrics if (found := plot.points(results, key))}
    options = "".join(f'<option value="{key}">{escape(_METRICS[key].label)}</option>' for key in drawn)
    figures = "".join(
        f'<figure data-metric="{key}"{"" if not number else " hidden"}>{plot.svg(found, _METRICS[key])}</figure>'
        for number, (key, found) in enumerate(drawn.items())
    )
    return f'<label>Metric <select id="metric">{options}</select></label>{figures}'


def _clip(results: Results, name: str, players: list[Player]) -> str:
    rows = {row.codec: row for row in results.rows if row.clip == name}
    signals = "".join(_signal(results, player, rows.get(player.name)) for player in players)
    about = results.run["clips"][name]
    notes = "".join(f", {note}" for note in about["notes"])
    facts = f"{about['seconds']:.1f} s, {about['sample_rate']} Hz, {about['channels']} ch{notes}"
    return _fill("clip.html", name=escape(name), facts=escape(facts), signals=signals)


def _signal(results: Results, player: Player, row: Row | None) -> str:
    scores = ""
    if row:
        kilobits = f"{_kilobits(row.bitrate or row.payload_bitrate)} kbit/s"
        known = [_METRICS[key] for key in results.metrics if key in row.scores]
        scores = " · ".join([kilobits, *(f"{m.label} {row.scores[m.key]:.{m.digits}f}" for m in known)])
    return _fill("signal.html", name=escape(player.name), scores=escape(scores),
                 flac=base64.b64encode(player.flac).decode(), png=base64.b64encode(player.png).decode())  # fmt: skip


def _problems(results: Results) -> str:
    lines = [f"failed: {what}: {reason}" for what, reason in results.failures]
    lines += [f"not measured: {name}; {install}" for name, install in results.run["missing"].items()]
    lines += [f"{_METRICS[key].label} refuses {row.clip} of {row.codec}: {reason}"
              for row in results.rows for key, reason in row.refused.items()]  # fmt: skip
    return "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>None.</li>"


def _table(head: list[str], rows: list[list[str]]) -> str:
    headings = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table></div>'


def _kilobits(rate: float | None) -> str:
    return "–" if rate is None else f"{rate / 1000:.2f}"


def _plain(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
