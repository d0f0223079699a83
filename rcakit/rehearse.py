"""Pending migrations run before they go out, on a structure clone of the investigated database.

`clone.py` copies the structure to a scratch server, the recorded history is put into it, and the project's own
migrations go on from there. No row comes along: a migration that needs some will say so.

The investigated database is only read. But pg_dump takes an ACCESS SHARE lock on every table of it for as long as it
runs: it waits behind a migration that is running, for a few seconds at most, and DDL waits behind it. The role needs
SELECT on all tables. https://www.postgresql.org/docs/current/app-pgdump.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import sql

from rcakit import replay
from rcakit.clone import clone
from rcakit.database import running
from rcakit.errors import Refused, ScratchError
from rcakit.names import Name

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.facts import Recorded
    from rcakit.ledger import Ledger, Step
    from rcakit.scratch import Server


def pending(case: Case, server: Server, on_step: replay.OnStep | None = None) -> Ledger:
    """The ledger of the migrations that the investigated database has not got yet, run on a clone of its structure.

    Its steps are those alone. Raises ScratchError (the structure cannot be dumped, or not made on `server`),
    ConnectionFailed and ProjectError. The clone is dropped again.
    """
    target = case.target
    with _cloned(case, server) as dbname:
        _equip(server, dbname, case.recorded, case.observed.server.search_path)
        return replay.run(
            case.project,
            settings=target.settings,
            python=target.interpreter,
            server=server,
            database=dbname,
            on_step=on_step,
        )


@contextmanager
def _cloned(case: Case, server: Server) -> Iterator[str]:
    """That a copy cannot be had is no refusal to destroy something: nothing could be checked."""
    try:
        with (
            running(case.target) as conninfo,
            clone(conninfo, server, rows=0, prefix="rehearsal", run=case.run_id) as dbname,
        ):
            yield dbname
    except Refused as error:
        raise ScratchError(f"nothing was rehearsed: {error.what}", hint=error.hint) from error


def _equip(server: Server, dbname: str, recorded: Recorded, search_path: str) -> None:
    """What a structure does not hold: the recorded history, and the search_path of the investigated database."""
    with server.connect(dbname) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", [search_path])
        here = sql.Identifier(dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path FROM CURRENT").format(here))
        schema = next((table.schema for table in recorded.tables if table.read), None)
        if schema is not None:
            insert = f"INSERT INTO {Name(schema, 'django_migrations').sql} (app, name, applied) VALUES (%s, %s, %s)"  # noqa: S608
            rows = [(row.app, row.name, row.at) for row in recorded.applied]
            connection.cursor().executemany(insert.encode(), rows)


def wrong(ledger: Ledger) -> tuple[Step, ...]:
    """The steps that must not go out like this: failures, and silent no-ops, of the whole or of one operation."""
    return tuple(step for step in ledger.steps if step.kind in ("silent-no-op", "failed") or step.idle)


def exit_code(ledger: Ledger) -> int:
    """0 all do what they say, 1 one is a silent no-op, fails or cannot be taken back, 2 it could not be told."""
    backs = [step.reverse.result for step in ledger.steps if step.reverse is not None]
    if wrong(ledger) or "failed" in backs or "differs" in backs:
        return 1
    return 2 if any(gap.blocking for gap in ledger.gaps) else 0
