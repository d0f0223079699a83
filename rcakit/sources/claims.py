"""What people say is done: the ticked and open tasks of the project's Markdown files.

Task lists are GitHub's extension (https://github.github.com/gfm/#task-list-items-extension-): a list item that begins with
``[ ]`` or ``[x]``. They are read line by line, not with a Markdown parser: the marker must be the first thing
after a list bullet, which is a line's business, and the two things that can make such a line mean something else, fenced code
and HTML comments, are followed here. (Indented code is not told from a nested list; a task shown in one is counted.) The
core stays free of one more dependency for that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rcakit.facts import Claim, Where

__all__ = ["Claim", "read", "tasks"]

SKIPPED = frozenset(
    {"node_modules", "site-packages", "venv", "env", "vendor", "dist", "build", "__pycache__"}
)
SUFFIXES = (".md", ".markdown", ".mdx")
TOO_LARGE = 2_000_000
"""Bytes: nobody ticks tasks in a file beyond that."""

_ITEM = re.compile(r"^[\s>]*(?:[-*+]|\d{1,9}[.)])\s+\[([ xX])\]\s+(\S.*)$")
_ID = re.compile(r"^(?:\*\*|`|\[)?([A-Z]{1,10}-?\d+(?:\.\d+)*[a-z]?)(?:\*\*|`|\])?[:.]?(?=\s|$)\s*")
_FENCE = re.compile(r"^[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)?(`{3,}|~{3,})(.*)$")


def read(project: Path) -> tuple[Claim, ...]:
    """All tasks below the project, by file and line; folders of dependencies and hidden ones are left out.

    A text that is not UTF-8 is read with its strange bytes replaced. A file that cannot be opened has no tasks.
    """
    found: list[Claim] = []
    for path in _markdown(project):
        try:
            text = path.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        name = path.relative_to(project).as_posix()
        found += tasks(text, name)
    return tuple(found)


def tasks(text: str, path: str) -> Iterator[Claim]:
    """The tasks of one Markdown text, those in fenced code and HTML comments left out."""
    fence, comment = "", False
    for number, line in enumerate(text.split("\n"), 1):
        fenced = _FENCE.match(line)
        if fence:
            closes = fenced and fenced[1].startswith(fence) and not fenced[2].strip()
            fence = "" if closes else fence
        elif comment:
            comment = "-->" not in line
        elif fenced:
            fence = fenced[1]
        elif line.lstrip().startswith("<!--"):
            comment = "-->" not in line
        elif item := _ITEM.match(line):
            yield _claim(item[1], item[2].strip(), Where(path, number))


def _claim(mark: str, text: str, where: Where) -> Claim:
    own = _ID.match(text)
    if own is None:
        return Claim("", text, mark in "xX", where)
    return Claim(own[1], text[own.end() :], mark in "xX", where)


def _markdown(project: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not _hidden(name))
        for name in sorted(files):
            path = Path(folder, name)
            if name.lower().endswith(SUFFIXES) and path.is_file() and path.stat().st_size <= TOO_LARGE:
                yield path


def _hidden(name: str) -> bool:
    """Dot folders hold tools' files; `.specify`, `.github` and the like hold people's."""
    return name in {".git", ".hg", ".svn"} or (
        name.startswith(".") and name.endswith(("venv", "env", "cache", "tox", "nox"))
    )
