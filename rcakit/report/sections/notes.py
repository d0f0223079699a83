"""What people wrote: `notes.md` beside the settings, shown in every report and touched by no command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rcakit.report.html import Html, esc
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.case import Case

FILE = "notes.md"
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BELOW, _DEEPEST = 2, 4
"""A note's first heading stands below the section's own; the page knows four levels."""


@dataclass(frozen=True)
class Notes:
    """A person's own words as HTML. It carries no mark of ours, so that the report cleans it as foreign."""

    markup: str

    def _repr_html_(self) -> str:
        return self.markup


def notes(case: Case) -> Html | Notes:
    """The notes of a target; HTML comments in them are left out, and any other HTML is shown as text."""
    path = case.target.root / FILE
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError as error:
        return common.nothing(f"{FILE} could not be read: {error.strerror}.")
    text = _COMMENT.sub("", text).strip()
    if not text:
        return common.nothing(f"None: what {FILE} beside the settings holds is shown here.")
    return Notes(_rendered(text))


def _rendered(text: str) -> str:
    """https://mistune.lepture.com/en/latest/guide.html"""
    import mistune

    class Renderer(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **attrs: object) -> str:
            level = min(level + _BELOW, _DEEPEST)
            return f"<h{level}>{text}</h{level}>\n"

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return esc(f"{text} ({url})")

    markdown = mistune.create_markdown(
        renderer=Renderer(escape=True), plugins=["table", "strikethrough", "url"]
    )
    return str(markdown(text))
