"""Pages that are not notebooks, in the look of the report: one file, no request, no script. Needs no lab."""

from __future__ import annotations

import os
import re
import secrets
from functools import cache
from pathlib import Path

from rcakit.report.html import Html, esc, join, tag

_TEMPLATE = Path(__file__).parent / "template"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP"""


@cache
def style(name: str = "report") -> str:
    """A style sheet without comments, and without the space that means nothing: it travels in every page."""
    text = (_TEMPLATE / f"{name}.css").read_text(encoding="utf-8")
    lines = re.sub(r"\s*\n\s*|/\*.*?\*/", "", text, flags=re.DOTALL)
    tight = re.sub(r" ?([{};,]) ?|(?<=[a-z]): ", lambda found: found[1] or ":", lines)
    return tight.replace(";}", "}")


def page(title: str, *content: object) -> str:
    """A whole page; `title` is its first heading too."""
    head = join(
        Html("<meta charset=utf-8>"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Html('<meta name=viewport content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark"><meta name=referrer content=no-referrer>'),
        Html("<meta name=robots content=noindex>"),
        tag("title", title),
        Html(f"<style>{style()}{style('pages')}</style>"),
    )
    skip = tag("a", "Skip to the page", class_="skip", href="#page")
    body = join(skip, tag("main", tag("h1", title), *content, id="page"))
    return f"<!doctype html>\n<html lang=en><head>{esc(head)}</head><body>{esc(body)}</body></html>\n"


def write(text: str, path: Path) -> None:
    """Write a page whole or not at all: whoever reads `path` meanwhile finds the old one. Raises OSError."""
    part = path.with_name(part_name(path.name, secrets.token_hex(4)))
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def part_name(name: str, token: str) -> str:
    """What a page is called while it is written."""
    return f".{name}.{token}.part"
