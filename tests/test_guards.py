"""Guards evaluated on a real server: what is answered, what is refused, what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql as psql

from rcakit import catalog, evidence, guards, scratch
from rcakit.facts import Guard, Verdict
from rcakit.names import Name, literal, quote
from rcakit.parsing import plpgsql
from rcakit.parsing.harmless import objection

MOVE = """DO $$ BEGIN IF {condition}\nTHEN ALTER TABLE public.x SET SCHEMA adm; END IF; END $$"""


def verdicts(conninfo: str, *texts: str) -> list[Verdict]:
    found = [guard for text in texts for guard in plpgsql.guards(text, migration="app.0001")[0]]
    with evidence.session(conninfo, run="test") as recorder:
        observed = catalog.read(recorder)
        return list(guards.evaluate(found, recorder, observed))


def asks(conninfo: str, condition: str) -> Verdict:
    (verdict,) = verdicts(conninfo, MOVE.format(condition=condition))
    return verdict


def table(schema: str, name: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM information_schema.tables"
        f" WHERE table_schema = {literal(schema)} AND table_name = {literal(name)})"
    )


TABLES = 'CREATE SCHEMA adm; CREATE TABLE "adm.venues" (i int); CREATE TABLE plain (i int)'


@pytest.fixture(scope="module")
def incident(server: scratch.Server) -> Iterator[str]:
    """Conninfo of a database that the tests only read: two tables in public, an empty schema adm."""
    with server.database("incident") as name:
        conninfo = server.conninfo(name)
        with psycopg.connect(conninfo, autocommit=True) as opened:
            opened.execute(TABLES)
        yield conninfo


@contextmanager
def login(server: scratch.Server, connection: psycopg.Connection, name: str) -> Iterator[str]:
    """Conninfo of a role without any right but to connect."""
    role = psql.Identifier(name)
    connection.execute(psql.SQL("CREATE ROLE {} LOGIN").format(role))
    try:
        yield f"{server.conninfo(connection.info.dbname)} user={name}"
    finally:
        connection.execute(psql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


# ------------------------------------------------------------------ answers


def test_the_incident_is_false_and_names_what_was_meant(incident: str) -> None:
    verdict = asks(incident, table("public", "venues"))
    assert (verdict.as_role, verdict.as_catalog) == (False, False)
    assert verdict.nearest is not None
    assert verdict.nearest.qualified == Name("public", "adm.venues")
    assert len(verdict.evidence) == 2
    assert verdict.unread is None


def test_a_true_guard_has_no_nearest(incident: str) -> None:
    verdict = asks(incident, table("public", "plain"))
    assert (verdict.as_role, verdict.as_catalog, verdict.nearest) == (True, True, None)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ("to_regclass('plain') IS NOT NULL", True),
        ("to_regclass('public.plain') IS NULL", False),
        ("to_regclass('\"adm.venues\"') IS NOT NULL", True),
        ("to_regclass('adm.venues') IS NOT NULL", False),
        ("current_schema() = 'public'", True),
        ("current_schema = 'public'", True),
        ("'public' = ANY (current_schemas(false))", True),
        ("count(*) = 1 FROM pg_tables WHERE tablename = 'plain'", True),
        ("(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
         " WHERE n.nspname = 'adm') > 0", False),
        ("EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_name = 'plain' AND column_name = 'i'"
         " AND data_type = 'integer' AND is_nullable = 'YES')", True),
        ("EXISTS (SELECT FROM information_schema.schemata WHERE schema_name = 'adm')", True),
        ("EXISTS (SELECT FROM pg_class WHERE oid = 'public.plain'::regclass)", True),
        ("EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'adm.%')", True),
        ("'plain' IN (SELECT table_name FROM information_schema.tables) -- why", True),
        ("NOT EXISTS (WITH t AS (SELECT tablename FROM pg_tables) SELECT FROM t WHERE tablename = 'plain')", False),
        ("NULL", False),
        ("1 = 1 /* a comment */", True),
        (" || ".join(["'a'"] * 60) + " <> ''", True),
    ],
)  # fmt: skip
def test_harmless_conditions_are_answered(incident: str, condition: str, answer: bool) -> None:
    verdict = asks(incident, condition)
    assert (verdict.as_role, verdict.as_catalog) == (answer, answer)
    assert verdict.unread is None


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("ALTER TABLE IF EXISTS venues SET SCHEMA adm", False),
        ("ALTER TABLE IF EXISTS plain SET SCHEMA adm", True),
        ("ALTER TABLE plain ADD COLUMN IF NOT EXISTS i int", False),
        ("ALTER TABLE plain DROP COLUMN IF EXISTS i", True),
        ("ALTER TABLE plain DROP CONSTRAINT IF EXISTS i", False),
        ("CREATE SCHEMA IF NOT EXISTS adm", False),
        ("CREATE TABLE IF NOT EXISTS other (i int)", True),
        ("CREATE EXTENSION IF NOT EXISTS plpgsql", False),
        ('DROP TABLE IF EXISTS "adm.venues"', True),
        ("DROP TYPE IF EXISTS nope", False),
        ("DROP TRIGGER IF EXISTS t ON plain", False),
    ],
)
def test_clauses_are_asked_like_conditions(incident: str, statement: str, answer: bool) -> None:
    (verdict,) = verdicts(incident, statement)
    assert (verdict.as_role, verdict.as_catalog) == (answer, answer)


def test_the_twins_agree_with_information_schema_for_an_owner(connection: psycopg.Connection) -> None:
    connection.execute(
        """CREATE DOMAIN short AS varchar(7) NOT NULL; CREATE TYPE mood AS ENUM ('a');
        CREATE TABLE t (i int GENERATED ALWAYS AS IDENTITY, a int[], s short, v varchar(9) DEFAULT 'x', m mood,
                        PRIMARY KEY (i), UNIQUE (v), CHECK (v <> ''), n numeric(4, 2), k serial);
        CREATE VIEW w AS SELECT 1 AS one; CREATE SEQUENCE q"""
    )
    for name in sorted(guards.TWINS):
        twin = guards.twin(name)
        cursor = connection.execute(f"SELECT * FROM ({twin}) t LIMIT 0")
        shared = ", ".join(f"{column.name}::text" for column in cursor.description or ())
        mine = "table_schema = 'public'" if name not in ("schemata", "sequences") else "true"
        hidden = " AND constraint_name NOT LIKE '%\\_not\\_null'" if name == "table_constraints" else ""
        theirs = connection.execute(
            f"SELECT {shared} FROM information_schema.{name} WHERE {mine}{hidden}"
        ).fetchall()
        ours = connection.execute(f"SELECT {shared} FROM ({twin}) t WHERE {mine}").fetchall()
        assert sorted(ours, key=str) == sorted(theirs, key=str), name
        assert ours


# ------------------------------------------------------------------ rights and search_path


def test_a_role_without_rights_sees_false_where_the_catalog_is_true(
    server: scratch.Server, connection: psycopg.Connection
) -> None:
    connection.execute(TABLES)
    with login(server, connection, "nobody_guard") as conninfo:
        verdict = asks(conninfo, table("public", "plain"))
    assert (verdict.as_role, verdict.as_catalog) == (False, True)
    assert verdict.nearest is None


def test_to_regclass_in_a_schema_without_usage_is_told_apart(
    server: scratch.Server, connection: psycopg.Connection
) -> None:
    connection.execute(TABLES)
    connection.execute("CREATE TABLE adm.t (i int)")
    with login(server, connection, "nobody_regclass") as conninfo:
        verdict = asks(conninfo, "to_regclass('adm.t') IS NOT NULL")
    assert verdict.as_role is None
    assert verdict.as_catalog is True
    assert verdict.unread is not None
    assert "permission denied for schema adm" in verdict.unread.reason


def test_a_table_called_pg_tables_is_not_read(connection: psycopg.Connection, conninfo: str) -> None:
    connection.execute(
        "CREATE TABLE public.pg_tables (tablename text); INSERT INTO public.pg_tables VALUES ('x')"
    )
    condition = "EXISTS (SELECT 1 FROM pg_tables WHERE tablename = 'x')"
    assert asks(conninfo, condition).as_role is False
    assert "reads public.pg_tables" in str(asks(conninfo, condition.replace("pg_t", "public.pg_t")).unread)


def test_a_path_that_lets_the_shadow_win_is_not_answered(
    connection: psycopg.Connection, conninfo: str
) -> None:
    connection.execute("CREATE TABLE public.pg_tables (tablename text)")
    path = f"{conninfo} options='-c search_path=public,pg_catalog'"
    verdict = asks(path, "EXISTS (SELECT 1 FROM pg_tables WHERE tablename = 'x')")
    assert verdict.as_role is None
    assert "public has a relation called pg_tables" in str(verdict.unread)


@pytest.mark.parametrize(
    ("made", "condition"),
    [
        ("CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS $$SELECT 'owned'$$",
         "lower('X'::varchar) = 'x'"),
        ("CREATE FUNCTION eq(name, text) RETURNS bool LANGUAGE sql AS $$SELECT true$$;"
         "CREATE OPERATOR public.= (function = eq, leftarg = name, rightarg = text)",
         "EXISTS (SELECT FROM pg_class WHERE relname = 'nope'::text)"),
    ],
)  # fmt: skip
def test_a_better_match_in_public_is_refused(
    connection: psycopg.Connection, conninfo: str, made: str, condition: str
) -> None:
    connection.execute(made)
    verdict = asks(conninfo, condition)
    assert verdict.as_role is None
    assert "of its own" in str(verdict.unread)


def test_the_search_path_is_empty_again(incident: str) -> None:
    found, _ = plpgsql.guards(MOVE.format(condition="to_regclass('plain') IS NULL"), migration="m")
    with evidence.session(incident, run="test") as recorder:
        guards.evaluate(found, recorder, catalog.read(recorder))
        assert recorder.rows("path", "SHOW search_path") in ([("",)], [('""',)])


def test_a_question_is_put_once(incident: str) -> None:
    first, second = verdicts(incident, *[MOVE.format(condition=table("public", "venues"))] * 2)
    assert first.evidence == second.evidence


# ------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    "condition",
    [
        "pg_sleep(1) IS NULL",
        "pg_catalog.pg_read_file('/etc/passwd') IS NOT NULL",
        "lo_import('/etc/passwd') > 0",
        "lo_unlink(1) = 1",
        "dblink('x', 'y') IS NULL",
        "nextval('s') > 0",
        "setval('s', 1) > 0",
        "set_config('role', 'postgres', false) = ''",
        "pg_terminate_backend(1)",
        "pg_advisory_lock(1) IS NULL",
        "query_to_xml('delete from x', true, true, '') IS NULL",
        "myschema.check_it()",
        "public.lower('x') = 'x'",
        "EXISTS (SELECT 1 FROM customers)",
        "EXISTS (SELECT 1 FROM public.pg_class)",
        "EXISTS (SELECT 1 FROM pg_class FOR UPDATE)",
        "EXISTS (SELECT 1 FROM pg_class TABLESAMPLE system (1))",
        "EXISTS (WITH d AS (DELETE FROM x RETURNING 1) SELECT FROM d)",
        "EXISTS (WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT FROM r)",
        "EXISTS (SELECT 1 INTO t FROM pg_class)",
        "EXISTS (SELECT * FROM generate_series(1, 1000000000000))",
        "EXISTS (SELECT 1 FROM pg_stat_activity)",
        "EXISTS (SELECT 1 FROM pg_authid)",
        "1 OPERATOR(public.=) 1",
        "'x'::public.evil IS NULL",
        "'x'::xml IS NULL",
        "$1 = 1",
        "count(*) OVER () > 0",
        "repeat('x', 1000000000) = ''",
        "true) , (SELECT pg_sleep(1)) IS NULL AND (true",
        "true), pg_sleep(1",
        "1; DELETE FROM x",
        "1 FROM x",
        "true\0",
        "",
        "(",
    ],
)
def test_foreign_code_is_not_run(condition: str) -> None:
    assert objection(condition)


def test_a_refused_condition_is_unread_and_names_the_reason(incident: str) -> None:
    verdict = asks(incident, "pg_sleep(100) IS NULL")
    assert (verdict.as_role, verdict.as_catalog, verdict.evidence) == (None, None, ())
    assert verdict.unread is not None
    assert "uses the function pg_sleep" in verdict.unread.reason


@pytest.mark.parametrize(
    ("sql", "blocking"),
    [
        ("DO $$ BEGIN IF EXISTS (SELECT 1 FROM plain) THEN DELETE FROM plain; END IF; END $$", False),
        (
            "DO $$ BEGIN IF EXISTS (SELECT 1 FROM plain) THEN ALTER TABLE plain SET SCHEMA adm; END IF; END $$",
            True,
        ),
        ("DO $$ BEGIN IF EXISTS (SELECT 1 FROM plain) THEN PERFORM move_all(); END IF; END $$", True),
    ],
)
def test_only_what_a_verdict_rests_on_blocks(incident: str, sql: str, blocking: bool) -> None:
    """Rows are not judged, and dropping what may not be there is innocent; both are still told."""
    (verdict,) = verdicts(incident, sql)
    assert verdict.unread is not None
    assert verdict.unread.blocking is blocking


@pytest.mark.parametrize(
    "sql",
    [
        "DROP FUNCTION IF EXISTS lost(integer)",
        "CREATE FUNCTION f(job integer) RETURNS void LANGUAGE plpgsql AS $$"
        " BEGIN IF job IS NULL THEN ALTER TABLE plain SET SCHEMA adm; END IF; END $$",
    ],
)
def test_what_a_migration_does_not_decide_by_is_not_asked(incident: str, sql: str) -> None:
    (verdict,) = verdicts(incident, sql)
    assert (verdict.as_role, verdict.as_catalog, verdict.unread, verdict.evidence) == (None, None, None, ())


def test_a_condition_with_an_error_is_unread(incident: str) -> None:
    verdict = asks(incident, "'public.nope'::regclass IS NOT NULL")
    assert verdict.as_role is None
    assert "does not exist" in str(verdict.unread)


def test_a_plpgsql_variable_nobody_knows_is_unread(incident: str) -> None:
    text = "DO $$ DECLARE n int := random(); BEGIN IF n > 1 THEN DROP TABLE x; END IF; END $$"
    (verdict,) = verdicts(incident, text)
    assert verdict.as_role is None
    assert verdict.unread is not None


def test_an_exception_handler_has_no_answer_and_nothing_unread(incident: str) -> None:
    (verdict,) = verdicts(incident, "DO $$ BEGIN DROP TABLE x; EXCEPTION WHEN others THEN NULL; END $$")
    assert (verdict.as_role, verdict.as_catalog, verdict.unread) == (None, None, None)


# ------------------------------------------------------------------ hostile and near names


@pytest.mark.parametrize(
    "name", ["it's", 'a"b', "back\\slash", "é😀", "new\nline", "100%s", "x" * 63, "$$", "a;b", "--"]
)
def test_hostile_names(connection: psycopg.Connection, conninfo: str, name: str) -> None:
    connection.execute(psql.SQL("CREATE TABLE {} (i int)").format(psql.Identifier(name)))
    condition = f"{table('public', name)} AND to_regclass({literal(quote(name))}) IS NOT NULL"
    body = f"BEGIN IF {condition} THEN DROP TABLE gone; END IF; END"
    (verdict,) = verdicts(conninfo, f"DO $body${body}$body$")
    assert (verdict.as_role, verdict.as_catalog) == (True, True)


@pytest.mark.parametrize(
    ("present", "asked", "meant"),
    [
        (["adm.venues"], ("public", "venues"), ("adm", "venues")),
        (["public.\"adm.venues\""], ("public", "venues"), ("public", "adm.venues")),
        (["public.\"adm.venues\"", "old.venues"], ("public", "venues"), ("old", "venues")),
        (["public.\"Venues\""], ("public", "venues"), ("public", "Venues")),
        (["public.\"adm.Venues\""], ("public", "venues"), ("public", "adm.Venues")),
        (["public.course_template"], ("public", "course_templates"), ("public", "course_template")),
        (["public.unlike"], ("public", "venues"), None),
    ],
)  # fmt: skip
def test_nearest(
    connection: psycopg.Connection,
    conninfo: str,
    present: list[str],
    asked: tuple[str, str],
    meant: tuple[str, str] | None,
) -> None:
    connection.execute("CREATE SCHEMA adm; CREATE SCHEMA old")
    for each in present:
        connection.execute(f"CREATE TABLE {each} (i int)")
    near = asks(conninfo, table(*asked)).nearest
    assert (tuple(near.qualified) if near else None) == meant


def test_a_python_condition_is_asked_by_its_sql(incident: str) -> None:
    one = Guard(
        "m", "return", "connection.vendor == 'postgresql'", (), (), "none", sql="'postgresql' = 'postgresql'"
    )
    two = Guard("m", "return", "something()", (), (), "none", sql="")
    with evidence.session(incident, run="test") as recorder:
        true, unread = guards.evaluate([one, two], recorder, catalog.read(recorder))
    assert true.as_catalog is True
    assert unread.as_catalog is None
    assert unread.unread is not None
