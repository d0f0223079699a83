"""The short scheduled check: what changed since the run before, how it is now, and how it went lately."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.archive.content import Content
from rcakit.archive.difference import Difference, difference
from rcakit.archive.kept import Kept, before, latest
from rcakit.report import comparing, index, tables, trend_figures
from rcakit.report.html import Html, between, breakable, chip, code, join, tag, when
from rcakit.report.sections import common, head, since, what
from rcakit.report.words import plural

if TYPE_CHECKING:
    from rcakit.case import Case

RUNS = 30
"""Kept runs that are looked at for the trend, the latest."""
_ALONE = "This notebook was not started by rcakit run: no other run is known here."
_UNKNOWN = Html("No earlier run is known, so nothing can be said about drift.")


def changes(case: Case) -> Html:
    """Findings, accounts and gaps that are not what they were at the last run that came to its end."""
    place = _place()
    if place is None:
        return common.nothing(_ALONE)
    last, _ = before(place, case.target.name)
    if last is None:
        return common.nothing(since.FIRST)
    found = difference(last.content, since.content(case))
    parts = comparing.findings(found), comparing.accounts(found), comparing.unread(found)
    return join(*(tag("p", tag("b", "Not alike: "), note, ".") for note in found.notes), *parts)


def accounts(case: Case) -> Html:
    """Each declared table in all five accounts, those on which all agree folded away."""
    return what.five_accounts(case)


def findings(case: Case) -> Html:
    """All that is found now, a line for each rule; every finding is in findings.json."""
    if not case.findings:
        return common.nothing("Nothing was found.")
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in case.findings:
        groups[row.code, row.rule, row.severity].append(row.object)
    rows = [
        (
            f"{code_} {rule}",
            chip(severity, severity),
            len(objects),
            join(*between([*map(code, objects[:3])], ", ")),
        )
        for (code_, rule, severity), objects in groups.items()
    ]
    style = tables.Style("Found now, by rule", limit=None, cards=True, noun="rule")
    return tables.table(["Rule", "Severity", "Findings", "Where first"], rows, style)


def trend(case: Case) -> Html:
    """The kept runs of this target and this one, as a figure and as a table."""
    place = _place()
    if place is None:
        return common.nothing(_ALONE)
    kept = list(islice(latest(place, case.target.name), RUNS))
    points = [_point(each.content, each) for each in reversed(kept)]
    now = trend_figures.Point(case.started, case.status, _counts(since.content(case)), None)
    return join(trend_figures.trend([*points, now]), _runs(kept))


def _point(content: Content, kept: Kept) -> trend_figures.Point:
    counts = _counts(content) if kept.finished else None
    return trend_figures.Point(kept.run.started, kept.run.status, counts, kept.run.seconds)


def _counts(content: Content) -> Counter[str]:
    return Counter(row.severity for row in content.findings)


def _runs(kept: list[Kept]) -> Html:
    if not kept:
        return common.nothing(since.FIRST)
    columns = {
        "Run": since.link,
        "Started": lambda row: join(when(row.run.started), " UTC"),
        "Status": index.status,
        "Found": index.counted,
        "Took": lambda row: index.took(row.run.seconds),
        "Notebook": lambda row: breakable(row.run.notebook),
    }
    return tables.records(kept, tables.Style("The runs before", cards=True, noun="run"), columns)


def verdict(case: Case) -> Html:
    """The answer to the notebook's title: what changed, then how it is, a paragraph each."""
    place = _place()
    last = before(place, case.target.name)[0] if place else None
    changed = _UNKNOWN if last is None else _changed(difference(last.content, since.content(case)), last)
    return join(tag("p", changed, class_="answer"), head.verdict(case))


def _changed(found: Difference, last: Kept) -> Html:
    moved = len(found.accounts)
    same = not (moved or found.new or found.resolved or found.waived or found.untold or found.moot)
    if same and not (found.unread_new or found.unread_gone):
        return join("Nothing changed since ", when(last.run.started), " UTC.")
    tables_ = f"; {plural(moved, 'account')} of tables changed" if moved else ""
    gaps = f"; {plural(len(found.unread_new), 'place')} can not be read any more" if found.unread_new else ""
    return join("Since ", when(last.run.started), f" UTC: {found.said()}{tables_}{gaps}.")


def _place() -> Path | None:
    """The folder of the target whose run is under way, None outside a run."""
    here = os.environ.get("RCAKIT_RUN_DIR")
    return Path(here).parent if here else None
