"""Repair options: what they hold, and what they refuse. That they work is proved in test_rehearsal.py."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from rcakit import remedy
from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.facts import Model
from rcakit.names import Name
from rcakit.parsing import pgparse
from rcakit.remedy import migration, patch
from rcakit.remedy.bodies import rewritten
from rcakit.remedy.carried import without
from rcakit.remedy.parts import EXCLUSIVE, Move, Statement, script
from rcakit.target import load

MOVE = Move(
    1,
    Model("app", "Location", "adm.locations", True, None),
    Name("public", "adm.locations"),
    Name("adm", "locations"),
)


@pytest.fixture(scope="module")
def move(demo_case: Case) -> remedy.Repair:
    return next(repair for repair in remedy.options(demo_case) if repair.option == "A")


def test_a_move_takes_every_table_and_every_name_along(move: remedy.Repair) -> None:
    assert len(move.moves) == 7
    assert all(each.new == Name("adm", each.old.name.removeprefix("adm.")) for each in move.moves)
    renamed = {each.old for each in move.renames}
    assert {
        "adm.venues_id_seq",
        "adm.venues_pkey",
        "tutorial_events_venue_id_f61afffc_fk_adm.venues_id",
    } <= renamed
    assert not [each for each in move.renames if "adm." in each.new]
    assert move.residue == ()


def test_every_statement_parses_and_names_its_lock(move: remedy.Repair) -> None:
    for statement in (*move.statements, *move.reverse):
        assert len(pgparse.parse(statement.sql)) == 1
        assert statement.lock in (
            "ACCESS EXCLUSIVE",
            "SHARE UPDATE EXCLUSIVE",
            "ACCESS SHARE",
            "none on tables",
        )
    assert move.statements[0].sql == "SET LOCAL lock_timeout = '5s'"
    assert 'GRANT USAGE ON SCHEMA "adm" TO "acted_app"' in [each.sql for each in move.statements]


def test_the_migration_is_new_and_stands_alone(move: remedy.Repair, demo_case: Case) -> None:
    (label,) = move.migrations
    path = "administrate/migrations/0005_move_tables_to_adm.py"
    assert label == "administrate.0005_move_tables_to_adm"
    assert not (demo_case.project / path).exists()
    tree = ast.parse(move.changed[path])
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"django.db"}
    assert "rcakit" not in move.changed[path]


def test_the_patch_applies_and_changes_only_the_names(
    move: remedy.Repair, demo_case: Case, tmp_path: Path
) -> None:
    models = demo_case.project / "administrate/models.py"
    (tmp_path / "administrate").mkdir()
    (tmp_path / "administrate/models.py").write_bytes(models.read_bytes())
    patch = next(each.text for each in move.files if each.path == "models.patch")
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True, text=True)
    assert (tmp_path / "administrate/models.py").read_text() == move.changed["administrate/models.py"]
    changed = [line for line in patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert len(changed) == 14
    assert all("db_table" in line for line in changed)


def test_dependants_are_listed_with_what_becomes_of_them(move: remedy.Repair) -> None:
    listed = "\n".join(move.dependants)
    assert "view public.venue_directory: bound by OID" in listed
    assert "function public.seats_at(text): names the table in its text, rewritten" in listed
    assert "ops/20260205_reporting.sql:13 names adm.locations" in listed


def test_sql_of_the_application_is_listed_with_path_and_line(tmp_path: Path) -> None:
    (tmp_path / "crontab").write_text("MAILTO=ops\n@daily psql -c 'VACUUM \"adm.locations\"'\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "queries.py").write_text('COUNT = """\nSELECT count(*) FROM "adm.locations"\n"""\n')
    (tmp_path / "app" / "blob").write_bytes(b"\xff\xfeadm.locations")
    assert list(map(str, patch.mentions(tmp_path, [MOVE], []))) == [
        "crontab:2 names adm.locations",
        "app/queries.py:2 names adm.locations",
    ]


def test_files_are_written_once(move: remedy.Repair, tmp_path: Path) -> None:
    written = remedy.write(move, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [each.path for each in move.files]
    remedy.write(move, tmp_path)
    (tmp_path / "repair.sql").write_text("-- mine")
    with pytest.raises(Refused, match="exists already"):
        remedy.write(move, tmp_path)


def test_a_healthy_case_has_nothing_to_repair(healthy_case: Case) -> None:
    with pytest.raises(Refused, match="no misplaced table"):
        remedy.options(healthy_case)


def test_keeping_changes_expectations_and_no_table(demo_case: Case, tmp_path: Path) -> None:
    keep = next(repair for repair in remedy.options(demo_case) if repair.option == "B")
    assert keep.statements == ()
    assert set(keep.expected) == {"public"}
    assert "adm.venues" in keep.expected["public"]
    assert {waiver.code for waiver in keep.waivers} == {"RK101", "RK102", "RK201", "RK202", "RK301"}
    added = next(each.text for each in keep.files if each.path == "rcakit.toml.add")
    settings = (demo_case.target.root / "rcakit.toml").read_text()
    (tmp_path / "rcakit.toml").write_text(settings + added)
    target = load(tmp_path / "rcakit.toml")
    assert target.waivers == keep.waivers
    assert dict(target.expected_schemas) == dict(keep.expected)


def test_a_bridge_comes_in_two_steps(demo_case: Case) -> None:
    bridge = next(repair for repair in remedy.options(demo_case) if repair.option == "C")
    views = [each.sql for each in bridge.statements if each.sql.startswith("CREATE VIEW")]
    assert len(views) == 7
    assert (
        'CREATE VIEW "public"."adm.venues" WITH (security_invoker = true) AS SELECT * FROM "adm"."venues"'
        in views
    )
    assert 'GRANT DELETE, INSERT, SELECT, UPDATE ON "public"."adm.venues" TO "acted_app"' in [
        each.sql for each in bridge.statements
    ]
    assert list(bridge.later) == ["administrate/migrations/0006_remove_old_names.py"]
    assert not set(bridge.later) & set(bridge.changed)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("adm.venues_pkey", "venues_pkey"),
        ("adm.venues_location_id_2550_fk_adm.locations_id", "venues_location_id_2550_fk_locations_id"),
        ("events_venue_id_f61a_fk_adm.venues_id", "events_venue_id_f61a_fk_venues_id"),
        ("one_price_per_level", "one_price_per_level"),
        ("badm.venues", "badm.venues"),
    ],
)
def test_a_name_without_the_schema(old: str, new: str) -> None:
    assert without(old, ["adm."]) == new


# ------------------------------------------------------------------ function bodies


def body(source: str, language: str = "sql") -> remedy.Body:
    definition = f"CREATE OR REPLACE FUNCTION public.f()\n RETURNS bigint\n LANGUAGE {language}\nAS $function${source}$function$\n"
    return rewritten("public.f()", definition, source, language, [MOVE])


@pytest.mark.parametrize(
    ("source", "new"),
    [
        ('SELECT count(*) FROM "adm.locations"', 'SELECT count(*) FROM "adm"."locations"'),
        ('SELECT count(*) FROM public."adm.locations" l', 'SELECT count(*) FROM "adm"."locations" l'),
        (
            'SELECT max("adm.locations".id) FROM "adm.locations"',
            'SELECT max("adm"."locations".id) FROM "adm"."locations"',
        ),
    ],
)
def test_a_body_is_rewritten_where_it_is_certain(source: str, new: str) -> None:
    assert body(source).new_source == new
    assert new in body(source).after


@pytest.mark.parametrize(
    ("source", "language", "why"),
    [
        ("SELECT count(*) FROM pg_class WHERE relname = 'adm.locations'", "sql", "string or a comment"),
        ("BEGIN EXECUTE 'SELECT 1 FROM \"adm.locations\"'; RETURN 1; END", "plpgsql", "string or a comment"),
        ('SELECT 1 AS "adm.locations"', "sql", "could not be parsed"),
        ('SELECT count(*) FROM other."adm.locations"', "sql", "could not be parsed"),
        ("plpy.execute('select from \"adm.locations\"')", "plpython3u", "language"),
    ],
)
def test_a_body_that_is_not_certain_is_left_and_named(source: str, language: str, why: str) -> None:
    left = body(source, language)
    assert left.after == ""
    assert why in left.why


# ------------------------------------------------------------------ hostile names


def test_a_name_cannot_end_a_docstring_or_a_comment() -> None:
    name = 'x""' + '"\nimport os\\'
    assert '"' not in migration.plain(name)
    assert "\n" not in migration.plain(name)
    assert not migration.plain(name).endswith("\\")
    said = script((Statement("SELECT 1", EXCLUSIVE, "a\nDROP TABLE t\r--"),))
    assert len(pgparse.parse(said)) == 3
