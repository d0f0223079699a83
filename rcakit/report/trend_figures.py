"""The kept runs of a target as a figure: findings by severity above, duration below, a column for each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.patches import Rectangle

from rcakit.report import figures
from rcakit.report.figures import BAD, BAD_FILL, GOOD, INK, LINE, SOFT, WIDTH, Figure
from rcakit.report.html import Html
from rcakit.report.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVELS = {"error": (BAD, BAD), "warning": (BAD_FILL, BAD), "note": ("none", SOFT)}
"""Severity -> what its part of a bar is filled and framed with, from the foot upwards."""
_LEFT, _RIGHT, _HEIGHT = 52.0, WIDTH * 72 - 4, 206.0
_FOUND, _TOOK = (104.0, 66.0), (26.0, 42.0)
"""Foot and height of the two panels, in points."""
_CAPTION = (
    "Each column is a run, the last one this. ✓ nothing wrong, ? not all could be checked, ✕ not finished."
)


@dataclass(frozen=True, slots=True)
class Point:
    """A run: when it began (UTC), its status, findings by severity, seconds; None: it could not judge, is under way."""

    at: datetime
    status: str
    counts: Mapping[str, int] | None
    seconds: float | None


def trend(points: Sequence[Point]) -> Figure | Html:
    """A column for each run, the first on the left; nothing when there is only one."""
    if len(points) < 2:
        return Html("")
    most = max(1, *(sum((point.counts or {}).values()) for point in points))
    longest = max((point.seconds or 0.0 for point in points), default=0.0) or 1.0
    with mpl.rc_context(figures._SETTINGS):
        canvas, axes = figures._canvas(_HEIGHT)
        _frame(axes, _FOUND, f"{most:,}", "findings")
        _frame(axes, _TOOK, f"{longest:.0f}" if longest >= 10 else f"{longest:.1f}", "seconds")
        _legend(axes)
        _columns(axes, points, lambda number: number * (_FOUND[1] - 12) / most, longest)
        _ends(axes, points)
        svg = figures._svg(canvas)
    return figures._figure(svg, _alt(points), _CAPTION)


def _columns(axes: Axes, points: Sequence[Point], tall: Callable[[int], float], longest: float) -> None:
    step = (_RIGHT - _LEFT) / len(points)
    wide = min(step * 0.7, 18.0)
    for number, point in enumerate(points):
        middle = _LEFT + (number + 0.5) * step
        top = _FOUND[0]
        for level, (fill, edge) in _LEVELS.items():
            height = tall((point.counts or {}).get(level, 0))
            if height:
                _bar(axes, middle - wide / 2, top, wide, height, fill, edge)
            top += height
        glyph, ink = _glyph(point)
        figures._text(axes, middle, top + 6, glyph, color=ink, size=9, weight="bold")
        if point.seconds is not None:
            _bar(axes, middle - wide / 2, _TOOK[0], wide, point.seconds / longest * _TOOK[1], LINE, SOFT)


def _glyph(point: Point) -> tuple[str, str]:
    """What stands above a column, and in which colour: how the run ended, where the column does not say it."""
    if point.counts is None:
        return "✕", BAD
    return {"ok": ("✓", GOOD), "could-not-check": ("?", INK)}.get(point.status, ("", INK))


def _bar(axes: Axes, x: float, y: float, width: float, height: float, fill: str, edge: str) -> None:
    axes.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor=edge, linewidth=0.8))


def _frame(axes: Axes, panel: tuple[float, float], top: str, unit: str) -> None:
    """The foot of a panel, and on its left the number that its tallest column stands for."""
    foot, height = panel
    axes.plot([_LEFT, _RIGHT], [foot, foot], color=SOFT, linewidth=0.8)
    figures._text(axes, _LEFT - 6, foot + 3, "0", ha="right", color=SOFT, size=9)
    reach = height - 12 if unit == "findings" else height
    figures._text(axes, _LEFT - 6, foot + reach - 2, top, ha="right", color=SOFT, size=9)
    figures._text(axes, _LEFT - 6, foot + reach / 2, unit, ha="right", color=SOFT, size=9)


def _legend(axes: Axes) -> None:
    for number, (level, (fill, edge)) in enumerate(_LEVELS.items()):
        x = _LEFT + number * 76
        _bar(axes, x, _HEIGHT - 17, 10, 10, fill, edge)
        figures._text(axes, x + 16, _HEIGHT - 12, f"{level}s", ha="left", size=9)


def _ends(axes: Axes, points: Sequence[Point]) -> None:
    figures._text(axes, _LEFT, 10, _day(points[0]), ha="left", color=SOFT, size=9)
    figures._text(axes, _RIGHT, 10, f"{_day(points[-1])}, this run", ha="right", color=SOFT, size=9)


def _day(point: Point) -> str:
    return f"{point.at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _alt(points: Sequence[Point]) -> str:
    judged = [point.counts for point in points if point.counts is not None]
    took = [point.seconds for point in points if point.seconds is not None]
    ended = len(points) - len(judged)
    first, last = _day(points[0]), _day(points[-1])
    parts = [
        f"{plural(len(points), 'run')} {f'at {last}' if first == last else f'from {first} to {last}'} UTC",
        _course([_said(counts) for counts in judged]),
        *([f"{plural(ended, 'run')} did not come to an end"] if ended else []),
        *([f"the runs before took {_between(min(took), max(took))} seconds"] if took else []),
    ]
    return f"{'; '.join(parts)}."


def _course(said: Sequence[str]) -> str:
    """What was found from the first run to the last, once where it did not change."""
    if not said:
        return "findings are not known"
    if len(set(said)) == 1:
        return f"{said[0]} found each time"
    if said[0] == said[-1]:
        return f"{said[0]} found the first and the last time, something else between"
    return f"findings went from {said[0]} to {said[-1]}"


def _between(least: float, most: float) -> str:
    low, high = f"{least:.1f}", f"{most:.1f}"
    return low if low == high else f"{low} to {high}"


def _said(counts: Mapping[str, int]) -> str:
    said = [plural(counts[level], level) for level in _LEVELS if counts.get(level)]
    return ", ".join(said) or "none"
