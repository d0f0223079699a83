"""A few rows of each table, and every row that their foreign keys lead to: enough for all constraints to hold in a copy.

The rows are chosen by where they lie (`ctid`), which stands still within one snapshot. What an extension owns, and large
objects, are left out. https://www.postgresql.org/docs/current/ddl-system-columns.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from rcakit.names import Name

Connection = psycopg.Connection[Any]
Chosen = Mapping[int, Collection[str]]
"""Table -> the `ctid` of each of its rows that comes along."""

_TABLES = """
select c.oid, n.nspname::text, c.relname::text, array(
    select a.attname::text from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by c.oid"""
_LINKS = """
select k.conrelid, n.nspname::text, p.relname::text, array(
    select array[child.attname::text, parent.attname::text, s.nspname::text, o.oprname::text]
    from unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality as pair (child_number, parent_number, equal, place)
    join pg_attribute child on child.attrelid = k.conrelid and child.attnum = child_number
    join pg_attribute parent on parent.attrelid = k.confrelid and parent.attnum = parent_number
    join pg_operator o on o.oid = equal join pg_namespace s on s.oid = o.oprnamespace
    order by place)
from pg_constraint k join pg_class p on p.oid = k.confrelid join pg_namespace n on n.oid = p.relnamespace
where k.contype = 'f' order by k.oid"""
_SEQUENCES = """
select n.nspname::text, c.relname::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by c.oid"""


class Table(NamedTuple):
    """One table and the columns that a row is made of; generated ones make themselves."""

    oid: int
    schema: str
    name: str
    columns: list[str]

    @property
    def quoted(self) -> sql.Identifier:
        """As a statement names it."""
        return sql.Identifier(self.schema, self.name)


class Link(NamedTuple):
    """A foreign key: its table, the table it leads to, and (column, column there, operator) for each column."""

    child: int
    schema: str
    parent: str
    pairs: list[tuple[str, str, str, str]]


def copy(source: Connection, copied: Connection, limit: int, whole: Collection[Name]) -> int:
    """Copy `limit` rows a table (all of the tables `whole`) with what they refer to, and where the sequences stand.

    `source` is in one snapshot and only read; `copied` holds the same tables, empty and without foreign keys yet.
    Returns the number of rows. Raises psycopg.Error.
    """
    tables = {row[0]: Table(*row) for row in source.execute(_TABLES)}
    chosen = choose(source, tables, limit, whole)
    for oid, rows in chosen.items():
        if rows:
            _copy(source, copied, tables[oid], rows)
    for schema, name in source.execute(_SEQUENCES).fetchall():
        place = sql.Identifier(schema, name)
        stands = source.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(place)).fetchone()
        copied.execute("SELECT setval(%s::regclass, %s, %s)", [Name(schema, name).sql, *(stands or ())])
    return sum(map(len, chosen.values()))


def choose(source: Connection, tables: Mapping[int, Table], limit: int, whole: Collection[Name]) -> Chosen:
    """The rows: the first ones of each table, then what those refer to, until nothing is missing."""
    links = [Link(*row) for row in source.execute(_LINKS)]
    chosen: dict[int, set[str]] = {}
    for table in tables.values():
        most = None if Name(table.schema, table.name) in whole else limit
        first = sql.SQL("SELECT ctid::text FROM ONLY {} LIMIT {}").format(table.quoted, most)
        chosen[table.oid] = {place for (place,) in source.execute(first)}
    fresh = dict(chosen)
    while fresh:
        wanted: dict[int, set[str]] = {}
        for link in links:
            for parent, place in _parents(source, link, tables, fresh):
                if parent in chosen and place not in chosen[parent]:
                    wanted.setdefault(parent, set()).add(place)
        for oid, places in wanted.items():
            chosen[oid] = chosen[oid] | places
        fresh = wanted
    return chosen


def _parents(
    source: Connection, link: Link, tables: Mapping[int, Table], fresh: Chosen
) -> Iterator[tuple[int, str]]:
    """(table, row) of what the new rows of one table refer to; a partition is the table its row lies in."""
    if link.child not in tables or not fresh.get(link.child):
        return
    equal = sql.SQL(" AND ").join(
        sql.SQL("p.{} OPERATOR({}.{}) c.{}").format(
            sql.Identifier(there), sql.Identifier(schema), sql.SQL(operator), sql.Identifier(here)
        )
        for here, there, schema, operator in link.pairs
    )
    question = sql.SQL(
        "SELECT DISTINCT p.tableoid, p.ctid::text FROM {} p JOIN ONLY {} c ON {} WHERE c.ctid = ANY ({}::tid[])"
    ).format(
        sql.Identifier(link.schema, link.parent), tables[link.child].quoted, equal, _places(fresh[link.child])
    )
    yield from source.execute(question).fetchall()


def _copy(source: Connection, copied: Connection, table: Table, rows: Collection[str]) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    out = sql.SQL("COPY (SELECT {} FROM ONLY {} WHERE ctid = ANY ({}::tid[])) TO STDOUT").format(
        columns, table.quoted, _places(rows)
    )
    back = sql.SQL("COPY {} ({}) FROM STDIN").format(table.quoted, columns)
    with source.cursor().copy(out) as given, copied.cursor().copy(back) as taken:
        for block in given:
            taken.write(block)


def _places(rows: Collection[str]) -> sql.Literal:
    """`ctid` texts are numbers in parentheses, made by the server."""
    return sql.Literal("{" + ",".join(f'"{place}"' for place in sorted(rows)) + "}")
