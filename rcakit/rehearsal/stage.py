"""Where repairs are rehearsed: one copy of the investigated database, and a copy of that for each trial.

A trial's database is made from the copy as a template, so that the same table has the same OID in all of them.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import sql

from rcakit import catalog, evidence, replay, scratch
from rcakit.case import Case, open_case
from rcakit.clone import clone
from rcakit.counterfactual import World
from rcakit.database import running
from rcakit.facts import Catalog
from rcakit.ledger import Ledger
from rcakit.names import Name
from rcakit.reach import declared_tables
from rcakit.rehearsal.project import Answer, ask
from rcakit.rehearsal.states import State, Watched, look
from rcakit.remedy.parts import Repair, Statement
from rcakit.undo.copies import copied, write

_LOCKED = """
select count(distinct l.relation) from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = pg_backend_pid() and l.mode = 'AccessExclusiveLock' and c.relkind in ('r', 'p')
  and c.relnamespace <> 'pg_catalog'::regnamespace"""


_MAY = """
select r.rolname::text, n, p
from pg_roles r, unnest(%(names)s::text[]) n, pg_class c,
    unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
where c.oid = to_regclass(n) and not r.rolsuper and r.rolname !~ '^pg_'
  and has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
  and case p when 'DELETE' then has_table_privilege(r.oid, c.oid, p)
      else has_any_column_privilege(r.oid, c.oid, p) end"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a script: `error` in PostgreSQL's words, else how many tables were locked exclusively, how long (s)."""

    error: str
    locked: int
    seconds: float


@dataclass(frozen=True)
class Stage:
    """The copy, named `base`, on a scratch server. It is never changed.

    rows
        how many a table came along at most, with those they refer to; None: all.
    """

    case: Case
    server: scratch.Server
    base: str
    rows: int | None = None

    @contextmanager
    def trial(self) -> Iterator[str]:
        """The name of a copy of the copy, with the search_path of the investigated database; dropped afterwards."""
        with self.server.database("trial", template=self.base) as dbname:
            with self.server.connect(dbname) as connection:
                path = self.case.observed.server.search_path
                connection.execute("SELECT set_config('search_path', %s, false)", [path])
                here = sql.Identifier(dbname)
                connection.execute(sql.SQL("ALTER DATABASE {} SET search_path FROM CURRENT").format(here))
            yield dbname

    @contextmanager
    def project(self, changed: Mapping[str, str]) -> Iterator[Path]:
        """A copy of the project with some files of other content."""
        with tempfile.TemporaryDirectory(prefix="project-", dir=self.server.socket) as place:
            copy = copied(self.case.project, Path(place) / "project")
            for path, text in changed.items():
                write(copy, path, text)
            yield copy

    @cached_property
    def catalog(self) -> Catalog:
        """Of the copy, before anything was tried."""
        return self.read(self.base)

    def read(self, dbname: str) -> Catalog:
        """The catalog of one database of this stage."""
        with evidence.session(self.server.conninfo(dbname), run="rehearsal") as recorder:
            return catalog.read(recorder)

    def watched(self, repair: Repair) -> Watched:
        """What to look at, by its OID in the copies: the tables, and the views and functions that hang on them."""
        found = [each for move in repair.moves if (each := self.catalog.find(move.now))]
        with evidence.session(self.server.conninfo(self.base), run="rehearsal") as recorder:
            hanging = catalog.dependants(recorder, [each.oid for each in found])
            views = {row.dependant for row in hanging if row.kind.endswith("view")}
            functions = {row.dependant for row in hanging if row.kind == "function"}
            oids = "select coalesce(array_agg(distinct oid), '{}') from (select %s(n)::oid as oid from unnest(%%s::text[]) n) x"
            (view_oids,) = recorder.rows("views", oids % "to_regclass", [sorted(views)])
            (function_oids,) = recorder.rows("functions", oids % "to_regprocedure", [sorted(functions)])
        return Watched(tuple(each.oid for each in found), tuple(view_oids[0]), tuple(function_oids[0]))

    def look(self, dbname: str, watched: Watched) -> State:
        """Measure one database."""
        return look(self.server, dbname, watched)

    def migrate(self, copy: Path, dbname: str, *, reverse: bool = False) -> Ledger:
        """Run what is not applied yet, as the project does. With `reverse`, back and forth again."""
        target = self.case.target
        return replay.run(
            copy,
            settings=target.settings,
            python=target.interpreter,
            server=self.server,
            database=dbname,
            options=replay.Options(reverse=reverse),
        )

    def fresh(self, copy: Path) -> Ledger:
        """All migrations of a project from the beginning, in an empty database with the roles and schemas of this one."""
        target = self.case.target
        world = World(self.case.accounts, self.case.project, target.settings, target.interpreter)
        return world.replayed(self.server, copy)

    @cached_property
    def untouched(self) -> Mapping[str, tuple[int | None, str]]:
        """What the models of the project as it is say about the copy as it is, label by label; and Django, as ""."""
        labels = [model.label for model in declared_tables(self.case.accounts)]
        with self.project({}) as copy, self.trial() as dbname:
            answer = self.ask(copy, dbname, labels)
        return {**answer.models, "": (None, answer.pending)}

    def ask(self, copy: Path, dbname: str, labels: list[str]) -> Answer:
        """Let the project's models read and write there."""
        target = self.case.target
        return ask(copy, target.settings, target.interpreter, self.server, dbname, labels)

    def investigate(self, copy: Path, dbname: str, repair: Repair) -> Case:
        """What the kit itself finds there, by the expectations of the repair: a case that was read."""
        name = f"RCAKIT_REHEARSAL_{secrets.token_hex(4).upper()}"
        changed: dict[str, object] = {"project": copy, "dsn_env": name, "service": None, "server": None}
        if repair.expected:
            changed["expected_schemas"] = repair.expected
        changed["waivers"] = (*self.case.target.waivers, *repair.waivers)
        os.environ[name] = self.server.conninfo(dbname)
        try:
            case = open_case(self.case.target.model_copy(update=changed))
            _ = case.findings
            return case
        finally:
            del os.environ[name]

    def run(self, dbname: str, statements: tuple[Statement, ...]) -> Ran:
        """Run plain SQL in one transaction; when it fails, nothing is kept."""
        began = time.monotonic()
        try:
            with psycopg.connect(self.server.conninfo(dbname)) as connection:
                for each in statements:
                    connection.execute(each.sql.encode())
                    if each.sql.startswith("LOCK TABLE"):
                        began = time.monotonic()
                (locked,) = connection.execute(_LOCKED).fetchone() or (0,)
                connection.commit()
        except psycopg.Error as error:
            return Ran(evidence.reason(error), 0, 0.0)
        return Ran("", locked, time.monotonic() - began)

    def may(self, dbname: str, names: list[str]) -> set[tuple[str, str, str]]:
        """(role, relation, privilege) for what each role can really do with these relations, by their quoted names."""
        with self.server.connect(dbname) as connection:
            rows = connection.execute(_MAY, {"names": names})
            return {(str(role), str(name), str(privilege)) for role, name, privilege in rows}

    def forget(self, dbname: str, label: str) -> None:
        """Take one migration out of the recorded history, so that it is run once more."""
        app, _, name = label.partition(".")
        history = next(table.schema for table in self.case.recorded.tables if table.read)
        delete = sql.SQL("DELETE FROM {} WHERE app = %s AND name = %s")
        with self.server.connect(dbname) as connection:
            connection.execute(delete.format(sql.Identifier(history, "django_migrations")), [app, name])


@contextmanager
def stage(case: Case, rows: int | None = None) -> Iterator[Stage]:
    """Copy the investigated database to a scratch server of its version where there is one.

    `rows` a table at most, and what those refer to; None: all. The recorded history always comes whole. Raises Refused (the role may not read it all), ScratchError and ConnectionFailed.
    """
    with (
        scratch.server(prefer=case.observed.server.version_num // 10000) as server,
        _copied(case, server, rows) as base,
    ):
        yield Stage(case, server, base, rows)


@contextmanager
def _copied(case: Case, server: scratch.Server, rows: int | None) -> Iterator[str]:
    history = [Name(table.schema, "django_migrations") for table in case.recorded.tables if table.read]
    with (
        running(case.target) as conninfo,
        clone(conninfo, server, rows=rows, whole=history, run=case.run_id) as base,
    ):
        yield base
