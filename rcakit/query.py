"""A person's own questions: any SELECT, read-only, as a value that remembers how it was asked.

Two locks, since one is not enough: PostgreSQL refuses writes in a READ ONLY transaction, but a text such as
`SELECT 1; COMMIT; DROP TABLE ..` ends that transaction. So PostgreSQL's own parser has to find one statement that reads.
https://www.postgresql.org/docs/current/sql-set-transaction.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import psycopg

from rcakit import evidence
from rcakit.errors import MissingExtra, SqlError
from rcakit.parsing import pgparse

try:
    import sqlalchemy as sa
except ImportError:  # pragma: no cover - the lab extra is there wherever this is tested
    raise MissingExtra("sqlalchemy", "lab") from None

READS = ("SelectStmt", "ExplainStmt", "VariableShowStmt")
"""Kinds of statements that may be asked; of these, what would write after all is refused by the server."""

_LIMITS = sa.text(
    "select set_config('statement_timeout', '300s', true), set_config('lock_timeout', '5s', true), "
    "set_config('TimeZone', 'UTC', true), set_config('row_security', 'off', true)"
)


def ask(conninfo: str, sql: str, params: Mapping[str, Any], run: str, number: int) -> evidence.Evidence:
    """Run one query in a read-only transaction of its own and keep what it gave.

    The search_path is that of the role. A statement may take five minutes. Raises SqlError for a text that is not
    one statement that reads, for whatever the server refuses, and ConnectionFailed.
    """
    places = _places(sql, params)
    demand_reading(pgparse.replace(sql, [(start, end, "NULL") for start, end, _ in places]))
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: evidence.connect(conninfo, run=run),
        poolclass=sa.NullPool,
        isolation_level="REPEATABLE READ",
    )
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        connection.execute(_LIMITS)
        role = connection.execute(sa.text("select current_user")).scalar_one()
        taken_at, clock = datetime.now(UTC), time.perf_counter()
        columns, rows = _answer(connection, _marked(sql, places) if params else sql, params)
    return evidence.Evidence(
        id=f"Q{number}",
        name="asked by hand",
        sql=sql,
        params=dict(params),
        taken_at=taken_at,
        seconds=time.perf_counter() - clock,
        role=role,
        columns=columns,
        rows=rows,
    )


def _places(sql: str, params: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    """Where a `:name` of the parameters stands: (start, end, name), in bytes; text in quotes is text."""
    if not params:
        return []
    raw, words = sql.encode(), pgparse.tokens(sql)
    return [
        (colon.start, word.end, name)
        for colon, word in pairwise(words)
        if raw[colon.start : colon.end] == b":" and colon.end == word.start
        if (name := raw[word.start : word.end].decode()) in params
    ]


def _marked(sql: str, places: list[tuple[int, int, str]]) -> str:
    """The text as psycopg takes it with parameters: %(name)s, and every other percent sign doubled."""
    signs = [(at, at + 1, "%%") for at, byte in enumerate(sql.encode()) if byte == ord("%")]
    return pgparse.replace(sql, [*signs, *((start, end, f"%({name})s") for start, end, name in places)])


def demand_reading(sql: str) -> None:
    """Raises SqlError unless the text is one statement that reads."""
    try:
        statements = pgparse.parse(sql)
    except SqlError as error:
        forgotten = error.what.endswith('at or near ":"')
        raise SqlError(
            error.what, hint="each :name needs a value: query(sql, {'name': ..})" if forgotten else error.hint
        ) from None
    if len(statements) != 1:
        raise SqlError(f"the text holds {len(statements)} statements", hint="ask one question at a time")
    if statements[0].kind not in READS:
        raise SqlError(
            f"only SELECT, EXPLAIN and SHOW are asked of an investigated database, not: {pgparse.shorten(sql)}",
            hint="nothing was sent to the server",
        )


def _answer(
    connection: sa.Connection, sql: str, params: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Columns and rows. Without parameters the text is sent as it is, percent signs included."""
    try:
        if params:
            result = connection.exec_driver_sql(sql, dict(params))
        else:
            result = connection.execution_options(no_parameters=True).exec_driver_sql(sql)
        return tuple(result.keys()), [tuple(row) for row in result]
    except sa.exc.DBAPIError as error:
        raise _refused(error.orig) from None


def _refused(error: BaseException | None) -> SqlError:
    diag = error.diag if isinstance(error, psycopg.Error) else None
    said = (diag.message_primary if diag else None) or str(error).partition("\n")[0]
    return SqlError(
        f"the query was refused: {said}",
        hint=(diag.message_hint if diag else None) or "see the SQL you passed",
    )
