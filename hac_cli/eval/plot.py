"""Rate against quality as SVG: every codec a point with its interval, HAC in its own colour."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from hac_cli.eval.metrics import Metric
from hac_cli.eval.results import Results
from hac_cli.eval.statistics import Interval

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 120, 16, 46
_LABEL_HEIGHT, _LETTER_WIDTH, _RADIUS = 14, 7, 5
_TICKS = (0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)


@dataclass(frozen=True)
class Point:
    codec: str
    rate: float  # kbit/s
    score: Interval


def points(results: Results, metric: str) -> list[Point]:
    """The codecs whose rate and score are known, lowest rate first."""
    found = []
    for codec in results.codecs:
        rate, score = results.rate(codec) or results.rate(codec, payload=True), results.mean(codec, metric)
        if rate and score:
            found.append(Point(codec, rate / 1000, score))
    return sorted(found, key=lambda point: point.rate)


def svg(found: list[Point], metric: Metric) -> str:
    """A logarithmic axis of rates; better is always up."""
    rates = np.log([point.rate for point in found])
    ends = [end for point in found for end in (point.score.mean, point.score.low, point.score.high) if end is not None]
    axis = _Axes(rates.min() - 0.15, rates.max() + 0.15, *_padded(min(ends), max(ends)), metric.lower_is_better)
    parts = [_grid(axis, metric)]
    places = [(axis.x(point.rate), axis.y(point.score.mean)) for point in found]
    taken = [(x - _RADIUS, x + _RADIUS, y) for x, y in places]  # from, to, height: no label covers a point or another
    for point, (x, y) in zip(found, places, strict=True):
        parts.append(_point(axis, point, metric, x, y, _free_height(point.codec, x + 9, y, taken)))
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(metric.label)} against bitrate">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class _Axes:
    left: float
    right: float
    low: float
    high: float
    downwards: bool

    def x(self, rate: float) -> float:
        share = (np.log(rate) - self.left) / (self.right - self.left)
        return float(_LEFT + share * (_WIDTH - _LEFT - _RIGHT))

    def y(self, score: float) -> float:
        share = (score - self.low) / (self.high - self.low)
        height = _HEIGHT - _TOP - _BOTTOM
        return float(_TOP + (share if self.downwards else 1 - share) * height)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _grid(axis: _Axes, metric: Metric) -> str:
    bottom = _HEIGHT - _BOTTOM
    lines = []
    for tick in _TICKS:
        if axis.left <= np.log(tick) <= axis.right:
            x = axis.x(tick)
            lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
            lines.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>')
    for value in _round_values(axis.low, axis.high):
        y = axis.y(value)
        lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    title = metric.label + (", lower is better" if metric.lower_is_better else "")
    lines.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">kbit/s</text>')
    middle = (_TOP + bottom) / 2
    lines.append(f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{title}</text>')
    return f'<g class="grid">{"".join(lines)}</g>'


def _round_values(low: float, high: float) -> list[float]:
    """Some five values of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / 5
    power = 10 ** np.floor(np.log10(raw))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw)
    return [round(float(value), 10) for value in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]


def _free_height(text: str, left: float, y: float, taken: list[tuple[float, float, float]]) -> float:
    """The height nearest to ``y`` where a label fits; it is taken then."""
    right = left + _LETTER_WIDTH * len(text)
    steps = [sign * step * _LABEL_HEIGHT / 3 for step in range(30) for sign in (1, -1)]
    heights = [y + step for step in steps]
    free = (
        height
        for height in heights
        if not any(left < end and start < right and abs(height - other) < _LABEL_HEIGHT for start, end, other in taken)
    )
    height = next(free, y)
    taken.append((left, right, height))
    return height


def _point(axis: _Axes, point: Point, metric: Metric, x: float, y: float, label_y: float) -> str:
    whisker = ""
    if point.score.low is not None and point.score.high is not None:
        low, high = axis.y(point.score.low), axis.y(point.score.high)
        whisker = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    kind = "own" if point.codec.startswith("HAC") else "other"
    title = f"{point.codec}: {point.rate:.2f} kbit/s, {metric.label} {point.score.mean:.{metric.digits}f}"
    return (
        f'<g class="{kind}"><title>{escape(title)}</title>{whisker}<circle cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}"/>'
        f'<text x="{x + 9:.1f}" y="{label_y + 4:.1f}">{escape(point.codec)}</text></g>'
    )
