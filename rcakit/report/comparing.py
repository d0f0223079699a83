"""The page of `rcakit compare`: what came, what went and what is as it was, in the look of the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from rcakit.archive.content import Found, Unread
from rcakit.archive.difference import Change, Difference
from rcakit.archive.kept import Kept
from rcakit.archive.telling import side
from rcakit.report import index, pages, tables
from rcakit.report.html import Html, breakable, chip, code, join, tag, when

_COLUMNS = {
    "accounts": ("Table", "Account", "Tables whose accounts changed"),
    "steps": ("Migration", "Database", "Migrations that did something else when replayed"),
    "guards": ("Migration", "Condition", "Conditions that came out otherwise"),
}


def write(earlier: Kept, later: Kept, found: Difference, path: Path) -> None:
    """Write the page, whole or not at all; its links lead from where it lies. Raises OSError."""
    pages.write(page(earlier, later, found, path.parent), path)


def page(earlier: Kept, later: Kept, found: Difference, place: Path) -> str:
    """The page, to lie in the directory `place`."""
    runs = tables.table(
        ["Run", "Started", "Status"],
        [_run("later", later, place), _run("earlier", earlier, place)],
        tables.Style("The runs compared", cards=True, noun="run"),
    )
    notes = [tag("p", tag("b", "Not alike: "), note, ".") for note in found.notes]
    return pages.page(
        f"What changed in {later.run.target}?",
        tag("p", f"{found.said()}.".capitalize(), class_="verdict"),
        runs,
        *notes,
        tag("section", tag("h2", "Findings"), findings(found), _table(found.unchanged, "Unchanged")),
        tag("section", tag("h2", "Accounts"), accounts(found)),
        tag("section", tag("h2", "Unread"), unread(found)),
    )


def _run(which: str, kept: Kept, place: Path) -> tuple[object, ...]:
    text = join(kept.id, " ", tag("small", which))
    if kept.report is not None:
        text = tag("a", text, href=quote(os.path.relpath(kept.report, place)))
    return text, join(when(kept.run.started), " UTC"), chip(*index.STATUS[kept.run.status])


def findings(found: Difference) -> Html:
    """What came and what went, a table for each way."""
    return join(
        _table(found.new, "New", "No finding is new."),
        _table(found.resolved, "Resolved", "No finding was resolved."),
        _table(found.waived, "Gone, because they were waived since"),
        _table(found.untold, "Gone, but the later run could not have told"),
        _table(found.moot, "On tests and pipelines, not looked for any more: no table is misplaced"),
    )


def _table(rows: Sequence[Found], caption: str, otherwise: str = "") -> Html:
    if not rows:
        return tag("p", otherwise, class_="nothing") if otherwise else Html("")
    cells = [
        (row.code, chip(row.severity, row.severity), code(row.object), breakable(row.message), _where(row))
        for row in rows
    ]
    style = tables.Style(caption, limit=None, cards=True, noun="finding", wide=frozenset({"What"}))
    return tables.table(["Finding", "Severity", "Object", "What", "Where"], cells, style)


def _where(row: Found) -> object:
    return tag("small", breakable(row.where.path)) if row.where else "–"


def accounts(found: Difference) -> Html:
    """Which account of which table changed, and what a replay showed otherwise."""
    parts = [_changes(getattr(found, name), *columns) for name, columns in _COLUMNS.items()]
    nothing = tag("p", "No account of any table changed.", class_="nothing")
    return join(*([part for part in parts if part.text] or [nothing]))


def _changes(rows: Sequence[Change], first: str, second: str, caption: str) -> Html:
    if not rows:
        return Html("")
    cells = [
        (breakable(row.object), breakable(row.account), code(side(row.was)), code(side(row.now)))
        for row in rows
    ]
    style = tables.Style(caption, limit=None, cards=True, noun="change")
    return tables.table([first, second, "Was", "Is"], cells, style)


def unread(found: Difference) -> Html:
    """What could not be read in only one of the two."""
    parts = [
        _gaps(found.unread_new, "What could not be read any more"),
        _gaps(found.unread_gone, "What can be read again"),
    ]
    nothing = tag("p", "What could not be read is the same in both.", class_="nothing")
    return join(*([part for part in parts if part.text] or [nothing]))


def _gaps(rows: Sequence[Unread], caption: str) -> Html:
    if not rows:
        return Html("")
    kinds = {True: chip("unknown", "could not check"), False: chip("quiet", "not read")}
    cells = [(row.account, kinds[row.blocking], breakable(row.reason)) for row in rows]
    style = tables.Style(caption, limit=None, cards=True, noun="place", wide=frozenset({"Why"}))
    return tables.table(["Account", "Kind", "Why"], cells, style)
