"""Findings as text for a terminal: the fact, where it is, the act."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.facts import Finding

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def findings(case: Case) -> str:
    """Every finding, grouped by rule, then what could not be read, then one line that counts both."""
    groups = groupby(case.findings, key=lambda row: (row.severity, row.code, row.rule))
    parts = [_group(list(rows)) for _, rows in groups]
    parts += [
        f"{click.style('unread', fg='magenta')} {row.account}{_at(row.where)}: {visible(row.reason)}\n"
        for row in case.unread
    ]
    return "\n".join(parts) + ("\n" if parts else "") + _summary(case)


def _group(rows: list[Finding]) -> str:
    """The findings of one rule; the act is said once where it only differs in the name."""
    first = rows[0]
    severity = click.style(first.severity, fg=_COLOURS[first.severity], bold=True)
    times = f" x {len(rows)}" if len(rows) > 1 else ""
    head = f"{severity} {click.style(first.code, bold=True)} {first.rule}{times}\n"
    facts = "".join(
        f"  {click.style(visible(row.object), bold=True)}{_at(row.where)}\n    {visible(row.message)}\n"
        for row in rows
    )
    hints = dict.fromkeys(visible(row.hint) for row in rows)
    more = f" (and likewise for the other {len(rows) - 1})" if len(hints) > 1 else ""
    return f"{head}{facts}  -> {next(iter(hints))}{more}\n"


def _at(where: object) -> str:
    return f"  ({visible(str(where))})" if where else ""


def _summary(case: Case) -> str:
    counts = {level: sum(row.severity == level for row in case.findings) for level in _COLOURS}
    said = ", ".join(f"{number} {level}{'s' * (number != 1)}" for level, number in counts.items() if number)
    blocked = sum(row.blocking for row in case.unread)
    server = case.observed.server
    place = f"{visible(server.database)} on PostgreSQL {server.version} as {visible(server.role)}"
    tail = f"; {blocked} places could not be checked" if blocked else ""
    tables = len(case.placement)
    return f"{said or 'nothing found'}{tail}: {tables} declared tables, {place}\n"
