"""A throwaway PostgreSQL: ours alone, on a private Unix socket, gone when we are.

`server()` starts one in about half a second and leaves nothing behind, whether the program ends, raises, is
interrupted or killed: a keeper process (`keeper.py`) holds the server and watches a pipe that closes
with us. PostgreSQL refuses to run as root, so root's server runs as `postgres` or `nobody`.
https://www.postgresql.org/docs/current/app-postgres.html

The private directory lies in TMPDIR: one on a RAM disk makes a replay several times faster. POSIX only.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rcakit import names
from rcakit.errors import ScratchError
from rcakit.scratch import keeper
from rcakit.scratch.binaries import Binaries, choose

SUPERUSER = "postgres"
_LONGEST_TMP = 70
"""Bytes: a socket's whole path may have 103 on macOS, 107 on Linux."""

_ALWAYS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "lc_messages": "C",
    "max_locks_per_transaction": "1024",
}
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",  # nothing but the replayed migration may change the catalog
}


class Account(NamedTuple):
    """The operating system account that root's server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running scratch server. Its superuser is `postgres`, without a password on a socket only we can reach."""

    socket: Path
    """The 0700 directory of the Unix socket."""
    binaries: Path
    """Directory of the programs as found: `server.binaries / "pg_dump"`."""
    version: str
    """"18.6"."""
    major: int
    data: Path
    """The data directory."""

    def conninfo(self, dbname: str = "postgres", *, user: str = SUPERUSER) -> str:
        """A libpq connection string; it holds no secret."""
        return make_conninfo(host=str(self.socket), port=5432, dbname=dbname, user=user)

    def connect(self, dbname: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A superuser connection in autocommit mode."""
        return psycopg.connect(self.conninfo(dbname), autocommit=True)

    @contextmanager
    def database(
        self, prefix: str, template: str | None = None, *, encoding: str | None = None
    ) -> Iterator[str]:
        """The name of a new database, dropped on leaving whoever is still connected.

        It is a copy of `template`, file by file; `encoding` ("LATIN1", "SQL_ASCII") starts from `template0`.
        Raises ScratchError when PostgreSQL refuses (somebody is connected to the template).
        """
        name = _unique(prefix)
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            create += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        if encoding is not None:
            create += sql.SQL(" ENCODING {} LOCALE 'C'").format(encoding)
            if template is None:
                create += sql.SQL(" TEMPLATE template0")
        if self.major >= 15:
            create += sql.SQL(" STRATEGY file_copy")
        self._run(create)
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        try:
            yield name
        except BaseException:
            with suppress(
                ScratchError
            ):  # a server that is gone took it along: what went wrong is what is told
                self._run(drop)
            raise
        self._run(drop)

    @contextmanager
    def role(self, prefix: str = "role", *, superuser: bool = False) -> Iterator[str]:
        """The name of a new login role; on leaving it goes, and in every database what it owns or was granted."""
        name = _unique(prefix)
        role = sql.Identifier(name)
        self._run(sql.SQL("CREATE ROLE {} LOGIN").format(role) + sql.SQL(" SUPERUSER" if superuser else ""))
        try:
            yield name
        finally:
            for dbname in self._databases():
                self._run(sql.SQL("DROP OWNED BY {} CASCADE").format(role), dbname)
            self._run(sql.SQL("DROP ROLE {}").format(role))

    def _databases(self) -> list[str]:
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
            )
            return [str(name) for (name,) in rows]

    def _run(self, statement: sql.Composed, dbname: str = "postgres") -> None:
        try:
            with self.connect(dbname) as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise ScratchError(
                f"the scratch server refused to run {statement.as_string()}: {str(error).strip()}",
                hint="close what is connected to the template, or see whether the server was stopped",
            ) from error


@contextmanager
def server(
    data: Path | None = None,
    *,
    binaries: Path | None = None,
    prefer: int | None = None,
    patience: float = 0,
) -> Iterator[Server]:
    """A running PostgreSQL for as long as the block lasts.

    data
        None: a throwaway, without durability, removed at the end. Else a directory that is kept, and
        initialised when it is missing or empty; it runs with full durability.
    binaries
        directory of `initdb` and `postgres`; None looks for one, of the version that `data` needs.
    prefer
        major version to take where there is a choice, say the observed server's.
    patience
        seconds to wait while another process of ours runs the server on `data`.

    Raises ScratchError (it does not start, is running already, belongs to another version or account) and
    MissingExtra (no PostgreSQL at all).
    """
    if os.name == "nt":
        raise ScratchError(
            "a scratch PostgreSQL cannot be started on Windows",
            hint="run rcakit in WSL, or name a database of your own with --dsn-env or --service",
        )
    data = None if data is None else Path(data).absolute()
    account = _account(data)
    found = choose(binaries, needed=None if data is None else _major_of(data), prefer=prefer)
    order = {
        "binaries": str(found.path),
        "copy": account is not None and not _reachable(found.path, account),
        "data": None if data is None else str(data),
        "account": account,
        "tmp": _tmp(account),
        "settings": _ALWAYS if data else {**_ALWAYS, **_THROWAWAY},
    }
    if data is not None:
        _claim(data, account)
    with _keeper(order, found, data, _lock(data, patience)) as socket:
        yield Server(socket, found.path, found.version, found.major, data or socket / "data")


def _major_of(data: Path) -> int | None:
    """The major version a data directory belongs to, None when it is missing or empty."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ScratchError(
            f"{data} cannot be a data directory: {error}", hint="name another place"
        ) from error


def _account(data: Path | None) -> Account | None:
    """Whom the server runs as: None for ourselves; for root the owner of the directory, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return None
    if data is not None and data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    import pwd  # not there on Windows, where this module must import all the same

    for user in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ScratchError(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as",
        hint="add one (useradd --system postgres), or run this as an ordinary user",
    )


def _reachable(binaries: Path, account: Account) -> bool:
    """Whether the account can run the programs: they may lie in a closed home directory."""
    try:
        subprocess.run(
            [binaries / "postgres", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


def _tmp(account: Account | None) -> str:
    """A directory for the private one: short enough for a socket, open enough for the account."""
    for place in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - only a parent for mkdtemp
        path = Path(place).resolve()
        open_to_all = all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents))
        if len(os.fsencode(path)) <= _LONGEST_TMP and (account is None or open_to_all):
            return str(path)
    raise ScratchError(
        f"no temporary directory is short enough for a Unix socket: {tempfile.gettempdir()}",
        hint=f"set TMPDIR to a directory of at most {_LONGEST_TMP} bytes that every user can enter",
    )


def _claim(data: Path, account: Account | None) -> None:
    """Make a kept data directory, or check that it is one the server may use. Its parents are left alone."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        empty = not os.listdir(data)
        if empty and account is not None and data.stat().st_uid == 0:
            os.chown(data, *account)
        owner = data.stat().st_uid
    except OSError as error:
        raise ScratchError(
            f"{data} cannot be a data directory: {error}", hint="name another place"
        ) from error
    if not empty and not (data / "PG_VERSION").is_file():
        raise ScratchError(
            f"{data} holds files, but is no PostgreSQL data directory", hint="name an empty or new directory"
        )
    server = account.uid if account else os.geteuid()
    if owner != server:
        raise ScratchError(
            f"{data} belongs to user id {owner}, but its server would run as {server}",
            hint=f"run this as its owner, or give it away: chown -R {server} {shlex.quote(str(data))}",
        )


def held(data: Path) -> bool:
    """Some process of ours runs a server on this directory now. Raises ScratchError when it cannot be opened."""
    handle = _opened(data)
    try:
        return not _locked(handle)
    finally:
        os.close(handle)


def _lock(data: Path | None, patience: float) -> int | None:
    """A descriptor that holds the directory for us alone; the keeper inherits it, and keeps it while its server runs.

    A server that ends takes its sessions with it, so two commands do not share one: the second waits.
    """
    if data is None:
        return None
    handle, until = _opened(data), time.monotonic() + patience
    while not _locked(handle):
        if time.monotonic() >= until:
            os.close(handle)
            raise _in_use(data)
        time.sleep(0.1)
    return handle


def _opened(data: Path) -> int:
    try:
        return os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ScratchError(
            f"{data} cannot be a data directory: {error}", hint="name another place"
        ) from error


def _locked(handle: int) -> bool:
    """Take the lock; True too where the file system has no locks: PostgreSQL's own check is the last word."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _in_use(data: Path) -> ScratchError:
    return ScratchError(
        f"a server is already running on {data}",
        hint="wait until the other command ends, or stop that server",
    )


def _unique(prefix: str) -> str:
    """`prefix`, cut so that eight random digits fit; ValueError when no identifier can start like that."""
    names.quote(prefix)
    tail = "_" + secrets.token_hex(4)
    return prefix.encode()[: names.MAX_BYTES - len(tail)].decode(errors="ignore") + tail


@contextmanager
def _keeper(order: dict[str, object], found: Binaries, data: Path | None, lock: int | None) -> Iterator[Path]:
    """Run the keeper, and hand it the lock; its private directory is the value. Leaving waits until all of it is gone."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at a terminal is for us alone
        pass_fds=() if lock is None else (lock,),
    )
    if lock is not None:
        os.close(lock)
    pipe, answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    _pipes.add(pipe.fileno())
    try:
        answer = json.loads(answers.readline() or '{"failed": "its keeper", "log": "no answer"}')
        if "failed" in answer:
            raise _failure(answer["failed"], answer["log"], found, data)
        yield Path(answer["socket"])
    finally:
        _pipes.discard(pipe.fileno())
        pipe.close()
        process.wait()
        answers.close()


_pipes: set[int] = set()


def _let_go() -> None:
    """A forked child must not hold the pipe: it would keep the server after we are gone."""
    for pipe in _pipes:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, pipe, inheritable=False)
        os.close(null)


os.register_at_fork(after_in_child=_let_go)


def _failure(program: str, log: str, found: Binaries, data: Path | None) -> ScratchError:
    if data is not None and 'lock file "postmaster.pid" already exists' in log:
        return _in_use(data)
    where = f" on {data}" if data else ""
    return ScratchError(
        f"PostgreSQL {found.version} of {found.path} did not start{where}: {program} said\n{log.strip()}",
        hint="what it printed says why; RCAKIT_PG_BIN names another PostgreSQL",
    )
