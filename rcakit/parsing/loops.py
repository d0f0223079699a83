"""Loops over catalog rows: `FOR r IN SELECT tablename FROM pg_tables WHERE tablename IN ('a', 'b')`.

Where the query itself names the relations, each is a turn of the loop that runs only if the relation is there.
"""

from __future__ import annotations

from typing import NamedTuple

from rcakit.errors import SqlError
from rcakit.names import Name, quote
from rcakit.parsing.pgparse import Node, parse, strings, tag, walk
from rcakit.parsing.presence import NAME_COLUMNS, SCHEMA_COLUMNS, relations
from rcakit.parsing.sqlfold import sql_literal


class Row(NamedTuple):
    """One turn: the relation, the condition under which it happens, what the loop variables stand for in it."""

    relation: Name
    condition: str
    values: dict[str, str]


def variable(node: Node, datums: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """(record variable or "", scalar variables) of a FOR loop."""
    kind, fields = tag(node)
    if kind == "PLpgSQL_row":
        return "", tuple(datums[each["varno"]] for each in fields.get("fields", ()))
    return str(fields.get("refname", "")), ()


def rows(query: str, record: str, scalars: tuple[str, ...]) -> list[Row]:
    """The turns of a loop over a catalog query that compares with constant names; none when it does not."""
    try:
        (statement,) = parse(query)
    except (SqlError, ValueError):
        return []
    columns = _columns(statement.node)
    named = next((shown for shown, column in columns.items() if column in NAME_COLUMNS), None)
    if statement.kind != "SelectStmt" or named is None:
        return []
    return [_row(query, each, named, columns, record, scalars) for each in relations(statement.node)]


def _row(
    query: str, relation: Name, named: str, columns: dict[str, str], record: str, scalars: tuple[str, ...]
) -> Row:
    name = sql_literal(relation.name)
    condition = f"EXISTS (SELECT 1 FROM ({query}) AS found WHERE found.{quote(named)} = {name})"  # noqa: S608 - quoted
    values = {}
    for position, (shown, column) in enumerate(columns.items()):
        key = f"{record}.{shown}" if record else "".join(scalars[position : position + 1])
        if column in NAME_COLUMNS:
            values[key] = name
        elif column in SCHEMA_COLUMNS and relation.schema is not None:
            values[key] = sql_literal(relation.schema)
    return Row(relation, condition, values)


def _columns(select: Node) -> dict[str, str]:
    """Name in the result -> catalog column, for the plain columns of a query; `*` stands for the usual ones."""
    found: dict[str, str] = {}
    for target in select.get("targetList", ()):
        fields = target["ResTarget"]
        kind, value = tag(fields.get("val"))
        parts = strings(value.get("fields"))
        if kind == "ColumnRef" and any("A_Star" in each for each in value["fields"]):
            compared = {column for column in NAME_COLUMNS | SCHEMA_COLUMNS if _mentions(select, column)}
            found.update({column: column for column in sorted(compared)})
        else:
            found[fields.get("name") or (parts or ("?",))[-1]] = (
                parts[-1] if kind == "ColumnRef" and parts else ""
            )
    return found


def _mentions(select: Node, column: str) -> bool:
    return any(
        strings(fields.get("fields"))[-1:] == (column,)
        for kind, fields in walk(select)
        if kind == "ColumnRef"
    )
