"""A ledger as text for a terminal: one line a migration, more for those that did not do what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rcakit.counterfactual import describe
from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.counterfactual import Matrix
    from rcakit.ledger import Branch, Ledger, Step, StepClass

KINDS: dict[StepClass, tuple[str, str]] = {
    "changed": ("changed", "green"),
    "state-only": ("state only", "bright_black"),
    "data-only": ("rows only", "green"),
    "vacuous": ("nothing to do", "bright_black"),
    "silent-no-op": ("SILENT NO-OP", "red"),
    "failed": ("FAILED", "red"),
    "cannot-reproduce": ("cannot tell", "magenta"),
}
"""Class of a step -> (in words, colour)."""
_BACKS = {
    "restored": "restored the catalog",
    "differs": "did not restore it",
    "failed": "failed",
    "irreversible": "not to be had (irreversible)",
}
_WIDTH = max(len(word) for word, _ in KINDS.values())
_SHOWN = 3


def ledger(ledger: Ledger, matrix: Matrix | None = None) -> str:
    """Every step, what the replay could not tell, the counterfactual trials, and one line that counts it all."""
    parts = ["".join(map(_step, ledger.steps))]
    parts += ["".join(f"{_label('not run', 'magenta')} {visible(each)}\n" for each in ledger.not_run)]
    parts += ["".join(f"{_label('not told', 'magenta')} {visible(gap.reason)}\n" for gap in ledger.gaps)]
    if matrix is not None:
        parts.append(_matrix(matrix))
    return "\n".join([part for part in parts if part] + [_summary(ledger)])


def _label(word: str, colour: str) -> str:
    return click.style(word.ljust(_WIDTH), fg=colour, bold=word.isupper())


def _step(step: Step) -> str:
    alias = "" if step.alias == "default" else f" ({visible(step.alias)})"
    took = click.style(f"{step.seconds:.3f} s", dim=True)
    more = "".join(f"{' ' * _WIDTH}   {visible(line)}\n" for line in _lines(step))
    return f"{_label(*KINDS[step.kind])} {visible(step.migration)}{alias}  {took}\n{more}"


def _lines(step: Step) -> Iterator[str]:
    """What is worth saying below a step's own line."""
    if step.error:
        yield step.error.partition("\n")[0]
        if step.kind == "cannot-reproduce":
            yield step.why
    elif step.kind in ("silent-no-op", "cannot-reproduce") or step.idle:
        yield step.why
    if step.kind == "silent-no-op" or step.idle:
        yield from _guards(
            [each for each in step.guards if each.branch == "skipped" and each.effects != "present"]
        )
    back = step.reverse
    if back is not None and back.result in ("failed", "differs"):
        said = back.error.partition("\n")[0] or f"{len(back.changes)} differences"
        yield f"its way back {'fails' if back.result == 'failed' else 'does not restore the catalog'}: {said}"
        yield from back.changes[:_SHOWN]


def _guards(skipped: list[Branch]) -> Iterator[str]:
    for branch in skipped[:_SHOWN]:
        asked = ", ".join(map(str, branch.verdict.guard.relations))
        near = branch.verdict.nearest
        if asked:
            yield f"asked for {asked}" + (f", there was {near.qualified}" if near else "")
    if len(skipped) > _SHOWN:
        yield f"and {len(skipped) - _SHOWN} more conditions like that"


def _matrix(matrix: Matrix) -> str:
    rows = []
    for trial in matrix.trials:
        undone = " + ".join(trial.undone) or "nothing"
        word, colour = ("symptom", "red") if trial.symptom else ("no symptom", "green")
        rows.append(
            f"  {click.style(word.ljust(10), fg=colour)} {undone} undone: {visible(describe(trial))}\n"
        )
    how = "".join(f"  {undo.cause}: {visible(undo.what)}\n" for undo in matrix.undos)
    how += "".join(f"  {cause} was not undone: {why}\n" for cause, why in matrix.untried.items())
    if matrix.shared:
        how += f"  The first {matrix.shared} migrations ran once for rows that have them in common, each of which went on from a clone.\n"
    return click.style("causes undone, each row a replay", bold=True) + "\n" + "".join(rows) + how


def _summary(ledger: Ledger) -> str:
    counts = Counter(KINDS[step.kind][0] for step in ledger.steps)
    said = ", ".join(f"{number} {word}" for word, number in counts.items()) or "no migration to run"
    backs = Counter(step.reverse.result for step in ledger.steps if step.reverse is not None)
    back = ", ".join(f"{number} {_BACKS[result]}" for result, number in backs.items())
    return (f"ways back: {back}\n" if back else "") + (
        f"{said}; PostgreSQL {ledger.server_version}, {visible(ledger.framework)}, {ledger.seconds:.1f} s\n"
    )
