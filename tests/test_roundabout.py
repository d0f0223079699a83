"""The same findings by another way to the data: from a hot standby, and through pgbouncer in transaction mode."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cluster import Cluster, cluster, identity, standby
from commands import Done, spawn
from psycopg.conninfo import make_conninfo
from test_read_only import VARIABLE, named

from rcakit import demo

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def primary() -> Iterator[Cluster]:
    with cluster({"hot_standby_feedback": "off"}) as running:
        yield running


@pytest.fixture(scope="module")
def incident(primary: Cluster, tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    built = demo.build(tmp_path_factory.mktemp("roundabout"), primary.server)
    named(built.config)
    return built


@pytest.fixture(scope="module")
def direct(incident: demo.Demo) -> dict[str, Any]:
    """What `rcakit check` says when it asks the server itself."""
    return document(run(incident, incident.conninfo, "check", "--format", "json"))


def run(incident: demo.Demo, conninfo: str, *command: str | Path) -> Done:
    return spawn(*command, cwd=incident.directory, env={VARIABLE: conninfo})


def document(done: Done) -> dict[str, Any]:
    assert done.code == 1, done.err
    return dict(json.loads(done.out))


def findings(found: dict[str, Any]) -> dict[str, Any]:
    """All of a document but the circumstances: when, as whom, on which snapshot."""
    kept = {key: value for key, value in found.items() if key not in ("provenance", "accounts")}
    return kept | {"placement": found["accounts"]["placement"]}


def unnumbered(found: dict[str, Any]) -> Any:
    """The same without the numbers of its queries."""
    return json.loads(re.sub(r'"E\d+"', '"E"', json.dumps(found)))


# ------------------------------------------------------------------ a hot standby


def test_a_hot_standby_tells_the_same(primary: Cluster, incident: demo.Demo, direct: dict[str, Any]) -> None:
    with standby(primary) as following:
        conninfo = following.server.conninfo(incident.database)
        caught_up(primary, conninfo)
        found = document(run(incident, conninfo, "check", "--format", "json"))
    assert findings(found) == findings(direct)
    assert (direct["provenance"]["recovery"], found["provenance"]["recovery"]) == ("primary", "standby")


def caught_up(primary: Cluster, conninfo: str) -> None:
    """Wait until the standby has replayed what the primary writes now: so it does follow, it is no mere copy."""
    with primary.server.connect() as connection:
        connection.execute("create table if not exists public.written_after_the_copy ()")
        connection.execute("drop table public.written_after_the_copy")
        (position,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone() or ("",)
    until = time.monotonic() + 60
    with psycopg.connect(conninfo, autocommit=True) as connection:
        replayed = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
        while (connection.execute(replayed, [position]).fetchone() or ()) != (True,):
            assert time.monotonic() < until
            time.sleep(0.02)


# ------------------------------------------------------------------ pgbouncer


@pytest.fixture(scope="module")
def pooled(primary: Cluster, incident: demo.Demo) -> Iterator[str]:
    """The way to the database through a pool of one server session that is shared transaction by transaction."""
    if PGBOUNCER is None:
        pytest.skip("NO PGBOUNCER: nothing was tried through a pooler; install the package pgbouncer")
    settings = primary.home / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{incident.database} = host={primary.home} port=5432 user=postgres\n[pgbouncer]\n"
        f"pool_mode = transaction\ndefault_pool_size = 1\nauth_type = any\nlisten_addr =\nlisten_port = 6432\n"
        f"unix_socket_dir = {primary.home}\nserver_reset_query_always = 0\n"
    )
    log = (primary.home / "pgbouncer.log").open("wb")
    with log, subprocess.Popen([PGBOUNCER, settings], stdout=log, stderr=log, **identity()) as process:
        conninfo = make_conninfo(incident.conninfo, port=6432)
        try:
            answers(conninfo, process)
            yield conninfo
        finally:
            process.kill()


def answers(conninfo: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(conninfo).close()
        except psycopg.OperationalError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return


def session_settings(conninfo: str) -> tuple[int, dict[str, str]]:
    """The pool's one session: its process, and the settings somebody made in it."""
    ours = "select name, setting from pg_settings where source = 'session' or name in ('search_path', 'TimeZone')"
    quiet: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "application_name": "the test"}
    with psycopg.connect(conninfo, **quiet) as connection:
        (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
        return pid, dict(connection.execute(ours).fetchall())


def test_through_a_pooler_the_same_and_its_session_is_as_it_was(
    incident: demo.Demo, pooled: str, direct: dict[str, Any]
) -> None:
    before = session_settings(pooled)
    found = document(run(incident, pooled, "check", "--format", "json"))
    assert findings(found) == findings(direct)
    assert session_settings(pooled) == before


def test_a_report_through_a_pooler(
    incident: demo.Demo, pooled: str, direct: dict[str, Any], tmp_path: Path
) -> None:
    before = session_settings(pooled)
    done = run(incident, pooled, "investigate", "--out", tmp_path)
    assert done.code == 1, done.err
    found = json.loads((Path(done.out.strip()).parent / "findings.json").read_text())
    assert unnumbered(findings(found)) == unnumbered(findings(direct)), "a check asks less than a report"
    assert session_settings(pooled) == before


@pytest.mark.parametrize(
    ("command", "code"),
    [(("rehearse", "--pending"), 2), (("repair", "--option", "A", "--out", "fix", "--rehearse"), 3)],
    ids=["rehearse", "repair"],
)
def test_no_copy_is_made_through_a_pooler(
    incident: demo.Demo, pooled: str, command: tuple[str, ...], code: int
) -> None:
    """pg_dump sets parameters of its session before its transaction; a pool would hand that session to anybody."""
    before = session_settings(pooled)
    done = run(incident, pooled, *command)
    assert done.code == code
    assert "a connection pooler stands before the database" in done.err
    assert "name the server itself" in done.err
    assert session_settings(pooled) == before
