"""One database looked at again and again: each look reads only what was written since the last.

Which catalogs were written is told by PostgreSQL's own counters (see `django_replayer.py`); without them all are
suspected. In a suspected catalog the rows of younger transactions are found by `xmin`, those that went by the OIDs that
are missing, and only the relations they belong to are read, with the same queries as `catalog.read`. So a look costs what
has changed, not what is there. https://www.postgresql.org/docs/current/ddl-system-columns.html

Nobody may write while a look begins. It is one snapshot (REPEATABLE READ), and most of it can be read while others
write again; what PostgreSQL tells of the newest state whatever the snapshot, names and expressions it deparses
(https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG), is read before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import psycopg

from rcakit import facts
from rcakit.evidence import Params, Recorder, load_tuples, query
from rcakit.facts import Catalog, Server
from rcakit.ledger.diff import Change, diff
from rcakit.ledger.others import OTHERS, Other, others_changed

logging.getLogger("psycopg").addHandler(logging.NullHandler())  # whoever needed a lost pipeline tells of it

Counts = tuple[int, int, int]
Written = Mapping[int, Counts]
"""Catalog OID -> rows inserted, updated, deleted."""
_Types = dict[tuple[int, int], str]
_Read = tuple[dict[str, list[Any]], _Types, tuple[Change, ...]]
_FIRST_USER = 16384
"""PostgreSQL's own objects have smaller OIDs."""

_SETTINGS = """\
select set_config('search_path', '', false), set_config('jit', 'off', false), set_config('TimeZone', 'UTC', false),
    set_config('quote_all_identifiers', 'off', false), set_config('rcakit.schemas', '', false),
    set_config('plan_cache_mode', 'force_generic_plan', false), set_config('join_collapse_limit', '1', false),
    set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),
    set_config('enable_material', 'off', false), set_config('random_page_cost', '0', false)"""
"""The plans are made once, for any number of OIDs, and must not grow with the catalog: by index, from the OIDs on."""

_BEGIN = "begin isolation level repeatable read, read only"

_QUESTIONS = """\
select set_config('transaction_read_only', 'on', true), set_config('statement_timeout', '30s', true),
    set_config('lock_timeout', '5s', true), set_config('plan_cache_mode', 'auto', true),
    set_config('join_collapse_limit', '8', true), set_config('enable_hashjoin', 'on', true),
    set_config('enable_mergejoin', 'on', true), set_config('enable_material', 'on', true),
    set_config('random_page_cost', '4', true)"""

# what is read for a relation, a function or a schema: name of the .sql file -> (column that holds its OID, row)
_OF_RELATIONS: dict[str, tuple[str, Any]] = {
    "relations": ("oid", facts.Relation),
    "columns": ("relation", facts.Column),
    "defaults": ("relation", facts.Default),
    "constraints": ("relation", facts.Constraint),
    "indexes": ("relation", facts.Index),
    "sequences": ("relation", facts.Sequence),
    "views": ("relation", facts.View),
    "triggers": ("relation", facts.Trigger),
}
_KINDS: dict[str, tuple[str, Any]] = {
    **_OF_RELATIONS,
    "functions": ("oid", facts.Function),
    "schemas": ("oid", facts.Schema),
    "grants": ("object", facts.Grant),
}

_SOURCES: dict[str, frozenset[str]] = {
    "relations": frozenset({"pg_class", "pg_inherits", "pg_description", "pg_namespace"}),
    "columns": frozenset({"pg_attribute"}),
    "defaults": frozenset({"pg_attrdef", "pg_class", "pg_namespace"}),
    "constraints": frozenset({"pg_constraint", "pg_attribute", "pg_namespace"}),
    "indexes": frozenset({"pg_index", "pg_class", "pg_attribute", "pg_namespace"}),
    "sequences": frozenset({"pg_sequence"}),
    "views": frozenset({"pg_rewrite"}),
    "triggers": frozenset({"pg_trigger", "pg_class", "pg_attribute", "pg_namespace", "pg_proc"}),
    "functions": frozenset({"pg_proc", "pg_namespace"}),
    "schemas": frozenset({"pg_namespace", "pg_description"}),
    "grants": frozenset({"pg_class", "pg_proc", "pg_namespace"}),
}
"""Kind -> the catalogs whose rows, or whose names in a definition, it is made of."""

_SOURCES_OF_LASTING: dict[str, frozenset[str]] = {
    "relations": frozenset({"pg_class"}),
    "columns": frozenset({"pg_attribute"}),
    "constraints": frozenset({"pg_constraint"}),
    "indexes": frozenset({"pg_index", "pg_class"}),
    "sequences": frozenset({"pg_sequence"}),
}
"""The same where nothing is fleeting: no definition holds another one's name, and the other kinds have no rows."""

# the horizon's age is asked once, not once a row
_YOUNG = "age(t.xmin) <= (select age(%(horizon)s::xid))"
_FINDERS = {
    "pg_class": "'r', coalesce(x.indrelid, t.oid)::int8, t.relkind not in ('r', 'i', 't', 'S') or t.relacl is not null"
    " or t.reloptions is not null or t.relforcerowsecurity or t.reltablespace <> 0 or t.relreplident not in ('d', 'n')"
    " or t.relowner <> quote_ident(current_user)::regrole"
    " from pg_class t left join pg_index x on x.indexrelid = t.oid where t.oid >= 16384",
    "pg_attribute": "'r', t.attrelid::int8, t.atttypid >= 16384 from pg_attribute t"
    " where t.attrelid >= 16384 and t.attnum > 0",
    "pg_attrdef": "'r', t.adrelid::int8, true from pg_attrdef t where true",
    "pg_constraint": "'r', t.conrelid::int8, t.contype in ('c', 'x') from pg_constraint t where t.oid >= 16384",
    "pg_index": "'r', t.indrelid::int8, t.indexprs is not null or t.indpred is not null from pg_index t"
    " where t.indexrelid >= 16384",
    "pg_trigger": "'r', t.tgrelid::int8, not t.tgisinternal from pg_trigger t where true",
    "pg_rewrite": "'r', t.ev_class::int8, true from pg_rewrite t where t.oid >= 16384",
    "pg_sequence": "'r', t.seqrelid::int8, false from pg_sequence t where true",
    "pg_inherits": "'r', t.inhrelid::int8, true from pg_inherits t where true",
    "pg_description": "case t.classoid when 'pg_class'::regclass then 'r' when 'pg_namespace'::regclass then 'n' end,"
    " t.objoid::int8, true from pg_description t where true",
    "pg_proc": "'f', t.oid::int8, true from pg_proc t where t.oid >= 16384",
    "pg_namespace": "'n', t.oid::int8, true from pg_namespace t where true",
    "pg_type": "null, t.oid::int8, t.typtype not in ('b', 'c') or t.typtype = 'c'"
    " and (select c.relkind from pg_class c where c.oid = t.typrelid) = 'c' from pg_type t where t.oid >= 16384",
}
"""Catalog -> (relation, function or namespace; OID; whether it is fleeting) of its rows."""

_LASTING = frozenset(
    {
        "pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_trigger", "pg_sequence",
        "pg_type",
    }
)  # fmt: skip
"""Catalogs whose rows may be read later in the same snapshot, where the finder does not object."""
_WATCHED = frozenset({*_FINDERS, *OTHERS})

_LIVING = {
    "pg_class": "select oid::int8 from pg_class where oid >= 16384",
    "pg_constraint": "select oid::int8 from pg_constraint where oid >= 16384",
    "pg_trigger": "select oid::int8 from pg_trigger where oid >= 16384",
    "pg_attrdef": "select distinct adrelid::int8 from pg_attrdef where adrelid >= 16384",
    "pg_proc": "select oid::int8 from pg_proc where oid >= 16384",
    "pg_namespace": "select oid::int8 from pg_namespace where oid >= 16384 or nspname = 'public'",
}
"""Catalogs from which a deleted row is missed: what is still there."""

_HORIZON = "(pg_snapshot_xmin(pg_current_snapshot())::text::int8 & 4294967295)"
_TYPES = (
    "select t.oid::int8, t.typmod, format_type(t.oid, t.typmod)"
    " from unnest(%s::oid[], %s::int4[]) as t (oid, typmod)"
)


@dataclass
class _Touched:
    """OIDs of what a look has to read again."""

    relations: set[int] = field(default_factory=set)
    functions: set[int] = field(default_factory=set)
    schemas: set[int] = field(default_factory=set)
    vanished: set[int] = field(default_factory=set)
    """Relations that are no more."""
    fleeting: bool = False
    """PostgreSQL makes some of it of the newest state: it has to be read before anybody writes again."""

    def of(self, kind: str) -> set[int]:
        if kind in _OF_RELATIONS:
            return self.relations
        one = {"functions": self.functions, "schemas": self.schemas}.get(kind)
        return self.relations | self.functions | self.schemas if one is None else one


@dataclass(frozen=True)
class Look:
    """What two looks in a row have in common to compare: only what was touched in between."""

    before: Catalog
    after: Catalog
    others: tuple[Change, ...]

    def changes(self) -> tuple[Change, ...]:
        return diff(self.before, self.after) + self.others


class _Remembering(Recorder):
    """A recorder that asks only once what shadows built-ins, until somebody writes a function or an operator."""

    def __init__(self, connection: psycopg.Connection[Any], remembered: dict[str, list[Any]]) -> None:
        super().__init__(connection)
        self._remembered = remembered

    def _run(self, name: str, sql: str, params: Params, make: type[Any] | None) -> list[Any]:
        if name != "what shadows built-ins":
            return super()._run(name, sql, params, make)
        key = repr(params)
        if key not in self._remembered:
            self._remembered[key] = super()._run(name, sql, params, make)
        return self._remembered[key]


_SHADOWING = frozenset({"pg_proc", "pg_operator", "pg_namespace"})
"""Catalogs that decide what shadows built-ins."""


class Tracker:
    """The catalog of one database, kept up to date look by look. `connection` must be in autocommit mode."""

    def __init__(self, connection: psycopg.Connection[Any], server: Server) -> None:
        self.server = server
        self._connection = connection
        load_tuples(connection)
        connection.prepare_threshold = (
            0  # the same few queries at every look: planning them costs more than running
        )
        connection.execute(_SETTINGS)
        self._names = dict(
            connection.execute(
                "select oid::int8, relname::text from pg_class where relnamespace = 'pg_catalog'::regnamespace"
            ).fetchall()
        )
        self._rows: dict[str, dict[int, tuple[Any, ...]]] = {kind: {} for kind in _KINDS}
        self._types: _Types = {}
        self._others: dict[str, Mapping[str, Other]] = {name: {} for name in OTHERS}
        self._remembered: dict[str, list[Any]] = {}
        self._horizon = 3  # the first ordinary transaction: everything is young
        self.look()

    def look(self, written: Written | None = None) -> Look:
        """Read what was written since the last look. `written` None: every catalog is suspected."""
        return self.begin(written)()

    def begin(self, written: Written | None = None) -> Callable[[], Look]:
        """A look that is not over: others may write again, but nothing else be asked here before the value is called."""
        counts = self._by_name(written)
        if not counts:
            nothing = self._part(_Touched())
            return lambda: Look(nothing, nothing, ())
        if not _SHADOWING.isdisjoint(counts):
            self._remembered.clear()
        touched, horizon = self._find(counts)
        touched.fleeting = self._is_fleeting(touched, counts)
        read = self._read(touched, counts) if touched.fleeting else None

        def finish() -> Look:
            fresh, types, others = read or self._read(touched, counts)
            before = self._part(touched)
            self._types |= types
            self._replace(touched, fresh)
            self._horizon = horizon
            return Look(before, self._part(touched), others)

        return finish

    def catalog(self) -> Catalog:
        """All of it, as of the last look."""
        return self._catalog({kind: self._all(kind) for kind in _KINDS})

    def name(self, oid: int) -> str:
        """A relation's qualified name, "" when there is none of that OID."""
        found = self._rows["relations"].get(oid)
        return str(found[0].qualified) if found else ""

    @contextmanager
    def recorder(self) -> Iterator[Recorder]:
        """The same session for questions: one read-only transaction, bounded in time."""
        with self._connection.transaction():
            self._connection.execute(_QUESTIONS)
            recorder = _Remembering(self._connection, self._remembered)
            recorder.server = self.server
            yield recorder

    # ------------------------------------------------------------ what was touched

    def _by_name(self, written: Written | None) -> dict[str, Counts]:
        if written is None:
            return dict.fromkeys((*_FINDERS, *OTHERS), (1, 1, 1))
        return {self._names.get(oid, ""): counts for oid, counts in written.items()}

    def _find(self, counts: Mapping[str, Counts]) -> tuple[_Touched, int]:
        """(what was touched, the next horizon), in one round trip; the snapshot stays."""
        parts = [f"select 'h', {_HORIZON}, false"]
        for name, finder in _FINDERS.items():
            if sum(counts.get(name, (0,))[:2]):
                parts.append(f"select {finder} and {_YOUNG}")
        gone = {name for name, (_, _, deleted) in counts.items() if deleted}
        ask = self._connection.execute
        with self._connection.pipeline():
            ask(_BEGIN, prepare=False)
            young = ask(" union all ".join(parts), {"horizon": str(self._horizon)})
            living = {name: ask(sql) for name, sql in _LIVING.items() if name in gone}
        touched, horizon = _Touched(), self._horizon
        sets = {"r": touched.relations, "f": touched.functions, "n": touched.schemas}
        for kind, oid, fleeting in young:
            if kind == "h":
                horizon = oid
            elif kind:
                sets[kind].add(oid)
            touched.fleeting |= fleeting
        self._add_vanished(
            touched, {name: {oid for (oid,) in cursor} for name, cursor in living.items()}, gone
        )
        self._add_renamed(touched)
        return touched, horizon

    def _is_fleeting(self, touched: _Touched, counts: Mapping[str, Counts]) -> bool:
        """Whether rows have to be read now that PostgreSQL makes of the newest state, and not of the snapshot."""
        if touched.fleeting or not _LASTING.issuperset(counts.keys() & _WATCHED):
            return True
        if any(self._others[name] for name in OTHERS if name in counts):
            return True
        if any(oid >= _FIRST_USER for oid, _ in self._types):
            return True
        known = (self._rows[kind].keys() for kind in ("defaults", "views", "triggers", "grants"))
        return any(oids & touched.relations for oids in known) or any(
            part.definition
            for kind in ("constraints", "indexes")
            for oid in touched.relations
            for part in self._rows[kind].get(oid, ())
        )

    def _add_vanished(self, touched: _Touched, alive: Mapping[str, set[int]], gone: set[str]) -> None:
        rows = self._rows
        if "pg_class" in gone:
            touched.vanished |= rows["relations"].keys() - alive["pg_class"]
            touched.relations |= touched.vanished
            touched.relations |= _owners(rows["indexes"], alive["pg_class"])
        if "pg_constraint" in gone:
            touched.relations |= _owners(rows["constraints"], alive["pg_constraint"])
        if "pg_trigger" in gone:
            touched.relations |= _owners(rows["triggers"], alive["pg_trigger"])
        if "pg_attrdef" in gone:
            touched.relations |= rows["defaults"].keys() - alive["pg_attrdef"]
        if "pg_proc" in gone:
            touched.functions |= rows["functions"].keys() - alive["pg_proc"]
        if "pg_namespace" in gone:
            touched.schemas |= rows["schemas"].keys() - alive["pg_namespace"]
        relations = [found[0] for found in rows["relations"].values()] if gone else []
        if "pg_inherits" in gone:
            touched.relations |= {relation.oid for relation in relations if relation.parent}
        if "pg_description" in gone:
            touched.relations |= {relation.oid for relation in relations if relation.comment}
            touched.schemas |= {oid for oid, (schema,) in rows["schemas"].items() if schema.comment}

    def _add_renamed(self, touched: _Touched) -> None:
        """The name of a schema stands in the rows of all that lies in it, a function's in those of its triggers."""
        names = {found[0].name for oid in touched.schemas if (found := self._rows["schemas"].get(oid))}
        if names:
            for kind, oids in (("relations", touched.relations), ("functions", touched.functions)):
                oids |= {oid for oid, (row, *_) in self._rows[kind].items() if row.schema in names}
        if touched.functions:
            for oid, triggers in self._rows["triggers"].items():
                if any(trigger.function in touched.functions for trigger in triggers):
                    touched.relations.add(oid)

    # ------------------------------------------------------------ reading and keeping

    def _read(self, touched: _Touched, counts: Mapping[str, Counts]) -> _Read:
        """The rows of all kinds that may be others now, in one round trip, and the names of their types."""
        sources = _SOURCES if touched.fleeting else _SOURCES_OF_LASTING
        cursors, others = {}, {}
        with self._connection.pipeline():
            for kind in sources:
                if (oids := touched.of(kind)) and not sources[kind].isdisjoint(counts):
                    cursors[kind] = self._ask(kind, oids)
            for name in OTHERS if touched.fleeting else ():
                if name in counts:
                    others[name] = self._connection.execute(OTHERS[name])
            self._connection.execute("commit", prepare=False)
        fresh = {kind: cursor.fetchall() for kind, cursor in cursors.items()}
        types = self._name_types(fresh.get("columns", ()), counts)
        return fresh, types, tuple(self._other_changes(others))

    def _ask(self, kind: str, oids: Iterable[int]) -> psycopg.Cursor[Any]:
        key, make = _KINDS[kind]
        cursor = self._connection.cursor(binary=True)
        cursor.row_factory = lambda _: make._make
        return cursor.execute(_query(kind, key), [_array(oids)])

    def _name_types(self, columns: Iterable[facts.Column], counts: Mapping[str, Counts]) -> _Types:
        """Names of the types not met yet, and again of those people made when a type was altered."""
        pairs = {(column.type_oid, column.typmod) for column in columns} - self._types.keys()
        if counts.get("pg_type", (0, 0))[1]:
            pairs |= {pair for pair in self._types if pair[0] >= _FIRST_USER}
        if not pairs:
            return {}
        oids, typmods = zip(*sorted(pairs), strict=True)
        rows = self._connection.execute(_TYPES, [list(oids), list(typmods)])
        return {(oid, typmod): name for oid, typmod, name in rows}

    def _replace(self, touched: _Touched, fresh: Mapping[str, list[Any]]) -> None:
        for kind, (key, _) in _KINDS.items():
            rows = self._rows[kind]
            for oid in touched.of(kind) if kind in fresh else touched.vanished:
                rows.pop(oid, None)
            for row in fresh.get(kind, ()):
                oid = getattr(row, key)
                rows[oid] = (*rows.get(oid, ()), row)

    def _other_changes(self, answers: Mapping[str, psycopg.Cursor[Any]]) -> Iterator[Change]:
        for name, cursor in answers.items():
            now = {key: Other(*rest) for key, *rest in cursor}
            yield from others_changed(self._others[name], now)
            self._others[name] = now

    # ------------------------------------------------------------ as a Catalog

    def _all(self, kind: str) -> Iterator[Any]:
        return (row for rows in self._rows[kind].values() for row in rows)

    def _part(self, touched: _Touched) -> Catalog:
        return self._catalog(
            {
                kind: [row for oid in sorted(touched.of(kind)) for row in self._rows[kind].get(oid, ())]
                for kind in _KINDS
                if kind != "schemas"
            }
            | {"schemas": self._all("schemas")}
        )

    def _catalog(self, rows: Mapping[str, Iterable[Any]]) -> Catalog:
        parts = {kind: tuple(found) for kind, found in rows.items()}
        return Catalog(self.server, types=dict(self._types), **parts)  # type: ignore[arg-type]


def _array(oids: Iterable[int]) -> str:
    """As PostgreSQL writes an array: a text is handed over as it is, a list is looked through first."""
    return "{" + ",".join(map(str, sorted(oids))) + "}"


def _owners(rows: Mapping[int, tuple[Any, ...]], alive: set[int]) -> set[int]:
    """The relations that have lost one of these parts."""
    return {relation for relation, parts in rows.items() if any(part.oid not in alive for part in parts)}


@cache
def _query(kind: str, key: str) -> bytes:
    return f"select * from (\n{query(kind)}\n) q where q.{key} = any (%s::oid[])".encode()  # noqa: S608
