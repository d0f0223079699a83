"""Breaks a healthy database in many places at once, one fault a table, to see whether the kit is silent or blind.

Every table of the project gets the first fault, taken in turn, that it admits; the answer says which code must name it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg import sql


class Fault(NamedTuple):
    """`query` yields (name, rest) of what can be broken on the table `%(table)s`; `statement` breaks it."""

    what: str
    code: str
    query: str
    statement: str
    app: int = 1
    """How many tables the app must have."""


_COLUMN = """
select a.attname, '' from pg_attribute a
where a.attrelid = %(table)s::regclass and a.attnum > 0 and not a.attisdropped
  and not exists (select 1 from pg_constraint c where c.conrelid = a.attrelid and a.attnum = any (c.conkey)
                  and c.contype <> 'n')
  and {which} order by a.attnum"""
_CONSTRAINT = """
select c.conname, '' from pg_constraint c
where c.conrelid = %(table)s::regclass and c.contype = '{kind}' and array_length(c.conkey, 1) = 1 order by c.conname"""
_INDEX = """
select i.indexrelid::regclass::text, '' from pg_index i
where i.indrelid = %(table)s::regclass and not i.indisunique and i.indnkeyatts = 1
  and (select count(*) from pg_index j where j.indrelid = i.indrelid and j.indkey[0] = i.indkey[0]) = 1
  and exists (select 1 from pg_constraint c where c.conrelid = i.indrelid and c.contype = 'f'
              and c.conkey = array[i.indkey[0]])"""

FAULTS = (
    Fault("dropped table", "RK402", "select 'x', ''", "drop table {table} cascade"),
    Fault("dropped column", "RK411", _COLUMN.format(which="true"), "alter table {table} drop column {name} cascade"),
    Fault("column nobody fills", "RK412", "select 'x', ''", "alter table {table} add column stray text not null"),
    Fault(
        "other type",
        "RK413",
        _COLUMN.format(which="a.atttypid = 'varchar'::regtype and a.atttypmod > 5"),
        "alter table {table} alter column {name} type varchar(7)",
    ),
    Fault(
        "NULL allowed",
        "RK414",
        _COLUMN.format(which="a.attnotnull and a.attidentity = ''"),
        "alter table {table} alter column {name} drop not null",
    ),
    Fault(
        "key without identity",
        "RK415",
        "select a.attname, '' from pg_attribute a where a.attrelid = %(table)s::regclass and a.attidentity <> ''",
        "alter table {table} alter column {name} drop identity",
    ),
    Fault("no index", "RK416", _INDEX, "drop index {index}"),
    Fault("no foreign key", "RK417", _CONSTRAINT.format(kind="f"), "alter table {table} drop constraint {name}"),
    Fault("no uniqueness", "RK417", _CONSTRAINT.format(kind="u"), "alter table {table} drop constraint {name} cascade"),
    Fault("renamed table", "RK402", "select 'x', ''", "alter table {table} rename to renamed_{number}"),
    Fault("moved table", "RK402", "select 'x', ''", "alter table {table} set schema elsewhere", app=5),
)  # fmt: skip


def break_all(connection: psycopg.Connection, apps: Mapping[str, str]) -> Mapping[str, Fault]:
    """Break each of these tables of `public` (table -> app); the fault each of them got. Rows in the way go first."""
    done: dict[str, Fault] = {}
    sizes = Counter(apps.values())
    names = sql.SQL(", ").join(map(sql.Identifier, sorted(apps)))
    connection.execute(sql.SQL("truncate {} cascade; create schema elsewhere").format(names))
    for number, table in enumerate(sorted(apps)):
        for turn in range(len(FAULTS)):
            fault = FAULTS[(number + turn) % len(FAULTS)]
            if fault.app <= sizes[apps[table]] and _break(connection, table, fault, number):
                done[table] = fault
                break
    return done


def _break(connection: psycopg.Connection, table: str, fault: Fault, number: int) -> bool:
    name = sql.Identifier(table)
    found = connection.execute(fault.query.encode(), {"table": name.as_string()}).fetchone()
    if found is None:
        return False
    statement = sql.SQL(fault.statement).format(
        table=name, name=sql.Identifier(found[0]), index=sql.SQL(found[0]), number=sql.SQL(str(number))
    )
    connection.execute(statement)
    return True
