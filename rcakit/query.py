"""A person's own questions: any SELECT, read-only, as a value that remembers how it was asked.

https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#postgresql-readonly-deferrable-usage
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from rcakit import evidence
from rcakit.errors import MissingExtra, SqlError

try:
    import sqlalchemy as sa
except ImportError:  # pragma: no cover - the lab extra is there wherever this is tested
    raise MissingExtra("sqlalchemy", "lab") from None


def ask(conninfo: str, sql: str, params: Mapping[str, Any], run: str, number: int) -> evidence.Evidence:
    """Run one query in a read-only transaction of its own and keep what it gave.

    Raises SqlError for whatever the server refuses, writes included, and ConnectionFailed.
    """
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: evidence.connect(conninfo, run=run),
        poolclass=sa.NullPool,
        isolation_level="REPEATABLE READ",
    )
    taken_at, clock = datetime.now(UTC), time.perf_counter()
    try:
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            role = connection.execute(sa.text("select current_user")).scalar_one()
            result = connection.execute(sa.text(sql), params)
            columns = tuple(result.keys()) if result.returns_rows else ()
            rows = [tuple(row) for row in result] if result.returns_rows else []
    except sa.exc.DBAPIError as error:
        raise SqlError(
            f"the query was refused: {_first_line(error.orig)}", hint="see the SQL you passed"
        ) from None
    except sa.exc.StatementError as error:
        raise SqlError(
            f"the query could not be sent: {_first_line(error)}", hint="see its parameters"
        ) from None
    return evidence.Evidence(
        id=f"E{number}",
        name="asked by hand",
        sql=sql,
        params=dict(params),
        taken_at=taken_at,
        seconds=time.perf_counter() - clock,
        role=role,
        columns=columns,
        rows=rows,
    )


def _first_line(error: BaseException | None) -> str:
    diag = getattr(error, "diag", None) if isinstance(error, psycopg.Error) else None
    text = (diag.message_primary if diag else None) or str(error)
    return text.partition("\n")[0]
