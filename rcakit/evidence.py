"""Evidence: a read-only session that keeps every query it ran, with what came back.

One `REPEATABLE READ READ ONLY` transaction a session, so that all facts of an investigation are of one
moment: https://www.postgresql.org/docs/current/transaction-iso.html#XACT-REPEATABLE-READ
The session leaves nothing behind: no temporary object, no prepared statement, no setting that outlives it.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar, overload

import psycopg
from psycopg import errors as pg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.array import ArrayBinaryLoader

from rcakit.connection import connect as connect
from rcakit.errors import ConnectionFailed, RcaError
from rcakit.facts import Server, Unread

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Row = tuple[Any, ...]
Params = Sequence[object] | Mapping[str, object] | None

OLDEST = 12
"""The oldest major version whose catalogs the queries fit."""

_SETTINGS = """\
select set_config(name, value, true)
from (values
    ('statement_timeout', %(statement)s),
    ('lock_timeout', %(lock)s),
    ('idle_in_transaction_session_timeout', %(idle)s),
    ('TimeZone', 'UTC'),
    ('jit', 'off'),                      -- compiling costs more than any catalog query
    ('work_mem', '32MB'),                -- or 80,000 columns are sorted on disk
    ('row_security', 'off'),             -- an error instead of rows that are silently missing
    ('quote_all_identifiers', 'off'),
    ('standard_conforming_strings', 'on')
) as setting (name, value)"""

_EMPTY_PATH = "select set_config('search_path', '', true)"


@dataclass(frozen=True)
class Evidence:
    """One query and its answer. `params` are the bound values, `seconds` the wall time of query and fetch."""

    id: str
    """"E1", "E2", .. in the order they were run."""
    name: str
    sql: str
    params: Params
    taken_at: datetime
    """UTC, by the clock of the investigating machine."""
    seconds: float
    role: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    error: str = ""
    """What PostgreSQL said when the query failed; the rows are empty then."""

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame, its columns named as in the query. Needs the extra `lab`.

        `attrs["evidence"]` is this evidence without its rows: pandas copies it along.
        """
        import pandas as pd

        frame = pd.DataFrame.from_records(list(self.rows), columns=list(self.columns))
        frame.attrs["evidence"] = replace(self, rows=())
        return frame


class Recorder:
    """Runs queries in one open session and keeps each as `Evidence`.

    `unread` collects rows whose text is not valid in the database's encoding: the object is there, its name
    cannot be told exactly.
    """

    server: Server

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.evidence: list[Evidence] = []
        self.unread: list[Unread] = []
        self.role = connection.info.user
        self._connection = connection
        self._saved = False
        self._lenient = connection.info.parameter_status("server_encoding") != "UTF8"

    @property
    def pooled(self) -> bool:
        """Somebody stands between us and the server: the process that we were told of is not the one that answers.

        https://www.postgresql.org/docs/current/libpq-status.html#LIBPQ-PQBACKENDPID
        """
        ((process,),) = self.rows("server process", "select pg_backend_pid()")
        return bool(process != self._connection.info.backend_pid)

    @property
    def last_id(self) -> str:
        """The id of the newest evidence, "" before the first query."""
        return self.evidence[-1].id if self.evidence else ""

    @overload
    def rows(self, name: str, sql: str, params: Params = None, make: None = None) -> list[Row]: ...
    @overload
    def rows(self, name: str, sql: str, params: Params = None, *, make: type[T]) -> list[T]: ...
    def rows(self, name: str, sql: str, params: Params = None, make: type[T] | None = None) -> Any:
        """Run one query; `make` is a NamedTuple whose fields are the query's columns, in order.

        Arrays come back as tuples. Raises RcaError when PostgreSQL refuses the query or stops it.
        """
        self._saved = False  # what this query sets has to outlive the failure of a later one
        try:
            return self._run(name, sql, params, make)
        except psycopg.Error as error:
            raise failure(name, error) from error

    def attempt(self, name: str, sql: str, params: Params = None) -> list[Row] | Unread:
        """Run one query that may fail and sets nothing; a failure is an `Unread` and leaves the session usable.

        One savepoint does for as many as follow each other: going back to it keeps it, and nothing was written since.
        https://www.postgresql.org/docs/current/sql-rollback-to.html
        """
        try:
            if not self._saved:
                self._connection.execute("SAVEPOINT before_attempts")
                self._saved = True
            return self._run(name, sql, params, None)
        except psycopg.Error as error:
            with suppress(psycopg.Error):
                if self._saved:
                    self._connection.execute("ROLLBACK TO SAVEPOINT before_attempts")
            if self._connection.broken:
                raise failure(name, error) from error
            return Unread("observed", f"{name}: {reason(error)}")

    def _run(self, name: str, sql: str, params: Params, make: type[Any] | None) -> list[Any]:
        began, taken_at = time.perf_counter(), datetime.now(UTC)
        columns: tuple[str, ...] = ()
        rows: list[Any] = []
        problem = ""
        try:
            columns, rows = self._fetch(sql, params, make)
        except psycopg.Error as error:
            problem = reason(error)
            raise
        finally:
            number, seconds = len(self.evidence) + 1, time.perf_counter() - began
            self.evidence.append(
                Evidence(
                    f"E{number}", name, sql, params, taken_at, seconds, self.role, columns, rows, problem
                )
            )
        if self._lenient:
            self.unread.extend(_damaged(name, columns, rows))
        return rows

    def _fetch(self, sql: str, params: Params, make: type[Any] | None) -> tuple[tuple[str, ...], list[Any]]:
        if not self._lenient:
            return self._ask(sql, params, make)
        try:
            with self._connection.transaction():
                return self._ask(sql, params, make)
        except (pg.UntranslatableCharacter, pg.CharacterNotInRepertoire):
            # No UTF-8 for some byte: take the bytes as they are stored and decode them here.
            with self._connection.transaction():
                self._ask("select set_config('client_encoding', getdatabaseencoding(), true)", None, None)
                answer = self._ask(sql, params, make)
                self._ask("select set_config('client_encoding', 'UTF8', true)", None, None)
                return answer

    def _ask(self, sql: str, params: Params, make: type[Any] | None) -> tuple[tuple[str, ...], list[Any]]:
        with self._connection.cursor(binary=True) as cursor:
            try:
                cursor.execute(sql.encode(), params)
            except UnicodeEncodeError as error:
                raise psycopg.DataError(f"not text in the database's encoding: {error.object!r}") from error
            columns = tuple(column.name for column in cursor.description or ())
            if make is not None:
                if columns != make._fields:
                    raise TypeError(f"{make.__name__} has fields {make._fields}, the query gives {columns}")
                cursor.row_factory = lambda _: partial(tuple.__new__, make)  # `_make` counts again
            with _no_collection():
                return columns, cursor.fetchall() if columns else []


@contextmanager
def _no_collection() -> Iterator[None]:
    """Rows hold no cycles: looking for some after every 700 of them is a sixth of the reading time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def session(conninfo: str, *, run: str, timeout_s: float = 30) -> Iterator[Recorder]:
    """Open the investigated database for reading, for as long as the `with` block lasts.

    `run` ends up in `application_name` as "rcakit/<run>"; `timeout_s` bounds each statement. Raises
    ConnectionFailed without a secret in it, neither in its text nor in the errors it was made from.
    """
    with closing(connect(conninfo, run=run)) as connection:
        load_tuples(connection)
        recorder = Recorder(connection)
        if recorder._lenient:
            for type_name in ("text", "name", "varchar", "bpchar"):
                connection.adapters.register_loader(type_name, LenientText)
        recorder.rows("session limits", _SETTINGS, _limits(timeout_s))
        (recorder.server,) = recorder.rows("server", query("server"), make=Server)
        recorder.role = recorder.server.role
        recorder.rows("empty the search path", _EMPTY_PATH)
        _require_version(recorder.server)
        yield recorder
        with suppress(psycopg.Error):
            connection.rollback()  # a pooler ends the server's session when a client leaves its transaction open


def query(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return (files("rcakit") / "sql" / f"{name}.sql").read_text("utf-8")


def reason(error: psycopg.Error) -> str:
    """What PostgreSQL said, in one line; what libpq guesses on lines of its own, behind a tab, is left out."""
    said = error.diag.message_primary or str(error) or type(error).__name__
    told = [line for line in said.split("\n") if not line.startswith("\t")]
    return " ".join(" ".join(told or [said]).split())


def failure(name: str, error: psycopg.Error) -> RcaError:
    """A failed query in words: which one, why, what to do."""
    if isinstance(error, pg.QueryCanceled):
        return RcaError(f"the query for {name!r} was stopped: {reason(error)}", hint="Allow it more time.")
    if isinstance(error, pg.LockNotAvailable):
        return RcaError(
            f"the query for {name!r} waited too long for a lock: {reason(error)}",
            hint="Something holds a lock on a table, often a running migration: try again when it is over.",
        )
    if error.sqlstate is None or error.sqlstate.startswith(("08", "57")) or error.sqlstate == "25P03":
        return ConnectionFailed(
            f"the connection was lost during the query for {name!r}: {reason(error)}",
            hint="Try again; when it happens every time, look into the server's log.",
        )
    return RcaError(
        f"PostgreSQL refused the query for {name!r}: {reason(error)} (SQLSTATE {error.sqlstate})",
        hint="The role may lack a right, or the server be of a kind rcakit does not know.",
    )


def _limits(timeout_s: float) -> dict[str, str]:
    """Statement, lock and idle limits, as PostgreSQL spells milliseconds; 0 would mean none.

    The lock's is the shorter one, so that the error says what was waited for.
    """
    statement = max(1, math.ceil(timeout_s * 1000))
    return {
        "statement": f"{statement}ms",
        "lock": f"{min(math.ceil(statement / 2), 5000)}ms",
        "idle": f"{max(statement, 60_000)}ms",
    }


def _require_version(server: Server) -> None:
    if server.version_num < OLDEST * 10_000:
        raise ConnectionFailed(
            f"the server is PostgreSQL {server.version}",
            hint=f"rcakit reads the catalogs of PostgreSQL {OLDEST} and newer.",
        )


# ------------------------------------------------------------------ how values come in


class TupleLoader(Loader):
    """An array as a tuple. The same few arrays come again and again, so each is decoded once a query."""

    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._array = ArrayBinaryLoader(oid, context)
        self._seen: dict[bytes, Row] = {}

    def load(self, data: Buffer) -> Row:
        key = bytes(data)
        if (known := self._seen.get(key)) is None:
            known = self._seen[key] = tuple(self._array.load(key))
        return known


def load_tuples(connection: psycopg.Connection[Any]) -> None:
    """Let the arrays of this session's answers come in as tuples."""
    for name in ("int2", "int4", "oid", "name", "text"):
        connection.adapters.register_loader(connection.adapters.types[name].array_oid, TupleLoader)


class Damaged(str):
    """Text whose bytes are not valid in its encoding, with U+FFFD in their place."""

    __slots__ = ()


class LenientText(Loader):
    """Text of a database that is not UTF8, where bytes may be anything (SQL_ASCII checks nothing)."""

    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        codec = self.connection.info.encoding if self.connection else "ascii"
        self._codec = "utf-8" if codec == "ascii" else codec

    def load(self, data: Buffer) -> str:
        stored = bytes(data)
        try:
            return stored.decode(self._codec)
        except UnicodeDecodeError:
            return Damaged(stored.decode(self._codec, "replace"))


def _damaged(name: str, columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Unread]:
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            if isinstance(value, Damaged):
                yield Unread(
                    "observed",
                    f"{name}: the {column} of {columns[0]} {row[0]} is not valid text in the database's "
                    f"encoding; it reads about {str(value)!r}",
                )
