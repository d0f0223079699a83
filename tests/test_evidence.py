"""A session reads one snapshot, writes nothing, keeps every query, and never tells a password."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql

from rcakit import evidence, scratch
from rcakit.errors import ConnectionFailed, RcaError
from rcakit.facts import Unread

SECRET = "hunter2-s3cret"  # noqa: S105 - what must never show


@pytest.fixture
def recorder(conninfo: str) -> Iterator[evidence.Recorder]:
    with evidence.session(conninfo, run="test") as opened:
        yield opened


# ------------------------------------------------------------------ what is kept


class Pair(NamedTuple):
    number: int
    text: str


def test_every_query_is_kept_with_its_answer(recorder: evidence.Recorder) -> None:
    rows = recorder.rows("pairs", "select %(n)s::int4 as number, 'a' as text", {"n": 7}, make=Pair)
    assert rows == [Pair(7, "a")]
    assert isinstance(rows[0], Pair)
    kept = recorder.evidence[-1]
    assert recorder.last_id == kept.id == f"E{len(recorder.evidence)}"
    assert (kept.name, kept.params, kept.columns, kept.row_count) == (
        "pairs",
        {"n": 7},
        ("number", "text"),
        1,
    )
    assert kept.role == "postgres"
    assert kept.taken_at.utcoffset() is not None
    assert kept.seconds > 0
    assert kept.frame().to_dict("records") == [{"number": 7, "text": "a"}]


def test_ids_count_from_one(recorder: evidence.Recorder) -> None:
    recorder.rows("one", "select 1 as one")
    assert [kept.id for kept in recorder.evidence] == [f"E{n}" for n in range(1, len(recorder.evidence) + 1)]


def test_an_empty_answer_keeps_its_columns(recorder: evidence.Recorder) -> None:
    assert recorder.rows("none", "select 1 as one where false") == []
    assert list(recorder.evidence[-1].frame().columns) == ["one"]


def test_a_row_class_that_does_not_fit_is_a_programming_error(recorder: evidence.Recorder) -> None:
    with pytest.raises(TypeError, match="number"):
        recorder.rows("pairs", "select 1 as other, 'a' as text", make=Pair)


def test_percent_signs_need_no_escape_without_parameters(recorder: evidence.Recorder) -> None:
    assert recorder.rows("like", "select 'abc' like 'a%' as found") == [(True,)]


def test_arrays_are_tuples(recorder: evidence.Recorder) -> None:
    row = recorder.rows("arrays", "select '{1,2}'::int2[] as a, '{x,NULL}'::text[] as b, '{}'::oid[] as c")[0]
    assert row == ((1, 2), ("x", None), ())


# ------------------------------------------------------------------ read-only, one snapshot, no trace


@pytest.mark.parametrize(
    "statement",
    [
        "create table t (i int)",
        "create temporary table t (i int)",
        "select nextval('s')",
        "insert into kept values (1)",
    ],
)
def test_nothing_can_be_written(connection: psycopg.Connection, conninfo: str, statement: str) -> None:
    connection.execute("create sequence s")
    connection.execute("create table kept (i int)")
    with evidence.session(conninfo, run="test") as recorder:
        recorder.rows("find it", "select set_config('search_path', 'public', true)")
        with pytest.raises(RcaError, match="read-only"):
            recorder.rows("write", statement)


def test_a_second_transaction_of_the_session_cannot_write_either(recorder: evidence.Recorder) -> None:
    recorder.rows("leave", "commit")
    with pytest.raises(RcaError, match="read-only"):
        recorder.rows("write", "create table public.t (i int)")


def test_two_statements_at_once_are_refused(recorder: evidence.Recorder) -> None:
    with pytest.raises(RcaError, match="multiple commands"):
        recorder.rows("smuggle", "commit; create table public.t (i int)")


def test_all_queries_see_one_moment(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create table t (i int)")
    with evidence.session(conninfo, run="test") as recorder:
        connection.execute("insert into t values (1)")
        connection.execute("create table later (i int)")
        assert recorder.rows("count", "select count(*) from public.t") == [(0,)]
        assert recorder.rows("later", "select 1 from pg_class where relname = 'later'") == []


def test_the_session_says_who_it_is_and_limits_itself(recorder: evidence.Recorder) -> None:
    names = ["application_name", "search_path", "TimeZone", "row_security", "client_encoding", "lock_timeout"]
    found = {n: recorder.rows(n, "select current_setting(%s)", [n])[0][0] for n in names}
    assert found == {
        "application_name": "rcakit/test",
        "search_path": "",
        "TimeZone": "UTC",
        "row_security": "off",
        "client_encoding": "UTF8",
        "lock_timeout": "5s",
    }
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        assert recorder.rows(name, "select current_setting(%s) <> '0'", [name]) == [(True,)]


def test_no_session_is_left(server: scratch.Server, connection: psycopg.Connection, dbname: str) -> None:
    def sessions() -> int:
        row = connection.execute(
            "select count(*) from pg_stat_activity where application_name = 'rcakit/gone' and datname = %s",
            [dbname],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def fail_inside() -> None:
        with evidence.session(server.conninfo(dbname), run="gone"):
            assert sessions() == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    for _ in range(10_000):  # the server notices the closed socket in its own time
        if not sessions():
            return
    pytest.fail("the session is still there")


# ------------------------------------------------------------------ the server and the role


def test_the_server_row(recorder: evidence.Recorder, dbname: str) -> None:
    found = recorder.server
    assert found.database == dbname
    assert found.role == "postgres"
    assert found.superuser
    assert found.encoding == "UTF8"
    assert not found.in_recovery
    assert found.version_num >= evidence.OLDEST * 10_000
    assert str(found.version_num // 10_000) in found.version
    assert found.search_path == '"$user", public'
    assert found.schemas_in_path == ("public",)
    assert found.taken_at.utcoffset() is not None
    assert ":" in found.snapshot


def test_the_roles_own_path_is_recorded_in_order(
    server: scratch.Server, connection: psycopg.Connection
) -> None:
    connection.execute('create schema b; create schema "A a"')
    with server.role("pathfinder") as role:
        connection.execute(sql.SQL('grant usage on schema b, "A a" to {}').format(sql.Identifier(role)))
        connection.execute(
            sql.SQL("alter role {} set search_path = 'A a', absent, pg_catalog, b").format(
                sql.Identifier(role)
            )
        )
        with evidence.session(server.conninfo(connection.info.dbname, user=role), run="test") as recorder:
            assert recorder.server.schemas_in_path == ("A a", "b")
            assert recorder.server.search_path == '"A a", absent, pg_catalog, b'
            assert recorder.server.role == role == recorder.evidence[-1].role
            assert not recorder.server.superuser


def test_functions_in_the_roles_path_are_not_called(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create schema trap")
    connection.execute(
        "create function trap.now() returns timestamptz language plpgsql as $$ begin raise exception 'trapped'; end $$"
    )
    with evidence.session(f"{conninfo} options='-c search_path=trap,pg_catalog'", run="test") as recorder:
        assert recorder.server.schemas_in_path == ("trap",)


# ------------------------------------------------------------------ failures inside a session


def test_an_attempt_that_fails_is_unread_and_leaves_the_session_usable(recorder: evidence.Recorder) -> None:
    answer = recorder.attempt("absent", "select * from public.absent")
    assert isinstance(answer, Unread)
    assert 'relation "public.absent" does not exist' in answer.reason
    assert recorder.evidence[-1].error == 'relation "public.absent" does not exist'
    assert recorder.rows("after", "select 1") == [(1,)]


def test_attempts_after_a_failure_still_see_what_was_set_before_it(recorder: evidence.Recorder) -> None:
    recorder.attempt("one", "select 1")
    recorder.rows("set", "select set_config('rcakit.test', 'kept', true)")
    for _ in range(2):
        assert isinstance(recorder.attempt("absent", "select * from public.absent"), Unread)
        assert recorder.attempt("kept", "select current_setting('rcakit.test')") == [("kept",)]


def test_attempts_that_follow_each_other_share_a_savepoint(recorder: evidence.Recorder) -> None:
    """Or each question costs three round trips."""
    backend = recorder.rows("pid", "select pg_backend_pid()")[0][0]
    for number in range(3):
        recorder.attempt(f"attempt {number}", f"select {number}")
    last = "select query from pg_stat_activity where pid = %s"
    with psycopg.connect(recorder._connection.info.dsn, autocommit=True) as other:
        assert other.execute(last, [backend]).fetchone() == ("select 2",)


def test_an_attempt_that_works_gives_rows(recorder: evidence.Recorder) -> None:
    assert recorder.attempt("one", "select %s::int4", [1]) == [(1,)]


@pytest.mark.parametrize("infinite", ["'infinity'::timestamptz", "'-infinity'::date", "'20000-01-01'::date"])
def test_a_value_python_cannot_hold_is_unread(recorder: evidence.Recorder, infinite: str) -> None:
    assert isinstance(recorder.attempt("forever", f"select {infinite}"), Unread)
    assert recorder.rows("after", "select 1") == [(1,)]


def test_a_query_that_takes_too_long_is_stopped(conninfo: str) -> None:
    with evidence.session(conninfo, run="test", timeout_s=0.1) as recorder:
        answer = recorder.attempt("slow", "select pg_sleep(60)")
        assert isinstance(answer, Unread)
        assert "statement timeout" in answer.reason
        with pytest.raises(RcaError, match=r"'slow' was stopped.*statement timeout"):
            recorder.rows("slow", "select pg_sleep(60)")


def test_a_lock_is_not_waited_for_long(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute("create table t (i int)")
    with (
        psycopg.connect(conninfo) as holder,
        evidence.session(conninfo, run="test", timeout_s=0.2) as recorder,
    ):
        holder.execute("lock table t in access exclusive mode")
        recorder.rows("shorter", "select set_config('lock_timeout', '50ms', true)")
        with pytest.raises(RcaError, match="lock") as caught:
            recorder.rows("locked", "select * from public.t")
        assert "migration" in caught.value.hint


def test_a_lost_connection_is_said_so(connection: psycopg.Connection, recorder: evidence.Recorder) -> None:
    (pid,) = recorder.rows("pid", "select pg_backend_pid()")[0]
    connection.execute("select pg_terminate_backend(%s, 60000)", [pid])
    with pytest.raises(ConnectionFailed, match="lost"):
        recorder.attempt("gone", "select 1")


def test_what_libpq_guesses_is_not_repeated() -> None:
    said = "server closed the connection unexpectedly\n\tThis probably means\n\tthis and that.\n"
    assert evidence.reason(psycopg.OperationalError(said)) == "server closed the connection unexpectedly"
    assert evidence.reason(psycopg.OperationalError("one\ntwo")) == "one two"
    assert evidence.reason(psycopg.OperationalError("\tguess")) == "guess"


# ------------------------------------------------------------------ getting in


def told(error: BaseException) -> str:
    """All that a traceback, a log or a notebook could show of an error, and of those behind it."""
    texts = ["".join(traceback.format_exception(error))]
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
        texts += [str(error), repr(error), repr(vars(error)), repr(error.args)]
    return "\n".join([*texts, repr(error)])


@pytest.mark.parametrize(
    ("conninfo", "says"),
    [
        (f"host=127.0.0.1 port=1 user=u password={SECRET} dbname=d", "no server listens there"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/d", "host 127.0.0.1, port 1, user u, dbname d"),
        (f"host=/nowhere password={SECRET}", "no server listens there (host /nowhere"),
        (f"host=no.such.host.invalid password={SECRET}", "the host is not known"),
        (f"service=absent password={SECRET}", "the service is not defined"),
        (f"host=h {SECRET}", "the connection string cannot be read"),
        (f"host=h password='{SECRET}", "the connection string cannot be read"),
        (f"host=h {SECRET}=1", "the connection string cannot be read"),
        (f"postgresql://u:p?{SECRET}@127.0.0.1:1/d", "no server listens there"),
        (f"postgresql://u:p@{SECRET}@127.0.0.1:1/d", "percent-encode"),
        (f"postgresql://u:p/{SECRET}@127.0.0.1:1/d", "percent-encode"),
        (f"postgresql://u:{SECRET}/x@127.0.0.1:1/d", "percent-encode"),
        (f"postgresql://u@127.0.0.1:{SECRET}/d", "percent-encode"),
        ("host=127.0.0.1 port=1 user=\ud800", "the connection string cannot be read"),
        ("host=127.0.0.1 sslmode=nonsense port=1", "sslmode"),
    ],
)
def test_no_connection_no_secret(conninfo: str, says: str) -> None:
    with pytest.raises(ConnectionFailed) as caught, evidence.session(conninfo, run="test"):
        pass
    assert says in str(caught.value)
    assert caught.value.hint
    assert SECRET not in told(caught.value)


def test_a_database_that_is_not_there(server: scratch.Server) -> None:
    with (
        pytest.raises(ConnectionFailed, match=r"database does not exist.*dbname absent"),
        evidence.session(server.conninfo("absent") + f" password={SECRET}", run="test"),
    ):
        pass


def test_a_user_that_is_not_there(server: scratch.Server) -> None:
    with (
        pytest.raises(ConnectionFailed, match=r"user does not exist.*user absent"),
        evidence.session(server.conninfo("postgres", user="absent"), run="test"),
    ):
        pass


def test_what_the_environment_adds_is_named_but_its_password_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGHOST": str(tmp_path), "PGUSER": "envy", "PGPASSWORD": SECRET}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConnectionFailed, match="user envy") as caught, evidence.session("", run="test"):
        pass
    assert SECRET not in told(caught.value)


def test_a_wrong_or_missing_password() -> None:
    with scratch.server() as own, own.role("locked") as role, own.connect() as connection:
        connection.autocommit = True
        row = connection.execute("show hba_file").fetchone()
        assert row is not None
        Path(row[0]).write_text(f"local all {role} scram-sha-256\nlocal all all trust\n")
        connection.execute(sql.SQL("alter role {} password 'right'").format(sql.Identifier(role)))
        connection.execute("select pg_reload_conf()")
        conninfo = own.conninfo(user=role)
        for _ in range(10_000):  # until the server has read its rules
            try:
                psycopg.connect(conninfo).close()
            except psycopg.OperationalError:
                break
        with (
            pytest.raises(ConnectionFailed, match=r"refused the password") as caught,
            evidence.session(f"{conninfo} password={SECRET}", run="test"),
        ):
            pass
        assert SECRET not in told(caught.value)
        with pytest.raises(ConnectionFailed, match="none was given"), evidence.session(conninfo, run="test"):
            pass
        with evidence.session(f"{conninfo} password=right", run="test") as recorder:
            assert recorder.server.role == role


def test_a_server_that_is_too_old_is_refused(recorder: evidence.Recorder) -> None:
    old = recorder.server._replace(version="11.22", version_num=110022)
    with pytest.raises(ConnectionFailed, match=r"11\.22"):
        evidence._require_version(old)


# ------------------------------------------------------------------ other encodings


@pytest.fixture
def encoded(server: scratch.Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """Conninfo of a database in the encoding the test asks for, with tables made of raw bytes."""
    encoding, identifiers = request.param
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        admin.execute(f"create database enc template template0 encoding '{encoding}' locale 'C'")
        try:
            with psycopg.connect(
                server.conninfo("enc"), autocommit=True, client_encoding=encoding
            ) as connection:
                for number, name in enumerate(identifiers):
                    connection.execute(b'create table "' + name + b'" (c%d int)' % number)
            yield server.conninfo("enc")
        finally:
            admin.execute("drop database enc with (force)")


RELNAMES = "select oid, relname as name from pg_class where relkind = 'r' and oid >= 16384 order by oid"


@pytest.mark.parametrize(
    "encoded", [("LATIN1", ["caf\xe9".encode("latin1")]), ("EUC_JP", ["表".encode("euc_jp")])], indirect=True
)
def test_names_in_another_encoding_are_read(encoded: str) -> None:
    with evidence.session(encoded, run="test") as recorder:
        names = [name for _, name in recorder.rows("names", RELNAMES)]
        assert names in (["café"], ["表"])
        assert recorder.unread == []
        unsayable = recorder.attempt("duck", "select %s::text", ["🦆"])
        assert isinstance(unsayable, Unread)
        assert "encoding" in unsayable.reason
        assert recorder.rows("after", "select 1") == [(1,)]


@pytest.mark.parametrize(
    "encoded",
    [("SQL_ASCII", [b"plain", b"caf\xe9", "gr\u00fcn".encode()]), ("EUC_JP", [b"plain", b"x\xa9\xa1"])],
    indirect=True,
)
def test_bytes_that_are_no_text_are_unread_not_a_crash(encoded: str) -> None:
    with evidence.session(encoded, run="test") as recorder:
        rows = recorder.rows("names", RELNAMES)
        assert rows[0][1] == "plain"
        assert "\ufffd" in rows[1][1]
        assert [row[1] for row in rows[2:]] in ([], ["grün"])
        (unread,) = recorder.unread
        assert f"oid {rows[1][0]}" in unread.reason
        assert recorder.rows("after", "select current_setting('client_encoding')") == [("UTF8",)]
        assert recorder.evidence[-1].row_count == 1


@pytest.mark.parametrize("encoded", [("MULE_INTERNAL", [b"plain"])], indirect=True)
def test_an_encoding_without_a_way_to_utf8_is_said(encoded: str) -> None:
    with pytest.raises(ConnectionFailed, match="encoding"), evidence.session(encoded, run="test"):
        pass
