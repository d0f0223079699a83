"""A server that comes a little late is waited for; one that says no is not asked twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rcakit import connection as connecting
from rcakit import scratch
from rcakit.connection import connect
from rcakit.errors import ConnectionFailed
from rcakit.scratch import Server


@contextmanager
def before_the_next_try(act: Callable[[], object]) -> Iterator[list[str]]:
    """Do something at the first warning, which is given between two tries; yields all of them."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())
            if len(told) == 1:
                act()

    handler = Handler()
    logger = logging.getLogger("rcakit.connection")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


def test_a_server_that_is_started_late_is_reached(tmp_path: Path) -> None:
    """It is not even installed in its place when it is asked for the first time."""
    socket = tmp_path / "socket"
    with ExitStack() as stack:

        def start() -> None:
            running = stack.enter_context(scratch.server())
            socket.symlink_to(running.socket)

        with before_the_next_try(start) as told:
            connection = connect(f"host={socket} user=postgres dbname=postgres", run="late")
        with connection:
            assert connection.execute("select 1").fetchall() == [(1,)]
    assert len(told) == 1
    assert "no server listens there" in told[0]
    assert "trying again in" in told[0]
    assert told[0].endswith("(2 of 3)")


def test_a_server_that_has_no_room_for_a_moment_is_reached(server: Server, dbname: str) -> None:
    with server.role() as role:
        with server.connect() as admin:
            admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
        conninfo = server.conninfo(dbname, user=role)
        first = psycopg.connect(conninfo)
        pid = first.info.backend_pid

        def leave() -> None:
            first.close()
            with server.connect() as admin:
                while admin.execute("select 1 from pg_stat_activity where pid = %s", [pid]).fetchall():
                    pass  # its session ends when the server notices

        with before_the_next_try(leave) as told, connect(conninfo, run="full") as connection:
            assert connection.info.user == role
    assert [line.partition(" (")[0] for line in told] == ["the server takes no more connections"]


def test_who_never_comes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(connecting, "FIRST_WAIT_S", 1.0)
    monkeypatch.setattr(connecting.time, "sleep", waits.append)
    with (
        before_the_next_try(lambda: None) as told,
        pytest.raises(ConnectionFailed, match="no server listens"),
    ):
        connect(f"host={tmp_path} dbname=\x1b[31m password=hunter2", run="never")
    assert [line.rpartition(" (")[2] for line in told] == ["2 of 3)", "3 of 3)"]
    assert not [line for line in told if "\x1b" in line or "hunter2" in line]
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2


@pytest.mark.parametrize("change", [{"dbname": "absent"}, {"user": "absent"}, {"sslmode": "nonsense"}])
def test_a_refusal_is_taken_at_once(server: Server, change: dict[str, str]) -> None:
    with before_the_next_try(lambda: None) as told, pytest.raises(ConnectionFailed):
        connect(make_conninfo(server.conninfo(), **change), run="no")
    assert told == []


def test_a_role_that_may_not_connect_is_not_asked_twice(server: Server, dbname: str) -> None:
    with server.role() as role:
        with server.connect() as admin:
            admin.execute(f'REVOKE CONNECT ON DATABASE "{dbname}" FROM PUBLIC')
        with before_the_next_try(lambda: None) as told, pytest.raises(ConnectionFailed, match="may not"):
            connect(server.conninfo(dbname, user=role), run="no")
    assert told == []


@pytest.mark.parametrize(
    ("said", "asked_again"),
    [
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  the database system is in recovery mode", True),
        ("FATAL:  the database system is not yet accepting connections", True),
        ("FATAL:  the database system is shutting down", True),
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", True),
        ("connection timeout expired", True),
        ("server closed the connection unexpectedly", True),
        ('could not translate host name "h" to address: Temporary failure in name resolution', True),
        ('FATAL:  database "x" is not currently accepting connections', False),
        ('FATAL:  password authentication failed for user "u"', False),
        ("fe_sendauth: no password supplied", False),
        ('no pg_hba.conf entry for host "h"', False),
        ('FATAL:  permission denied for database "x"', False),
        ("SSL error: certificate verify failed", False),
        ("anything that nobody ever heard of", False),
    ],
)
def test_what_servers_say_and_whether_they_are_asked_again(said: str, asked_again: bool) -> None:
    """Texts of libpq and PostgreSQL, where bringing a server into each of these states would take minutes."""
    failed = connecting._refused(said, {"host": "h"})
    assert failed.what.startswith(connecting._PASSING) == asked_again
