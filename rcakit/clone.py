"""A copy of the investigated database on a scratch server, made with pg_dump: structure, roles, and all rows, some or none.

The investigated database is only read: pg_dump works in one read-only transaction and takes ACCESS SHARE locks, for
which it waits a few seconds at most. https://www.postgresql.org/docs/current/app-pgdump.html
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from rcakit import evidence, sample
from rcakit.errors import Refused, ScratchError
from rcakit.names import Name
from rcakit.scratch import Server

LOCK_WAIT = "5s"
_SAME = """
select set_config(name, value, false)
from (values ('DateStyle', 'ISO'), ('IntervalStyle', 'postgres'), ('extra_float_digits', '3'), ('client_encoding', 'UTF8'),
    ('search_path', ''), ('row_security', 'off'), ('lock_timeout', '5s')) as setting (name, value)"""
"""What both ends of a copied row have to agree on, as pg_dump has it; and a lock that is waited for, not for ever."""
_ROLES = "select rolname, rolinherit from pg_roles where rolname !~ '^pg_' order by rolname"
_MEMBERS = """
select pg_get_userbyid(m.roleid)::text, pg_get_userbyid(m.member)::text from pg_auth_members m
where pg_get_userbyid(m.member)::text !~ '^pg_'"""


@contextmanager
def clone(
    conninfo: str,
    server: Server,
    *,
    rows: int | None = None,
    whole: Collection[Name] = (),
    prefix: str = "clone",
    run: str = "clone",
) -> Iterator[str]:
    """The name of a database on `server` that holds what `conninfo` leads to; dropped, with its roles, on leaving.

    `rows` a table at most come along, and the rows that their foreign keys lead to; None: all, 0: the structure alone.
    Of the tables `whole` all rows do. Roles come without passwords, and without a right beyond those in the
    database. `run` is what the sessions in the source are called by, pg_dump's too. Raises Refused (a newer server than the scratch one, a pooler before it, or the role may not read it all),
    ScratchError when the copy cannot be made (an extension that is not there), ConnectionFailed.
    """
    with evidence.session(conninfo, run=run) as recorder:
        source, pooled = recorder.server, recorder.pooled
        roles = recorder.rows("roles", _ROLES)
        members = recorder.rows("role members", _MEMBERS)
    if pooled:
        raise Refused(
            "a connection pooler stands before the database: what pg_dump sets in its session (an empty search_path) "
            "would stay in a session that your application gets next",
            hint="name the server itself, past the pooler",
        )
    if source.version_num // 10000 > server.major:
        raise Refused(
            f"the database runs PostgreSQL {source.version}, and the scratch server is {server.version}: "
            "an older server cannot hold a newer one's dump",
            hint="install PostgreSQL of that version, or name its programs in RCAKIT_PG_BIN",
        )
    with _roles(server, roles, members), server.database(prefix, encoding=source.encoding) as dbname:
        if rows is None:
            _copy(conninfo, server, dbname, run)
        elif rows or whole:
            _sample(conninfo, server, dbname, run, rows, whole)
        else:
            _copy(conninfo, server, dbname, run, "--schema-only")
        with server.connect(dbname) as connection:
            connection.execute("ANALYZE")
        yield dbname


@contextmanager
def _roles(server: Server, roles: list[tuple[str, bool]], members: list[tuple[str, str]]) -> Iterator[None]:
    with server.connect() as connection:
        had = {str(name) for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        made = [name for name, _ in roles if name not in had]
        inherits = dict(roles)
        for name in made:
            how = sql.SQL("INHERIT" if inherits[name] else "NOINHERIT")
            connection.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), how))
        for role, member in members:
            if member in made:
                grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(member))
                connection.execute(grant)
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError), server.connect() as connection:
            for name in made:
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _sample(conninfo: str, server: Server, dbname: str, run: str, rows: int, whole: Collection[Name]) -> None:
    """Tables, then rows, then keys and indexes, all of one snapshot: a key that does not hold is an error here."""
    with evidence.connect(conninfo, run=run) as source:
        source.execute(_SAME)
        (snapshot,) = source.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        same = f"--snapshot={snapshot}"
        _copy(conninfo, server, dbname, run, "--section=pre-data", same)
        try:
            with psycopg.connect(server.conninfo(dbname)) as copied:
                copied.execute(_SAME)
                sample.copy(source, copied, rows, whole)
        except psycopg.Error as error:
            raise Refused(
                f"the rows could not be copied: {evidence.reason(error)}",
                hint="give the role SELECT on all tables and sequences (pg_read_all_data)",
            ) from None
        _copy(conninfo, server, dbname, run, "--section=post-data", same)


def _copy(conninfo: str, server: Server, dbname: str, run: str, *parts: str) -> None:
    dump = [
        str(server.binaries / "pg_dump"),
        "--format=plain",
        "--no-tablespaces",
        "--no-publications",
        "--no-subscriptions",
        "--no-security-labels",
        f"--lock-wait-timeout={LOCK_WAIT}",
        *parts,
    ]
    with tempfile.TemporaryDirectory(prefix="clone-", dir=server.socket) as place:
        script = Path(place) / "dump.sql"
        with script.open("wb") as out:
            env = _environment(conninfo) | {"PGAPPNAME": f"rcakit/{run} pg_dump"}
            done = subprocess.run(dump, env=env, stdout=out, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise Refused(
                f"pg_dump could not copy the database: {_last(done.stderr)}",
                hint="give the role SELECT on all tables and sequences (pg_read_all_data), or copy structure only",
            )
        restore = [str(server.binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script)]
        back = subprocess.run(
            restore, env=_environment(server.conninfo(dbname)), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        if back.returncode:
            raise ScratchError(
                f"the copy could not be made on the scratch server: {_last(back.stderr)}",
                hint="an extension it does not have? Name a PostgreSQL that has it in RCAKIT_PG_BIN",
            )


def _environment(conninfo: str) -> dict[str, str]:
    """libpq's variables instead of arguments, which every user of the machine could read."""
    names = {
        option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar
    }
    given: Mapping[str, object] = conninfo_to_dict(conninfo)
    inherited = {
        key: value for key, value in os.environ.items() if key not in set(names.values()) or not given
    }
    if "service" in given or "host" not in given:
        inherited = dict(
            os.environ
        )  # what the string leaves out comes from the environment, as for the session
    return inherited | {names[key]: str(value) for key, value in given.items() if key in names}


def _last(said: bytes) -> str:
    """The first error of what a program wrote, in one line."""
    lines = [line for line in said.decode(errors="replace").splitlines() if "error" in line.lower()]
    return " ".join((lines or ["it said nothing"])[0].split())
