"""Read-only, proved at the server: by its log, its write-ahead log, its catalogs, its rows and its locks.

The role of every run is a superuser: nothing but the kit itself keeps it from writing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from cluster import LOGGED, Cluster, Statement, cluster
from commands import Done, begin, spawn
from psycopg import sql

from rcakit import demo
from rcakit.case import open_case
from rcakit.parsing import pgparse
from rcakit.target import load

VARIABLE = "RCAKIT_TEST_WATCHED"
OURS = "rcakit/"
READS = {"SelectStmt", "VariableShowStmt"}
BEGINS = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
ENDS = {"COMMIT", "ROLLBACK"}
INNER = ("SAVEPOINT ", "RELEASE ", "ROLLBACK TO ")
LOCKED = '"public"."adm.instructors"'
"""A relation that nothing but the count of its rows, at a run's end, has to open; who holds it holds the run, with all its other locks taken."""


@dataclass(frozen=True)
class Watched:
    """The demo's incident on a server that logs every statement."""

    cluster: Cluster
    directory: Path
    conninfo: str

    def run(self, *command: str | Path) -> Done:
        return spawn(*command, cwd=self.directory, env={VARIABLE: self.conninfo})

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.conninfo, autocommit=True, application_name="the test")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with cluster({**LOGGED, "wal_level": "minimal", "max_wal_senders": "0"}) as running:
        directory = tmp_path_factory.mktemp("watched")
        built = demo.build(directory, running.server)
        named(built.config)
        yield Watched(running, directory, built.conninfo)


def named(config: Path) -> None:
    """Let the settings name the server by a variable instead of a data directory."""
    text = config.read_text()
    changed = text.replace('python = "current"\n', f'python = "current"\ndsn_env = "{VARIABLE}"\n')
    assert changed != text
    config.write_text(changed)


def state(watched: Watched) -> dict[str, str]:
    """The position of the write-ahead log, and a digest of every catalog and table, hidden columns included."""
    with watched.connect() as connection:
        tables = connection.execute(
            "select oid::regclass::text from pg_class where relkind in ('r', 'm', 'S') order by 1"
        ).fetchall()
        found = {"wal": str(connection.execute("select pg_current_wal_insert_lsn()").fetchone())}
        for (table,) in tables:
            rows = connection.execute(f"select t.ctid, t.xmin, t.xmax, t.* from {table} t").fetchall()
            found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
        return found


def settled(watched: Watched) -> tuple[dict[str, str], int]:
    """Its state, once no read has a page to tidy or a hint to write any more, and the length of its log."""
    with watched.connect() as connection:
        connection.execute("vacuum (freeze)")
        connection.execute("checkpoint")
    return state(watched), watched.cluster.log.stat().st_size


def asked(watched: Watched, since: int) -> list[Statement]:
    return [row for row in watched.cluster.statements(since) if row.application != "the test"]


def demand_reading(statements: list[Statement], also: frozenset[str] = frozenset()) -> None:
    """Every session of the kit: read-only transactions, each begun and ended, reads in them and nothing beside them."""
    for pid in {row.pid for row in statements}:
        inside = False
        for text in (row.sql for row in statements if row.pid == pid):
            if text in (BEGINS, *ENDS):
                assert inside == (text in ENDS)
                inside = not inside
            elif not text.startswith(INNER):
                assert inside, text
                assert {found.kind for found in pgparse.parse(text)} <= READS | also, text
        assert not inside, "it left its last transaction open"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "check --format json",
        "investigate --out",
        "replay",
        "run 50_drift_watch --out",
    ],
)
def test_nothing_changes_although_the_role_could(watched: Watched, command: str, tmp_path: Path) -> None:
    before, since = settled(watched)
    done = watched.run(*command.split(), *([tmp_path] if command.endswith("--out") else []))
    assert done.code == 1, done.err
    assert state(watched) == before
    statements = asked(watched, since)
    assert len(statements) > 20
    assert {row.application[: len(OURS)] for row in statements} == {OURS}
    demand_reading(statements)


DUMPS = READS | {"VariableSetStmt", "TransactionStmt", "PrepareStmt", "ExecuteStmt", "LockStmt", "CopyStmt"}
REPAIR = ["repair", "--option", "A", "--rehearse", "--out"]
COPIED = {"no": ["rehearse", "--pending"], "all": REPAIR, "some": [*REPAIR[:-1], "--rows", "2", "--out"]}
"""Which rows a copy holds -> the command that makes it."""


@pytest.mark.slow
@pytest.mark.parametrize("rows", COPIED)
def test_a_copy_for_a_rehearsal_only_reads_too(watched: Watched, rows: str, tmp_path: Path) -> None:
    """pg_dump asks in its own way: in one read-only transaction, with locks that stop no one from reading or writing."""
    before, since = settled(watched)
    done = watched.run(*COPIED[rows], *([] if rows == "no" else [tmp_path / "fix"]))
    assert done.code == 0, done.err
    assert state(watched) == before
    statements = asked(watched, since)
    assert {row.application[: len(OURS)] for row in statements} == {OURS}
    assert len({row.application.removesuffix(" pg_dump") for row in statements}) == 1, "one run, one name"
    dumping = [row.sql for row in statements if row.application.endswith(" pg_dump")]
    ours = [row for row in statements if not row.application.endswith(" pg_dump")]
    demand_reading(ours, frozenset({"CopyStmt"} if rows == "some" else ()))
    assert "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY" in dumping
    for text in dumping:
        assert {found.kind for found in pgparse.parse(text)} <= DUMPS, text
        if text.startswith("LOCK"):
            assert text.endswith("IN ACCESS SHARE MODE")
    taken = {
        name: [text for text in texts if text.startswith("COPY")]
        for name, texts in {"no": [], "all": dumping, "some": [row.sql for row in ours]}.items()
    }
    assert {name for name, texts in taken.items() if texts} == {rows} - {"no"}
    assert all(text.rstrip(";").upper().endswith(" TO STDOUT") for text in taken[rows])


def test_the_digest_sees_a_write(watched: Watched) -> None:
    """Or else the tests above would prove nothing."""
    before, since = settled(watched)
    with psycopg.connect(watched.conninfo) as connection:
        connection.execute("update django_migrations set applied = applied where id = 1")
    after = state(watched)
    assert {name for name in before if before[name] != after[name]} == {"wal", "django_migrations"}
    with pytest.raises(AssertionError):
        demand_reading(asked(watched, since))


def test_held_in_its_middle_a_run_has_its_name_and_no_lock_that_hinders(watched: Watched) -> None:
    """Its transaction is held by a lock of somebody else's, as late as there is something to wait for."""
    with watched.connect() as connection:
        with connection.transaction():
            connection.execute(f"lock table {LOCKED} in access exclusive mode")
            process = begin(
                "check", "--format", "json", cwd=watched.directory, env={VARIABLE: watched.conninfo}
            )
            name, query, xid, state_of, pid = waiting(connection)
            locks = connection.execute(
                "select locktype, mode, granted, relation::regclass::text from pg_locks where pid = %s", [pid]
            ).fetchall()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert query == f"select count(*) as rows from {LOCKED}"
    assert (xid, state_of) == (None, "active")
    assert name == OURS + json.loads(out)["provenance"]["run"]
    assert {mode for kind, mode, _, _ in locks if kind == "relation"} == {"AccessShareLock"}
    assert {kind for kind, *_ in locks} == {"relation", "virtualxid"}
    assert {"pg_class", "pg_attribute", "pg_constraint"} <= {relation for *_, relation in locks}
    assert [relation for *_, granted, relation in locks if not granted] == ['"adm.instructors"']


def waiting(connection: psycopg.Connection) -> tuple[str, str, object, str, int]:
    """The kit's session, once it waits for a lock."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        row = connection.execute(
            "select application_name, query, backend_xid, state, pid from pg_stat_activity "
            "where application_name like 'rcakit/%' and wait_event_type = 'Lock'"
        ).fetchone()
        if row is not None:
            return row
        connection.execute("select pg_stat_clear_snapshot()")
        time.sleep(0.02)
    raise AssertionError("no session of the kit waits for the lock")


def test_no_session_stays_while_a_person_thinks(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, watched.conninfo)
    case = open_case(load(watched.directory / "rcakit.toml"))
    assert case.findings
    ours = "select pid, application_name from pg_stat_activity where application_name like 'rcakit/%'"
    with watched.connect() as connection:
        assert connection.execute(ours).fetchall() == []
        asking = case.query(ours)
        assert list(asking["application_name"]) == [f"{OURS}{case.run_id}"]
        assert gone(connection, int(asking["pid"][0]))
        assert case.causes
        assert connection.execute(ours).fetchall() == []


def gone(connection: psycopg.Connection, pid: int) -> bool:
    """The server ends a session a moment after its client has left."""
    until = time.monotonic() + 60
    while connection.execute("select from pg_stat_activity where pid = %s", [pid]).fetchone():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_role_that_may_only_connect(watched: Watched) -> None:
    """What it may not see is told, and the rest is found all the same."""
    with watched.connect() as connection, watched.cluster.server.role("onlooker") as role:
        connection.execute("revoke all on schema public from public")
        connection.execute("revoke temp on database adm_demo from public")
        conninfo = watched.cluster.server.conninfo("adm_demo", user=role)
        done = spawn("check", "--format", "json", cwd=watched.directory, env={VARIABLE: conninfo})
        connection.execute(sql.SQL("grant usage on schema public to public"))
    found = json.loads(done.out)
    assert done.code == 1
    assert "RK101" in {row["code"] for row in found["findings"]}
    assert any(f"{role} may not read" in row["reason"] for row in found["unread"])
