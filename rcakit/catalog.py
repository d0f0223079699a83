"""The observed account, and the raw rows of the recorded one: what `pg_catalog` and the history table hold.

Every query is a file of `sql/`, and its columns are the fields of the fact it fills.
https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeVar

from rcakit import facts, names
from rcakit.evidence import Recorder, query
from rcakit.facts import Applied, Catalog, Dependant, HistoryTable, Recorded, Relation, Unread

T = TypeVar("T")

UNJUDGED = frozenset({"defaults", "sequences", "views", "grants"})
"""Parts of the observed account that no rule looks at, a quarter of what reading costs; repairs and replays need them."""
_LIMIT = "select set_config('rcakit.schemas', %s::text[]::text, true)"
_NO_LIMIT = "select set_config('rcakit.schemas', '', true)"
_OIDS = "select set_config('rcakit.oids', %s::oid[]::text, true)"


class _Type(NamedTuple):
    type_oid: int
    typmod: int
    name: str


class _History(NamedTuple):
    oid: int
    schema: str
    readable: bool
    columns: tuple[str, ...]


def read(recorder: Recorder, schemas: Sequence[str] = (), *, whole: bool = True) -> Catalog:
    """Read the observed account: all schemas people made, or only those named.

    PostgreSQL's own objects, temporary ones and those an extension brought are left out; unless `whole`, so is what
    no rule looks at (`UNJUDGED`). The role needs no right beyond CONNECT. Raises RcaError when a query fails or is
    stopped.
    """
    limit, params = (_LIMIT, [list(schemas)]) if schemas else (_NO_LIMIT, None)
    recorder.rows("limit to schemas", limit, params)
    evidence: dict[str, str] = {"server": next(e.id for e in recorder.evidence if e.name == "server")}

    def rows(name: str, make: type[T]) -> tuple[T, ...]:
        if name in UNJUDGED and not whole:
            return ()
        found = recorder.rows(name, query(name), make=make)
        evidence[name] = recorder.last_id
        return tuple(found)

    return Catalog(
        server=recorder.server,
        schemas=rows("schemas", facts.Schema),
        relations=rows("relations", facts.Relation),
        columns=rows("columns", facts.Column),
        defaults=rows("defaults", facts.Default),
        constraints=rows("constraints", facts.Constraint),
        indexes=rows("indexes", facts.Index),
        sequences=rows("sequences", facts.Sequence),
        functions=rows("functions", facts.Function),
        triggers=rows("triggers", facts.Trigger),
        views=rows("views", facts.View),
        grants=rows("grants", facts.Grant),
        types={(row.type_oid, row.typmod): row.name for row in rows("types", _Type)},
        evidence=evidence,
        unread=tuple(recorder.unread),
    )


def dependants(recorder: Recorder, oids: Iterable[int]) -> list[Dependant]:
    """What hangs on these relations: views, rules, triggers, policies, foreign keys of other tables,
    sequences they own, defaults that use them, and functions, also those that only name them in their text.
    """
    recorder.rows("limit to relations", _OIDS, [list(oids)])
    return recorder.rows("dependants", query("dependants"), make=Dependant)


def count_rows(recorder: Recorder, relations: Iterable[Relation]) -> dict[int, int]:
    """OID -> the exact number of rows, counted now.

    A relation the role may not count is left out, and is a row in `recorder.unread` that does not block.
    """
    counts: dict[int, int] = {}
    for relation in relations:
        sql = f"select count(*) as rows from {relation.qualified.sql}"  # noqa: S608 - quoted by Name.sql
        answer = recorder.attempt(f"rows of {relation.qualified}", sql)
        if isinstance(answer, Unread):
            recorder.unread.append(replace(answer, blocking=False))
        else:
            counts[relation.oid] = answer[0][0]
    return counts


# ------------------------------------------------------------------ the history table


def read_recorded(
    recorder: Recorder, catalog: Catalog, search_path: str | None = None
) -> tuple[Recorded, tuple[Unread, ...]]:
    """Read every relation called `django_migrations`, and tell which one the project reads.

    `search_path` is the project's own `-c search_path=..` when its settings have one; without it the path of
    the session's role decides. A history that cannot be read is an `Unread`, blocking when it is the one the
    project reads. `Recorded.edits` stays empty: that is for git to tell.
    """
    tables: list[HistoryTable] = []
    applied: dict[str, tuple[Applied, ...]] = {}
    unread: list[Unread] = []
    found = recorder.rows("history", query("history"), make=_History)
    evidence = [recorder.last_id]
    chosen = _first_in(_path(catalog, search_path), {history.schema for history in found})
    for history in found:
        rows = _rows_of(recorder, history)
        evidence.append(recorder.last_id)
        read_here = history.schema == chosen
        if isinstance(rows, str):
            unread.append(Unread("recorded", rows, blocking=read_here))
        else:
            applied[history.schema] = rows
        count = None if isinstance(rows, str) else len(rows)
        tables.append(HistoryTable(history.oid, history.schema, count, read_here))
    elsewhere = (row for schema, rows in applied.items() if schema != chosen for row in rows)
    recorded = Recorded(
        applied=applied.get(chosen or "", ()),
        tables=tuple(tables),
        elsewhere=tuple(elsewhere),
        evidence=tuple(dict.fromkeys(evidence)),
    )
    return recorded, tuple(unread)


def _path(catalog: Catalog, search_path: str | None) -> tuple[str, ...]:
    if search_path is None:
        return catalog.server.schemas_in_path
    role = catalog.server.role
    return tuple(role if schema == "$user" else schema for schema in names.search_path(search_path))


def _first_in(path: Iterable[str], schemas: set[str]) -> str | None:
    return next((schema for schema in path if schema in schemas), None)


def _rows_of(recorder: Recorder, history: _History) -> tuple[Applied, ...] | str:
    """The history in the order it was written, or why it cannot be told."""
    table = names.Name(history.schema, "django_migrations")
    if not history.readable:
        return f"the role {recorder.server.role} may not read {table}: grant it SELECT there, or ask as another role"
    if missing := {"app", "name", "applied"} - set(history.columns):
        return f"{table} is no history of Django's: it has no column {', '.join(sorted(missing))}"
    key = "id::int8" if "id" in history.columns else "0::int8"
    rows = recorder.attempt(
        str(table),
        f"select app::text as app, name::text as name, applied::timestamptz as applied, {key} as id\n"
        f"from {table.sql}\norder by 4, 3",
    )
    if isinstance(rows, Unread):
        return rows.reason
    if not all(isinstance(value, str | datetime | int) for row in rows for value in row):
        return f"{table} holds rows without an app, a name or a time"
    return tuple(Applied(app, name, at, history.schema, number) for app, name, at, number in rows)
