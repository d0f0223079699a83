"""Figures where people would rather look than read, each with its text alternative.

Drawn with matplotlib's object interface (no pyplot, hence no global state) as SVG that keeps text as text: a
few kilobytes, sharp on a phone and on paper. They are shown through `<img>`, in which no script runs and
nothing is fetched: https://www.w3.org/TR/SVG2/conform.html#secure-static-mode
"""

from __future__ import annotations

import base64
import io
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from rcakit.names import visible
from rcakit.report.html import Html, attribute, esc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rcakit.causes import Cause
    from rcakit.placement import Placement

INK, SOFT, LINE, PAPER = "#1b2430", "#55606e", "#c9cfd8", "#ffffff"
BAD, BAD_FILL, GOOD, GOOD_FILL = "#a4161a", "#fbe9e7", "#1b6b3a", "#e6f4ea"
_DARK = {
    INK: "#e8ebf0",
    SOFT: "#a9b3c1",
    LINE: "#465061",
    PAPER: "#161b24",
    BAD: "#ff9d95",
    BAD_FILL: "#46201f",
    GOOD: "#86d9a4",
    GOOD_FILL: "#1a3a28",
}
"""What each colour becomes where the reader prefers dark: matplotlib writes colours into style attributes."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rcakit",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
}
WIDTH = 4.4
"""Inches, about 420 CSS pixels: little wider than a phone, so that text of 9 points stays readable on it."""


@dataclass(frozen=True)
class Figure(Html):
    """Markup of a figure; `svg` is the document in it, `alt` the sentence that says the same."""

    svg: bytes
    alt: str


def _figure(svg: bytes, alt: str, caption: str) -> Figure:
    data = base64.b64encode(svg).decode()
    image = f'<img src="data:image/svg+xml;base64,{data}" alt={attribute(alt)}>'
    return Figure(f"<figure>{image}<figcaption>{esc(caption)}</figcaption></figure>", svg, alt)


def _canvas(height: float) -> tuple[Canvas, Axes]:
    """A canvas whose axes are in points, origin at the lower left, so that boxes and text have true sizes."""
    canvas = Canvas(figsize=(WIDTH, height / 72))
    FigureCanvasSVG(canvas)
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH * 72), ylim=(0, height))
    axes.set_axis_off()
    return canvas, axes


def _svg(canvas: Canvas) -> bytes:
    """The SVG text, without date and creator, with colours that follow the reader's preference."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        # A name may hold letters the layout font lacks; the reader's own fonts draw them.
        warnings.filterwarnings("ignore", message=".*Glyph.*missing from.*")
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue().decode()
    rules = "".join(
        f'[style*="{prop}: {light}"]{{{prop}:{dark}!important}}'
        for light, dark in _DARK.items()
        for prop in ("fill", "stroke")
    )
    style = f"<style>@media screen and (prefers-color-scheme: dark){{{rules}}}</style>"
    head, defs, rest = svg.partition("<defs>")
    return f"{head}{style}{defs}{rest}".encode()


def _text(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Text that is only text: mathematics is not typeset, invisible characters are shown."""
    style = {"color": INK, "ha": "center", "va": "center"} | style
    axes.text(x, y, "\n".join(map(visible, text.split("\n"))), parse_math=False, **style)


def short(text: str, width: int) -> str:
    """At most `width` characters, the middle left out: both ends of a name tell it from others."""
    text = visible(text)
    return (
        text if len(text) <= width else f"{text[: width - width // 2 - 1]}…{text[len(text) - width // 2 :]}"
    )


# ------------------------------------------------------------------ where tables are, and where they were meant


def placement(rows: Sequence[Placement]) -> Figure | Html:
    """Intended schema by observed schema; a cell off the diagonal is a table in the wrong place."""
    placed = [(_key(row), row.verdict) for row in rows if row.verdict != "pending"]
    if not placed:
        return Html("")
    told = _gathered(placed)
    pairs = Counter(pair for pair, _ in told)
    wrong = {pair for pair, verdict in told if verdict in ("wrong schema", "missing")}
    verdicts = {**dict(told), **dict.fromkeys(wrong, "wrong schema")}
    meant = sorted({pair[0] for pair in pairs}, key=_last)
    found = sorted({pair[1] for pair in pairs}, key=_last)
    with mpl.rc_context(_SETTINGS):
        canvas, axes = _canvas(30 * len(meant) + 62)
        _matrix(axes, meant, found, pairs, verdicts)
        svg = _svg(canvas)
    alt = "; ".join(
        f"{number:,} meant for {a}, found in {b}{' (wrong)' if (a, b) in wrong else ''}"
        for (a, b), number in sorted(pairs.items())
    )
    return _figure(
        svg, f"Tables by schema: {alt}.", "Each row is a schema as meant, each column a schema as found."
    )


MEANT, FOUND = 8, 5
"""Rows and columns of the matrix at most: with more schemas than that, those of misplaced tables are named."""
_OTHERS = " others"
_AS_MEANT = "as meant"


def _gathered(told: Iterable[tuple[tuple[str, str], str]]) -> list[tuple[tuple[str, str], str]]:
    """The same with few rows and columns: the schemas with most misplaced tables, all others together."""
    told = list(told)
    if len({a for (a, _), _ in told}) <= MEANT and len({b for (_, b), _ in told}) <= FOUND:
        return told
    amiss = [pair for pair, verdict in told if verdict != "agrees"]
    rows = {name for name, _ in Counter(a for a, _ in amiss).most_common(MEANT - 1)}
    columns = {name for name, _ in Counter(b for _, b in amiss).most_common(FOUND - 2)}
    others = len({a for (a, _), _ in told} - rows)
    rest = f"{others}{_OTHERS}"

    def place(pair: tuple[str, str], verdict: str) -> tuple[str, str]:
        column = _AS_MEANT if verdict == "agrees" else pair[1] if pair[1] in columns else _OTHERS.strip()
        return (pair[0] if pair[0] in rows else rest), column

    return [(place(pair, verdict), verdict) for pair, verdict in told]


def _last(name: str) -> tuple[bool, bool, str]:
    """Names in order, what stands for several at the end, what is right at the beginning."""
    return name.endswith(_OTHERS.strip()), name != _AS_MEANT, name


def _matrix(
    axes: Axes, meant: list[str], found: list[str], pairs: Counter[tuple[str, str]], verdicts: dict[Any, str]
) -> None:
    left, row, top = 100.0, 30.0, 30.0 * len(meant) + 8
    column = min((WIDTH * 72 - left - 6) / len(found), 110)
    _text(axes, left - 8, top + 38, "meant for ↓", ha="right", color=SOFT, size=9)
    _text(axes, left, top + 38, "found in →", ha="left", color=SOFT, size=9)
    for across, schema in enumerate(found):
        _text(axes, left + (across + 0.5) * column, top + 14, short(schema, int(column / 6.5)), weight="bold")
    for down, schema in enumerate(meant):
        y = top - (down + 1) * row
        _text(axes, left - 8, y + row / 2, short(schema, 14), ha="right", weight="bold")
        for across, other in enumerate(found):
            number = pairs[schema, other]
            kind = _look(verdicts.get((schema, other), ""), number)
            _box(axes, (left + across * column + 2, y + 2, column - 4, row - 4), kind)
            glyph = {"bad": "✕ ", "good": "✓ "}.get(kind, "")
            ink = {"bad": BAD, "good": GOOD}.get(kind, SOFT)
            weight = "bold" if number else "normal"
            label = f"{glyph}{number:,}" if number else "·"
            _text(axes, left + (across + 0.5) * column, y + row / 2, label, color=ink, weight=weight)


def _look(verdict: str, number: int) -> str:
    if not number:
        return "none"
    return {"agrees": "good", "unknown": "plain"}.get(verdict, "bad")


def _box(axes: Axes, box: tuple[float, float, float, float], kind: str) -> None:
    fill = {"bad": BAD_FILL, "good": GOOD_FILL}.get(kind, "none")
    edge = {"bad": BAD, "good": GOOD}.get(kind, LINE)
    width = 1.4 if kind == "bad" else 0.8
    axes.add_patch(Rectangle(box[:2], *box[2:], facecolor=fill, edgecolor=edge, linewidth=width))


def _key(row: Placement) -> tuple[str, str]:
    return _intended(row), _observed(row)


def _intended(row: Placement) -> str:
    return (row.intended.target.schema or "anywhere") if row.intended else "not said"


def _observed(row: Placement) -> str:
    return row.found.schema if row.found else "nowhere"


# ------------------------------------------------------------------ the causal chain

_ROLES = {"root": "root cause", "contributing": "let it through", "silencing": "kept it quiet"}


def chain(causes: Sequence[Cause], symptoms: int) -> Figure | Html:
    """The causes one above the other, the symptom at the foot, an arrow for each "explains"."""
    if not causes:
        return Html("")
    nodes = [*((row.id, _ROLES[row.role], row.title) for row in causes), ("symptom", "", _symptom(symptoms))]
    height, step = 44.0, 74.0
    with mpl.rc_context(_SETTINGS):
        canvas, axes = _canvas(step * len(nodes) - 24)
        tops = {}
        for number, (id_, role, title) in enumerate(nodes):
            y = step * (len(nodes) - 1 - number) + 3
            tops[id_] = y
            _node(axes, y, height, id_, role, title)
        order = [node[0] for node in nodes]
        for number, row in enumerate(causes):
            for target in row.explains:
                if target in tops:
                    distance = order.index(target) - order.index(row.id)
                    _arrow(axes, tops[row.id], tops[target], height, distance, 8.0 * number)
        svg = _svg(canvas)
    alt = ". ".join(
        f"{row.id}, {_ROLES[row.role]}: {row.title}, explains {_and(row.explains)}" for row in causes
    )
    return _figure(svg, f"Causal chain. {alt}.", "What led to what; the symptom is at the foot.")


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)


def _symptom(number: int) -> str:
    return f"Symptom: {number:,} {'finding' if number == 1 else 'findings'} in the database"


_NODE = (26.0, WIDTH * 72 - 26.0 - 42.0)
"""Left edge and width of a node, in points; the margins are for the arrows that pass others by."""


def _node(axes: Axes, y: float, height: float, id_: str, role: str, title: str) -> None:
    left, width = _NODE
    last = id_ == "symptom"
    style = "round,pad=0,rounding_size=6"
    face, edge = (BAD_FILL, BAD) if last else (PAPER, SOFT)
    axes.add_patch(
        FancyBboxPatch(
            (left, y), width, height, boxstyle=style, facecolor=face, edgecolor=edge, linewidth=1.2, zorder=2
        )
    )
    label = "\n".join(textwrap.wrap(visible(title), 40)[:2])
    if last:
        _text(axes, left + width / 2, y + height / 2, label, weight="bold", color=BAD, zorder=3)
        return
    _text(axes, left + 12, y + height - 10, f"{id_} · {role}", ha="left", size=9, color=SOFT, zorder=3)
    _text(
        axes,
        left + 12,
        y + height / 2 - 6,
        label,
        ha="left",
        weight="bold",
        zorder=3,
        linespacing=1.1,
        size=9.5,
    )


def _arrow(axes: Axes, start: float, end: float, height: float, distance: int, apart: float) -> None:
    """Straight down to the next node, around the side past others; `apart` keeps their heads from one point."""
    left, width = _NODE
    style: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 11,
        "color": SOFT,
        "linewidth": 1.2,
        "zorder": 4,
    }
    if distance == 1:
        middle = left + width / 2
        axes.add_patch(FancyArrowPatch((middle, start), (middle, end + height), **style))
        return
    x = left + width if distance > 0 else left
    bow = f"arc3,rad=-{min(0.28, 75 / abs(start - end)):.2f}" if abs(distance) > 1 else "arc3,rad=-0.6"
    ends = (x, start + height / 2), (x, end + 8 + apart)
    axes.add_patch(FancyArrowPatch(*ends, connectionstyle=bow, shrinkA=0, shrinkB=1, **style))
