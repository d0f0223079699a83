"""Tables for people: a caption that counts, headers with a scope, nothing shown that is not escaped.

pandas' own renderer leaves an empty header cell and no caption; `Styler` does not escape at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from itertools import islice
from numbers import Number
from typing import TYPE_CHECKING, Any

from rcakit.report.html import Html, code, details, esc, join, pre, tag, when

if TYPE_CHECKING:
    import pandas as pd

    from rcakit.evidence import Evidence

LIMIT = 50
"""Rows shown of a table unless said otherwise; the whole set is in the CSV file beside the report."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a table is laid out.

    caption
        says what the rows are; the count is added.
    limit
        rows shown at most; None shows all.
    total
        the true number of rows when `rows` holds fewer.
    head
        the first column names its row (`<th scope="row">`).
    cards
        a narrow screen shows each row as a card with labelled lines, instead of columns.
    wide
        columns that take a card's whole width, without a label.
    source
        file beside the report that holds all rows.
    """

    caption: str
    limit: int | None = LIMIT
    total: int | None = None
    head: bool = True
    cards: bool = False
    source: str = ""
    noun: str = "row"
    wide: frozenset[str] = frozenset()


def table(columns: Sequence[object], rows: Iterable[Sequence[object]], style: Style) -> Html:
    """Render rows of cells. A cell is `Html`, text, a number, a moment or None."""
    rows = list(rows)
    total = len(rows) if style.total is None else style.total
    shown = rows[: style.limit]
    labels = [esc(column) for column in columns]
    head = "".join(f'<th scope="col">{label}</th>' for label in labels)
    body = "".join(_row(row, labels, style) for row in shown)
    kind = ' class="cards"' if style.cards else ""
    count = _count(len(shown), total, style)
    return Html(
        f'<div class="table"><table{kind}><caption>{esc(style.caption)} <small>{count}</small></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[object], labels: Sequence[str], style: Style) -> str:
    first = _cell(row[0], labels[0], style, header=True) if style.head else ""
    rest = list(zip(row, labels, strict=True))[1 if style.head else 0 :]
    return f"<tr>{first}{''.join(_cell(value, label, style) for value, label in rest)}</tr>"


def _cell(value: object, label: str, style: Style, *, header: bool = False) -> str:
    mark = f' data-label="{label}"' if style.cards and not header and label not in style.wide else ""
    number = ' class="number"' if isinstance(value, Number) and not isinstance(value, bool) else ""
    name, scope = ("th", ' scope="row"') if header else ("td", "")
    return f"<{name}{scope}{mark}{number}>{cell(value)}</{name}>"


def cell(value: object) -> str:
    """One value as markup."""
    match value:
        case None:
            return '<span class="null">null</span>'
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case datetime():
            return when(value).text if value.tzinfo else esc(value.isoformat(" "))
        case list() | tuple() if not hasattr(value, "_fields"):
            return ", ".join(cell(item) for item in value)
        case "":
            return '<span class="null">empty</span>'
        case _:
            return esc(value)


def _count(shown: int, total: int, style: Style) -> str:
    nouns = style.noun if total == 1 else f"{style.noun}s"
    if shown == total:
        return f"{total:,} {nouns}"
    where = f", all in {code(style.source)}" if style.source else ""
    return f"{shown:,} of {total:,} {nouns}{where}"


def records(items: Iterable[Any], style: Style, columns: Mapping[str, Callable[[Any], object]]) -> Html:
    """A row for each item, a column for each named function of it."""
    rows = [[value(item) for value in columns.values()] for item in items]
    return table(list(columns), rows, style)


def plain(items: Sequence[Any] | pd.DataFrame, style: Style) -> Html:
    """Dataclasses, NamedTuples or a DataFrame as they are: the columns are their fields."""
    if not isinstance(items, Sequence):
        return table(list(items.columns), list(items.itertuples(index=False, name=None)), style)
    if not items:
        return table(["nothing"], [], style)
    first = items[0]
    names = [f.name for f in fields(first)] if is_dataclass(first) else list(first._fields)
    return records(items, style, {name: _getter(name) for name in names})


def _getter(name: str) -> Callable[[Any], object]:
    return lambda item: getattr(item, name)


def evidence(item: Evidence, *, limit: int = LIMIT, open_: bool = False) -> Html:
    """One query: how it was asked and when, as whom, what it answered; closed until somebody wants it."""
    rows = "no rows" if not item.row_count else f"{item.row_count:,} row{'s' * (item.row_count != 1)}"
    summary = join(
        tag("b", item.id), " ", item.name, tag("small", f" {rows}", "" if not item.error else " · refused")
    )
    facts = tag(
        "p",
        when(item.taken_at),
        f" UTC · {item.seconds:.3f} s · as role ",
        code(item.role),
        class_="meta",
    )
    return details(
        summary,
        facts,
        _answer(item, limit),
        pre(item.sql.strip(), f"SQL of {item.id}"),
        id_=item.id,
        open_=open_,
    )


def _answer(item: Evidence, limit: int) -> Html:
    if item.error:
        return tag("p", "The server refused it: ", item.error)
    if not item.row_count:
        return tag("p", "It returned no rows.")
    style = Style(
        f"Answer to {item.id}",
        limit,
        item.row_count,
        head=False,
        source=f"evidence/{item.id}.csv",
        cards=False,
    )
    return table(item.columns, islice(item.rows, limit), style)
