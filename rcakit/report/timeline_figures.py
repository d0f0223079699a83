"""The timeline as a figure: a lane for each kind of source, a mark for each event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import date2num, num2date
from matplotlib.figure import Figure as Canvas

from rcakit.report import figures
from rcakit.report.figures import INK, LINE, PAPER, SOFT, WIDTH, Figure, short
from rcakit.report.html import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rcakit.timeline import Event


def timeline(events: Sequence[Event]) -> Figure | Html:
    """A lane for each kind of source, a mark for each event, true distances in time."""
    if len(events) < 2:
        return Html("")
    lanes = list(dict.fromkeys(_lane(event.source) for event in events))
    with mpl.rc_context(figures._SETTINGS):
        canvas = Canvas(figsize=(WIDTH, (30 * len(lanes) + 44) / 72))
        FigureCanvasSVG(canvas)
        axes = canvas.add_axes((0.28, 34 / (30 * len(lanes) + 44), 0.69, 1 - 38 / (30 * len(lanes) + 44)))
        _lanes(axes, events, lanes)
        svg = figures._svg(canvas)
    first, last = events[0], events[-1]
    alt = (
        f"{len(events)} events from {first.at:%Y-%m-%d %H:%M} to {last.at:%Y-%m-%d %H:%M} UTC in "
        f"{len(lanes)} lanes: {', '.join(lanes)}; first {first.what}, last {last.what}."
    )
    nearer = " The last one is drawn nearer than it was." if _Scale.of(events).far else ""
    return figures._figure(
        svg, alt, f"Every event at its time, one lane for each kind of source; the table names them.{nearer}"
    )


_NEARER = 0.4
"""How far from the others an event is drawn that came long after them, in parts of what they take."""


class _Scale(NamedTuple):
    """Days from `first` to `last` in true distances; an event `far` behind them is brought nearer."""

    first: float
    last: float
    far: float | None

    @classmethod
    def of(cls, events: Sequence[Event]) -> _Scale:
        days = sorted({float(date2num(event.at)) for event in events})
        if len(days) > 2 and days[-1] - days[-2] > 2 * (days[-2] - days[0]):
            return cls(days[0], days[-2], days[-1])
        return cls(days[0], days[-1], None)

    def place(self, day: float) -> float:
        return day if day != self.far else self.last + (self.last - self.first) * _NEARER

    @property
    def form(self) -> str:
        """How a moment is written beside others of this scale."""
        span = self.last - self.first
        return "%Y-%m-%d" if span > 3 else "%m-%d %H:%M" if span > 1 / 24 else "%H:%M:%S"


def _lane(source: str) -> str:
    return "git" if source.startswith("git") else source.split(" (")[0].split(" in ")[0]


def _lanes(axes: Axes, events: Sequence[Event], lanes: list[str]) -> None:
    for number in range(len(lanes)):
        axes.axhline(number, color=LINE, linewidth=0.8, zorder=0)
    marks, scale = "osD^vP", _Scale.of(events)
    for number, lane in enumerate(lanes):
        times = sorted({scale.place(date2num(event.at)) for event in events if _lane(event.source) == lane})
        axes.plot(
            times,
            [number] * len(times),
            marks[number % 6],
            color=INK,
            markersize=7,
            markeredgecolor=PAPER,
            clip_on=False,
        )
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_yticks(range(len(lanes)), [short(lane, 17) for lane in lanes], color=INK, parse_math=False)
    axes.margins(x=0.04)
    _ends(axes, scale)
    axes.tick_params(length=0, labelcolor=INK)
    for side in axes.spines.values():
        side.set_visible(False)


def _ends(axes: Axes, scale: _Scale) -> None:
    """Both ends of the scale; where it is broken, the break, and how much later the last event was."""
    ticks = {day: f"{num2date(day):{scale.form}}" for day in (scale.first, scale.last)}
    if scale.far is not None:
        later, place = scale.far - scale.last, scale.place(scale.far)
        axes.axvline((scale.last + place) / 2, color=SOFT, linewidth=0.8, dashes=(2, 3))
        ticks[place] = (
            f"+{later:,.0f} days"
            if later >= 2
            else f"+{later * 24:,.0f} hours"
            if later > 1 / 12
            else "later"
        )
    axes.set_xticks(list(ticks), list(ticks.values()))
    for number, label in enumerate(axes.get_xticklabels()):
        label.set_horizontalalignment("right" if number else "left")
