"""Workflow commands of GitHub Actions, which become annotations on the changed lines: printed, and nothing else to do.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands gives the form; the escapes are
those of the runner's own `toolkit/packages/core/src/command.ts`. GitHub shows the first ten of each level.
"""

from __future__ import annotations

from rcakit.exports.checked import Checked, Entry
from rcakit.facts import Unread, Where
from rcakit.names import visible

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def render(checked: Checked) -> str:
    """One command a line: each finding that stands, then what could not be read. Empty when there is neither."""
    return "".join(
        [
            *(_finding(checked, row) for row in checked.standing),
            *(_unread(checked, row) for row in checked.unread),
        ]
    )


def _finding(checked: Checked, row: Entry) -> str:
    command = _COMMANDS[row.finding.severity]
    return _line(command, _where(checked, row.finding.where), row.title, f"{row.fact}\n-> {row.act}")


def _unread(checked: Checked, row: Unread) -> str:
    command, title = ("error", "could not check") if row.blocking else ("notice", "not read")
    return _line(command, _where(checked, row.where), title, f"{visible(row.account)}: {visible(row.reason)}")


def _where(checked: Checked, where: Where | None) -> dict[str, str]:
    """No file is said where there is none: such an annotation belongs to the whole run."""
    if where is None:
        return {}
    path, line = checked.place(where)
    return {"file": path, "line": str(line)} if where.line else {"file": path}


def _line(command: str, properties: dict[str, str], title: str, message: str) -> str:
    given = ",".join(
        f"{name}={_escaped(value, _PROPERTY)}" for name, value in {**properties, "title": title}.items()
    )
    return f"::{command} {given}::{_escaped(message, _DATA)}\n"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)
