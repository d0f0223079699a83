"""Every spelling of a name, against the two that decide: a live PostgreSQL, and the Django that is installed."""

from __future__ import annotations

import json
import string
import subprocess
import sys

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import strip_quotes, truncate_name
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from rcakit import names
from rcakit.names import Name, spelling

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
"""Every code point PostgreSQL allows in UTF8."""

IDENTIFIER = TEXT.filter(lambda text: 0 < len(text.encode()) <= names.MAX_BYTES)

PIECES = st.lists(
    st.sampled_from(
        [
            '"',
            '""',
            ".",
            '"."',
            " ",
            "\n",
            "\u00a0",
            "a",
            "adm",
            "Ärger",
            "x" * 62,
            "é" * 31,
            "-",
            "$",
            "select",
            "7",
        ]
    ),
    max_size=6,
).map("".join)
"""Texts made of what makes a difference to a scanner."""

DB_TABLE = st.one_of(PIECES, TEXT)

live = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def scratchpad(connection: psycopg.Connection) -> psycopg.Connection:
    """One transaction that every example rolls back."""
    connection.execute("create schema adm")
    return connection


def quietly(connection: psycopg.Connection, statement: str) -> str | None:
    """Run it inside the open transaction; the SQLSTATE when PostgreSQL refuses."""
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate or "?"
    return None


# ------------------------------------------------------------------ quoting and parsing


@given(st.lists(IDENTIFIER, min_size=1, max_size=3))
def test_what_is_quoted_is_read_back(parts: list[str]) -> None:
    assert names.parse(".".join(map(names.quote, parts))) == tuple(parts)


@given(st.lists(IDENTIFIER, min_size=1, max_size=3))
def test_what_is_displayed_is_read_back(parts: list[str]) -> None:
    assert names.parse(".".join(map(names.display, parts))) == tuple(parts)


def test_every_single_code_point_is_read_back() -> None:
    for code in range(1, 0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            char = chr(code)
            assert {names.parse(text) for text in {names.quote(char), names.display(char)}} == {(char,)}


@pytest.mark.parametrize("text", ["", "\0", "a\0b"])
def test_no_identifier_no_quotes(text: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        names.quote(text)


@given(DB_TABLE)
def test_parse_gives_names_or_a_value_error(text: str) -> None:
    try:
        parts = names.parse(text)
    except ValueError:
        return
    assert parts
    assert all(part and len(part.encode()) <= names.MAX_BYTES for part in parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("CourseTemplates", ("coursetemplates",)),
        ('"CourseTemplates"', ("CourseTemplates",)),
        ("ADM.Venues", ("adm", "venues")),
        ('"adm.venues"', ("adm.venues",)),
        ('adm . "Ve""nues"', ("adm", 'Ve"nues')),
        ("_a$1", ("_a$1",)),
        ("ÄRGER", ("Ärger",)),
        ("\u00a0x", ("\u00a0x",)),
        (" \t\r\n\fx ", ("x",)),
        ("a.b.c", ("a", "b", "c")),
        ("x" * 70, ("x" * 63,)),
        ('"' + "é" * 40 + '"', ("é" * 31,)),
    ],
)
def test_the_names_postgresql_reads(text: str, parts: tuple[str, ...]) -> None:
    assert names.parse(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a b", '""', '"a', 'a"b"', '"a"b', "1a", "$a", "a-b", "a..b", '"\0"', "\ud800"],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        names.parse(text)


@live
@given(IDENTIFIER)
@example("user")
@example("order")
@example("name")
@example("json_table")
def test_postgresql_quotes_the_same_way(scratchpad: psycopg.Connection, text: str) -> None:
    row = scratchpad.execute(
        "select quote_ident(%s), format('%%I.%%I', %s::text, 'x')", [text, text]
    ).fetchone()
    assert row is not None
    if scratchpad.info.server_version >= 180000:
        assert (names.display(text), str(Name(text, "x"))) == row
    assert names.parse(row[0]) == (text,)
    assert names.parse(row[1]) == (text, "x")


def test_every_keyword_of_the_server_is_displayed_in_quotes(connection: psycopg.Connection) -> None:
    words = [
        word for (word,) in connection.execute("select word from pg_get_keywords() where catcode <> 'U'")
    ]
    assert "user" in words
    assert [word for word in words if names.display(word) != f'"{word}"'] == []
    harmless = [
        word for (word,) in connection.execute("select word from pg_get_keywords() where catcode = 'U'")
    ]
    if connection.info.server_version >= 180000:
        assert [word for word in harmless if names.display(word) != word] == []


@live
@given(IDENTIFIER, IDENTIFIER)
def test_a_quoted_name_creates_exactly_that_relation(
    scratchpad: psycopg.Connection, schema: str, name: str
) -> None:
    assume(not schema.startswith("pg_"))
    with scratchpad.transaction(force_rollback=True):
        scratchpad.execute(sql.SQL("create schema {}").format(sql.SQL(names.quote(schema))))
        scratchpad.execute(f"create table {Name(schema, name).sql} (id int)".encode())
        found = scratchpad.execute(
            "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.oid = (select max(attrelid) from pg_attribute where attname = 'id' and attnum = 1)"
        ).fetchone()
    assert found == (schema, name)


@live
@given(TEXT)
@example("back\\slash ' quote")
def test_a_literal_comes_back_whole(scratchpad: psycopg.Connection, text: str) -> None:
    for setting in ("on", "off"):
        scratchpad.execute(
            f"set standard_conforming_strings = {setting}; set escape_string_warning = off".encode()
        )
        assert scratchpad.execute(f"select{names.literal(text)}::text".encode()).fetchone() == (text,)
    scratchpad.execute("set standard_conforming_strings = on")


def test_no_literal_holds_a_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        names.literal("\0")


@live
@given(st.text(st.sampled_from("aé表🦆"), min_size=1, max_size=70))
def test_names_are_cut_where_postgresql_cuts_them(scratchpad: psycopg.Connection, text: str) -> None:
    row = scratchpad.execute("select %s::name::text", [text]).fetchone()
    assert row == (names.clip(text),)


# ------------------------------------------------------------------ search_path


@pytest.mark.parametrize(
    ("setting", "schemas"),
    [
        ("", ()),
        ("public", ("public",)),
        ('"$user", public', ("$user", "public")),
        ("$user,PUBLIC", ("$user", "public")),
        (' "A ""b"""\t, my-schema ', ('A "b"', "my-schema")),
        ('"a,b",c', ("a,b", "c")),
    ],
)
def test_search_paths(setting: str, schemas: tuple[str, ...]) -> None:
    assert names.search_path(setting) == schemas


@pytest.mark.parametrize("setting", [",", "a,", "a,,b", '"a', "a b", '"a"b'])
def test_what_is_no_search_path(connection: psycopg.Connection, setting: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        names.search_path(setting)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("select set_config('search_path', %s, false)", [setting])


@live
@given(
    st.lists(st.sampled_from(["adm", "Adm", "my-x", '"Q"', '"a,b"', '"c""d"', "$user", "$", "é"]), max_size=4)
)
def test_a_search_path_leads_where_postgresql_goes(scratchpad: psycopg.Connection, parts: list[str]) -> None:
    with scratchpad.transaction(force_rollback=True):
        for schema in ("my-x", "Q", "a,b", 'c"d', "postgres", "$", "é"):
            scratchpad.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        scratchpad.execute("select set_config('search_path', %s, true)", [", ".join(parts)])
        row = scratchpad.execute("select current_schemas(false)").fetchone()
        assert row is not None
        ours = ["postgres" if part == "$user" else part for part in names.search_path(", ".join(parts))]
        assert list(dict.fromkeys(row[0])) == list(dict.fromkeys(ours))


# ------------------------------------------------------------------ Django's side

quote_name = DatabaseWrapper({}).ops.quote_name


@given(DB_TABLE)
@example('"')
@example("")
def test_django_quotes_the_same_way(db_table: str) -> None:
    assert names.django_quote(db_table) == quote_name(db_table)


@given(DB_TABLE, st.text(string.ascii_lowercase + "_", min_size=1, max_size=70))
@example('"adm"."venues"', "tags")
@example('adm"."venues', "t" * 70)
@example('"' + "x" * 70 + '"', "tags")
@example('a"."b"."c', "t" * 70)
@example('"', "tags")
def test_django_derives_the_same_many_to_many_name(db_table: str, field: str) -> None:
    expected = truncate_name(f"{strip_quotes(db_table)}_{field}", DatabaseWrapper({}).ops.max_name_length())
    assert names.django_m2m_table(db_table, field) == expected


MODELS = """
import json, sys, django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "unused"}})
django.setup()
from django.db import models
for number, db_table in enumerate(json.loads(sys.argv[1])):
    meta = type("Meta", (), {"db_table": db_table, "app_label": "tests"})
    body = {"__module__": "tests", "Meta": meta, "tags": models.ManyToManyField("self")}
    print(json.dumps(type(f"Model{number}", (models.Model,), body)._meta.get_field("tags").m2m_db_table()))
"""


def test_the_models_own_many_to_many_tables() -> None:
    """In an interpreter of its own: Django's settings belong to the whole process."""
    tables = [
        "plain",
        "adm.venues",
        '"adm"."venues"',
        'adm"."venues',
        '"Venues"',
        "x" * 70,
        '"a"."' + "x" * 70 + '"',
    ]
    command = [sys.executable, "-c", MODELS, json.dumps(tables)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    derived = [json.loads(line) for line in done.stdout.splitlines()]
    assert derived == [names.django_m2m_table(table, "tags") for table in tables]


# ------------------------------------------------------------------ spellings


@pytest.mark.parametrize(
    ("db_table", "kind", "relation", "meant"),
    [
        ("course_templates", "plain", Name(None, "course_templates"), None),
        ("CourseTemplates", "plain", Name(None, "CourseTemplates"), None),
        ("adm.venues", "literal-dot", Name(None, "adm.venues"), Name("adm", "venues")),
        ("adm.a.b", "literal-dot", Name(None, "adm.a.b"), Name("adm", "a.b")),
        ('"adm.venues"', "literal-dot", Name(None, "adm.venues"), Name("adm", "venues")),
        ('"acted"."tutorial_events"', "qualified", Name("acted", "tutorial_events"), None),
        ('"acted" . "tutorial_events"', "qualified", Name("acted", "tutorial_events"), None),
        ('"acted"\n."t"', "qualified", Name("acted", "t"), None),
        ('acted"."tutorial_events', "half-qualified", Name("acted", "tutorial_events"), None),
        ('"a.b"."c.d"', "qualified", Name("a.b", "c.d"), None),
        ('"Venues"', "quoted", Name(None, "Venues"), None),
        ('"Ve""nues"', "quoted", Name(None, 'Ve"nues'), None),
        ('Ve""nues', "plain", Name(None, 'Ve"nues'), None),
        (".x", "plain", Name(None, ".x"), None),
        ("x.", "plain", Name(None, "x."), None),
        ('acted."t"', "invalid", None, Name(None, 'acted."t"')),
        ('"acted".t', "invalid", None, Name(None, '"acted".t')),
        ('a"b', "invalid", None, Name(None, 'a"b')),
        ('"a"."b"."c"', "invalid", None, Name(None, '"a"."b"."c"')),
        ("", "invalid", None, Name(None, "")),
        ("a\0b", "invalid", None, Name(None, "a\0b")),
        ("\ud800", "invalid", None, Name(None, "\ud800")),
    ],
)
def test_spellings(db_table: str, kind: str, relation: Name | None, meant: Name | None) -> None:
    found = spelling(db_table)
    assert (found.kind, found.relation, found.meant) == (kind, relation, meant or relation)
    assert not found.truncated


@pytest.mark.parametrize(
    ("db_table", "name", "truncated"),
    [
        ("x" * 63, "x" * 63, False),
        ("x" * 64, "x" * 63, True),
        ("é" * 31, "é" * 31, False),
        ("é" * 32, "é" * 31, True),
        ('"adm"."' + "x" * 64 + '"', "x" * 63, True),
        ('"' + "s" * 64 + '"."t"', "t", True),
        ('""' * 40, '"' * 39, False),
        ("a" + '""' * 62, "a" + '"' * 62, False),
    ],
)
def test_what_is_cut_is_said(db_table: str, name: str, truncated: bool) -> None:
    found = spelling(db_table)
    assert found.relation is not None
    assert (found.relation.name, found.truncated) == (name, truncated)


@given(DB_TABLE)
def test_a_spelling_is_never_refused(db_table: str) -> None:
    found = spelling(db_table)
    assert found.emitted == quote_name(db_table)
    assert (found.relation is None) == (found.kind == "invalid")


@live
@given(DB_TABLE)
@example('"adm"."venues"')
@example('adm"."venues')
@example("adm.venues")
@example('"adm" ."x"')
@example("x" * 70)
@example("é" * 40)
@example('"a" -- "')
@example('"a" /* " */ "')
@example('"a"."b"."c"')
def test_the_table_lands_where_the_spelling_says(scratchpad: psycopg.Connection, db_table: str) -> None:
    """The whole chain: Django's text after CREATE TABLE, and where PostgreSQL puts the table."""
    found = spelling(db_table)
    with scratchpad.transaction(force_rollback=True):
        schema = found.relation.schema if found.relation else None
        if schema is not None and not schema.startswith("pg_"):
            scratchpad.execute(f"create schema if not exists {names.quote(schema)}".encode())
        refused = quietly(scratchpad, f"CREATE TABLE {found.emitted} (rcakit_probe int)")
        landed = scratchpad.execute(
            "select n.nspname, c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid"
            " join pg_namespace n on n.oid = c.relnamespace where a.attname = 'rcakit_probe'"
        ).fetchall()
    if found.relation is None:
        assert refused in {"42601", "42602", "0A000", "3D000"}, "PostgreSQL takes what is said to be no name"
    else:
        assert refused is None
        assert landed == [(found.relation.schema or "public", found.relation.name)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 🦆", "plain é 🦆"),
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
    ],
)
def test_foreign_text_is_made_visible(text: str, shown: str) -> None:
    assert names.visible(text) == shown
