"""A PostgreSQL whose settings, authentication and log a test chooses; `rcakit.scratch` gives no such choice, on purpose.

It listens on a Unix socket in a directory of its own. `postgres` is its superuser and needs no password; who else needs
one is said in `hba`. Its log is a file, and every statement is in it where `log_statement=all` is among the settings.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from rcakit import scratch
from rcakit.scratch import keeper
from rcakit.scratch.binaries import Binaries, choose

TRUST = "local all all trust\nlocal replication all trust\n"
QUIET = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "lc_messages": "C",
    "listen_addresses": "",
    "port": "5432",
    "max_locks_per_transaction": "1024",
}
MARK = "\x01"
"""Begins each entry of the log and parts its fields: no statement holds it."""
LOGGED = {"log_statement": "all", "log_line_prefix": MARK + MARK.join(("%p", "%a", ""))}


@dataclass(frozen=True)
class Statement:
    """One statement of the server's log: who sent it, and its text."""

    pid: int
    application: str
    sql: str


@dataclass
class Cluster:
    """One PostgreSQL: `server` is what the kit's own functions take."""

    home: Path
    found: Binaries
    programs: Path
    """The directory of `initdb` and `postgres` where the server's account can run them."""
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def server(self) -> scratch.Server:
        return scratch.Server(self.home, self.found.path, self.found.version, self.found.major, self.data)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"

    def initialise(self) -> None:
        options = ("--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres")
        done = subprocess.run(
            [self.programs / "initdb", *options, "--pgdata", self.data],
            capture_output=True, check=False, cwd=self.home, env=_environment(), **identity(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        chosen = {**QUIET, **self.settings, "unix_socket_directories": str(self.home)}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, env=_environment(), umask=0o077,
                **identity(),
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.server.conninfo()).close()
            except psycopg.OperationalError:
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, its sessions first; SIGQUIT leaves them no time."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def let_in(self, hba: str) -> None:
        """Say who may connect, and how, from now on."""
        (self.data / "pg_hba.conf").write_text(hba)
        with self.server.connect() as connection:
            connection.execute("select pg_reload_conf()")

    def statements(self, since: int = 0) -> list[Statement]:
        """What was asked of the server, from this byte of its log on, oldest first."""
        rows = []
        entries = self.log.read_bytes()[since:].decode().split(f"\n{MARK}")
        for entry in entries:
            pid, _, rest = entry.removeprefix(MARK).partition(MARK)
            application, _, said = rest.partition(MARK)
            kind, _, sql = said.removeprefix("LOG:  ").partition(": ")
            if said.startswith("LOG:  ") and (kind == "statement" or kind.startswith("execute ")):
                rows.append(Statement(int(pid), application, sql))
        return rows


@contextmanager
def cluster(settings: Mapping[str, str] | None = None, *, hba: str = TRUST) -> Iterator[Cluster]:
    """A new, running one; it and all it wrote are gone afterwards."""
    with _home() as home:
        made = _made(home, settings or {})
        made.initialise()
        (made.data / "pg_hba.conf").write_text(hba)
        yield from _running(made)


@contextmanager
def standby(primary: Cluster) -> Iterator[Cluster]:
    """A hot standby that follows a running primary."""
    with _home() as home:
        made = _made(home, primary.settings)
        copy = ["pg_basebackup", "--dbname", primary.server.conninfo(), "--write-recovery-conf", "--no-sync"]
        done = subprocess.run(
            [primary.found.path / copy[0], *copy[1:], "--checkpoint=fast", "--pgdata", made.data],
            capture_output=True, check=False, env=_environment(), umask=0o077,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if account := scratch._account(None):
            keeper._give(str(home), *account)
        yield from _running(made)


def _running(made: Cluster) -> Iterator[Cluster]:
    made.start()
    try:
        yield made
    finally:
        made.stop(signal.SIGQUIT)


@contextmanager
def _home() -> Iterator[Path]:
    """A directory short enough for a socket's path, the server account's own; others may look in."""
    account = scratch._account(None)
    home = Path(tempfile.mkdtemp(prefix="rcakit-test-", dir=scratch._tmp(account)))
    home.chmod(0o755)
    if account:
        os.chown(home, *account)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _made(home: Path, settings: Mapping[str, str]) -> Cluster:
    found, account = choose(None, needed=None, prefer=None), scratch._account(None)
    programs = found.path
    if account and not scratch._reachable(programs, account):
        programs = Path(keeper._copy(str(programs), str(home / "pg")))
        keeper._give(str(home / "pg"), *account)
    return Cluster(home, found, programs, settings)


def identity() -> dict[str, object]:
    """Arguments of `subprocess` that make root's servers run as somebody else: PostgreSQL insists on it."""
    account = scratch._account(None)
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
