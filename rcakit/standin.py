"""Empty tables with the structure of observed ones, under any name: what a state is built from on a scratch server.

Columns, not-null, primary keys and unique constraints, plain indexes and the sequences a table owns come along, with
their names, since they move with a table. A type the scratch server does not have becomes `text`. Foreign keys, checks,
triggers, defaults and rows are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from rcakit.facts import Catalog, Column, Relation
from rcakit.names import Name

_REFUSED = (psycopg.ProgrammingError, psycopg.NotSupportedError)
"""A name that is taken, a type without a default operator class, .."""
_THERE = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s"
_KNOWN = "SELECT t FROM unnest(%s::text[]) AS t WHERE pg_catalog.to_regtype(t) IS NOT NULL"


def create(
    connection: psycopg.Connection[Any], name: Name, relation: Relation | None, catalog: Catalog
) -> None:
    """Make `name` like an observed relation, or with a lone column when there is none; its schema too, if need be.

    A part that cannot be made there, or whose name is taken in that schema, is left out. Nothing is done when a relation of that name is there.
    """
    schema = name.schema or "public"
    place = sql.Identifier(schema, name.name)
    if connection.execute(_THERE, [schema, name.name]).fetchone():
        return
    with suppress(psycopg.errors.DuplicateSchema), connection.transaction():
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    columns = catalog.columns_of.get(relation.oid, []) if relation else []
    if relation is None or not columns:
        parts = [sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY)").format(place)]
    elif relation.kind in "vm":
        parts = [sql.SQL("CREATE VIEW {} AS SELECT {}").format(place, _nulls(connection, columns, catalog))]
    else:
        whole = _columns(connection, columns, catalog)
        parts = [
            sql.SQL("CREATE TABLE {} ({})").format(place, whole),
            *_parts(place, schema, relation, catalog),
        ]
    for part in parts:
        with suppress(*_REFUSED), connection.transaction():
            connection.execute(part)


def _columns(connection: psycopg.Connection[Any], columns: list[Column], catalog: Catalog) -> sql.Composable:
    known = _types(connection, columns, catalog)
    return sql.SQL(", ").join(
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(known[column.attnum]),  # as format_type prints it, quoted
            sql.SQL(" NOT NULL" if column.not_null else ""),
        )
        for column in columns
    )


def _nulls(connection: psycopg.Connection[Any], columns: list[Column], catalog: Catalog) -> sql.Composable:
    known = _types(connection, columns, catalog)
    return sql.SQL(", ").join(
        sql.SQL("NULL::{} AS {}").format(sql.SQL(known[column.attnum]), sql.Identifier(column.name))
        for column in columns
    )


def _types(connection: psycopg.Connection[Any], columns: list[Column], catalog: Catalog) -> dict[int, str]:
    """attnum -> the column's type, `text` where the scratch server does not know it."""
    printed = {
        column.attnum: catalog.types[column.type_oid, column.typmod]
        for column in columns
        if (column.type_oid, column.typmod) in catalog.types
    }
    known = {name for (name,) in connection.execute(_KNOWN, [list(set(printed.values()))])}
    return {
        column.attnum: printed[column.attnum] if printed.get(column.attnum) in known else "text"
        for column in columns
    }


def _parts(
    place: sql.Identifier, schema: str, relation: Relation, catalog: Catalog
) -> Iterator[sql.Composed]:
    """What moves along with a table and has a name of its own."""
    names = {column.attnum: column.name for column in catalog.columns_of[relation.oid]}

    def listed(attnums: tuple[int, ...]) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(names[attnum]) for attnum in attnums)

    constrained = set()
    for each in catalog.constraints_of.get(relation.oid, ()):
        if each.kind in "pu":
            constrained.add(each.index_oid)
            kind = sql.SQL("PRIMARY KEY" if each.kind == "p" else "UNIQUE")
            yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} ({})").format(
                place, sql.Identifier(each.name), kind, listed(each.columns)
            )
    for index in catalog.indexes_of.get(relation.oid, ()):
        if index.oid not in constrained and index.definition is None and 0 not in index.columns:
            unique = sql.SQL("UNIQUE " if index.unique else "")
            yield sql.SQL("CREATE {}INDEX {} ON {} ({})").format(
                unique, sql.Identifier(index.name), place, listed(index.columns)
            )
    for sequence in catalog.sequences:
        if sequence.owner_relation == relation.oid and sequence.owner_attnum in names:
            own = catalog.by_oid[sequence.relation]
            yield sql.SQL("CREATE SEQUENCE {} OWNED BY {}.{}").format(
                sql.Identifier(schema, own.name), place, sql.Identifier(names[sequence.owner_attnum])
            )
