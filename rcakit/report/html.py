"""Text that becomes HTML: every character of a database or a repository is shown, none is obeyed."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime

BREAK = r"\g<0><wbr>"
_BREAK = re.compile(r"[._/](?=\w{3})|\w{28}(?=\w)")


@dataclass(frozen=True)
class Html:
    """Markup that is known to be safe; shows itself as the last expression of a notebook's cell.

    The mark in the output's metadata tells the renderer that this markup is ours: everything else is cleaned.
    """

    text: str

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, object]]:
        return bundle(self.text)

    def _repr_html_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text


def bundle(markup: str) -> tuple[dict[str, str], dict[str, object]]:
    """A display bundle and its metadata, as IPython's `_repr_mimebundle_` returns them."""
    return {"text/html": markup, "text/plain": "shown as HTML"}, {"text/html": {"rcakit": True}}


def visible(text: str) -> str:
    r"""The text with every character seen: controls, bidirectional overrides, odd spaces as escapes.

    >>> print(visible("venues\u202e\n"))
    venues\u202e\n
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def esc(value: object) -> str:
    """One line of text, escaped for element content and quoted attributes; `Html` passes as it is."""
    return value.text if isinstance(value, Html) else html.escape(visible(str(value)))


def lines(text: str) -> str:
    """Several lines of text, escaped; newlines and tabs stay what they are."""
    return "\n".join(esc(line).replace("\\t", "    ") for line in text.expandtabs(4).split("\n"))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element; `class_` and the like lose the underscore, None leaves an attribute out, True has no value."""
    pairs = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{esc(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{pairs}>{''.join(esc(part) for part in content)}</{name}>")


def join(*parts: object) -> Html:
    return Html("".join(esc(part) for part in parts))


def code(text: object) -> Html:
    """An identifier or a short piece of code, in its own direction; it may break after a dot or underscore."""
    return Html(f"<code>{_BREAK.sub(BREAK, esc(text))}</code>")


_GLYPH = {"error": "✕", "warning": "!", "note": "i", "good": "✓", "unknown": "?", "quiet": "·"}


def chip(kind: str, text: str) -> Html:
    """A status: a glyph and a word, the colour comes third. kind: error warning note good unknown quiet."""
    return Html(
        f'<span class="chip {kind}"><span aria-hidden="true">{_GLYPH[kind]}</span> {esc(text)}</span>'
    )


def when(moment: datetime) -> Html:
    """A moment in UTC, to the second."""
    utc = moment.astimezone(UTC)
    return Html(f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc:%Y-%m-%d %H:%M:%S}</time>')


def details(summary: object, *content: object, id_: str | None = None, open_: bool = False) -> Html:
    return tag("details", tag("summary", summary), *content, id=id_, open=open_)


def pre(text: str, language: str = "") -> Html:
    """Code in lines. A region that may scroll sideways, hence reachable by keyboard."""
    return Html(
        f'<pre tabindex="0" role="region" aria-label="{esc(language or "code")}"><code>{lines(text)}</code></pre>'
    )
