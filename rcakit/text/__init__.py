"""Findings as text for a terminal: the fact, where it is, the act; then how it came about.

Every foreign text goes through `names.visible`: a terminal obeys what a table's name may hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import click

from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.baseline import Entry
    from rcakit.case import Case
    from rcakit.causes import Cause
    from rcakit.facts import Finding, Unread, Where

_VERBS = {"root": "led to", "contributing": "led to", "silencing": "hid"}
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def findings(case: Case) -> str:
    """The findings by rule, the chain of causes, what could not be read, and one line that counts it all."""
    groups = groupby(case.findings, key=lambda row: (row.severity, row.code, row.rule))
    parts = [_group(list(rows)) for _, rows in groups]
    if case.causes:
        parts.append(_causes(case.causes))
    if case.unread:
        parts.append(_unread(case.unread))
    if case.parted.gone:
        parts.append(_gone(case.parted.gone))
    return "\n".join([*parts, _summary(case)])


def _group(rows: list[Finding]) -> str:
    """The findings of one rule; a place they share is said once, and so is the act where it differs in names alone."""
    first = rows[0]
    severity = click.style(first.severity, fg=_COLOURS[first.severity], bold=True)
    times = f", {len(rows)} times" if len(rows) > 1 else ""
    shared = len({row.where for row in rows}) == 1
    head = f"{severity} {click.style(first.code, bold=True)} {first.rule}{times}{_in(first.where) if shared else ''}\n"
    facts = "".join(f"  {_fact(row)}{'' if shared else _in(row.where)}\n" for row in rows)
    hints = dict.fromkeys(visible(row.hint) for row in rows)
    more = f" (and likewise for the other {len(rows) - 1})" if len(hints) > 1 else ""
    return f"{head}{facts}  -> {next(iter(hints))}{more}\n"


def _fact(row: Finding) -> str:
    """The message, which most often names the object; else the object goes before it."""
    named = row.object in row.message or (row.relation is not None and row.relation.name in row.message)
    return visible(row.message if named else f"{row.object}: {row.message}")


def _in(where: Where | None) -> str:
    return f"  [{visible(str(where))}]" if where else ""


def _causes(causes: Iterable[Cause]) -> str:
    rows = [
        f"  {click.style(cause.id, bold=True)} {visible(cause.title)} "
        f"({_VERBS[cause.role]} {' and '.join(_explained(cause))}; {cause.confidence})\n    {visible(cause.claim)}\n"
        for cause in causes
    ]
    return click.style("how it came about", bold=True) + "\n" + "".join(rows)


def _explained(cause: Cause) -> list[str]:
    return ["what is found" if each == "symptom" else each for each in cause.explains]


def _unread(rows: Iterable[Unread]) -> str:
    """One line a reason; several places that share it are counted."""
    places: dict[tuple[bool, str, str], list[Where | None]] = {}
    for row in rows:
        places.setdefault((row.blocking, row.account, row.reason), []).append(row.where)
    lines = []
    for (blocking, account, reason), wheres in places.items():
        label = click.style("could not check", fg="magenta", bold=True) if blocking else "not read"
        more = f" and in {_count(len(wheres) - 1, 'other place')}" if len(wheres) > 1 else ""
        lines.append(f"{label} {account}: {visible(reason)}{_in(wheres[0])}{more}\n")
    return "".join(lines)


def _gone(entries: Iterable[Entry]) -> str:
    head = click.style("in the baseline, and not found now", bold=True)
    return f"{head}\n" + "".join(f"  {visible(str(entry))}\n" for entry in entries)


def _summary(case: Case) -> str:
    counts = {level: sum(row.severity == level for row in case.findings) for level in _COLOURS}
    said = [_count(number, level) for level, number in counts.items() if number] or ["nothing found"]
    if case.waived:
        said.append(f"{len(case.waived)} waived")
    if case.parted.known:
        said.append(f"{len(case.parted.known)} known")
    if blocked := sum(row.blocking for row in case.unread):
        said.insert(0, f"{_count(blocked, 'place')} could not be checked")
    if case.static:
        return f"{', '.join(said)}: {_count(len(case.declared.models), 'model')}, from the files alone\n"
    server = case.observed.server
    place = f"{visible(server.database)} on PostgreSQL {server.version} as {visible(server.role)}"
    pending = sum(row.verdict == "pending" for row in case.placement)
    tables = _count(len(case.placement), "declared table") + (
        f" ({pending} not migrated yet)" if pending else ""
    )
    return f"{', '.join(said)}: {tables}, {place}\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
