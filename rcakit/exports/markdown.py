"""Markdown for the comment on a pull request: a verdict, one table of what to do, and what could not be checked.

Names come from a database, and the reader is a browser: whatever is not a letter, a digit or a harmless mark is written as a
character reference, which CommonMark takes as text and never as structure
(https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references).
"""

from __future__ import annotations

from collections.abc import Iterable

from rcakit.exports.checked import LEVELS, Checked, Entry
from rcakit.facts import Unread, Where
from rcakit.names import visible

LIMIT = 60
"""Rows of a table: a comment on GitHub holds 65,536 characters. What is left out is counted."""
_PLAIN = frozenset(" ,.()/-")
_ICONS = {"error": "🔴 error", "warning": "🟡 warning", "note": "🔵 note"}


def render(checked: Checked) -> str:
    """One comment."""
    parts = [f"### rcakit: {_verdict(checked)}\n"]
    if checked.standing:
        parts.append(_table(checked, checked.standing))
    if checked.unread:
        parts.append(_list(checked, checked.unread))
    if checked.accepted:
        parts.append(f"{_count(len(checked.accepted), 'finding')} accepted before, and not shown.\n")
    return "\n".join(parts)


def _verdict(checked: Checked) -> str:
    counts = [_count(number, level) for level in LEVELS if (number := checked.number(level))]
    if blocked := sum(row.blocking for row in checked.unread):
        counts.insert(0, f"{_count(blocked, 'place')} could not be checked")
    said = ", ".join(counts or ["nothing found"])
    return f"{said} ({escape(checked.name)})"


def _table(checked: Checked, rows: tuple[Entry, ...]) -> str:
    lines = ["| | Finding | What is wrong, and what to do | Where |", "|---|---|---|---|"]
    for row in rows[:LIMIT]:
        what = f"{escape(row.fact)}<br>→ {escape(row.act)}"
        cells = (_ICONS[row.finding.severity], row.title, what, _where(checked, row.finding.where))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *_more(len(rows))]) + "\n"


def _list(checked: Checked, rows: tuple[Unread, ...]) -> str:
    lines = [
        f"* **{'could not check' if row.blocking else 'not read'}** {escape(row.account)}: {escape(row.reason)} "
        f"{_where(checked, row.where)}".rstrip()
        for row in rows[:LIMIT]
    ]
    return "\n".join([*lines, *_more(len(rows))]) + "\n"


def _more(number: int) -> Iterable[str]:
    if number > LIMIT:
        yield f"\n… and {number - LIMIT} more."


def _where(checked: Checked, where: Where | None) -> str:
    if where is None:
        return ""
    line = f"&#58;{where.line}" if where.line else ""
    return f"<code>{escape(checked.path(where))}{line}</code>"


def escape(text: str) -> str:
    """Foreign text that stays text, on one line, in a cell of a table.

    A character reference also keeps a colon from making a link; nobody is notified by an @ that a zero-width
    space follows, and `www.` is the one thing left that would become a link.
    """
    quoted = "".join(c if c.isalnum() or c in _PLAIN else f"&#{ord(c)};" for c in visible(text))
    return quoted.replace("&#64;", "&#64;&#8203;").replace("www.", "www&#46;")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
