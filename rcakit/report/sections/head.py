"""The head of a page: which incident, one sentence of verdict, how much was found, and what could not be told."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rcakit.report.html import Html, chip, code, join, tag, when
from rcakit.report.sections import common, replay, since
from rcakit.target import Incident

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.placement import Placement

REASONS = 2
"""Reasons why something could not be checked that the head gives; all are among the open questions."""


def title(case: Case) -> Html:
    """The title block: which incident, one sentence of verdict, how much was found and not read."""
    incident = case.target.incident
    counts = Counter(finding.severity for finding in case.findings)
    blocked = sum(row.blocking for row in case.unread)
    chips = [
        chip(level, common.plural(counts[level], level))
        for level in ("error", "warning", "note")
        if counts[level]
    ]
    if not chips:
        chips.append(chip("good", "no findings"))
    chips.append(chip("unknown" if blocked else "quiet", f"{blocked} could not be checked"))
    head = tag(
        "header",
        _incident(incident),
        tag("p", said(case), class_="verdict"),
        tag("p", *chips, class_="chips"),
        _untold(case),
        since.block(case),
        _facts(case),
        class_="title-block",
    )
    return join(replay.banner(case), head)


def _untold(case: Case) -> Html:
    """Why part of it could not be checked: it is the first thing to mend, and a verdict may change with it."""
    reasons = list(dict.fromkeys(row.reason for row in case.unread if row.blocking))
    if not reasons:
        return Html("")
    more = len(reasons) - REASONS
    left = [tag("li", tag("a", f"{more} more", href="#open-questions"))] if more > 0 else []
    return join(
        tag("p", tag("b", "Could not be checked:")),
        tag("ul", *(tag("li", f"{reason}.") for reason in reasons[:REASONS]), *left),
    )


def _incident(incident: Incident) -> Html:
    """Its number and title; nothing where nobody gave it any: the page's own title asks the same."""
    if not incident.id and incident.title == Incident().title:
        return Html("")
    return tag("p", join(incident.id, " · ") if incident.id else "", incident.title, class_="incident")


def _facts(case: Case) -> Html:
    incident, provenance = case.target.incident, case.provenance
    rows: dict[str, object] = {
        "Status": incident.status,
        "Severity": incident.severity or "not given",
        "Target": case.target.name,
        "Database": join(
            code(case.observed.server.database), f" · PostgreSQL {case.observed.server.version}"
        ),
        "Date": join(when(case.started), " UTC"),
        "Branch": code(provenance.get("branch", "unknown")),
        "Commit": _commit(provenance.get("commit", "unknown")),
    }
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows.items()))


def _commit(text: str) -> Html:
    """The short name of a commit; why there is none is said in the provenance."""
    return Html("unknown") if text.startswith("unknown") else code(text[:12])


def verdict(case: Case) -> Html:
    """The answer to the notebook's title."""
    return tag("p", said(case), class_="answer")


def said(case: Case) -> str:
    """One sentence that somebody who was not there understands."""
    wrong = [row for row in case.placement if row.verdict == "wrong schema"]
    missing = [row for row in case.placement if row.verdict == "missing"]
    root = next((cause for cause in case.causes if cause.role == "root"), None)
    parts = [_misplaced(wrong)] if wrong else []
    if missing:
        parts.append(
            f"{common.plural(len(missing), 'declared table')} {_is(missing)} nowhere in the database"
        )
    if not parts:
        return _otherwise(case)
    return "; ".join(parts) + (f": {_lower(root.title)}." if root else ".")


def _otherwise(case: Case) -> str:
    """The sentence where no table is known to be misplaced or missing."""
    every = len(case.placement)
    pending = sum(row.verdict == "pending" for row in case.placement)
    if pending and pending == every:
        return f"None of the {common.plural(every, 'declared table')} is in this database: {_unmade(case)}."
    there = (
        f"{pending:,} of {every:,} declared tables are not made yet, every other one"
        if pending
        else "Every declared table"
    )
    if any(row.severity != "note" for row in case.findings):
        return f"{there} is where it was meant to be, but not all is well."
    if any(row.blocking for row in case.unread):
        return "Nothing wrong was found in what could be read; part of it could not be checked."
    return "This database is what its migrations say it is."


def _unmade(case: Case) -> str:
    if case.observed.relations:
        return "the migrations that make them are not recorded as applied"
    return "it is empty"


def _misplaced(rows: list[Placement]) -> str:
    meant = dict.fromkeys(row.intended.target.schema or "?" for row in rows if row.intended)
    found = dict.fromkeys(row.found.schema for row in rows if row.found)
    which = "was" if len(rows) == 1 else "were"
    schemas = "schema" if len(meant) == 1 else "schemas"
    return (
        f"{common.plural(len(rows), 'table')} that {which} meant for {schemas} {common.listed(meant)} "
        f"{_is(rows)} in {common.listed(found)}"
    )


def _is(rows: list[Placement]) -> str:
    return "is" if len(rows) == 1 else "are"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
