"""Text that becomes HTML: every character of a database or a repository is shown, none is obeyed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rcakit.names import visible

_BREAK = re.compile(r"\S{10,24}?[._/]+(?=\S{3})|\S{28}(?=\S)")
_OPTION = re.compile(r"(?<=\s)--?[a-z][\w-]*")
_BARE = re.compile(r"[\w#-]+", re.ASCII)


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


def esc(value: object) -> str:
    """One line of text, escaped for element content (not for attributes); `Html` passes as it is."""
    return value.text if isinstance(value, Html) else html.escape(visible(str(value)), quote=False)


def attribute(value: object) -> str:
    """One line of text as an attribute's value, quoted where HTML wants it."""
    text = html.escape(visible(str(value)), quote=False)
    return text if _BARE.fullmatch(text) else '"' + text.replace('"', "&quot;") + '"'


def lines(text: str) -> str:
    """Several lines of text, escaped; newlines and tabs stay what they are."""
    return "\n".join(esc(line).replace("\\t", "    ") for line in text.expandtabs(4).split("\n"))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element; `class_` and the like lose the underscore, None leaves an attribute out, True has no value."""
    pairs = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f"={attribute(value)}")
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{pairs}>{''.join(esc(part) for part in content)}</{name}>")


def join(*parts: object) -> Html:
    return Html("".join(esc(part) for part in parts))


def between(parts: Sequence[object], comma: str) -> Iterator[object]:
    """The parts with a separator between each two."""
    for number, part in enumerate(parts):
        yield from (comma, part) if number else (part,)


def breakable(text: object) -> Html:
    """A name that may be broken after a dot, slash or underscore, or where it runs on for too long."""
    shown = visible(str(text))
    parts = _BREAK.sub("\\g<0>\n", shown).split("\n") if len(shown) > 16 else [shown]
    return Html("<wbr>".join(html.escape(part, quote=False) for part in parts))


def code(text: object) -> Html:
    """An identifier or a short piece of code, in its own direction; a command's option is not broken at its hyphens."""
    if isinstance(text, Html):
        return tag("code", text)
    return tag("code", Html(_OPTION.sub(r"<span class=option>\g<0></span>", breakable(text).text)))


def spoken(text: str) -> Html:
    """A sentence with what stands in backticks as code; where they do not come in pairs, they stay."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return join(text)
    return join(*(code(part) if number % 2 else part for number, part in enumerate(parts)))


def chip(kind: str, text: str) -> Html:
    """A status: the style sheet puts a glyph before the word. kind: error warning note good unknown quiet."""
    return tag("b", text, class_=kind)


def when(moment: datetime) -> Html:
    """A moment in UTC, to the second."""
    return Html(f"<time>{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}</time>")


def details(summary: object, *content: object, id_: str | None = None, open_: bool = False) -> Html:
    return tag("details", tag("summary", summary), *content, id=id_, open=open_)


def source(content: Html, instead: object = "") -> Html:
    """Code or SQL, between marks by which the renderer leaves it out where it is not wanted.

    No text can hold such a mark: `<` is escaped in all of it.
    """
    return Html(f"<!--code-->{content}<!--else-->{esc(instead)}<!--end-->")


def pre(text: str) -> Html:
    """Code in lines; long ones wrap."""
    return Html(f"<pre>{lines(text)}</pre>")
