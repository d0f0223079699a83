"""SQL and PL/pgSQL texts, and the guards and effects that must come out of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from commands import environment
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcakit.errors import SqlError
from rcakit.facts import Guard, Unread, Where
from rcakit.names import Name
from rcakit.parsing import pgparse
from rcakit.parsing.plpgsql import effects, guards
from rcakit.parsing.presence import asked

TABLES = ["course_templates", "custom_fields", "instructors", "locations", "pricelevels", "venues", "links"]


def forward(table_name: str) -> str:
    """The migration of the incident, comment and all."""
    return f"""
        DO $$
        BEGIN
            IF EXISTS (
                SELECT 1 FROM information_schema.tables
                WHERE table_schema = 'public' AND table_name = '{table_name}'
                -- ↑ Checks for 'course_templates' (plain name)
            ) THEN
                ALTER TABLE public.{table_name} SET SCHEMA adm;
            END IF;
        END $$;
    """


def read(sql: str) -> tuple[tuple[Guard, ...], tuple[Unread, ...]]:
    return guards(sql, migration="app.0003")


def clean(sql: str) -> tuple[Guard, ...]:
    found, unread = read(sql)
    assert unread == ()
    return found


def do(body: str, declare: str = "") -> str:
    return f"DO $$ {'DECLARE ' + declare if declare else ''} BEGIN {body} END $$"


def has(name: str, schema: str = "public") -> str:
    return f"EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = '{schema}' AND tablename = '{name}')"


# ------------------------------------------------------------------ the incident


def test_the_incident() -> None:
    where = Where("administrate/migrations/0003_migrate_to_adm_schema.py", 40)
    found, unread = guards(
        forward("venues"), migration="administrate.0003", operation=1, statement=5, where=where
    )
    assert unread == ()
    (guard,) = found
    assert (guard.kind, guard.otherwise, guard.negated) == ("if", "none", False)
    assert guard.relations == (Name("public", "venues"),)
    assert guard.guarded == ("ALTER TABLE public.venues SET SCHEMA adm",)
    (effect,) = guard.effects
    assert (effect.kind, effect.object) == ("move", "table")
    assert (effect.subject, effect.result) == (Name("public", "venues"), Name("adm", "venues"))
    assert (guard.migration, guard.operation, guard.statement, guard.line) == ("administrate.0003", 1, 5, 4)
    assert guard.where == where


def test_the_incident_seven_times_in_one_text() -> None:
    found = clean("".join(forward(name) for name in TABLES))
    assert [guard.relations[0].name for guard in found] == TABLES
    assert [guard.line for guard in found] == [4 + 11 * number for number in range(7)]


# ------------------------------------------------------------------ what decides

KINDS: list[tuple[str, dict[str, Any]]] = [
    (do(f"IF {has('x')} THEN DROP TABLE x; END IF;"), {"kind": "if", "otherwise": "none"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE RAISE EXCEPTION 'no'; END IF;"), {"otherwise": "raise"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE RAISE division_by_zero; END IF;"), {"otherwise": "raise"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE RAISE WARNING 'no'; END IF;"), {"otherwise": "warning"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE RAISE NOTICE 'no'; END IF;"), {"otherwise": "notice"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE RAISE DEBUG 'no'; END IF;"), {"otherwise": "none"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE ASSERT false; END IF;"), {"otherwise": "raise"}),
    (do(f"IF {has('x')} THEN DROP TABLE x; ELSE NULL; END IF;"), {"otherwise": "none"}),
    (do(f"IF NOT {has('x')} THEN CREATE TABLE x (); END IF;"), {"negated": True}),
    (do(f"IF {has('x')} THEN RAISE NOTICE 'there'; ELSE CREATE TABLE x (); END IF;"),
     {"kind": "if", "negated": True, "otherwise": "notice"}),
    (do(f"IF NOT {has('x')} THEN RETURN; END IF; DROP TABLE x;"),
     {"kind": "return", "negated": False, "otherwise": "none"}),
    (do(f"IF {has('x')} THEN NULL; ELSE RETURN; END IF; DROP TABLE x;"), {"kind": "return", "otherwise": "none"}),
    (do(f"IF NOT {has('x')} THEN RAISE NOTICE 'no'; RETURN; END IF; DROP TABLE x;"), {"otherwise": "notice"}),
    (do("PERFORM 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x';"
        "IF NOT FOUND THEN RETURN; END IF; DROP TABLE x;"), {"kind": "return"}),
    (do("SELECT count(*) INTO n FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x';"
        "IF n = 0 THEN RETURN; END IF; DROP TABLE x;", "n int;"), {"kind": "return"}),
    (do(f"SELECT {has('x')} INTO e; IF e THEN DROP TABLE x; END IF;", "e boolean;"), {"kind": "if"}),
    (do(f"e := {has('x')}; IF e THEN DROP TABLE x; END IF;", "e boolean;"), {"kind": "if"}),
    (do("IF e THEN DROP TABLE x; END IF;", f"e boolean := {has('x')};"), {"kind": "if"}),
    (do("EXECUTE 'SELECT 1 FROM pg_tables WHERE schemaname = ''public'' AND tablename = ''x''' INTO n;"
        "IF n IS NOT NULL THEN DROP TABLE x; END IF;", "n int;"), {"kind": "if"}),
    (do("IF count(*) > 0 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x' THEN DROP TABLE x; END IF;"),
     {"kind": "if"}),
    (do("IF to_regclass('public.x') IS NOT NULL THEN DROP TABLE x; END IF;"), {"kind": "if"}),
    (do("EXECUTE 'DROP TABLE ' || quote_ident(t);", "t text := 'x';").replace("EXECUTE", f"IF {has('x')} THEN EXECUTE")
     .replace("; END $$", "; END IF; END $$"), {"guarded": ("DROP TABLE x",)}),
    (do(f"CASE WHEN {has('x')} THEN DROP TABLE x; END CASE;"), {"otherwise": "raise"}),
    (do(f"CASE WHEN {has('x')} THEN DROP TABLE x; ELSE NULL; END CASE;"), {"otherwise": "none"}),
    (do(f"LOOP EXIT WHEN NOT {has('x')}; DROP TABLE x; END LOOP;"), {"kind": "return"}),
    (do(f"WHILE {has('x')} LOOP DROP TABLE x; END LOOP;"), {"kind": "loop"}),
    (do("FOR r IN SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x' LOOP DROP TABLE x; END LOOP;",
        "r record;"), {"kind": "loop", "otherwise": "none"}),
    ("ALTER TABLE IF EXISTS public.x SET SCHEMA adm", {"kind": "clause", "otherwise": "notice"}),
    ("DROP TABLE IF EXISTS public.x", {"kind": "clause", "negated": False}),
    ("CREATE TABLE IF NOT EXISTS public.x ()", {"kind": "clause", "negated": True}),
    (do("EXECUTE format('ALTER TABLE IF EXISTS %I.%I SET SCHEMA %s', 'public', 'x', 'adm');"), {"kind": "clause"}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), KINDS)
def test_one_guard(sql: str, expected: dict[str, Any]) -> None:
    (guard,) = clean(sql)
    assert {key: getattr(guard, key) for key in expected} == expected
    assert guard.relations == (Name("public", "x"),)
    assert guard.condition
    pgparse.expression(guard.condition)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "   -- nothing",
        "ALTER TABLE a SET SCHEMA b; DROP TABLE x",
        do("DROP TABLE x;"),
        do(f"IF NOT {has('x')} THEN RAISE EXCEPTION 'no'; END IF; DROP TABLE x;"),
        do(f"IF {has('x')} THEN NULL; END IF;"),
        do("DROP TABLE x; EXCEPTION WHEN others THEN RAISE;"),
        do("DROP TABLE x; EXCEPTION WHEN others THEN RAISE EXCEPTION 'no';"),
        do("FOR i IN 1..3 LOOP DROP TABLE x; END LOOP;"),
        "CREATE FUNCTION f() RETURNS int RETURN 1",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'IF garbage'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'a', 'b'",
        "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; END",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.a IS NULL THEN DROP TABLE x; END IF; END $$",
    ],
)
def test_no_guard(sql: str) -> None:
    assert clean(sql) == ()


# ------------------------------------------------------------------ conditions together


def test_nested_conditions_are_joined() -> None:
    found = clean(do(f"IF {has('a')} THEN DROP TABLE a; IF {has('b')} THEN DROP TABLE b; END IF; END IF;"))
    assert [guard.guarded for guard in found] == [("DROP TABLE b",), ("DROP TABLE a",)] or [
        guard.guarded for guard in found
    ] == [("DROP TABLE a",), ("DROP TABLE b",)]
    inner = next(guard for guard in found if guard.guarded == ("DROP TABLE b",))
    assert inner.condition == f"({has('a')}) AND ({has('b')})"
    assert inner.relations == (Name("public", "b"),)


def test_a_comment_at_the_end_of_a_condition_cannot_swallow_the_rest() -> None:
    found = clean(do("IF a -- why\n THEN IF b /* c */ THEN DROP TABLE b; END IF; END IF;", "a bool; b bool;"))
    assert [guard.condition for guard in found] == ["(a) AND (b)"]


def test_elsif_says_that_none_before_it_did_hold() -> None:
    first, second, third = clean(
        do("IF p() THEN DROP TABLE a; ELSIF q() THEN DROP TABLE b; ELSIF r() THEN DROP TABLE c; END IF;")
    )
    assert (first.condition, first.otherwise) == ("p()", "statements")
    assert (second.condition, second.otherwise) == ("(p()) IS NOT TRUE AND (q())", "statements")
    assert third.condition == "(p()) IS NOT TRUE AND (q()) IS NOT TRUE AND (r())"
    assert third.otherwise == "none"


@pytest.mark.parametrize("part", ["COLUMN a", "CONSTRAINT a"])
def test_if_exists_asks_for_the_relation_whose_part_is_renamed(part: str) -> None:
    (guard,) = clean(f"ALTER TABLE IF EXISTS s.t RENAME {part} TO b")
    assert guard.condition == 'to_regclass(\'"s"."t"\') IS NOT NULL'
    assert guard.relations == (Name("s", "t"),)


def test_the_else_branch_is_guarded_by_the_opposite() -> None:
    first, second = clean(do(f"IF {has('a')} THEN DROP TABLE a; ELSE DROP TABLE b; END IF;"))
    assert (first.otherwise, second.otherwise) == ("statements", "statements")
    assert second.condition == f"({has('a')}) IS NOT TRUE"
    assert (first.negated, second.negated) == (False, True)


def test_a_variable_assigned_in_a_branch_is_not_known_afterwards() -> None:
    (guard,) = clean(do("IF p() THEN t := 'b'; END IF; IF to_regclass(t) IS NOT NULL THEN DROP TABLE x; END IF;",
                        "t text := 'a';"))  # fmt: skip
    assert guard.condition == "to_regclass(t) IS NOT NULL"
    assert guard.relations == ()


def test_a_case_compares_with_its_subject() -> None:
    first, second = clean(do("CASE v WHEN 'x' THEN DROP TABLE x; WHEN 'y' THEN DROP TABLE y; END CASE;",
                             "v text := 'x';"))  # fmt: skip
    assert first.condition == "'x' IN ('x')"
    assert second.condition == "('x' IN ('x')) IS NOT TRUE AND ('x' IN ('y'))"


# ------------------------------------------------------------------ loops, calls, dynamic SQL


def test_a_loop_over_constants_is_unrolled() -> None:
    body = (
        "FOREACH t IN ARRAY names LOOP IF EXISTS (SELECT FROM information_schema.tables WHERE table_schema = 'public'"
        " AND table_name = t) THEN EXECUTE format('ALTER TABLE public.%I SET SCHEMA adm', t); END IF; END LOOP;"
    )
    found = clean(do(body, f"names text[] := ARRAY{TABLES!r}; t text;"))
    assert [guard.relations for guard in found] == [(Name("public", name),) for name in TABLES]
    assert [guard.effects[0].result for guard in found] == [Name("adm", name) for name in TABLES]


@pytest.mark.parametrize(
    ("loop", "target"),
    [
        ("r IN SELECT tablename FROM pg_tables", "r.tablename"),
        ("r IN SELECT * FROM pg_tables", "r.tablename"),
        ("r IN SELECT schemaname, tablename AS t FROM pg_tables", "r.t"),
        ("t IN SELECT tablename FROM pg_tables", "t"),
    ],
)
def test_a_loop_over_named_catalog_rows_is_a_guard_for_each_name(loop: str, target: str) -> None:
    sql = do(
        f"FOR {loop} WHERE schemaname = 'public' AND tablename IN ('a', 'b') LOOP"
        f" EXECUTE format('ALTER TABLE public.%I SET SCHEMA adm', {target}); END LOOP;",
        "r record; t text;",
    )
    first, second = clean(sql)
    assert (first.kind, first.relations, first.effects[0].result) == (
        "loop",
        (Name("public", "a"),),
        Name("adm", "a"),
    )
    assert (second.relations, second.guarded) == (
        (Name("public", "b"),),
        ("ALTER TABLE public.b SET SCHEMA adm",),
    )
    assert first.condition.endswith("= 'a')")


def test_a_loop_over_rows_by_pattern_is_one_guard_with_an_unknown_statement() -> None:
    sql = do(
        "FOR r IN SELECT tablename FROM pg_tables WHERE tablename LIKE 'adm.%' LOOP"
        " EXECUTE format('ALTER TABLE %I SET SCHEMA adm', r.tablename); END LOOP;",
        "r record;",
    )
    (guard,), (unread,) = read(sql)
    assert (guard.kind, guard.relations, guard.effects) == ("loop", (), ())
    assert "only known at run time" in unread.reason


def test_a_function_is_read_with_the_arguments_of_its_calls() -> None:
    sql = """CREATE FUNCTION mv(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        IF to_regclass('public.' || t) IS NOT NULL THEN
            EXECUTE 'ALTER TABLE public.' || quote_ident(t) || ' SET SCHEMA adm';
        END IF; END $$; SELECT mv('a'), mv('b'); DO $x$ BEGIN PERFORM mv('c'); END $x$; DROP FUNCTION mv(text)"""
    found = clean(sql)
    assert [guard.relations for guard in found] == [(Name("public", name),) for name in "abc"]
    assert {guard.function for guard in found} == {""}
    assert [effect.result for effect in effects(sql) if effect.kind == "move"] == [
        Name("adm", n) for n in "abc"
    ]


def test_a_function_nobody_calls_is_marked() -> None:
    (guard,) = clean(
        "CREATE FUNCTION s.mv() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
        " IF to_regclass('a') IS NULL THEN CREATE TABLE a (); END IF; END $$"
    )
    assert guard.function == "mv"
    assert guard.line == 1


@pytest.mark.parametrize(
    ("body", "swallows", "otherwise", "negated"),
    [
        ("EXCEPTION WHEN others THEN NULL;", ("others",), "none", False),
        ("EXCEPTION WHEN undefined_table OR duplicate_table THEN NULL;", ("undefined_table", "duplicate_table"),
         "none", False),
        ("EXCEPTION WHEN duplicate_table THEN NULL;", ("duplicate_table",), "none", True),
        ("EXCEPTION WHEN SQLSTATE '42P07' THEN NULL;", ("42P07",), "none", True),
        ("EXCEPTION WHEN others THEN RAISE NOTICE 'x';", ("others",), "notice", False),
        ("EXCEPTION WHEN others THEN RAISE WARNING 'x';", ("others",), "warning", False),
        ("EXCEPTION WHEN undefined_table THEN NULL; WHEN others THEN RAISE;", ("undefined_table",), "none", False),
    ],
)  # fmt: skip
def test_swallowed_exceptions(body: str, swallows: tuple[str, ...], otherwise: str, negated: bool) -> None:
    (guard,) = clean(do(f"ALTER TABLE a SET SCHEMA b; {body}"))
    assert (guard.kind, guard.condition) == ("exception", "")
    assert (guard.swallows, guard.otherwise, guard.negated) == (swallows, otherwise, negated)
    assert guard.effects[0].kind == "move"


def test_what_runs_after_a_swallowed_return_still_counts() -> None:
    assert [each.kind for each in effects(do("BEGIN DROP TABLE a; RETURN; EXCEPTION WHEN others THEN NULL; END;"
                                             "DROP TABLE b;"))] == ["drop", "drop"]  # fmt: skip


# ------------------------------------------------------------------ cannot tell


@pytest.mark.parametrize(
    ("sql", "reason", "blocking"),
    [
        (do("EXECUTE 'DROP TABLE ' || t;", "t text := random()::text;"), "only known at run time", True),
        (do("EXECUTE 'DROP TABEL x';"), "syntax error", True),
        (do("NULL;", "x foo.bar;"), "Not implemented", True),
        ("CREATE FUNCTION f(a foo.bar) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$", "Not impl", False),
        ("DO LANGUAGE plpython3u $$ import os $$", "language plpython3u", True),
        (do("SELEC 1;"), "syntax error", True),
        ("ALTER TABLE a SET SCHEM b", "line 1, column 19", True),
        ("SELECT 1;\nALTER TABLE é\0", "NUL", True),
        ("SELECT " + "1+" * 300_000 + "1", "chain", True),
        (do("IF " + "1+" * 300_000 + "1 THEN NULL; END IF;"), "chain", True),
        ("SELECT " + "NOT " * 1_500 + "true", "nested too deeply", True),
        (do("IF true THEN " * 600 + "NULL; " + "END IF; " * 600), "nested too deeply", True),
        ("SELECT '\ud800'", "surrogate", True),
        ("\\restrict x\nSELECT 1", "syntax error", True),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_unread(sql: str, reason: str, blocking: bool) -> None:
    found, unread = read(sql)
    assert found == ()
    (row,) = unread
    assert reason in row.reason
    assert row.reason.startswith("app.0003: ")
    assert (row.account, row.blocking) == ("declared", blocking)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT\n INTO log (at) VALUES (now()) ON CONFLICT DO NOTHING RETURNING id INTO found_id;",
        "UPDATE log SET at = now() RETURNING id INTO found_id;",
        "WITH gone AS (DELETE FROM log RETURNING id) SELECT max(id) INTO found_id FROM gone;",
        "EXECUTE 'DELETE FROM log RETURNING id' INTO found_id;",
    ],
)
def test_a_row_that_a_change_returned_is_a_value_nobody_can_ask_for_again(change: str) -> None:
    """No condition may repeat an INSERT: the variable is unknown from there on, and the rest is read."""
    guard = clean(
        do(f"{change} IF found_id IS NULL THEN ALTER TABLE a SET SCHEMA b; END IF;", "found_id int;")
    )[-1]
    assert (guard.kind, guard.condition) == ("if", "found_id IS NULL")
    guard = clean(do(f"{change} IF NOT FOUND THEN ALTER TABLE a SET SCHEMA b; END IF;", "found_id int;"))[-1]
    assert guard.condition == "NOT FOUND"


def test_errors_name_line_column_and_excerpt() -> None:
    with pytest.raises(SqlError, match="line 3, column 9") as caught:
        pgparse.parse("SELECT 'é\n\né' FORM x y")
    assert "FORM x y" in str(caught.value)
    with pytest.raises(SqlError, match=r"line 2 or later: .*FOO"):
        pgparse.body(pgparse.parse("SELECT 1;\nDO $$\nBEGIN\nFOO;\nEND $$")[1])
    with pytest.raises(SqlError, match=r"line 4: .*Not implemented"):
        pgparse.body(pgparse.parse("SELECT 1;\nDO $$\nDECLARE\nx foo.bar;BEGIN END $$")[1])


@pytest.mark.parametrize("blank", [0, 100, 127, 128, 16_383, 16_384, 2_100_000])
def test_words_have_their_places_however_far_away(blank: int) -> None:
    import postgast

    text = " " * blank + "SELECT /* é */ 'é', $1 -- end\n;" + "\t" * blank + "COMMIT"
    peer = [(each.token, each.start, each.end) for each in postgast.scan(text).tokens]
    assert pgparse.tokens(text) == [word for word in peer if word[0] not in pgparse._COMMENTS]
    assert [text.encode()[word.start : word.end] for word in pgparse.tokens(text)][-2:] == [b";", b"COMMIT"]


def test_what_cannot_be_split_into_words_says_why() -> None:
    assert pgparse.tokens("") == []
    with pytest.raises(SqlError, match="unterminated quoted string"):
        pgparse.tokens("SELECT 'open")


def test_parsing_brings_no_protobuf_along() -> None:
    ask = (
        "import sys, rcakit.parsing.pgparse as it; it.tokens('SELECT 1')\n"
        "sys.exit(' '.join(sorted(name for name in sys.modules if name.startswith('google.protobuf'))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_lines_are_those_of_the_whole_text() -> None:
    text = "-- é\nSELECT 1;\n/* x\n */ DO LANGUAGE plpgsql\n\n$b$\nBEGIN\nIF p() THEN\nDROP TABLE x;\nEND IF; END $b$"
    (guard,) = clean(text)
    assert guard.line == 8
    (clause,) = clean("SELECT 1;\n\n  -- c\n  DROP TABLE IF EXISTS a")
    assert clause.line == 4


@pytest.mark.parametrize(
    "condition",
    [
        " || ".join(["'a'"] * 60) + " = ''",
        " OR ".join([has("x")] * 80),
        "EXISTS (SELECT FROM pg_class a " + "JOIN pg_class b ON true " * 80 + ")",
        "(SELECT " * 30 + "true" + ")" * 30,
    ],
)
def test_conditions_too_deep_for_protobuf_are_read(condition: str) -> None:
    (guard,) = clean(do(f"IF {condition} THEN DROP TABLE x; END IF;"))
    assert guard.guarded == ("DROP TABLE x",)


# ------------------------------------------------------------------ effects


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE a.b SET SCHEMA c", [("move", "table", Name("a", "b"), Name("c", "b"), None)]),
        ('ALTER TABLE adm."adm.x" RENAME TO x', [("rename", "table", Name("adm", "adm.x"), Name("adm", "x"), None)]),
        ("ALTER TABLE s.t RENAME COLUMN a TO b", [("rename", "column", Name(None, "a"), Name(None, "b"), Name("s", "t"))]),
        ("ALTER SCHEMA a RENAME TO b", [("rename", "schema", Name(None, "a"), Name(None, "b"), None)]),
        ("CREATE SCHEMA adm", [("create", "schema", None, Name(None, "adm"), None)]),
        ("CREATE TABLE s.t ()", [("create", "table", None, Name("s", "t"), None)]),
        ("CREATE TEMP TABLE t ()", []),
        ("CREATE TABLE t AS SELECT 1", [("create", "table", None, Name(None, "t"), None)]),
        ("CREATE VIEW s.v AS SELECT 1", [("create", "view", None, Name("s", "v"), None)]),
        ("CREATE INDEX i ON s.t (a)", [("create", "index", None, Name("s", "i"), Name("s", "t"))]),
        ("CREATE SEQUENCE q", [("create", "sequence", None, Name(None, "q"), None)]),
        ("CREATE DOMAIN s.d AS int", [("create", "type", None, Name("s", "d"), None)]),
        ("CREATE TYPE s.e AS ENUM ('a')", [("create", "type", None, Name("s", "e"), None)]),
        ("DROP TABLE a.b, c", [("drop", "table", Name("a", "b"), None, None), ("drop", "table", Name(None, "c"), None, None)]),
        ("DROP TRIGGER t ON s.x", [("drop", "trigger", Name(None, "t"), None, Name("s", "x"))]),
        ("DROP FUNCTION s.f(int)", [("drop", "function", Name("s", "f"), None, None)]),
        ("ALTER TABLE t ADD COLUMN c int, DROP COLUMN d, ENABLE ROW LEVEL SECURITY", [
            ("alter", "column", None, Name(None, "c"), Name(None, "t")),
            ("alter", "column", Name(None, "d"), None, Name(None, "t")),
            ("alter", "table", Name(None, "t"), Name(None, "t"), None)]),
        ("ALTER TABLE t ADD CONSTRAINT k CHECK (true)", [("alter", "constraint", None, Name(None, "k"), Name(None, "t"))]),
        ("INSERT INTO t VALUES (1); UPDATE t SET a = 1; SELECT 1", []),
        (do(f"IF {has('x')} THEN IF p() THEN ALTER TABLE x SET SCHEMA y; END IF; END IF;"),
         [("move", "table", Name(None, "x"), Name("y", "x"), None)]),
    ],
)  # fmt: skip
def test_effects(sql: str, expected: list[tuple[object, ...]]) -> None:
    assert [(e.kind, e.object, e.subject, e.result, e.relation) for e in effects(sql)] == expected


def test_effects_of_what_does_not_parse_are_an_error() -> None:
    with pytest.raises(SqlError):
        effects("ALTER TABLE a SET SCHEM b")


# ------------------------------------------------------------------ what a condition asks

X = (Name("public", "x"),)


@pytest.mark.parametrize(
    ("condition", "relations", "negated"),
    [
        (has("x"), X, False),
        (f"NOT {has('x')}", X, True),
        (f"({has('x')}) IS NOT TRUE", X, True),
        (f"(SELECT NOT {has('x')})", X, True),
        (f"{has('x')} = false", X, True),
        ("to_regclass('public.x') IS NULL", X, True),
        ("'public.x'::regclass IS NOT NULL", X, False),
        ("to_regclass('\"adm.x\"') IS NOT NULL", (Name(None, "adm.x"),), False),
        ("COALESCE(to_regclass('public.x')::text, '') <> ''", X, False),
        ("has_table_privilege('public.x', 'select')", X, False),
        ("(SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x') = 0", X, True),
        ("0 < (SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x')", X, False),
        ("(SELECT count(*) = 0 FROM pg_views WHERE schemaname = 'public' AND viewname = 'x')", X, True),
        ("(SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'x') IS NULL", X, True),
        ("EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
         " WHERE 'x' = c.relname)", X, False),
        ("EXISTS (SELECT FROM pg_class WHERE relname = 'x' AND relnamespace = 'public'::regnamespace)", X, False),
        ("EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.x'::regclass AND attname = 'c')", X, False),
        ("EXISTS (SELECT FROM information_schema.tables WHERE (table_schema, table_name) IN (('a', 'b'), ('c', 'd')))",
         (Name("a", "b"), Name("c", "d")), False),
        ("EXISTS (SELECT FROM pg_tables WHERE tablename = ANY ('{a,b}'))", (Name(None, "a"), Name(None, "b")), False),
        ("EXISTS (SELECT FROM pg_tables WHERE tablename = ANY ('{a,b}'::text[]))",
         (Name(None, "a"), Name(None, "b")), False),
        ("'x' IN (SELECT table_name FROM information_schema.tables WHERE table_schema = 'public')", X, False),
        (f"{has('x')} AND NOT {has('new', 'adm')}", X, False),
        (f"NOT {has('new', 'adm')} AND {has('x')}", X, False),
        ("EXISTS (SELECT FROM customers WHERE table_name = 'x')", (), False),
        ("'x' <> 'y'", (), False),
        ("1 +", (), False),
    ],
)  # fmt: skip
def test_asked(condition: str, relations: tuple[Name, ...], negated: bool) -> None:
    assert asked(condition) == (relations, negated)


# ------------------------------------------------------------------ nothing crashes

_TEXTS = [sql for sql, _ in KINDS] + [
    forward("x"),
    do("FOREACH t IN ARRAY ARRAY['a'] LOOP EXECUTE t; END LOOP;", "t text;"),
]
_PIECES = [
    "'",
    "$$",
    ";",
    "(",
    ")",
    " END ",
    " IF ",
    "--",
    "/*",
    "BEGIN ",
    ":=",
    "\n",
    "é",
    "%I",
    "{",
    "",
    " NULL ",
]


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(_TEXTS), st.integers(0, 400), st.integers(0, 30), st.sampled_from(_PIECES))
def test_mutated_text_never_raises_and_is_never_passed_over(text: str, at: int, cut: int, put: str) -> None:
    mutated = text[:at] + put + text[at + cut :]
    found = read_or_unread(mutated)
    assert all(guard.kind == "exception" or guard.guarded for guard in found)


def read_or_unread(sql: str) -> tuple[Guard, ...]:
    """The guards found in it; where it is no SQL it was unread."""
    found, unread = read(sql)
    try:
        pgparse.parse(sql)
    except SqlError:
        assert unread
        assert found == ()
    return found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
@example("||0")
def test_any_text_is_read_or_unread(text: str) -> None:
    for sql in (text, f"DO $a${text}$a$", do(f"EXECUTE {text};")):
        read_or_unread(sql)
    asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(SELECT " * 998 + "1" + ")" * 998,
        "SELECT 'a'" + "||'a'" * 990,
        "SELECT 1" + " UNION SELECT 1" * 660,
    ],
)
def test_the_longest_chain_let_through_fits_a_small_stack(text: str) -> None:
    """Would end the whole process, not just fail, if the limit were too high."""
    answers: list[tuple[tuple[Guard, ...], tuple[Unread, ...]]] = []
    size = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=lambda: answers.append(read(text)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    ((found, unread),) = answers
    assert found == ()
    assert "chain" not in str(unread)
