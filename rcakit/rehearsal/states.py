"""What a database holds and allows, measured so that two states of it can be compared object by object, by OID.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rcakit import catalog, evidence
from rcakit.facts import Catalog, Relation
from rcakit.names import Name
from rcakit.scratch import Server

_OIDS = "select set_config('rcakit.oids', %s::oid[]::text, true)"
_ROLES = (
    "select rolname::text from pg_roles where not rolsuper and rolname !~ '^pg_' union all select 'public'"
)
_TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_RIGHTS = """
select r.role, coalesce(array_agg(p.privilege order by p.privilege) filter (where
    has_schema_privilege(r.role::name, c.relnamespace, 'USAGE')
    and case when c.relkind = 'S' then p.privilege in ('SELECT', 'UPDATE', 'USAGE')
            and has_sequence_privilege(r.role::name, c.oid, p.privilege)
        else case when p.privilege = 'USAGE' then false
            when p.privilege in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') -- on some column counts
                then has_any_column_privilege(r.role::name, c.oid, p.privilege)
            else has_table_privilege(r.role::name, c.oid, p.privilege) end
        end), '{}') as held
from pg_class c, unnest(%(roles)s::text[]) r(role), unnest(%(rights)s::text[]) p(privilege)
where c.oid = %(oid)s
group by r.role order by r.role"""
_STORED = "select pg_relation_filenode(%s::oid::regclass)"
_CALLS = """
select n.nspname, p.proname, p.prokind = 'f' and p.provolatile <> 'v' and l.lanname in ('sql', 'plpgsql')
        and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype) as harmless,
    array(select format_type(t, null) from unnest(p.proargtypes) with ordinality a(t, n) order by n)
from pg_proc p join pg_language l on l.oid = p.prolang join pg_namespace n on n.oid = p.pronamespace
where p.oid = any (%s::oid[]) order by p.oid"""
_SAMPLES = {
    "text": "''", "character varying": "''", "character": "''", "name": "''", "integer": "0", "bigint": "0",
    "smallint": "0", "numeric": "0", "double precision": "0", "real": "0", "boolean": "false", "date": "'2000-01-01'",
    "timestamp with time zone": "'2000-01-01'", "timestamp without time zone": "'2000-01-01'", "jsonb": "'{}'", "json": "'{}'",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
}  # fmt: skip


NOT_CALLED = "not called: it may write, or is not SQL or PL/pgSQL"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `content` is an MD5 over the rows in the order of their text, `file` tells whether it was rewritten."""

    name: Name
    rows: int
    content: str
    file: int


@dataclass(frozen=True, slots=True)
class Counter:
    """One sequence: where it stands and the column that owns it, as "schema.table.column" by OID and number."""

    name: Name
    last_value: int
    is_called: bool
    owner: tuple[int, int]


@dataclass(frozen=True)
class State:
    """One look at a database. Keys are OIDs, but for `calls`, whose keys are names.

    rights
        relation -> role -> privileges it can use: the schema's USAGE is part of it.
    calls
        a view or function -> "" when it works, else PostgreSQL's words.
    """

    catalog: Catalog
    tables: Mapping[int, Table]
    counters: Mapping[int, Counter]
    rights: Mapping[int, Mapping[str, frozenset[str]]]
    calls: Mapping[str, str]
    carried: tuple[str, ...]
    """Names of what belongs to the tables or refers to them, "kind name"."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What to look at: OIDs of tables, views and functions."""

    tables: tuple[int, ...]
    views: tuple[int, ...] = ()
    functions: tuple[int, ...] = ()


def look(server: Server, dbname: str, watched: Watched) -> State:
    """Measure. Raises RcaError when the catalog cannot be read."""
    conninfo = server.conninfo(dbname)
    with evidence.session(conninfo, run="rehearsal", timeout_s=600) as recorder:
        observed = catalog.read(recorder)
        recorder.rows("watched", _OIDS, [list(watched.tables)])
        carried = recorder.rows("carried names", evidence.query("carried"))
    there = [observed.by_oid[oid] for oid in watched.tables if oid in observed.by_oid]
    owned = {each.relation for each in observed.sequences if each.owner_relation in watched.tables}
    with psycopg.connect(conninfo) as connection:
        tables = {each.oid: _table(connection, each) for each in there}
        counters = {
            each.relation: _counter(
                connection, observed.by_oid[each.relation], (each.owner_relation, each.owner_attnum)
            )
            for each in observed.sequences
            if each.relation in owned
        }
        roles = [role for (role,) in connection.execute(_ROLES)]
        rights = {oid: _rights(connection, oid, roles) for oid in (*tables, *counters)}
        connection.rollback()
        calls = dict(_calls(connection, observed, watched))
    return State(
        observed, tables, counters, rights, calls, tuple(sorted(f"{row[0]} {row[4]}" for row in carried))
    )


def _table(connection: psycopg.Connection[Any], relation: Relation) -> Table:
    question = sql.SQL(
        "SELECT count(*), coalesce(md5(string_agg(h, '' ORDER BY h)), '') FROM (SELECT md5(t::text) AS h FROM {} t) x"
    )
    rows, content = _one(connection, question.format(sql.Identifier(relation.schema, relation.name)))
    (file,) = _one(connection, _STORED, [relation.oid])
    return Table(relation.qualified, rows, content, file)


def _counter(connection: psycopg.Connection[Any], relation: Relation, owner: tuple[int, int]) -> Counter:
    question = sql.SQL("SELECT last_value, is_called FROM {}").format(
        sql.Identifier(relation.schema, relation.name)
    )
    last_value, is_called = _one(connection, question)
    return Counter(relation.qualified, last_value, is_called, owner)


def _rights(connection: psycopg.Connection[Any], oid: int, roles: Iterable[str]) -> dict[str, frozenset[str]]:
    params = {"oid": oid, "roles": list(roles), "rights": [*_TABLE_RIGHTS, "USAGE"]}
    return {role: frozenset(held) for role, held in connection.execute(_RIGHTS, params)}


def _one(connection: psycopg.Connection[Any], question: Any, params: Any = None) -> Any:
    return connection.execute(question, params).fetchone()


# ------------------------------------------------------------------ views and functions


def _calls(
    connection: psycopg.Connection[Any], observed: Catalog, watched: Watched
) -> Iterator[tuple[str, str]]:
    for oid in watched.views:
        relation = observed.by_oid.get(oid)
        if relation is not None:
            question = sql.SQL("SELECT * FROM {} LIMIT 1").format(
                sql.Identifier(relation.schema, relation.name)
            )
            yield f"view {relation.qualified}", _tried(connection, question)
    rows = connection.execute(_CALLS, [list(watched.functions)]).fetchall()
    connection.rollback()
    for schema, name, harmless, types in rows:
        said = f"function {Name(schema, name)}({', '.join(types)})"
        samples = sql.SQL(", ").join(sql.SQL(f"{_SAMPLES.get(each, 'NULL')}::{each}") for each in types)
        call = sql.SQL("SELECT * FROM {}({})").format(sql.Identifier(schema, name), samples)
        yield said, _tried(connection, call) if harmless else NOT_CALLED


def _tried(connection: psycopg.Connection[Any], question: Any) -> str:
    """ "" when it works. In a read-only transaction that is rolled back."""
    try:
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("SET LOCAL statement_timeout = '60s'")
        connection.execute(question)
    except psycopg.Error as error:
        return evidence.reason(error)
    finally:
        connection.rollback()
    return ""
