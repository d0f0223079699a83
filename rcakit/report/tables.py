"""Tables for people: a caption that counts, headers with a scope, nothing shown that is not escaped.

pandas' own renderer leaves an empty header cell and no caption; `Styler` does not escape at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from itertools import islice
from numbers import Number
from typing import TYPE_CHECKING, Any

from rcakit.report.html import Html, attribute, between, code, details, esc, join, pre, source, tag, when

if TYPE_CHECKING:
    import pandas as pd

    from rcakit.evidence import Evidence

NOTHING = Html("")
_LABEL = re.compile(r"[A-Za-z0-9 -]+")
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


def table(
    columns: Sequence[object], rows: Iterable[Sequence[object]], style: Style, note: Html = NOTHING
) -> Html:
    """Render rows of cells. A cell is `Html`, text, a number, a moment or None; `note` stands in the caption."""
    rows = list(rows)
    total = len(rows) if style.total is None else style.total
    shown = rows[: style.limit]
    wide = [column in style.wide for column in columns]
    body = "".join(_row(row, wide, style) for row in shown)
    head = "".join(_head(column, [row[n] for row in shown]) for n, column in enumerate(columns))
    count = _count(len(shown), total, style)
    # Two columns find room on any screen.
    kind = _labels(columns, style) if style.cards and len(columns) > 2 else ""
    # Columns of any number and width may have to be scrolled: then the keyboard must reach them.
    scroll = (
        "" if kind or len(columns) < 3 else f" tabindex=0 role=region aria-label={attribute(style.caption)}"
    )
    return Html(
        f"<div class=table{scroll}><table{kind}><caption>{esc(style.caption)} <small>{count}</small>{note}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(column: object, values: Sequence[object]) -> str:
    """A column's name, to the right where its numbers are."""
    kind = " class=number" if values and all(map(_number, values)) else ""
    return f"<th scope=col{kind}>{esc(column)}</th>"


def _labels(columns: Sequence[object], style: Style) -> str:
    """The labels of the cards' lines, as style variables: --c2 is the label of the second column; a head needs none."""
    labels = [str(column) for column in columns]
    unlabelled = {*style.wide, *(labels[:1] if style.head else ())}
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"labels of cards are plain words, not {labels}")
    given = [f"--c{n}:'{label}'" for n, label in enumerate(labels, 1) if label not in unlabelled]
    return f' class=cards style="{";".join(given)}"'


def _row(row: Sequence[object], wide: Sequence[bool], style: Style) -> str:
    cells = [_cell(value, broad) for value, broad in zip(row, wide, strict=True)]
    first = f"<th scope=row>{cell(row[0])}</th>" if style.head else cells[0]
    return f"<tr>{first}{''.join(cells[1:])}</tr>"


def _cell(value: object, wide: bool) -> str:
    kind = " class=wide" if wide else " class=number" if _number(value) else ""
    return f"<td{kind}>{cell(value)}</td>"


def _number(value: object) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


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
    """A row for each item, a column for each named function of it.

    What is the same in every one of four or more rows is said once, in the caption.
    """
    rows = [[value(item) for value in columns.values()] for item in items]
    same = [n > 0 and len(rows) > 3 and len({cell(row[n]) for row in rows}) == 1 for n in range(len(columns))]
    said = [join(name, ": ", Html(cell(rows[0][n]))) for n, name in enumerate(columns) if same[n]]
    note = tag("div", "All: ", *between(said, " · ")) if said else NOTHING
    kept = [[value for n, value in enumerate(row) if not same[n]] for row in rows]
    return table([name for n, name in enumerate(columns) if not same[n]], kept, style, note)


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


def evidence(item: Evidence, *, limit: int = LIMIT, open_: bool = False, below: Html = NOTHING) -> Html:
    """One query: how it was asked and when, as whom, what it answered; closed until somebody wants it.

    `limit` 0 leaves the rows to the CSV file. `below` is put at the end.
    """
    number = "refused" if item.error else f"{item.row_count:,} row{'s' * (item.row_count != 1)}"
    summary = join(tag("b", item.id), " ", item.name, " ", tag("small", number))
    asked = join(
        f"{item.taken_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC · {item.seconds:.3f} s · as ", item.role
    )
    facts = tag("p", asked, f" · with {item.params}" if item.params else "", class_="meta")
    sql = source(pre(item.sql.strip()))
    return details(summary, facts, sql, _answer(item, limit), below, id_=item.id, open_=open_)


def _answer(item: Evidence, limit: int) -> Html:
    if item.error:
        return tag("p", "The server refused it: ", item.error)
    if not item.row_count:
        return tag("p", "It returned no rows.")
    source = f"evidence/{item.id}.csv"
    if not limit:
        return tag("p", "The rows are in ", code(source), " beside this page.")
    if item.row_count == len(item.columns) == len(item.rows) == 1:
        return tag("p", f"Answer to {item.id}: {item.columns[0]} is ", tag("b", Html(cell(item.rows[0][0]))))
    style = Style(f"Answer to {item.id}", limit, item.row_count, head=False, source=source)
    return table(item.columns, ([_raw(value) for value in row] for row in islice(item.rows, limit)), style)


def _raw(value: object) -> object:
    """What a query answered, as the database has it: an OID is no quantity."""
    return str(value) if type(value) is int else value


def alike(text: str, other: str) -> tuple[tuple[str, str], ...] | None:
    """The words of `text` that stand where `other` has different ones; None when they differ in more than that.

    >>> alike("count rows of venues", "count rows of locations")
    (('venues', 'locations'),)
    """
    words, others = text.split(), other.split()
    pairs = dict.fromkeys((a, b) for a, b in zip(words, others, strict=False) if a != b)
    return tuple(pairs) if len(words) == len(others) and len(pairs) <= 2 else None


def apart(texts: Sequence[str]) -> list[tuple[str, ...]] | None:
    """For each text the words that are its own, where all are made alike; None where they are not.

    >>> apart(["a is in public", "b is in public"])
    [('a',), ('b',)]
    """
    split = [text.split() for text in texts]
    if len({len(words) for words in split}) != 1:
        return None
    places = list(zip(*split, strict=True))
    own = [words for words in places if len(set(words)) > 1]
    if not own or len(own) > len(places) / 2:
        return None
    return [tuple(dict.fromkeys(word.strip(",:;") for word in row)) for row in zip(*own, strict=True)]
