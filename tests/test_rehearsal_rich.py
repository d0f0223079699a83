"""The move of two applications' tables with all that can carry a name, by Django 3.2 and by Django 6."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from rcakit import remedy
from rcakit.case import Case, open_case
from rcakit.rehearsal import Rehearsal, Stage, rehearse, stage
from rcakit.scratch import Server
from tests.django_projects import MANAGE, python_of, write

pytestmark = pytest.mark.slow

SETTINGS = """\
import os
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["people", "shop"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ.get("DB_NAME"), "HOST": os.environ.get("DB_HOST"), "USER": os.environ.get("DB_USER"),
}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
"""
PEOPLE = """\
from django.db import models


class Person(models.Model):
    name = models.CharField(max_length=30, unique=True)

    class Meta:
        db_table = "crm.people"
"""
SHOP = """\
from django.db import models


class Tag(models.Model):
    word = models.SlugField()

    class Meta:
        db_table = "adm.tags"


class Product(models.Model):
    name = models.CharField(max_length=30)
    price = models.IntegerField(default=0, db_index=True)
    owner = models.ForeignKey("people.Person", models.PROTECT)
    parent = models.ForeignKey("self", models.SET_NULL, null=True)
    tags = models.ManyToManyField(Tag)

    class Meta:
        db_table = "adm.products"
"""
MORE = """
CREATE ROLE rich_owner;
CREATE ROLE rich_reader;
INSERT INTO "crm.people" (name) SELECT 'p' || n FROM generate_series(1, 20) n;
INSERT INTO "adm.tags" (word) SELECT 't' || n FROM generate_series(1, 5) n;
INSERT INTO "adm.products" (name, price, owner_id) SELECT 'x' || n, n, n FROM generate_series(1, 20) n;
INSERT INTO "adm.products_tags" (product_id, tag_id) SELECT n, 1 + n % 5 FROM generate_series(1, 20) n;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE SCHEMA adm;
CREATE SCHEMA crm;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER "adm.products_touch" BEFORE UPDATE ON "adm.products" FOR EACH ROW EXECUTE FUNCTION touch();
CREATE STATISTICS "adm.products_stats" ON name, price FROM "adm.products";
CREATE POLICY "adm.products_seen" ON "adm.products" FOR SELECT TO rich_reader
    USING (owner_id IN (SELECT id FROM "crm.people" WHERE name <> 'p1'));
ALTER TABLE "adm.products" ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE "adm.products" IS 'what we sell';
COMMENT ON COLUMN "adm.products".price IS 'in cents';
COMMENT ON TRIGGER "adm.products_touch" ON "adm.products" IS 'kept';
COMMENT ON POLICY "adm.products_seen" ON "adm.products" IS 'kept too';
COMMENT ON STATISTICS "adm.products_stats" IS 'and this';
GRANT SELECT ON "adm.products", "crm.people" TO rich_reader;
GRANT UPDATE (price) ON "adm.products" TO rich_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO rich_reader;
CREATE FUNCTION sold() RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT count(*) FROM "adm.products" p JOIN public."crm.people" o ON o.id = p.owner_id';
CREATE VIEW dear AS SELECT * FROM "adm.products" WHERE price > 10;
ALTER TABLE "crm.people" OWNER TO rich_owner;
"""
BESIDE = """
SELECT d.classoid::regclass::text, d.objoid::text, d.objsubid, d.description FROM pg_description d
WHERE d.classoid <> 'pg_proc'::regclass AND d.objoid >= 16384 ORDER BY 1, 2, 3"""
SHAPE = """
SELECT a.attrelid::text, a.attname, a.attidentity, a.attacl::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relkind = 'r' AND a.attnum > 0 AND c.relnamespace = ANY (%s::regnamespace[]) ORDER BY 1, 2"""
NAMES = """
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT polname FROM pg_policy
UNION ALL SELECT stxname FROM pg_statistic_ext"""


@dataclass(frozen=True)
class Rich:
    """The rehearsed move, and where it was rehearsed."""

    here: Stage
    rehearsal: Rehearsal

    def after(self, question: str, params: Any = None) -> tuple[list[Any], list[Any]]:
        """The answers of the database as it was, and of one that was moved by plain SQL."""
        with self.here.trial() as dbname, self.here.server.connect(dbname) as connection:
            before = connection.execute(question, params).fetchall()
            assert self.here.run(dbname, self.rehearsal.repair.statements).error == ""
            return before, connection.execute(question, params).fetchall()


@pytest.fixture(scope="module", params=["py38-django32", "py313-django60-psycopg"])
def rich(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rich]:
    directory = tmp_path_factory.mktemp("rich")
    with server.database("rich") as dbname, pytest.MonkeyPatch.context() as patch:
        case = built(directory, server, dbname, request.param, patch)
        with stage(case) as here:
            yield Rich(here, rehearse(here, remedy.option(case, "A")))
        with server.connect(dbname) as connection:
            connection.execute("DROP OWNED BY rich_reader, rich_owner CASCADE")
            connection.execute("DROP ROLE rich_reader, rich_owner")


def built(directory: Path, server: Server, dbname: str, django: str, patch: pytest.MonkeyPatch) -> Case:
    """The project on disk with the migrations its Django writes, its database, and the case of both."""
    python = python_of(django)
    files = {
        "manage.py": MANAGE,
        "config/settings.py": SETTINGS,
        "people/models.py": PEOPLE,
        "shop/models.py": SHOP,
        "people/migrations/__init__.py": "",
        "shop/migrations/__init__.py": "",
    }
    write(directory / "project", files)
    to = conninfo_to_dict(server.conninfo(dbname))
    env = {**os.environ, "DB_NAME": dbname, "DB_HOST": str(to["host"]), "DB_USER": str(to["user"])}
    for command in ("makemigrations", "migrate"):
        subprocess.run(
            [python, "manage.py", command],
            cwd=directory / "project",
            env=env,
            check=True,
            capture_output=True,
        )
    with psycopg.connect(server.conninfo(dbname)) as connection:
        connection.execute(MORE.encode())
    patch.setenv("RCAKIT_TEST_RICH", server.conninfo(dbname))
    (directory / "rcakit.toml").write_text(
        f'[target]\nname = "rich"\nproject = "project"\nsettings = "config.settings"\npython = {json.dumps(python)}\n'
        'dsn_env = "RCAKIT_TEST_RICH"\n\n[expected_schemas]\nadm = ["tags", "products", "products_tags"]\ncrm = ["people"]\n'
    )
    return open_case(directory / "rcakit.toml")


def test_the_move_of_two_applications_passes(rich: Rich) -> None:
    assert [str(each) for each in rich.rehearsal.failed] == []
    assert rich.rehearsal.residue == ()
    assert sorted(rich.rehearsal.repair.migrations) == [
        "people.0002_move_tables_to_crm",
        "shop.0002_move_tables_to_adm",
    ]


def test_the_table_between_two_models_moves_too(rich: Rich) -> None:
    assert {str(each.new) for each in rich.rehearsal.repair.moves} == {
        "adm.tags",
        "adm.products",
        "adm.products_tags",
        "crm.people",
    }
    proofs = {(each.object, each.check): each.after for each in rich.rehearsal.proofs}
    assert proofs['public."adm.products_tags" -> adm.products_tags', "rows"] == "20"


def test_no_trigger_policy_or_statistics_object_keeps_the_old_name(rich: Rich) -> None:
    before, after = rich.after(NAMES)
    assert {name for (name,) in before} == {"adm.products_touch", "adm.products_seen", "adm.products_stats"}
    assert {name for (name,) in after} == {"products_touch", "products_seen", "products_stats"}


def test_comments_stay_on_what_they_were_on(rich: Rich) -> None:
    before, after = rich.after(BESIDE)
    assert len(before) >= 5
    assert after == before


def test_identity_and_column_privileges_stay(rich: Rich) -> None:
    before, after = rich.after(SHAPE, [["public", "adm", "crm"]])
    assert after == before
    identity = {kind for _, name, kind, _ in after if name == "id"}
    assert ("d" in identity) == ("django60" in str(rich.here.case.target.interpreter))
    assert any(acl and "rich_reader=w" in acl for _, _, _, acl in after)


def test_a_policy_filters_as_before(rich: Rich) -> None:
    with rich.here.trial() as dbname, rich.here.server.connect(dbname) as connection:
        connection.execute("SET ROLE rich_reader")
        assert connection.execute('SELECT count(*) FROM "adm.products"').fetchone() == (19,)
        assert rich.here.run(dbname, rich.rehearsal.repair.statements).error == ""
        assert connection.execute("SELECT count(*) FROM adm.products").fetchone() == (19,)


def test_keeping_passes_with_two_applications(rich: Rich) -> None:
    rehearsed = rehearse(rich.here, remedy.option(rich.here.case, "B"))
    assert [str(each) for each in rehearsed.failed] == []


def test_the_bridge_fails_on_the_privilege_on_one_column_alone(rich: Rich) -> None:
    """The views do not carry it, which the rehearsal must not overlook."""
    rehearsed = rehearse(rich.here, remedy.option(rich.here.case, "C"))
    (lost,) = rehearsed.failed
    assert lost.check == "rights over the bridge"
    assert lost.after == 'rich_reader may not UPDATE "public"."adm.products"'
    assert rehearsed.residue == ()
