"""The gate in real projects on a real PostgreSQL: the command and the system checks, on several Djangos."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from rcakit import scratch
from tests.commands import ROOT
from tests.gate_projects import COMMAND, DJANGOS, Project, model, project


def rows(document: Any) -> dict[str, tuple[str, str | None]]:
    return {each["table"]: (each["verdict"], each["found"]) for each in document["tables"]}


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize("django", DJANGOS)
def test_tables_where_their_names_lead_them_and_where_they_do_not(
    django: str, tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    models = model("Good", '"adm"."goods"') + model("Half", 'adm"."halves') + model("Dotted", "adm.venues")
    models += model("Plain", "plain") + model("Gone", "gone")
    shop = project(tmp_path, conninfo, models, django=django)
    connection.execute(
        'CREATE SCHEMA adm; CREATE TABLE adm.goods (); CREATE TABLE adm.halves (); CREATE TABLE "adm.venues" ();'
        "CREATE TABLE plain ()"
    )
    code, document = shop.verify()
    assert (code, document["status"]) == (1, "misplaced")
    assert rows(document) == {
        "goods": ("ok", "adm.goods"),
        "halves": ("ok", "adm.halves"),
        "venues": ("misplaced", 'public."adm.venues"'),
        "plain": ("ok", "public.plain"),
        "gone": ("missing", None),
    }
    assert next(each for each in document["tables"] if each["table"] == "venues")["expected_schema"] == "adm"
    connection.execute('DROP TABLE "adm.venues"; CREATE TABLE adm.venues (); CREATE TABLE gone ()')
    code, document = shop.verify()
    assert code == 1
    assert rows(document)["venues"] == ("misplaced", None)  # the model does not reach the one that is right


@pytest.mark.parametrize(("twin", "code"), [("incident", 1), ("healthy", 0)])
def test_red_on_the_demo_incident_and_green_on_its_healthy_twin(
    twin: str, code: int, demo_dir: Path, healthy_dir: Path, tmp_path: Path
) -> None:
    directory = demo_dir if twin == "incident" else healthy_dir
    installed = "from config.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'rcakit.gate']\n"
    (tmp_path / "gated.py").write_text(installed, encoding="utf-8")
    to = conninfo_to_dict(os.environ[f"RCAKIT_TEST_{twin.upper()}"])
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "gated",
        **{f"DB_{key}": str(to.get(key.lower(), "")) for key in ("HOST", "PORT", "USER")},
        "DB_NAME": str(to["dbname"]),
    }
    gated = Project(directory / "project", sys.executable, env)
    found, document = gated.verify()
    assert found == code
    wrong = [each for each in document["tables"] if each["verdict"] != "ok"]
    assert len(wrong) == (7 if code else 0)
    assert all(each["expected_schema"] == "adm" and '"adm.' in each["found"] for each in wrong)
    checked = gated.manage("check")
    assert checked.code == code
    assert checked.err.count("rcakit.E001") == (7 if code else 0)


def test_the_settings_say_where_tables_belong(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    settings = 'RCAKIT_GATE = {"EXPECTED": {"adm": ["venues", "extra"], "public": ["old.kept"]}}\n'
    models = model("Venue", "venues") + model("Kept", "old.kept")
    shop = project(tmp_path, conninfo, models, settings=settings)
    connection.execute(
        'CREATE SCHEMA adm; CREATE SCHEMA old; CREATE TABLE venues (); CREATE TABLE "old.kept" ()'
    )
    code, document = shop.verify()
    assert code == 1
    assert rows(document) == {
        "venues": ("misplaced", "public.venues"),
        "old.kept": ("ok", 'public."old.kept"'),
        "extra": ("missing", None),
    }
    assert shop.manage("check").code == 0  # a literal name that was decided on is left alone
    connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET search_path = adm, public')
    connection.execute("ALTER TABLE venues SET SCHEMA adm; CREATE TABLE adm.extra ()")
    assert shop.verify()[0] == 0


def test_two_sayings_about_one_table_accuse_nobody(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    settings = 'RCAKIT_GATE = {"EXPECTED": {"adm": ["venues"], "old": ["venues"]}}\n'
    shop = project(tmp_path, conninfo, model("Venue", "venues"), settings=settings)
    connection.execute("CREATE TABLE venues ()")
    code, document = shop.verify()
    assert (code, rows(document)) == (0, {"venues": ("ok", "public.venues")})


def test_a_role_that_may_enter_no_schema_sees_all_the_same(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    """For it the tables of the SQL standard's views are empty, and nothing of schema adm is visible."""
    role = f"nobody_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {role}; CREATE SCHEMA adm; CREATE TABLE adm.goods ()")
    try:
        settings = f'POSTGRESQL["OPTIONS"] = {{"options": "-c role={role}"}}\n'
        shop = project(tmp_path, conninfo, model("Good", '"adm"."goods"'), settings=settings)
        assert shop.verify()[0] == 0
    finally:
        connection.execute(f"DROP ROLE {role}")


def test_the_configuration_file_says_it_too(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    shop = project(tmp_path / "project", conninfo, model("Venue", "venues"))
    (tmp_path / "rcakit.toml").write_text('[expected_schemas]\nadm = ["venues"]\n', encoding="utf-8")
    connection.execute("CREATE TABLE venues ()")
    code, document = shop.verify()
    assert code == 1
    assert document["tables"][0]["expected_by"] == "[expected_schemas] of rcakit.toml"
    (tmp_path / "rcakit.toml").write_text("[expected_schemas]\nadm = 7\n", encoding="utf-8")
    done = shop.manage(COMMAND)
    assert done.code == 2
    assert "must name lists of tables by schema" in done.err


def test_an_old_interpreter_says_that_it_cannot_read_the_file(tmp_path: Path, conninfo: str) -> None:
    shop = project(tmp_path, conninfo, model("Venue", "venues"), django="py38-django32")
    (tmp_path / "rcakit.toml").touch()
    code, document = shop.verify()
    assert (code, document["status"]) == (2, "could-not-check")
    assert "TOML needs Python 3.11" in document["unread"][0]["reason"]


def test_other_engines_are_reported_as_not_checked(tmp_path: Path, conninfo: str) -> None:
    shop = project(tmp_path, conninfo, model("Venue", "venues"), settings='DATABASES = {"default": SQLITE}\n')
    code, document = shop.verify()
    assert (code, document["status"], document["tables"]) == (2, "could-not-check", [])
    assert "engine is sqlite" in document["unread"][0]["reason"]


def test_a_server_that_does_not_answer_is_not_a_clean_one(tmp_path: Path, conninfo: str) -> None:
    shop = project(tmp_path, conninfo, model("Venue", "venues"), settings='POSTGRESQL["NAME"] = "nowhere"\n')
    code, document = shop.verify()
    assert (code, document["status"]) == (2, "could-not-check")
    assert "nowhere" in document["unread"][0]["reason"]


ROUTER = """\
class Router:
    def allow_migrate(self, db, app_label, **hints):
        return (db == "archive") == (hints.get("model_name") == "old")
"""


def test_every_alias_has_the_tables_its_routers_allow(
    tmp_path: Path, conninfo: str, server: scratch.Server, connection: psycopg.Connection
) -> None:
    with (
        server.database("archive") as archive,
        psycopg.connect(server.conninfo(archive), autocommit=True) as other,
    ):
        settings = f"""\
            DATABASES = {{"default": POSTGRESQL, "archive": {{**POSTGRESQL, "NAME": {archive!r}}}, "empty": SQLITE}}
            DATABASE_ROUTERS = ["config.router.Router"]
            """
        models = model("New", '"adm"."news"') + model("Old", '"adm"."olds"')
        settings = settings.replace(', "empty": SQLITE', "")
        shop = project(tmp_path, conninfo, models, settings=settings, files={"config/router.py": ROUTER})
        connection.execute("CREATE SCHEMA adm; CREATE TABLE adm.news ()")
        code, document = shop.verify()
        assert code == 1
        assert {each["table"]: each["database"] for each in document["tables"]} == {
            "news": "default",
            "olds": "archive",
        }
        assert shop.verify("--database", "default")[0] == 0
        other.execute("CREATE SCHEMA adm; CREATE TABLE adm.olds ()")
        assert shop.verify()[0] == 0


def test_models_without_a_table_of_their_own_ask_for_none(tmp_path: Path, conninfo: str) -> None:
    models = """\
        class Foreign(models.Model):
            class Meta:
                managed = False
                db_table = "foreign.table"

        class Proxy(Foreign):
            class Meta:
                proxy = True

        class Person(models.Model):
            class Meta:
                swappable = "SHOP_PERSON_MODEL"
                db_table = "adm.person"

        class Abstract(models.Model):
            class Meta:
                abstract = True
        """
    shop = project(tmp_path, conninfo, models, settings='SHOP_PERSON_MODEL = "shop.Foreign"\n')
    assert shop.verify() == (0, {"version": 1, "status": "ok", "tables": [], "unread": []})
    assert shop.manage("check").code == 0


def test_a_name_cannot_write_to_the_terminal(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    shop = project(tmp_path, conninfo, model("Venue", "adm.a\x1b[31m\nb"))
    connection.execute('CREATE SCHEMA adm; CREATE TABLE "adm.a\x1b[31m\nb" ()')
    done = shop.manage(COMMAND)
    assert done.code == 1
    assert r'it is public."adm.a\x1b[31m\nb"' in done.out
    assert shop.verify()[0] == 1


def test_the_command_writes_nothing_even_where_it_could(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection
) -> None:
    """A function in front of the catalog's own would be called by an unqualified name, and could write."""
    script = """\
        from django.db import connection, transaction
        from rcakit.gate import catalog
        def kept():
            with connection.cursor() as cursor:
                cursor.execute("SHOW transaction_read_only")
                return cursor.fetchone()[0]
        with transaction.atomic():
            with catalog.read_only(connection):
                catalog.read(connection)
                inside = kept()
            print(inside, kept())
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE writable ()")
        """
    shop = project(tmp_path, conninfo, model("Venue", "venues"))
    done = shop.manage("shell", "-c", dedent(script))
    assert done.out.split()[-2:] == ["on", "off"], done.err


# ------------------------------------------------------------------ the system checks


@pytest.mark.parametrize("django", ["py38-django32", "py313-django60-psycopg"])
def test_the_check_tells_unusable_spellings_and_is_silent_on_right_ones(
    django: str, tmp_path: Path, conninfo: str
) -> None:
    right = ['"acted"."goods"', 'acted"."halves', "plain", '"Quoted"']
    wrong = {"adm.venues": "E001", '"adm.rooms"': "E001", '"adm"."open': "E002", "v" * 64: "W003"}
    models = "".join(model(f"M{at}", name) for at, name in enumerate([*right, *wrong]))
    done = project(tmp_path, conninfo, models, django=django).manage("check")
    assert done.code == 1
    told = [line for line in done.err.splitlines() if "(rcakit." in line]
    assert len(told) == len(wrong)
    for name, code in wrong.items():
        assert any(f"rcakit.{code}) " in line and repr(name) in line for line in told), (name, told)


def test_an_automatic_many_to_many_table_is_told_once_with_its_model(tmp_path: Path, conninfo: str) -> None:
    tags = 'tags = models.ManyToManyField("Tag"); more = models.ManyToManyField("Tag", related_name="+", db_table="x.y")'
    models = model("Tag", "tags") + model("Good", "adm.goods", tags)
    told = project(tmp_path, conninfo, models).manage("check").err
    assert told.count("rcakit.E001") == 2
    assert "shop.Good.more declares db_table = 'x.y'" in told


def test_a_setting_that_cannot_be_read_is_told(tmp_path: Path, conninfo: str) -> None:
    shop = project(tmp_path, conninfo, settings='RCAKIT_GATE = {"EXPECTS": {}}\n')
    assert (
        "rcakit.E004) RCAKIT_GATE has no key 'EXPECTS': there are EXPECTED, CONFIG"
        in shop.manage("check").err
    )
    assert shop.manage(COMMAND).code == 2


def test_the_gate_brings_nothing_of_the_kit_into_the_project_but_the_reading_of_names(
    tmp_path: Path, conninfo: str
) -> None:
    script = (
        "import sys, rcakit.gate.management.commands.verify_schema_placement as m;"
        "print(sorted(n for n in sys.modules if n.startswith(('rcakit', 'pydantic', 'click', 'postgast'))"
        " and not n.startswith('rcakit.gate')))"
    )
    done = project(tmp_path, conninfo).manage("shell", "-c", script)
    assert done.out.strip().endswith("['rcakit', 'rcakit.names']"), done
