"""The intended account: what each source says, how strongly, and when two of them cancel out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from rcakit import intent
from rcakit.facts import (
    Catalog,
    Declared,
    Effect,
    Guard,
    Intent,
    Migration,
    Model,
    Operation,
    Schema,
    Server,
    Verdict,
    Where,
)
from rcakit.names import Name

ADM = Name("adm", "venues")


@dataclass(frozen=True)
class Task:
    text: str
    id: str = "T005"
    ticked: bool = True
    where: Where | None = None


def observed(*schemas: str) -> Catalog:
    at = datetime(2026, 2, 5, tzinfo=UTC)
    server = Server("15", 150000, "d", "r", False, "public", ("public",), "UTF8", False, "1:1:", at)
    names = enumerate(("public", *schemas), 1)
    return Catalog(
        server, tuple(Schema(oid, name, "r", True, None) for oid, name in names), evidence={"schemas": "E3"}
    )


def model(db_table: str, name: str = "Venue", app: str = "shop", **more: bool) -> Model:
    return Model(app, name, db_table, more.pop("explicit", True), Where("shop/models.py", 3), **more)


def declared(*models: Model, sql: str = "", later: str = "") -> Declared:
    texts = [text for text in (sql, later) if text]
    files = (
        Migration("shop", f"000{n}_sql", None, (Operation("RunSQL", sql=(text,)),))
        for n, text in enumerate(texts, 1)
    )
    return Declared("live", models, tuple(files))


def guard(*effects: Effect, **more: object) -> Verdict:
    made = Guard("shop.0001_sql", "if", "true", (), effects, "none", where=Where("m.py", 9), **more)  # type: ignore[arg-type]
    return Verdict(made, False, False, evidence=("E9",))


MOVE = Effect("move", "table", Name("public", "venues"), ADM)


def targets(found: tuple[Intent, ...]) -> list[tuple[str, str, int]]:
    return [(each.db_table, str(each.target), each.strength) for each in found]


# ------------------------------------------------------------------ said outright


@pytest.mark.parametrize(
    "db_table", ["venues", "adm.venues", '"adm"."venues"', 'adm"."venues', '"acted"."venues"']
)
def test_expected_schemas_find_every_spelling(db_table: str) -> None:
    found = intent.infer(observed(), declared(model(db_table)), (), {"adm": ["venues"]})
    assert (db_table, "adm.venues", 3) in targets(found)
    assert found[0].strength == 3


def test_an_expected_table_prefers_the_model_that_names_its_schema() -> None:
    models = [model('"acted"."venues"', "Acted"), model("adm.venues", "Adm")]
    found = intent.infer(observed(), declared(*models), (), {"adm": ["venues"]})
    assert [each.db_table for each in found if each.strength == 3] == ["adm.venues"]


def test_one_name_expected_in_two_schemas() -> None:
    models = [model('"acted"."venues"', "Acted"), model('"adm"."venues"', "Adm")]
    found = intent.infer(observed(), declared(*models), (), {"adm": ["venues"], "acted": ["venues"]})
    assert sorted(targets(tuple(each for each in found if each.strength == 3))) == [
        ('"acted"."venues"', "acted.venues", 3),
        ('"adm"."venues"', "adm.venues", 3),
    ]


def test_an_expected_table_without_a_model() -> None:
    assert targets(intent.infer(observed(), declared(), (), {"adm": ["venues"]})) == [
        ("venues", "adm.venues", 3)
    ]


def test_a_literal_name_can_be_expected_as_it_is() -> None:
    found = intent.infer(observed("adm"), declared(model("adm.venues")), (), {"public": ["adm.venues"]})
    best = intent.strongest(found, "adm.venues")
    assert best is not None
    assert best.target == Name("public", "adm.venues")


# ------------------------------------------------------------------ acted upon


def test_the_prefix_of_a_literal_dot_name() -> None:
    (found,) = intent.infer(observed("adm"), declared(model("adm.venues")))
    assert (found.target, found.strength, found.evidence) == (ADM, 2, ("E3",))
    assert found.where == Where("shop/models.py", 3)
    assert intent.infer(observed(), declared(model("adm.venues"))) == ()


def test_a_schema_that_a_migration_makes() -> None:
    (found,) = intent.infer(observed(), declared(model("adm.venues"), sql="CREATE SCHEMA IF NOT EXISTS adm"))
    assert found.target == ADM
    assert "shop.0001_sql" in found.source


@pytest.mark.parametrize("db_table", ['"adm"."venues"', 'adm"."venues'])
def test_a_qualified_name_speaks_for_itself(db_table: str) -> None:
    (found,) = intent.infer(observed(), declared(model(db_table)))
    assert (found.target, found.strength) == (ADM, 2)


@pytest.mark.parametrize("db_table", ["venues", "adm.venues"])
def test_the_branch_of_a_guard(db_table: str) -> None:
    found = intent.infer(observed(), declared(model(db_table)), [guard(MOVE)])
    assert targets(found) == [(db_table, "adm.venues", 2)]
    assert found[0].evidence == ("E9",)


def test_a_branch_that_moves_and_renames() -> None:
    first = Effect("move", "table", Name("public", "adm.venues"), Name("adm", "adm.venues"))
    second = Effect("rename", "table", Name("adm", "adm.venues"), ADM)
    found = intent.infer(observed(), declared(model("adm.venues")), [guard(first, second)])
    assert targets(found) == [("adm.venues", "adm.venues", 2)]


@pytest.mark.parametrize(
    "silent",
    [
        guard(MOVE, negated=True),
        guard(MOVE, function="later"),
        guard(Effect("create", "table", None, ADM)),
        guard(Effect("move", "sequence", Name("public", "venues"), ADM)),
        guard(Effect("move", "table", Name("public", "other"), Name("adm", "other"))),
    ],
    ids=["negated", "function", "create", "sequence", "other table"],
)
def test_branches_that_say_nothing(silent: Verdict) -> None:
    assert intent.infer(observed(), declared(model("venues")), [silent]) == ()


@pytest.mark.parametrize(
    "later", ["ALTER TABLE adm.venues SET SCHEMA archive", "DROP SCHEMA adm", "DROP TABLE adm.venues"]
)
def test_a_branch_that_a_later_migration_overruled(later: str) -> None:
    there = declared(model("venues"), sql="SELECT 1", later=later)
    assert intent.infer(observed(), there, [guard(MOVE)]) == ()


def test_a_guard_does_not_overrule_a_qualified_name() -> None:
    found = intent.infer(observed(), declared(model('"acted"."venues"')), [guard(MOVE)])
    assert targets(found) == [('"acted"."venues"', "acted.venues", 2)]


# ------------------------------------------------------------------ implied


def siblings(*more: Model) -> Declared:
    return declared(model("venues"), model('"adm"."a"', "A"), model('"adm"."b"', "B"), *more)


def test_the_convention_of_an_app() -> None:
    assert ("venues", "adm.venues", 1) in targets(intent.infer(observed(), siblings()))


@pytest.mark.parametrize("odd", [model('"other"."c"', "C"), model("bare", "C")], ids=["other schema", "bare"])
def test_no_convention_where_one_differs(odd: Model) -> None:
    assert "venues" not in {each.db_table for each in intent.infer(observed(), siblings(odd))}


def test_one_sibling_is_no_convention() -> None:
    assert "venues" not in {
        each.db_table for each in intent.infer(observed(), declared(model("venues"), model('"adm"."a"', "A")))
    }


@pytest.mark.parametrize(
    "text",
    [
        "Move `venues` to the `adm` schema",
        "All of venues, locations go into schema adm",
        "adm schema: venues",
    ],
)
def test_task_text(text: str) -> None:
    found = intent.infer(observed("adm"), declared(model("venues")), claims=[Task(text)])
    assert targets(found) == [("venues", "adm.venues", 1)]
    assert found[0].source == "task T005"


@pytest.mark.parametrize(
    "task",
    [
        Task("Move venues to the adm schema", ticked=False),
        Task("Move locations to the adm schema"),
        Task("Move venues from the acted schema to the adm schema"),
        Task("venues and adm are words"),
        Task("Move venues to the administration schema"),
    ],
    ids=["open", "other table", "two schemas", "no schema", "other schema"],
)
def test_tasks_that_say_nothing(task: Task) -> None:
    assert intent.infer(observed("adm", "acted"), declared(model("venues")), claims=[task]) == ()


# ------------------------------------------------------------------ strength


def said(schema: str, strength: int, source: str) -> Intent:
    return Intent("venues", Name(schema, "venues"), source, strength)


def test_the_strongest_wins_and_equals_cancel_out() -> None:
    weak, strong = said("acted", 1, "task T1"), said("adm", 2, "a guard")
    assert intent.strongest([weak, strong], "venues") == strong
    assert intent.strongest([strong, said("adm", 2, "the prefix")], "venues") == strong
    assert intent.strongest([strong, said("acted", 2, "the prefix")], "venues") is None
    assert intent.strongest([strong], "other") is None


def test_what_is_enough_to_accuse() -> None:
    one, two = said("adm", 1, "task T1"), said("adm", 1, "the other tables of shop")
    assert intent.settled([one], "venues") is None
    assert intent.settled([one, said("adm", 1, "task T2")], "venues") is None
    assert intent.settled([one, two], "venues") == one
    assert intent.settled([one, two, said("acted", 1, "task T3")], "venues") is None
    assert intent.settled([said("adm", 2, "a guard")], "venues") is not None


def test_intents_come_strongest_first() -> None:
    found = intent.infer(observed("adm"), siblings(), (), {"adm": ["venues"]})
    assert [each.strength for each in found] == sorted((each.strength for each in found), reverse=True)
