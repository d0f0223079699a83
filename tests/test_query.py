"""A person's own questions: bound parameters, the role's own search_path, and no way to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from psycopg import sql as compose

from rcakit import query
from rcakit.errors import ConnectionFailed, RcaError, SqlError
from rcakit.evidence import Evidence
from rcakit.scratch import Server


def ask(conninfo: str, sql: str, params: Mapping[str, Any] | None = None) -> Evidence:
    return query.ask(conninfo, sql, params or {}, "test", 7)


@pytest.fixture(autouse=True)
def _tables(connection: psycopg.Connection) -> None:
    connection.execute('CREATE TABLE "adm.venues" (id int, name text)')
    connection.execute("INSERT INTO \"adm.venues\" VALUES (1, 'Oxford'), (2, '100%: it''s')")


# ------------------------------------------------------------------ it answers


def test_an_answer_is_evidence(conninfo: str) -> None:
    found = ask(conninfo, 'SELECT id, name FROM "adm.venues" ORDER BY id')
    assert (found.id, found.columns, found.error) == ("Q7", ("id", "name"), "")
    assert found.rows == [(1, "Oxford"), (2, "100%: it's")]
    assert (found.role, found.seconds >= 0, found.taken_at.utcoffset() is not None) == (
        "postgres",
        True,
        True,
    )


def test_the_documents_own_query_is_sent_as_it_is(conninfo: str) -> None:
    text = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name LIKE 'adm.%' -- :x %s"
    found = ask(conninfo, text)
    assert (found.sql, found.rows) == (text, [("public", "adm.venues")])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("EXPLAIN SELECT 1", [("Result  (cost=0.00..0.01 rows=1 width=4)",)]),
        ("SHOW search_path", [('"$user", public',)]),
        ("VALUES (1), (2);", [(1,), (2,)]),
        ("WITH x AS (SELECT 1 AS a) TABLE x", [(1,)]),
        ("SELECT '{\"a\":1}'::jsonb, ARRAY['b'], 'pg_class'::regclass", [({"a": 1}, ["b"], "pg_class")]),
        ("SELECT current_setting('TimeZone'), current_setting('transaction_read_only')", [("UTC", "on")]),
        ("SELECT current_setting('application_name')", [("rcakit/test",)]),
    ],
)
def test_whatever_reads_is_answered(conninfo: str, text: str, rows: list[tuple[Any, ...]]) -> None:
    assert ask(conninfo, text).rows == rows


@pytest.mark.parametrize(
    ("text", "params", "row"),
    [
        ("SELECT :a::text || :a, :b", {"a": "it's; --", "b": 3}, ("it's; --it's; --", 3)),
        ("SELECT ':a %', 10 % 3, '{\"a\":1}'::json ->> 'a' -- :a", {"a": 1}, (":a %", 1, "1")),
        ("SELECT $x$ :a $x$, :a::int", {"a": 2}, (" :a ", 2)),
        ("SELECT 'é', :ö::text", {"ö": "ü"}, ("é", "ü")),
        ("SELECT (ARRAY[1,2,3])[1:2]", {"unused": 1}, ([1, 2],)),
        ("SELECT :it::text", {"it": '\'; DROP TABLE "adm.venues"; --'}, ('\'; DROP TABLE "adm.venues"; --',)),
    ],
)
def test_parameters_are_bound_where_they_stand_for_a_value(
    conninfo: str, text: str, params: Mapping[str, Any], row: tuple[Any, ...]
) -> None:
    found = ask(conninfo, text, params)
    assert (found.rows, found.params, found.sql) == ([row], params, text)


def test_a_list_is_a_parameter(conninfo: str) -> None:
    found = ask(
        conninfo, 'SELECT id FROM "adm.venues" WHERE name = ANY(:names)', {"names": ["Oxford", "Bath"]}
    )
    assert found.rows == [(1,)]


def test_the_search_path_is_the_roles_own(
    conninfo: str, connection: psycopg.Connection, server: Server, dbname: str
) -> None:
    with server.role() as role:
        connection.execute("CREATE SCHEMA hers")
        connection.execute("CREATE TABLE hers.t AS SELECT 42 AS answer")
        connection.execute(f"GRANT USAGE ON SCHEMA hers TO {role}; GRANT SELECT ON hers.t TO {role}")
        connection.execute(
            compose.SQL("ALTER ROLE {} SET search_path TO hers").format(compose.Identifier(role))
        )
        found = ask(server.conninfo(dbname, user=role), "SELECT answer FROM t")
        assert (found.rows, found.role) == ([(42,)], role)


# ------------------------------------------------------------------ it never writes


WRITES = [
    "INSERT INTO \"adm.venues\" VALUES (3, 'x')",
    'UPDATE "adm.venues" SET id = 9',
    'DELETE FROM "adm.venues"',
    'TRUNCATE "adm.venues"',
    'DROP TABLE "adm.venues"',
    "CREATE TABLE written ()",
    "CREATE TEMP TABLE written ()",
    "SELECT 1 INTO written",
    'WITH gone AS (DELETE FROM "adm.venues" RETURNING 1) SELECT * FROM gone',
    'EXPLAIN ANALYZE DELETE FROM "adm.venues"',
    'DO $$ BEGIN DROP TABLE "adm.venues"; END $$',
    "COPY \"adm.venues\" TO PROGRAM 'cat'",
    'COPY "adm.venues" FROM STDIN',
    "SET transaction_read_only = off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "COMMIT",
    "SELECT 1; COMMIT; CREATE TABLE written ()",
    'COMMIT; BEGIN READ WRITE; DROP TABLE "adm.venues"; COMMIT',
    "SELECT 1; SELECT 2",
    "SELECT set_config('transaction_read_only', 'off', false), lo_create(0)",
    "",
    "-- nothing but a remark",
]


@pytest.mark.parametrize("text", WRITES)
def test_what_writes_is_refused_and_writes_nothing(
    conninfo: str, connection: psycopg.Connection, text: str
) -> None:
    def everything() -> list[Any]:
        tables = connection.execute(
            "SELECT oid, relname, reltuples FROM pg_class WHERE relnamespace >= 16384 OR relnamespace = 2200"
        ).fetchall()
        large = connection.execute("SELECT oid FROM pg_largeobject_metadata").fetchall()
        return [tables, large, connection.execute('TABLE "adm.venues"').fetchall()]

    before = everything()
    with pytest.raises(SqlError) as refusal:
        ask(conninfo, text)
    assert refusal.value.hint
    assert everything() == before


def test_a_write_is_called_by_its_name(conninfo: str) -> None:
    with pytest.raises(SqlError, match="not: DELETE FROM x\nnothing was sent"):
        ask(conninfo, "DELETE\nFROM x")


def test_a_sequence_stays_where_it_is(conninfo: str, connection: psycopg.Connection) -> None:
    connection.execute("CREATE SEQUENCE s")
    with pytest.raises(SqlError, match=r"cannot execute nextval\(\) in a read-only transaction"):
        ask(conninfo, "SELECT nextval('s')")


# ------------------------------------------------------------------ it says what is wrong


@pytest.mark.parametrize(
    ("text", "params", "words"),
    [
        ("SELCT 1", {}, 'line 1, column 1: syntax error at or near "SELCT"'),
        ("SELECT :name", {}, "each :name needs a value"),
        ("SELECT :name", {"nmae": 1}, "each :name needs a value"),
        ("SELECT * FROM nowhere", {}, 'relation "nowhere" does not exist'),
        ('SELECT nam FROM "adm.venues"', {}, "Perhaps you meant to reference the column"),
        ("SELECT 1/0", {}, "division by zero"),
        ("SELECT :a::text", {"a": object()}, "cannot adapt type 'object'"),
        ("SELECT '\0'", {}, "NUL"),
        ("SELECT :a::text", {"a": "\0"}, "NUL"),
    ],
)
def test_a_question_that_cannot_be_answered(
    conninfo: str, text: str, params: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(SqlError) as refusal:
        ask(conninfo, text, params)
    assert words in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_row_that_the_policies_hide_is_an_error(
    connection: psycopg.Connection, server: Server, dbname: str
) -> None:
    """Half a table would be taken for the whole."""
    connection.execute('ALTER TABLE "adm.venues" ENABLE ROW LEVEL SECURITY')
    with server.role() as role:
        connection.execute(f'GRANT SELECT ON "adm.venues" TO {role}')
        with pytest.raises(SqlError, match="row-level security policy"):
            ask(server.conninfo(dbname, user=role), 'SELECT count(*) FROM "adm.venues"')


def test_no_server(conninfo: str) -> None:
    with pytest.raises(ConnectionFailed, match="no server listens there") as failure:
        ask("host=/nonexistent dbname=x password=hunter2", "SELECT 1")
    assert "hunter2" not in str(failure.value)
    assert isinstance(failure.value, RcaError)
