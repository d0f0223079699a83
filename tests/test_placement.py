"""The five-account row of a declared table: where each account has it, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from casefixture import GUARDED, NOW, TABLES, make_case

from rcakit.case import Case
from rcakit.facts import (
    Accounts,
    Applied,
    Catalog,
    Declared,
    Intent,
    Migration,
    Model,
    Operation,
    Recorded,
    Relation,
    Schema,
    Where,
)
from rcakit.names import Name
from rcakit.placement import Placement, placements

SERVER = make_case(empty=True).observed.server
SHOP = Name("shop", "items")


def relation(name: Name, oid: int = 7) -> Relation:
    return Relation(oid, name.schema or "public", name.name, "r", "app", "p", 0, False, True, -1, 0, None)


def accounts(
    db_table: str,
    *there: Name,
    intended: Iterable[Intent] = (),
    applied: bool = True,
    migrated: bool = True,
    path: tuple[str, ...] = ("public",),
    **model: object,
) -> Accounts:
    """One model, one migration that creates it, and the relations that are there."""
    operation = Operation("CreateModel", model="item", db_table=db_table)
    files = (Migration("shop", "0001_initial", None, (operation,)),) if migrated else ()
    schemas = dict.fromkeys(["public", "shop", *(name.schema or "public" for name in there)])
    declared = Model("shop", "Item", db_table, True, Where("shop/models.py", 3), **model)  # type: ignore[arg-type]
    return Accounts(
        observed=Catalog(
            SERVER._replace(schemas_in_path=path),
            tuple(Schema(number, name, "app", True, None) for number, name in enumerate(schemas, 1)),
            tuple(relation(name, 100 + number) for number, name in enumerate(there)),
        ),
        declared=Declared("live", (declared,), files, apps=("shop",)),
        recorded=Recorded((Applied("shop", "0001_initial", NOW),) if applied and migrated else ()),
        intended=tuple(intended),
    )


def meant(db_table: str, target: Name, strength: int = 3) -> Intent:
    return Intent(db_table, target, f"a source of strength {strength}", strength)


def only(given: Accounts) -> Placement:
    (row,) = placements(given)
    return row


# ------------------------------------------------------------------ the incident


def test_the_incident_row_by_row() -> None:
    rows = {row.model: row for row in make_case().placement}
    wrong = [row for row in rows.values() if row.verdict == "wrong schema"]
    assert {str(row.relation) for row in wrong} == {f'public."adm.{table}"' for table in TABLES}
    assert {str(row.intended.target) for row in wrong if row.intended} == {f"adm.{table}" for table in TABLES}
    assert {row.recorded for row in wrong} == {"applied (administrate.0001_initial)"}
    assert rows["tutorials.TutorialEvent"].verdict == "agrees"


def test_the_healthy_twin_agrees() -> None:
    assert {row.verdict for row in make_case(healthy=True).placement} == {"agrees"}


def test_the_real_incident_says_the_same(demo_case: Case) -> None:
    wrong = [row for row in demo_case.placement if row.verdict == "wrong schema"]
    assert {str(row.relation) for row in wrong} == {f'public."adm.{table}"' for table in TABLES}
    assert {row.verdict for row in demo_case.placement} == {"wrong schema", "agrees"}
    assert GUARDED in {row.label for row in demo_case.recorded.applied}
    assert [row.model for row in demo_case.placement] == [
        model.label for model in demo_case.declared.models if model.managed and model.installed
    ]


# ------------------------------------------------------------------ verdicts


def test_where_nobody_meant_anything_nothing_is_wrong() -> None:
    row = only(accounts("items", Name("public", "items")))
    assert (row.verdict, row.intended, row.relation) == ("agrees", None, Name("public", "items"))


def test_a_table_in_another_schema_than_it_was_meant_to_be() -> None:
    row = only(accounts("items", Name("public", "items"), intended=[meant("items", SHOP)]))
    assert (row.verdict, row.relation) == ("wrong schema", Name("public", "items"))


def test_a_table_where_it_was_meant_to_be() -> None:
    assert (
        only(accounts('"shop"."items"', SHOP, intended=[meant('"shop"."items"', SHOP)])).verdict == "agrees"
    )


def test_the_stronger_source_decides() -> None:
    sources = [meant("items", Name("public", "items"), 3), meant("items", SHOP, 2)]
    assert only(accounts("items", Name("public", "items"), intended=sources)).verdict == "agrees"


def test_sources_that_contradict_each_other_decide_nothing() -> None:
    sources = [meant("items", Name("public", "items"), 2), meant("items", SHOP, 2)]
    row = only(accounts("items", Name("public", "items"), intended=sources))
    assert (row.verdict, row.intended) == ("unknown", None)


def test_a_hint_alone_accuses_nobody() -> None:
    row = only(accounts("items", Name("public", "items"), intended=[meant("items", SHOP, 1)]))
    assert row.verdict == "agrees"


def test_a_table_that_is_nowhere_is_missing() -> None:
    row = only(accounts("items"))
    assert (row.verdict, row.found, row.relation) == ("missing", None, None)


def test_a_table_whose_migration_is_to_come_is_not() -> None:
    row = only(accounts("items", applied=False))
    assert (row.verdict, row.recorded) == ("pending", "pending (shop.0001_initial)")


def test_a_table_of_an_app_without_migrations_is_missing() -> None:
    row = only(accounts("items", migrated=False))
    assert (row.verdict, row.recorded) == ("missing", "no migration")


def test_a_model_that_may_not_exist_is_not_called_missing() -> None:
    assert only(accounts("items", sure=False)).verdict == "unknown"


def test_the_search_path_leads_to_the_first_of_its_schemas() -> None:
    both = (Name("public", "items"), SHOP)
    assert only(accounts("items", *both, path=("shop", "public"))).relation == SHOP
    assert only(accounts("items", *both, path=("public", "shop"))).relation == Name("public", "items")


def test_the_other_one_of_the_name_is_listed() -> None:
    row = only(accounts("items", Name("public", "items"), SHOP))
    assert [other.qualified for other in row.elsewhere] == [SHOP]


def test_what_was_meant_is_looked_for_elsewhere() -> None:
    """The literal name is reached; the plain one in the schema that was meant is somebody else's table."""
    row = only(
        accounts("shop.items", Name("public", "shop.items"), SHOP, intended=[meant("shop.items", SHOP)])
    )
    assert (row.verdict, [other.qualified for other in row.elsewhere]) == ("wrong schema", [SHOP])


def test_sequences_and_indexes_do_not_count_as_tables() -> None:
    given = accounts("items", Name("public", "items"), SHOP)
    sequence = given.observed.relations[1]._replace(kind="S")
    observed = replace(given.observed, relations=(given.observed.relations[0], sequence))
    assert only(replace(given, observed=observed)).elsewhere == ()


@pytest.mark.parametrize(
    "model", [{"managed": False}, {"installed": False}, {"swapped": True}, {"alias": "other"}]
)
def test_a_table_the_framework_would_not_make_has_no_row(model: dict[str, object]) -> None:
    assert placements(accounts("items", Name("public", "items"), **model)) == ()


@pytest.mark.parametrize("db_table", ["", 'a"b', '"a"."b"."c"', "x" * 64, "tab\ud800"])
def test_no_name_is_too_odd_for_a_row(db_table: str) -> None:
    assert only(accounts(db_table)).spelling.db_table == db_table
