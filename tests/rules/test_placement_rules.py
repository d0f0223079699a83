"""Where tables are against where they were meant to be: RK401, RK402, RK403."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rule_facts import Finds, Silent, accounts, catalog, create, migration, model, move, repoint, server, sql

from rcakit.facts import Accounts, Intent, Model
from rcakit.names import Name
from rcakit.placement import placements

PUBLIC, ADM = Name("public", "venues"), Name("adm", "venues")


def world(db_table: str, *there: Name, path: tuple[str, ...] = ("public",), **options: object) -> Accounts:
    observed = catalog(*there, schemas=("public", "adm"), path=path)
    files = [migration("0001_initial", create("Venue", db_table))]
    return accounts(observed, [model("Venue", db_table)], files, **options)  # type: ignore[arg-type]


# ------------------------------------------------------------------ RK401


WRONG = {
    "literal dot": world("adm.venues", Name("public", "adm.venues")),
    "literal dot, and the right one too": world("adm.venues", Name("public", "adm.venues"), ADM),
    "qualified, left behind": world('"adm"."venues"', PUBLIC),
    "half-qualified, left behind": world('adm"."venues', PUBLIC),
    "plain, expected elsewhere": world("venues", PUBLIC, expected={"adm": ["venues"]}),
    "qualified, expected elsewhere": world('"public"."venues"', PUBLIC, expected={"adm": ["venues"]}),
    "expected, not declared": accounts(catalog(PUBLIC, schemas=("adm",)), expected={"adm": ["venues"]}),
    "expected, literal dot, not declared": accounts(
        catalog(Name("public", "adm.venues"), schemas=("adm",)), expected={"adm": ["venues"]}
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_schema(finds: Finds, silent: Silent, wrong: Accounts) -> None:
    (found,) = finds(wrong, "RK401", severity="error")
    assert "adm.venues" in found.message
    assert found.relation
    assert found.relation.schema == "public"
    silent(wrong, "RK402")


def test_a_guarded_move_says_where_a_plain_name_belongs(finds: Finds) -> None:
    files = [
        migration("0001_initial", create("Venue", "venues")),
        migration("0002_move", sql(move("venues"))),
    ]
    observed = catalog(PUBLIC, schemas=("adm",))
    found = accounts(observed, [model("Venue", "venues")], files)
    finds(found, "RK401", "public.venues")


RIGHT = {
    "plain": world("venues", PUBLIC),
    "plain, in another schema of the path": world("venues", ADM, path=("public", "adm")),
    "plain, where the path does not lead": world("venues", ADM),
    "plain, expected there, path elsewhere": world("venues", ADM, expected={"adm": ["venues"]}),
    "qualified": world('"adm"."venues"', ADM),
    "half-qualified": world('adm"."venues', ADM),
    "qualified, another table of that name elsewhere": world('"adm"."venues"', ADM, PUBLIC),
    "expected as it is": world("venues", PUBLIC, expected={"public": ["venues"]}),
    "both exist, path decides": world("venues", PUBLIC, ADM, expected={"adm": ["venues"]}),
    "dot without such a schema": accounts(
        catalog(Name("public", "v1.things")), [model("Thing", "v1.things")], [migration("0001_initial")]
    ),
    "no history of the app": accounts(catalog(PUBLIC, schemas=("adm",)), [model("Venue", '"adm"."venues"')]),
    "not created yet": world('"adm"."venues"', PUBLIC, applied=[]),
}


@pytest.mark.parametrize("right", RIGHT.values(), ids=RIGHT)
def test_right_or_unknown_schema(silent: Silent, right: Accounts) -> None:
    silent(right, "RK401", "RK402")


def intents(*said: tuple[str, int, str]) -> tuple[Intent, ...]:
    return tuple(
        Intent("venues", Name(schema, "venues"), source, strength) for schema, strength, source in said
    )


def test_strength_and_conflict(finds: Finds, silent: Silent) -> None:
    def told(*said: tuple[str, int, str]) -> Accounts:
        return replace(world("venues", PUBLIC), intended=intents(*said))

    finds(told(("adm", 2, "a guard")), "RK401")
    finds(told(("adm", 1, "a task"), ("adm", 1, "the sibling apps")), "RK401")
    finds(told(("adm", 3, "said"), ("public", 2, "a guard")), "RK401")
    silent(told(("adm", 1, "a task")), "RK401")
    silent(told(("adm", 1, "a task"), ("adm", 1, "a task")), "RK401")
    silent(told(("adm", 2, "a guard"), ("acted", 2, "another guard")), "RK401")
    silent(told(("public", 3, "said"), ("adm", 2, "a guard")), "RK401")


def test_a_pending_move_is_not_drift(silent: Silent) -> None:
    files = [
        migration("0001_initial", create("Venue", "venues")),
        migration("0002_move", repoint("Venue", '"adm"."venues"')),
    ]
    observed, models = catalog(PUBLIC, schemas=("adm",)), [model("Venue", '"adm"."venues"')]
    silent(accounts(observed, models, files, applied=["shop.0001_initial"]), "RK401", "RK402")


def test_somebody_elses_table_of_the_same_name(silent: Silent, finds: Finds) -> None:
    models = [model("Venue", '"adm"."venues"'), model("Place", "venues", app="places")]
    files = [migration("0001_initial"), migration("0001_initial", app="places")]
    taken = accounts(catalog(PUBLIC, schemas=("adm",)), models, files)
    silent(taken, "RK401")
    finds(taken, "RK402", "adm.venues")


# ------------------------------------------------------------------ RK402


def test_a_model_that_may_not_exist_is_not_missed(silent: Silent) -> None:
    """Read from files, a class under `if SomeOtherEngine:` is taken as defined, but not held to have a table."""
    files = [migration("0001_initial", create("Venue", "venues"))]
    maybe = accounts(catalog(), [model("Venue", "venues", sure=False)], files, how="static")
    silent(maybe, "RK402", "RK305")
    assert [row.verdict for row in placements(maybe)] == ["unknown"]


def test_missing(finds: Finds) -> None:
    finds(world("venues"), "RK402", "venues", severity="error")
    finds(world('"adm"."venues"'), "RK402", "adm.venues", severity="error")
    finds(accounts(catalog(), expected={"public": ["venues"]}), "RK402", "public.venues")


def split(path: tuple[str, ...], *there: Name, app: str = "shop") -> Accounts:
    """Two bare names, `venues` of the app shop and `orders` of `app`."""
    files = [
        migration("0001_initial", create("Venue", "venues")),
        migration("0001_orders", create("Order", "orders"), app=app),
    ]
    models = [model("Venue", "venues"), model("Order", "orders", app=app)]
    return accounts(catalog(*there, schemas=("public", "adm"), path=path), models, files)


def test_a_table_that_was_moved_away_from_its_siblings(finds: Finds) -> None:
    (found,) = finds(
        split(("public",), ADM, Name("public", "orders")), "RK402", "adm.venues", severity="warning"
    )
    assert "search_path (public)" in found.message
    (found,) = finds(
        split(("public",), ADM, Name("old", "venues"), Name("public", "orders")), "RK402", severity="warning"
    )
    assert "adm.venues and old.venues" in found.message


def test_a_search_path_that_is_not_the_projects(silent: Silent) -> None:
    """None of the app's tables is reached: the session that reads is not the one the project has."""
    silent(split(("public",), ADM, Name("adm", "orders")), "RK402")
    silent(split(("public",), ADM, Name("public", "orders"), app="billing"), "RK402")
    silent(split(("public", "adm"), ADM, Name("public", "orders")), "RK402")


def test_repaired_in_the_database_alone(finds: Finds, silent: Silent) -> None:
    half = world("adm.venues", ADM)
    (found,) = finds(half, "RK402", '"adm.venues"')
    assert "adm.venues exists" in found.message
    silent(half, "RK401")


@pytest.mark.parametrize("kind", ["r", "p", "f", "v", "m"])
def test_any_relation_a_model_can_stand_on(silent: Silent, kind: str) -> None:
    files = [migration("0001_initial", create("Venue", "venues"))]
    silent(accounts(catalog(PUBLIC, kind=kind), [model("Venue", "venues")], files), "RK402")


def test_a_squashed_creation(finds: Finds, silent: Silent) -> None:
    squash = migration(
        "0001_squashed", create("Venue", "venues"), replaces=(("shop", "0001_a"), ("shop", "0002_b"))
    )
    models: list[Model] = [model("Venue", "venues")]
    finds(accounts(catalog(), models, [squash], applied=["shop.0001_a", "shop.0002_b"]), "RK402")
    silent(accounts(catalog(), models, [squash], applied=["shop.0001_a"]), "RK402")


def test_a_reading_limited_to_other_schemas(silent: Silent) -> None:
    """`--schema adm`: nobody looked into public, so nothing is missing there."""
    limited = world("venues")
    observed = replace(
        limited.observed, schemas=tuple(s for s in limited.observed.schemas if s.name == "adm")
    )
    silent(replace(limited, observed=observed), "RK305", "RK402")


# ------------------------------------------------------------------ RK403


def test_shadowed(finds: Finds) -> None:
    shadowed = world("venues", PUBLIC, ADM, path=("adm", "public"))
    (found,) = finds(shadowed, "RK403", "adm.venues", severity="warning")
    assert "public.venues" in found.message


def test_the_projects_own_search_path_counts(finds: Finds, silent: Silent) -> None:
    shadowed = world("venues", PUBLIC, ADM)
    silent(shadowed, "RK403")
    own = replace(shadowed.declared, search_path="public, adm")
    finds(replace(shadowed, declared=own), "RK403", "public.venues")


def test_not_shadowed(silent: Silent) -> None:
    silent(world("venues", PUBLIC, path=("adm", "public")), "RK403")
    silent(world('"adm"."venues"', PUBLIC, ADM, path=("adm", "public")), "RK403")
    silent(world("adm.venues", Name("public", "adm.venues"), ADM, path=("adm", "public")), "RK403")
    assert server().schemas_in_path == ("public",)
