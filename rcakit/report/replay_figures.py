"""The replay as figures: the ledger, a bar for each migration, and the counterfactual matrix, a row for each replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.patches import Rectangle

from rcakit.report import figures
from rcakit.report.figures import BAD, BAD_FILL, GOOD, INK, LINE, SOFT, WIDTH, Figure, short
from rcakit.report.html import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rcakit.counterfactual import Matrix, Trial
    from rcakit.ledger import Ledger, Step, StepClass

LIMIT = 48
"""Bars drawn at most; of a longer ledger the ordinary ones are left out first."""
ROWS, COLUMNS = 32, 12
"""Replays and causes drawn at most; the table has them all."""
WORDS: dict[StepClass, str] = {
    "changed": "changed",
    "state-only": "state only",
    "data-only": "rows only",
    "vacuous": "nothing to do",
    "silent-no-op": "silent no-op",
    "failed": "failed",
    "cannot-reproduce": "cannot be told",
}
"""Class of a step in words."""
WRONG: frozenset[StepClass] = frozenset({"silent-no-op", "failed", "cannot-reproduce"})
_ROW, _LEFT, _RIGHT = 17.0, 174.0, 58.0


def ledger(found: Ledger) -> Figure | Html:
    """A bar a migration, in the order they ran."""
    if not found.steps:
        return Html("")
    shown = _chosen(found.steps)
    longest = max(len(step.changes) for step in shown) or 1
    with mpl.rc_context(figures._SETTINGS):
        canvas, axes = figures._canvas(_ROW * len(shown) + 10)
        for number, step in enumerate(shown):
            _bar(axes, _ROW * (len(shown) - 1 - number) + 5, step, longest)
        svg = figures._svg(canvas)
    counts = Counter(WORDS[step.kind] for step in found.steps)
    wrong = [f"{step.migration}: {WORDS[step.kind]}" for step in found.steps if step.kind in WRONG]
    alt = ", ".join(f"{number} {word}" for word, number in counts.items())
    alt = f"{len(found.steps)} migrations replayed: {alt}. " + "; ".join(wrong)
    left_out = len(found.steps) - len(shown)
    more = f" {left_out} that changed what they said are left out." if left_out else ""
    return figures._figure(
        svg, alt, f"Each bar is a migration, its length the number of objects it changed.{more}"
    )


def _chosen(steps: Sequence[Step]) -> list[Step]:
    """All, or those that changed nothing and as many of the others as there is room for, in their order."""
    if len(steps) <= LIMIT:
        return list(steps)
    order = sorted(
        range(len(steps)), key=lambda n: (steps[n].kind not in WRONG, steps[n].kind == "changed", n)
    )
    return [steps[n] for n in sorted(order[:LIMIT])]


def _bar(axes: Axes, y: float, step: Step, longest: int) -> None:
    wrong, room = step.kind in WRONG, WIDTH * 72 - _LEFT - _RIGHT
    ink = BAD if wrong else INK
    width = 25 if wrong else 28
    label = step.migration if len(step.migration) <= width else step.migration.partition(".")[2]
    label = short(label, width)
    figures._text(
        axes, _LEFT - 8, y + 5, label, ha="right", size=9, color=ink, weight="bold" if wrong else "normal"
    )
    axes.plot((_LEFT, _LEFT), (y - 3, y + 14), color=LINE, linewidth=0.8)
    if wrong:
        box = Rectangle((_LEFT, y), room, 10, facecolor=BAD_FILL, edgecolor=BAD, linewidth=1.2)
        axes.add_patch(box)
        figures._text(
            axes, _LEFT + room / 2, y + 5, f"✕ {WORDS[step.kind]}", size=9, color=BAD, weight="bold"
        )
        return
    length = room * len(step.changes) / longest
    if length:
        axes.add_patch(Rectangle((_LEFT, y), max(length, 2), 10, facecolor=SOFT, edgecolor="none"))
    said = str(len(step.changes)) if step.changes else WORDS[step.kind]
    figures._text(axes, _LEFT + length + 5, y + 5, said, ha="left", size=9, color=SOFT)


# ------------------------------------------------------------------ the counterfactual matrix


def matrix(found: Matrix) -> Figure | Html:
    """Causes across, replays down: what was undone, and on the right whether the symptom is still there."""
    causes = [undo.cause for undo in found.undos]
    trials = found.trials[:ROWS]
    if not causes or len(causes) > COLUMNS or not trials:
        return Html("")
    with mpl.rc_context(figures._SETTINGS):
        canvas, axes = figures._canvas(_LINE * len(trials) + 26)
        column = min((WIDTH * 72 - _RESULT - 6) / len(causes), 52)
        _heads(axes, causes, column, _LINE * len(trials) + 14)
        for number, trial in enumerate(trials):
            _trial(axes, _LINE * (len(trials) - 1 - number) + 3, trial, causes, column)
        svg = figures._svg(canvas)
    alt = " ".join(f"{_undone(trial)}: {_end(trial)}." for trial in trials)
    more = f" {len(found.trials) - ROWS} more are in the table." if len(found.trials) > ROWS else ""
    caption = "Each row is a replay of its own, each column a cause; a filled cell is a cause undone."
    return figures._figure(svg, f"{len(found.trials)} replays. {alt}", caption + more)


_LINE, _RESULT = 22.0, 176.0


def _heads(axes: Axes, causes: Sequence[str], column: float, y: float) -> None:
    for across, cause in enumerate(causes):
        figures._text(axes, (across + 0.5) * column, y, short(cause, 6), weight="bold", size=9)
    figures._text(axes, len(causes) * column + 14, y, "symptom", ha="left", color=SOFT, size=9)


def _trial(axes: Axes, y: float, trial: Trial, causes: Sequence[str], column: float) -> None:
    for across, cause in enumerate(causes):
        undone = cause in trial.undone
        box = Rectangle(
            (across * column + 2, y), column - 4, _LINE - 5, facecolor=SOFT if undone else "none",
            edgecolor=SOFT if undone else LINE, linewidth=0.8,
        )  # fmt: skip
        axes.add_patch(box)
    middle, left = y + (_LINE - 5) / 2, len(causes) * column + 14
    glyph, ink = ("✕", BAD) if trial.symptom else ("✓", GOOD)
    figures._text(
        axes, left, middle, f"{glyph} {_end(trial)}", ha="left", color=ink, size=9,
        weight="bold" if trial.symptom else "normal",
    )  # fmt: skip


def _undone(trial: Trial) -> str:
    return f"{' and '.join(trial.undone)} undone" if trial.undone else "Nothing undone"


def _end(trial: Trial) -> str:
    """The end of one trial in a few words."""
    if not trial.symptom:
        return "gone, but the replay stops" if trial.stopped else "gone"
    if trial.stopped:
        return "there, and it fails aloud"
    if trial.reached < trial.placed:
        return "there, in place but not reached"
    return "there, in silence" if trial.silent else "there"
