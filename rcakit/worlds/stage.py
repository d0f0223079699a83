"""Where states are built, tried and rolled back: one scratch database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from rcakit import catalog, evidence, guards, standin
from rcakit.errors import SqlError
from rcakit.facts import Accounts, Catalog, Guard, Verdict
from rcakit.facts import Server as Session
from rcakit.ledger import outcome
from rcakit.names import Name
from rcakit.parsing.pgparse import parse, walk
from rcakit.parsing.plpgsql import made_plainly
from rcakit.scratch.roles import roles_of
from rcakit.worlds.settings import ELSEWHERE, NOBODY, Setting, Subject
from rcakit.worlds.table import Outcome, Row

_OUTSIDE = ("25001", "2D000")
"""SQLSTATEs of what cannot be run inside a transaction: CONCURRENTLY, a COMMIT in a body."""
_PATIENCE = "SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '5s'"


class Stage:
    """One scratch database in which worlds are built, tried and rolled back, one after the other."""

    def __init__(self, connection: psycopg.Connection[Any], accounts: Accounts) -> None:
        self.connection, self.accounts = connection, accounts
        evidence.load_tuples(connection)
        self.recorder = evidence.Recorder(connection)
        self.roles = dict.fromkeys((*roles_of(accounts.observed), NOBODY))

    def row(
        self, setting: Setting, subjects: Sequence[Subject], found: Sequence[Guard], texts: Sequence[str]
    ) -> Row:
        """Build the world, ask the conditions, run the migration's SQL, look; all of it is rolled back."""
        with self._rolled_back():
            self._build(setting, subjects, found, texts)
            before, verdicts = self._look(setting, found)
            error = self._run(setting, texts)
            after, _ = self._look(setting, ())
        was = [outcome.presence(guard.effects, before) for guard in found]
        now = [outcome.presence(guard.effects, after) for guard in found]
        done: Outcome = "does nothing"
        if any(a != b for a, b in zip(was, now, strict=True)):
            done = "moves"
        if error is not None:
            done = "cannot tell" if error.sqlstate in _OUTSIDE else "fails"
        said = evidence.reason(error).replace(self.connection.info.dbname, "..") if error else ""
        ended = sum(each == "present" for each in now)
        return Row(setting.world, len(found), count(verdicts), done, ended, said)

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            yield

    def _build(
        self, setting: Setting, subjects: Sequence[Subject], found: Sequence[Guard], texts: Sequence[str]
    ) -> None:
        observed, execute = self.accounts.observed, self.connection.execute
        own = {each for text in texts for each in made_plainly(text)}
        had = {name for (name,) in execute("SELECT rolname::text FROM pg_roles")}
        for role in self.roles.keys() - had - {name for kind, name in own if kind == "role"}:
            execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        schemas: set[str] = {ELSEWHERE}
        if not setting.bare:
            schemas |= observed.schema_names | {each.target.schema or "public" for each in subjects}
        schemas -= {"public", *setting.missing, *(name for kind, name in own if kind == "schema")}
        for schema in sorted(schemas):
            execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for name, like in setting.tables.items():
            standin.create(self.connection, name, like, observed)
        if not setting.bare:
            taken = {name for each in subjects for name in each.names}
            for name in _beside(found, texts, observed) - taken - setting.tables.keys():
                if name.schema not in setting.missing:
                    standin.create(self.connection, name, observed.find(name), observed)

    def _dressed(self, setting: Setting) -> None:
        if setting.path:
            self.connection.execute(
                sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(setting.path))
            )
        if setting.role:
            self.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(setting.role)))

    def _look(self, setting: Setting, found: Sequence[Guard]) -> tuple[Catalog, Sequence[Verdict]]:
        """The catalog, and each condition's value as the world's role and search_path have it."""
        with self._rolled_back():
            self._dressed(setting)
            (self.recorder.server,) = self.recorder.rows("server", evidence.query("server"), make=Session)
            self.connection.execute("SELECT set_config('search_path', '', true)")
            state = catalog.read(self.recorder)
            return state, guards.evaluate(found, self.recorder, state) if found else ()

    def _run(self, setting: Setting, texts: Sequence[str]) -> psycopg.Error | None:
        """Run the SQL as Django would; what it did stays until the world is rolled back."""
        try:
            with self.connection.transaction():
                self.connection.execute(_PATIENCE)
                self._dressed(setting)
                for text in texts:
                    self.connection.execute(text.encode())
                self.connection.execute("RESET ROLE; RESET search_path")
        except psycopg.Error as error:
            if self.connection.broken:
                raise
            return error
        return None


def _beside(found: Sequence[Guard], texts: Sequence[str], observed: Catalog) -> set[Name]:
    """Observed relations that the SQL names and that no world moves about."""
    named: set[Name] = set()
    for text in (*texts, *(each for guard in found for each in guard.guarded)):
        try:
            nodes = list(walk([{each.kind: each.node} for each in parse(text)]))
        except SqlError:
            continue
        for _, fields in nodes:
            for each in (fields, *fields.values()):
                if isinstance(each, dict) and "relname" in each:
                    relation = observed.find(Name(each.get("schemaname"), each["relname"]))
                    if relation is not None and relation.kind in "rpfvm":
                        named.add(relation.qualified)
    return named


def count(verdicts: Sequence[Verdict]) -> int | None:
    """How many conditions are true; None when one of them could not be told."""
    values = [verdict.as_role for verdict in verdicts]
    return None if None in values else sum(value is True for value in values)
