"""Tests, pipelines and task lists: accused where a table is misplaced, and never otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rule_facts import Finds, Silent, accounts, catalog, migration, model

from rcakit.facts import Accounts, Assertion, CiJob, Claim, LooksAt, ProjectTest, Remark, Suite, Where
from rcakit.names import Name
from rcakit.rules._concern import tables_said

HERE = Where("ci.yml", 3)
CODES = ("RK501", "RK502", "RK503", "RK504", "RK505", "RK601", "RK602", "RK701")


def check(looks_at: LooksAt, *tasks: str, name: str = "test_it") -> ProjectTest:
    where = Where("tests.py", 4)
    asserted = Assertion(looks_at, where, "assert it", Remark(where, "said"))
    return ProjectTest(f"tests.py::{name}", where, (asserted,), tasks, ("shop.Venue",))


def job(**more: Any) -> CiJob:
    return CiJob("GitHub Actions", "test", HERE, **{"tests": HERE, **more})


def task(text: str, *, ticked: bool = True, id_: str = "T005") -> Claim:
    return Claim(id_, text, ticked, Where("tasks.md", 1))


SQLITE = Suite(
    "pytest",
    "config.test",
    engine="sqlite3",
    strips=(Remark(Where("conftest.py", 2), "model._meta.db_table = x"),),
    unmigrated=(Remark(Where("config/test.py", 9), "MIGRATION_MODULES"),),
)
ALL: dict[str, Any] = {
    "tests": (check("source-text", "T005"), check("orm-round-trip", "T006", name="test_other")),
    "suites": (SQLITE,),
    "ci": (job(),),
    "claims": (task("all six tables are in the adm schema"), task("foreign keys survive", id_="T006")),
}


def facts(*, healthy: bool = False, **changes: Any) -> Accounts:
    name = Name("adm", "venues") if healthy else Name("public", "adm.venues")
    declared = '"adm"."venues"' if healthy else "adm.venues"
    read = accounts(
        catalog(name, schemas=("public", "adm")), [model("Venue", declared)], [migration("0001_initial")]
    )
    return replace(read, **{**ALL, **changes})


@pytest.mark.parametrize("code", CODES)
def test_all_speak_of_a_misplaced_table(code: str, finds: Finds) -> None:
    finds(facts(), code, severity="warning")


def test_all_are_silent_where_every_table_is_in_its_place(silent: Silent) -> None:
    silent(facts(healthy=True), *CODES)


def test_all_are_silent_where_nothing_could_be_read(silent: Silent) -> None:
    silent(facts(tests=(), suites=(), ci=(), claims=()), *CODES)


def test_all_speak_of_a_table_that_is_nowhere(finds: Finds) -> None:
    read = accounts(
        catalog(schemas=("public", "adm")), [model("Venue", '"adm"."venues"')], [migration("0001_initial")]
    )
    for code in CODES:
        finds(replace(read, **ALL), code)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("RK501", {"suites": (replace(SQLITE, engine=""),)}),
        ("RK501", {"suites": (replace(SQLITE, engine="postgresql"), SQLITE)}),
        ("RK501", {"ci": (job(postgresql=HERE),)}),
        ("RK502", {"suites": (replace(SQLITE, strips=()),)}),
        ("RK503", {"tests": (check("catalog"),)}),
        ("RK503", {"tests": (replace(check("source-text"), models=("shop.Other",)),)}),
        ("RK504", {"claims": (task("foreign keys survive", id_="T006"),)}),
        ("RK504", {"tests": (check("source-text", "T005"), check("orm-round-trip"))}),
        ("RK505", {"tests": (check("orm-round-trip"), check("catalog"))}),
        ("RK601", {"ci": (job(local=True),)}),
        ("RK601", {"ci": (job(), job(postgresql=HERE, tests=None))}),
        ("RK602", {"ci": (job(migrates=HERE, postgresql=HERE),)}),
        ("RK602", {"ci": (job(postgresql=HERE),), "suites": ()}),
        ("RK701", {"claims": (task("all six tables are in the adm schema", ticked=False),)}),
        ("RK701", {"claims": (task("the acted schema holds the tables"),)}),
        ("RK701", {"claims": (task("ask the adm of the shop"),)}),
    ],
)
def test_silent(code: str, changes: dict[str, Any], silent: Silent) -> None:
    silent(facts(**changes), code)


def test_a_migration_that_tests_do_not_run_is_never_run(finds: Finds) -> None:
    finds(facts(ci=(job(postgresql=HERE),)), "RK602")


def test_a_task_says_one_number_and_the_models_another(finds: Finds) -> None:
    (found,) = finds(facts(), "RK701", "T005")
    assert "found in adm: 0 of 1 tables; its text says six, 1 are meant" in found.message
    (found,) = finds(facts(claims=(task("1 table is in schema adm"),)), "RK701")
    assert "its text says" not in found.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all six tables are moved", ("six", 6)),
        ("the 7 administrate tables", ("7", 7)),
        ("six weeks, and no tables", None),
        ("tables of three schemas", None),
    ],
)
def test_the_number_of_tables_in_a_text(text: str, said: tuple[str, int] | None) -> None:
    found = tables_said(task(text))
    assert found == said
