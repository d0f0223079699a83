"""The world that replays of one case begin in: the observed schemas and roles, none left over and none made twice."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django_projects import MANAGE, write
from rules.rule_facts import accounts, catalog

from rcakit.counterfactual import World
from rcakit.facts import Accounts, Grant, Migration, Operation
from rcakit.names import Name
from rcakit.scratch import Server, roles

SETTINGS = """\
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}
"""
FILE = """\
from django.db import migrations


class Migration(migrations.Migration):
    operations = [migrations.RunSQL({sql!r})]
"""
ASKS = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_owner') THEN CREATE ROLE shop_owner; END IF; END $$"
OWNED = "CREATE TABLE goods (); ALTER TABLE goods OWNER TO shop_owner; GRANT SELECT ON goods TO shop_reader"


def observed(*grantees: str, sql: str = "") -> Accounts:
    """A database with rights for these roles, whose only migration runs that SQL."""
    grants = tuple(Grant("relation", 1000, grantee, ("SELECT",)) for grantee in grantees)
    goods = replace(catalog(Name("public", "goods")), grants=grants)
    migration = Migration("shop", "0001_initial", None, (Operation("RunSQL", sql=(sql,)),))
    return replace(accounts(goods, [], [migration]), observed=goods)


def world(directory: Path, sql: str, *grantees: str) -> World:
    files = {
        "manage.py": MANAGE,
        "config/settings.py": SETTINGS,
        "shop/models.py": "",
        "shop/migrations/0001_initial.py": FILE.format(sql=sql),
    }
    project = write(directory / "project", files)
    return World(observed(*grantees, sql=sql), project, "config.settings", sys.executable)


@pytest.mark.parametrize("ask", [ASKS, "CREATE ROLE shop_owner", "CREATE USER shop_owner NOINHERIT"])
def test_roles_that_own_something_go_with_the_database_of_a_replay(
    server: Server, tmp_path: Path, ask: str
) -> None:
    """A second replay meets what the first one met, also where the observed database has the role already."""
    before = roles.names(server)
    found = world(tmp_path, f"{ask}; {OWNED}", "shop_reader", "shop_owner")
    for _ in range(2):
        ledger = found.replayed(server)
        assert [(step.kind, step.error) for step in ledger.steps] == [("changed", "")]
        assert roles.names(server) == before


def test_migrations_that_make_a_role_are_run_anew_by_each_trial(server: Server, tmp_path: Path) -> None:
    found = world(tmp_path, f"{ASKS}; {OWNED}", "shop_reader")
    with found.begin(server, found.project, 1) as begun:
        assert begun is None
    (tmp_path / "project/shop/migrations/0001_initial.py").write_text(
        FILE.format(sql="CREATE TABLE goods ()")
    )
    with found.begin(server, found.project, 1) as begun:
        assert begun is not None


def test_postgresqls_own_roles_are_not_made(server: Server) -> None:
    """An older server lacks some of them, and refuses their names to anybody else."""
    found = observed("pg_role_of_a_newer_server", "shop_reader").observed
    assert roles.roles_of(found) == ("owner", "shop_reader")
    with roles.made(server, roles.roles_of(found)):
        assert roles.names(server) >= {"owner", "shop_reader"}


@pytest.mark.parametrize("sql", ["INSERT INTO goods VALUES (%s)", "CREATE TABEL goods", "SELECT 1 \0"])
def test_sql_that_cannot_be_read_does_not_keep_a_replay_from_beginning(sql: str) -> None:
    found = World(observed("shop_reader", sql=sql), Path(), None, None)
    assert found.schemas == frozenset()
    assert found._roles == {"owner", "shop_reader"}
