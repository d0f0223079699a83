"""A comparison of two runs as text for a terminal, and as one JSON document (`schemas/compare.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rcakit.archive.content import Found, Unread
from rcakit.archive.difference import Change, Difference
from rcakit.archive.kept import Kept
from rcakit.names import visible

VERSION = 1
HEADS = {
    "new": "new findings",
    "resolved": "resolved",
    "waived": "gone, because waived since",
    "untold": "gone, but the later run could not have told",
    "moot": "on tests and pipelines, not looked for any more: no table is misplaced",
    "unchanged": "unchanged",
}
"""The classes of findings, in the order people ask for them."""
CHANGES = {"accounts": "tables", "steps": "migrations, as replayed", "guards": "conditions, as replayed"}


def text(earlier: Kept, later: Kept, found: Difference) -> str:
    """Lines for a terminal; what did not change is counted and named, without its message."""
    return "\n".join(visible(line) for line in _lines(earlier, later, found)) + "\n"


def _lines(earlier: Kept, later: Kept, found: Difference) -> Iterator[str]:
    yield f"{later.run.target}: {_run(later)}"
    yield f"  compared with {_run(earlier)}"
    yield from (f"note: {note}" for note in found.notes)
    for name, head in HEADS.items():
        yield from _listed(head, [_finding(row, whole=name != "unchanged") for row in getattr(found, name)])
    for name, head in CHANGES.items():
        yield from _listed(head, [_change(row) for row in getattr(found, name)])
    yield from _listed("could not be read any more", [_unread(row) for row in found.unread_new])
    yield from _listed("can be read again", [_unread(row) for row in found.unread_gone])
    yield found.said()


def _listed(head: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{head} ({len(lines)})"
        yield from (f"  {line}" for line in lines)


def _run(kept: Kept) -> str:
    return f"{kept.id}, {kept.run.started:%Y-%m-%d %H:%M} UTC, {kept.run.status}"


def _finding(row: Found, *, whole: bool) -> str:
    place = f"  [{row.where.path}]" if row.where else ""
    return f"{row.severity} {row.code} {row.object}{f': {row.message}{place}' if whole else ''}"


def _change(row: Change) -> str:
    return f"{row.object} {row.account}: {side(row.was)} -> {side(row.now)}"


def side(value: str | None) -> str:
    """A value before or after, None told as what it means."""
    return "none" if value is None else value


def _unread(row: Unread) -> str:
    return f"{'could not check' if row.blocking else 'not read'} {row.account}: {row.reason}"


def document(earlier: Kept, later: Kept, found: Difference) -> dict[str, Any]:
    """The whole document."""
    return {
        "version": VERSION,
        "target": later.run.target,
        "earlier": _identity(earlier),
        "later": _identity(later),
        "notes": list(found.notes),
        "findings": {name: [row.model_dump() for row in getattr(found, name)] for name in HEADS},
        **{name: [_sides(row) for row in getattr(found, name)] for name in CHANGES},
        "unread": {
            "new": [row.model_dump() for row in found.unread_new],
            "gone": [row.model_dump() for row in found.unread_gone],
        },
    }


def _identity(kept: Kept) -> dict[str, str]:
    return {"id": kept.id, "started": kept.run.started.isoformat(), "status": kept.run.status}


def _sides(row: Change) -> dict[str, str | None]:
    return {"object": row.object, "account": row.account, "was": row.was, "now": row.now}
