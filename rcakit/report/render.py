"""From an executed notebook to one HTML file: no request, no script, nothing obeyed that a database said.

nbconvert with a template of our own: https://nbconvert.readthedocs.io/en/latest/customizing.html
Markup made by this package carries a mark in its output's metadata and is passed through; all other HTML and
Markdown, a person's own cells included, is cleaned first. A Content-Security-Policy is the second net.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rcakit.report import notebooks

# isort: split
import bleach  # type: ignore[import-untyped]
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters.ansi import strip_ansi
from nbformat import NotebookNode

from rcakit.report import banner as banners
from rcakit.report import pages
from rcakit.report.banner import Failure as Failure
from rcakit.report.banner import Opening, Progress
from rcakit.report.html import Html, details, esc, pre, source, tag

_HERE = Path(__file__).parent
_TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "hr",
        "i",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_ATTRIBUTES = {"a": ["href", "title"], "td": ["colspan", "rowspan"], "th": ["scope", "colspan", "rowspan"]}
Code = Literal["folded", "open", "none"]
_ASIDE = {"parameters", "injected-parameters", "notebook-only"}


def page(notebook: NotebookNode, *, failure: Failure | None = None, code: Code = "folded") -> str:
    """The HTML page of a notebook, executed as far as it came.

    `failure` puts a banner on top that says why the run is not whole, what was done and what was not. `code` is what
    becomes of code and SQL; where it is folded, the notebook's own parameter `show_code` unfolds it.
    """
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    opens = _openings(notebook)
    not_run = _not_run(notebook)
    code_cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    progress = Progress(code_cells, not_run, opens)
    resources = {
        "rcakit": {
            "title": _title(notebook),
            "css": pages.style(),
            "policy": pages.POLICY,
            "opens": opens,
            "not_run": not_run,
            "aside": _aside(notebook),
            "at_end": _at_end(notebook, opens),
            "reason": failure.reason if failure else "",
            "banner": banners.banner(failure, progress) if failure else "",
            "left": progress.left,
            "lead": _lead(notebook, code_cells),
            "code": "open" if code == "folded" and given.get("show_code") else code,
        }
    }
    markup = _exporter().from_notebook_node(notebook, resources=resources)[0]
    return _OPTIONAL.sub("", _linked(_SOURCE.sub(r"\2" if code == "none" else r"\1", markup)))


def _linked(page: str) -> str:
    """The page with the text alone of every link to a part it does not have: a notebook shows some of the sections."""
    there = {quoted or bare for quoted, bare in _ID.findall(page)}
    return _INTERNAL.sub(lambda link: link[0] if (link[1] or link[2]) in there else link[3], page)


_ID = re.compile(r"""<[a-z][^<>]*? id=(?:"([^"<>]*)"|([^\s"<>]+))""")
_INTERNAL = re.compile(r"""<a href=(?:"#([^"<>]*)"|#([^\s"<>]+))>(.*?)</a>""", re.DOTALL)
"""Links as `html.tag` and nbconvert write them; in text both would be escaped."""


_SOURCE = re.compile(r"<!--code-->(.*?)<!--else-->(.*?)<!--end-->", re.DOTALL)
"""What `html.source` marked; a mark in foreign markup would have been taken out with all its comments."""
_OPTIONAL = re.compile(
    r"</(?:td|th|tr|thead|tbody|caption|li|dt|dd)>"
    r"|</p>(?=<(?:p|div|details|dl|figure|h[1-6]|pre|table|ul|ol)\b|</(?:td|th|div|details|section|article)>)"
)
"""End tags that HTML lets one leave out, a tenth of a page of tables; text cannot hold them, it is escaped.
https://html.spec.whatwg.org/multipage/syntax.html#optional-tags"""


class _Exporter(HTMLExporter):
    """Without the second parsing of the page that HTMLExporter does to add what this template has already."""

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        return TemplateExporter.from_notebook_node(self, nb, resources, **kw)


def warm() -> None:
    """Make what the first page would make, and later ones have."""
    page(notebooks.nbformat.v4.new_notebook())  # type: ignore[no-untyped-call]


@cache
def _exporter() -> _Exporter:
    """One exporter a process: making it costs several times what a page does."""
    exporter = _Exporter(  # type: ignore[no-untyped-call]
        template_name="template", extra_template_basedirs=[str(_HERE)], exclude_anchor_links=True
    )
    for name, function in (
        ("shown", shown),
        ("shown_text", esc),
        ("shown_code", pre),
        ("safe_html", safe),
    ):
        exporter.register_filter(name, function)  # type: ignore[no-untyped-call]
    return exporter


def safe(markup: str) -> str:
    """Foreign HTML reduced to text structure: no script, style, image, form, frame, handler or identifier."""
    return str(
        bleach.clean(
            _UNREAD.sub("", markup),
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            protocols=["https", "http"],
            strip=True,
        )
    )


_UNREAD = re.compile(r"<(style|script)\b[^>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
"""Elements whose text nobody is meant to read (a DataFrame brings its style sheet along); `bleach` would keep it."""


def shown(output: NotebookNode, reason: str = "") -> str:
    """One output of a cell as markup; of an error that is the `reason` on top of the page only the traceback."""
    if output.output_type == "stream":
        return _stream(output.text)
    if output.output_type == "error":
        return _error(output, reason).text
    return _data(output.data, output.get("metadata", {}))


def _data(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    if "text/html" in data:
        markup: str = data["text/html"]
        ours = metadata.get("text/html", {}).get("rcakit") is True
        if ours:
            return markup
        cleaned = safe(markup)
        return f'<div class="foreign">{cleaned}</div>' if cleaned.strip() else ""
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            alt = metadata.get(kind, {}).get("alt", "figure without a description")
            return tag(
                "figure", tag("img", src=f"data:{kind};base64,{data[kind]}".replace("\n", ""), alt=alt)
            ).text
    return _stream(data.get("text/plain", ""))


def _stream(text: str) -> str:
    return pre(_plain(text)).text


def _plain(text: str) -> str:
    return str(strip_ansi(text))  # type: ignore[no-untyped-call]


def _error(output: NotebookNode, reason: str) -> Html:
    trace = pre(_plain("\n".join(output.traceback)))
    message = output.evalue.partition("\n")[0]
    if reason and message in reason:
        return source(details("Traceback", trace))
    said = f"{output.ename}: {message}".rstrip(": ")
    return source(details(said, trace), tag("p", said))


def _lead(notebook: NotebookNode, code_cells: list[int]) -> str:
    """The answer to the notebook's title, which its last cell gives: it is read first, but for what the page says there already."""
    if not code_cells or "verdict(" not in notebook.cells[code_cells[-1]].source:
        return ""
    *earlier, last = [_ours(notebook.cells[index]) for index in code_cells]
    there = [_MARKUP.sub("", markup) for markup in earlier]
    new = [
        part for part in _PARAGRAPH.findall(last) if not any(_MARKUP.sub("", part) in text for text in there)
    ]
    return "".join(new)


def _ours(cell: NotebookNode) -> str:
    """What a cell shows in markup of this package."""
    shown = (
        output for output in cell.outputs if output.get("metadata", {}).get("text/html", {}).get("rcakit")
    )
    return "".join(output.data["text/html"] for output in shown)


_MARKUP = re.compile(r"<[^>]*>")
_PARAGRAPH = re.compile(r"<p\b.*?</p>", re.DOTALL)


def _title(notebook: NotebookNode) -> str:
    headings = (c.source for c in notebook.cells if c.cell_type == "markdown" and c.source.startswith("# "))
    return next(headings, "Report").partition("\n")[0].removeprefix("# ")


def _openings(notebook: NotebookNode) -> dict[int, Opening]:
    """Index of the cell -> the section it opens."""
    result: dict[int, Opening] = {}
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            title = cell.source.partition("\n")[0].removeprefix("## ").strip()
            slug = _slug(title)
            taken = {opening.slug for opening in result.values()}
            number = len(result) + 1
            result[index] = Opening(
                number, slug if slug and slug not in taken else f"{slug or 'part'}-{number}", title
            )
    return result


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _not_run(notebook: NotebookNode) -> set[int]:
    """Indices of the code cells that never ran, by the engine's own books."""
    return {
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("status") == "pending"
    }


def _aside(notebook: NotebookNode) -> list[int]:
    """Cells that are for the notebook alone, and the parameters, which the page shows at its end."""
    return [index for index, cell in enumerate(notebook.cells) if _ASIDE & set(cell.metadata.get("tags", ()))]


def _at_end(notebook: NotebookNode, opens: Mapping[int, Opening]) -> dict[int, str]:
    """Code that says no more than its section's heading, and what comes before the first: shown once, at the foot."""
    first = min(opens, default=0)
    return {
        index: cell.source
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and not _ASIDE & set(cell.metadata.get("tags", ()))
        and (index < first or _SECTION.fullmatch(cell.source.strip()))
    }


_SECTION = re.compile(r"sections\.\w+\([\w, ]*\)")
