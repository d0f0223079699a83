"""Guards in RunPython source: what counts as a guard, which SQL it asks, which SQL is run."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcakit.facts import Guard, Unread
from rcakit.names import Name
from rcakit.parsing import plpgsql
from rcakit.parsing.pyguards import python_guards


def read(body: str, before: str = "") -> tuple[tuple[Guard, ...], tuple[Unread, ...]]:
    source = (
        textwrap.dedent(before)
        + "def forwards(apps, schema_editor):\n"
        + textwrap.indent(textwrap.dedent(body), "    ")
    )
    return python_guards(source, migration="app.0001", operation=2)


def one(body: str, before: str = "") -> Guard:
    found, unread = read(body, before)
    assert unread == ()
    assert len(found) == 1, found
    return found[0]


VENDOR = """
if schema_editor.connection.vendor != "postgresql":
    return
with schema_editor.connection.cursor() as cursor:
    cursor.execute("ALTER TABLE a SET SCHEMA adm")
"""
MISSING = """
if "plain" not in schema_editor.connection.introspection.table_names():
    return
schema_editor.execute("ALTER TABLE plain SET SCHEMA adm")
"""
FETCHED = """
with connection.cursor() as c:
    c.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = %s", ["x"])
    if not c.fetchone():
        return
    c.execute("ALTER TABLE public.x SET SCHEMA adm")
"""
SWALLOWED = """
try:
    schema_editor.execute("ALTER TABLE a SET SCHEMA adm")
except ProgrammingError:
    pass
"""


def test_a_vendor_check_is_a_return_whose_condition_holds_on_postgresql() -> None:
    guard = one(VENDOR)
    assert (guard.kind, guard.otherwise, guard.negated) == ("return", "none", False)
    assert guard.condition == "schema_editor.connection.vendor == 'postgresql'"
    assert guard.sql == "(('postgresql' IN ('postgresql')) IS NOT TRUE) IS NOT TRUE"
    assert guard.guarded == ("ALTER TABLE a SET SCHEMA adm",)
    assert [effect.result for effect in guard.effects] == [Name("adm", "a")]
    assert (guard.migration, guard.operation, guard.line) == ("app.0001", 2, 3)


def test_a_missing_table_is_a_return_that_tests_a_relation() -> None:
    guard = one(MISSING)
    assert (guard.kind, guard.relations, guard.negated) == ("return", (Name(None, "plain"),), False)
    assert guard.condition == "'plain' in schema_editor.connection.introspection.table_names()"
    assert guard.sql is not None
    assert "pg_table_is_visible" in guard.sql


def test_a_fetched_row_asks_the_query_before_it() -> None:
    guard = one(FETCHED)
    assert (guard.kind, guard.relations, guard.negated) == ("return", (Name("public", "x"),), False)
    assert guard.sql is not None
    assert "EXISTS (SELECT 1 FROM information_schema.tables" in guard.sql
    assert guard.effects[0].result == Name("adm", "x")


def test_a_row_kept_in_a_variable_is_followed() -> None:
    guard = one(FETCHED.replace("if not c.fetchone():", "row = c.fetchone()\n    if row is None:"))
    assert guard.relations == (Name("public", "x"),)
    assert guard.negated is False


def test_a_positive_condition_is_an_if() -> None:
    guard = one(
        'if "t" in connection.introspection.table_names():\n    schema_editor.execute("DROP TABLE t")'
    )
    assert (guard.kind, guard.otherwise, guard.relations) == ("if", "none", (Name(None, "t"),))


def test_a_condition_that_makes_what_is_absent_is_negated() -> None:
    guard = one(
        'if "t" not in connection.introspection.table_names():\n    schema_editor.execute("CREATE TABLE t ()")'
    )
    assert guard.negated is True


def test_an_else_that_raises_is_seen() -> None:
    guard = one(
        'if connection.vendor == "postgresql":\n    schema_editor.execute("DROP TABLE t")\n'
        'else:\n    raise RuntimeError("no")'
    )
    assert guard.otherwise == "raise"


def test_a_return_that_speaks_is_a_notice() -> None:
    assert one(VENDOR.replace("    return\n", "    print('skipped')\n    return\n", 1)).otherwise == "notice"
    assert (
        one(VENDOR.replace("    return\n", "    logger.warning('x')\n    return\n", 1)).otherwise == "warning"
    )


def test_a_swallowed_error_names_what_it_eats() -> None:
    guard = one(SWALLOWED)
    assert (guard.kind, guard.swallows, guard.otherwise) == ("exception", ("ProgrammingError",), "none")
    assert guard.guarded == ("ALTER TABLE a SET SCHEMA adm",)


def test_a_bare_except_swallows_everything() -> None:
    assert one(SWALLOWED.replace("except ProgrammingError", "except")).swallows == ("BaseException",)


def test_a_broad_except_without_sql_is_still_one() -> None:
    assert one("try:\n    work()\nexcept Exception:\n    pass").guarded == ("work()",)


def test_a_loop_over_constants_is_unrolled() -> None:
    body = """
    for name in TABLES:
        if name in connection.introspection.table_names():
            schema_editor.execute(f"ALTER TABLE public.{name} SET SCHEMA adm")
    """
    found, unread = read(body, 'TABLES = ["a", "b"]\n')
    assert unread == ()
    assert [guard.relations for guard in found] == [(Name(None, "a"),), (Name(None, "b"),)]
    assert [guard.effects[0].result for guard in found] == [Name("adm", "a"), Name("adm", "b")]


def test_embedded_sql_brings_its_own_guards() -> None:
    sql = "DO $$ BEGIN IF to_regclass('a.b') IS NOT NULL THEN DROP TABLE a.b; END IF; END $$"
    found, unread = read(f"cursor.execute({sql!r})")
    assert unread == ()
    assert found == plpgsql.guards(sql, migration="app.0001", operation=2)[0]


@pytest.mark.parametrize(
    "expression",
    [
        "'ALTER TABLE a ' + 'SET SCHEMA b'",
        "'ALTER TABLE %s SET SCHEMA b' % 'a'",
        "'ALTER TABLE %s SET SCHEMA %s' % ('a', 'b')",
        "'ALTER TABLE {} SET SCHEMA {s}'.format('a', s='b')",
        "' '.join(['ALTER TABLE a', 'SET SCHEMA b'])",
        "f'ALTER TABLE {t} SET SCHEMA b'",
        "T.strip()",
    ],
)
def test_sql_is_folded(expression: str) -> None:
    body = f"t = 'a'\nif connection.vendor == 'postgresql':\n    cursor.execute({expression})"
    guard = one(body, "T = ' ALTER TABLE a SET SCHEMA b '\n")
    assert guard.guarded == ("ALTER TABLE a SET SCHEMA b",)


@pytest.mark.parametrize(
    "call",
    [
        "cursor.execute(f'ALTER TABLE {unknown} SET SCHEMA b')",
        "cursor.execute(unknown)",
        "cursor.execute('SELECT %s', [unknown])",
        "cursor.execute('SELECT %1000000000s' % 'x')",
        "cursor.execute('{:1000000000}'.format('x'))",
        "cursor.execute(*arguments)",
        "cursor.execute()",
        "cursor.execute('SELECT 1', [1], 2)",
        "cursor.execute('SELEC 1')",
        "cursor.execute('SELECT \\0')",
    ],
)
def test_sql_nobody_can_know_is_unread(call: str) -> None:
    found, unread = read(call)
    assert found == ()
    assert len(unread) == 1
    assert "app.0001" in unread[0].reason


@pytest.mark.parametrize(
    "body",
    [
        "Thing = apps.get_model('a', 'Thing')\nif not Thing.objects.exists():\n    return\nThing.objects.update(x=1)",
        "try:\n    thing = Thing.objects.get()\nexcept Thing.DoesNotExist:\n    return",
        "for thing in Thing.objects.all():\n    if thing.x:\n        continue\n    thing.save()",
        "if connection.vendor != 'postgresql':\n    return\nThing.objects.update(x=1)",
        SWALLOWED.replace("pass", "raise"),
        SWALLOWED.replace("pass", "raise RuntimeError() from None"),
        VENDOR.replace("return", "raise RuntimeError()"),
        "def inner():\n    cursor.execute('DROP TABLE x')",
        "cursor.execute('SELECT 1')",
        "pass",
    ],
)
def test_innocent_code_has_no_guard(body: str) -> None:
    assert read(body) == ((), ())


def test_a_text_without_a_function_or_with_a_syntax_error() -> None:
    assert python_guards("x = 1", migration="m") == ((), ())
    assert python_guards("", migration="m") == ((), ())
    found, unread = python_guards("def (", migration="m")
    assert found == ()
    assert "cannot be read" in unread[0].reason
    assert python_guards("def f():\n  x = 1\0", migration="m")[1]


_TEXTS = [VENDOR, MISSING, FETCHED, SWALLOWED]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(_TEXTS),
    st.integers(0, 300),
    st.integers(0, 40),
    st.text("()'\"%{}:\n =.\\xif", max_size=4),
)
def test_mutated_source_never_raises(text: str, at: int, cut: int, put: str) -> None:
    found, unread = read(text[:at] + put + text[at + cut :])
    assert isinstance(found, tuple)
    assert all(each.reason for each in unread)


# ------------------------------------------------------------------ what real migrations do


@pytest.mark.parametrize(
    "body",
    [
        'if schema_editor.connection.vendor == "sqlite":\n    schema_editor.execute("PRAGMA legacy_alter_table = OFF")',
        'if connection.vendor in ("mysql", "oracle"):\n    schema_editor.execute("ALTER TABLE a RENAME TO b")',
        'if connection.vendor == "mysql":\n    schema_editor.execute("ALTER TABLE IF EXISTS a RENAME TO b")',
        'if connection.vendor == "postgresql":\n    return\nschema_editor.execute("ALTER TABLE a ENGINE = InnoDB")',
        'if not connection.vendor == "mysql":\n    pass\nelse:\n    schema_editor.execute("ALTER TABLE a ENGINE = x")',
    ],
)
def test_what_is_for_another_engine_is_neither_read_nor_judged(body: str) -> None:
    assert read(body) == ((), ())


def test_the_branch_for_postgresql_is_read() -> None:
    guard = one(
        'if vendor_of.vendor == "mysql":\n    schema_editor.execute("ALTER TABLE a ENGINE = x")\n'
        'elif "t" in connection.introspection.table_names():\n    schema_editor.execute("DROP TABLE t")'
    )
    assert (guard.kind, guard.relations) == ("if", (Name(None, "t"),))


def test_a_schema_editor_is_always_there() -> None:
    guard = one(
        'if schema_editor is not None and schema_editor.connection.vendor == "postgresql":\n'
        '    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")'
    )
    assert guard.sql == "(TRUE) AND ('postgresql' IN ('postgresql'))"


@pytest.mark.parametrize(
    "sql",
    [
        "f'ALTER TABLE {table} ALTER COLUMN path TYPE VARCHAR(255) COLLATE \"C\"'",
        "f'CREATE INDEX {table}_path ON {table} (path)'",
        "'ALTER TABLE ' + table + ' ADD COLUMN c int'",
        "'ALTER TABLE %s ADD COLUMN %s int' % (table, column)",
        "'ALTER TABLE %(table)s ADD COLUMN c int' % names",
        "'ALTER TABLE {} ADD COLUMN {column} int'.format(table, column=column)",
        "'UPDATE ' + table + ' SET a = %s', [value]",
    ],
)
def test_a_plain_statement_on_a_table_known_at_run_time_blocks_nothing(sql: str) -> None:
    found, (row,) = read(f"schema_editor.execute({sql})")
    assert found == ()
    assert "only known at run time" in row.reason
    assert not row.blocking


@pytest.mark.parametrize(
    "sql",
    [
        "text",
        "load(path)",
        "f'ALTER TABLE IF EXISTS {table} SET SCHEMA adm'",
        "f'CREATE TABLE IF NOT EXISTS {table} (id int)'",
        "f'DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_tables WHERE tablename = {table}) THEN DROP TABLE x; END IF; END $$'",
        "f'DO $$ BEGIN EXECUTE {text}; END $$'",
        "f'{verb} TABLE a SET SCHEMA adm'",
        "'ALTER TABLE %-10s ADD COLUMN c int' % table",
    ],
)
def test_a_text_that_may_hold_a_guard_still_blocks(sql: str) -> None:
    _, (row,) = read(f"schema_editor.execute({sql})")
    assert row.blocking
