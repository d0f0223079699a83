"""What to do and what stays open: repair, actions, questions, provenance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rcakit.report import tables
from rcakit.report.html import Html, breakable, chip, code, join, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.causes import Cause

_TYPES = {"root": "mitigate", "contributing": "prevent", "silencing": "detect"}


def repair(case: Case) -> Html:
    """What the findings advise, and how to have it written out and tried on a copy."""
    roots = [row for row in case.causes if row.role == "root"]
    if not roots:
        return common.nothing("Nothing to repair was found.")
    command = "rcakit repair --option A --out repair --rehearse"
    how = tag("p", "Written out for review, and tried on a copy: ", code(command), ".")
    return join(tag("ul", *(tag("li", common.advice(row)) for row in roots)), how)


def actions(case: Case) -> Html:
    """One row an action; who does it, and until when, is for people to fill in."""
    rows = list(_actions(case))
    if not rows:
        return common.nothing("No action follows from the findings.")
    columns = ["Action", "Type", "Done when", "Owner", "Due"]
    return tables.table(columns, rows, tables.Style("Actions", noun="action", head=False, cards=True))


def _actions(case: Case) -> Iterator[tuple[object, ...]]:
    for cause in case.causes:
        yield common.advice(cause), _TYPES[cause.role], _done(cause), "–", "–"
    if case.causes and not any(gate.state == "runs" for gate in case.accounts.gates):
        done = join(code("rcakit gate --prove"), " exits 0, and the pipeline runs it")
        yield "Install the gate, and let the pipeline run it.", "prevent", done, "–", "–"
    blocked = sum(row.blocking for row in case.unread)
    if blocked:
        yield (
            f"Make readable what could not be checked ({blocked})",
            "detect",
            "open questions are empty",
            "–",
            "–",
        )


def _done(cause: Cause) -> Html:
    return join(code("rcakit check"), f" reports no {common.listed(cause.codes)} for these objects")


def questions(case: Case) -> Html:
    """Hypotheses that were not decided, and everything that could not be read."""
    open_ = [cause for cause in case.causes if cause.confidence in ("likely", "hypothesis")]
    if not open_ and not case.unread:
        return common.nothing("Nothing is open: every cause is proved, and everything could be read.")
    return join(_undecided(open_), _unread(case))


def _undecided(rows: list[Cause]) -> Html:
    if not rows:
        return Html("")
    columns = {
        "Cause": lambda row: tag("a", row.id, href=f"#{row.id}"),
        "What": lambda row: row.title,
        "So far": lambda row: row.confidence,
        "Would be refuted by": lambda row: row.falsified_by,
    }
    return tables.records(rows, tables.Style("Not proved yet", noun="cause", cards=True), columns)


def _unread(case: Case) -> Html:
    if not case.unread:
        return common.nothing("Everything that was looked at could be read.")
    columns = {
        "Account": lambda row: row.account,
        "Reason": lambda row: row.reason,
        "Where": lambda row: code(row.where) if row.where else "–",
        "Weight": lambda row: (
            chip("unknown", "a verdict rests on it") if row.blocking else chip("quiet", "for information")
        ),
    }
    style = tables.Style("What could not be read", noun="place", cards=True, source="findings.json")
    return tables.records(case.unread, style, columns)


def provenance(case: Case) -> Html:
    """Under which circumstances all this was found."""
    rows = [(name, breakable(value) if value else "–") for name, value in case.provenance.items()]
    return tables.table(["What", "Value"], rows, tables.Style("This run", limit=None, noun="fact"))
