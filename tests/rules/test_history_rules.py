"""What the history table says against files, edits, other histories and the tables themselves: RK204, RK205, RK30x."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from rule_facts import (
    NOON,
    SQL_FILE,
    Finds,
    Silent,
    accounts,
    catalog,
    create,
    migration,
    model,
    python,
    repoint,
    sql,
)

from rcakit.facts import Accounts, Applied, Edit, Effect, Guard, HistoryTable, Unread, Verdict, Where
from rcakit.names import Name

VENUE = Name("public", "shop_venue")


def shop(*more: object, **options: object) -> Accounts:
    """One healthy model with its table."""
    files = [migration("0001_initial", create("Venue", "shop_venue")), *more]
    return accounts(catalog(VENUE), [model("Venue")], files, **options)  # type: ignore[arg-type]


def row(name: str, app: str = "shop", schema: str = "public") -> Applied:
    return Applied(app, name, NOON, schema)


# ------------------------------------------------------------------ RK302


def test_a_row_without_a_file(finds: Finds) -> None:
    finds(shop(more=[row("0002_lost")]), "RK302", "shop.0002_lost", severity="warning")


def test_a_row_of_an_app_that_is_gone(finds: Finds) -> None:
    finds(shop(more=[row("0001_initial", "gone")]), "RK302", "gone.0001_initial", severity="note")


def test_a_row_that_a_squash_replaces(silent: Silent) -> None:
    squash = migration("0003_squashed", replaces=(("shop", "0002_a"), ("shop", "0002_b")))
    silent(shop(squash, more=[row("0002_a"), row("0002_b")]), "RK302")


def test_files_that_a_static_reading_cannot_see(silent: Silent, finds: Finds) -> None:
    silent(shop(more=[row("0001_initial", "auth")], how="static"), "RK302")
    finds(shop(more=[row("0002_lost")], how="static"), "RK302", severity="warning")


def test_a_file_that_could_not_be_read_is_a_file(silent: Silent) -> None:
    world = shop(more=[row("0002_odd")])
    odd = Unread("declared", "syntax error in line 3", Where("shop/migrations/0002_odd.py", 3))
    silent(replace(world, unread=(odd,)), "RK302")


# ------------------------------------------------------------------ RK303


def edited(*edits: Edit) -> Accounts:
    world = shop()
    return replace(world, recorded=replace(world.recorded, edits=edits))


def edit(hours: int | None, changed: bool = True, label: str = "shop.0001_initial") -> Edit:
    at = None if hours is None else NOON + timedelta(hours=hours)
    return Edit(label, Where("shop/migrations/0001_initial.py"), at, "c0ffee", "tidy up", changed)


def test_edits_after_the_fact(finds: Finds) -> None:
    finds(edited(edit(1)), "RK303", "shop.0001_initial", severity="warning")
    finds(edited(edit(None)), "RK303", "shop.0001_initial", severity="warning")
    (found,) = finds(edited(edit(1), edit(2)), "RK303")
    assert "2 times" in found.message


@pytest.mark.parametrize(
    "innocent", [edit(-1), edit(1, changed=False), edit(1, label="shop.0009_pending")], ids=str
)
def test_innocent_edits(silent: Silent, innocent: Edit) -> None:
    silent(edited(innocent), "RK303")


# ------------------------------------------------------------------ RK304


def histories(*elsewhere: Applied, rows: int | None = 1) -> Accounts:
    world = shop()
    tables = (HistoryTable(1, "public", 1, True), HistoryTable(2, "adm", rows, False))
    return replace(world, recorded=replace(world.recorded, tables=tables, elsewhere=elsewhere))


def test_histories_that_differ(finds: Finds) -> None:
    finds(histories(row("0002_elsewhere", schema="adm")), "RK304", severity="warning")


def test_histories_that_agree_or_share_nothing(finds: Finds) -> None:
    finds(histories(row("0001_initial", schema="adm")), "RK304", severity="note")
    finds(histories(row("0001_initial", "blog", "adm")), "RK304", severity="note")


@pytest.mark.parametrize("rows", [0, None])
def test_one_history_with_rows(silent: Silent, rows: int | None) -> None:
    silent(histories(rows=rows), "RK304")
    silent(shop(), "RK304")


# ------------------------------------------------------------------ RK305


def test_a_stamped_app(finds: Finds) -> None:
    models = [model("Venue"), model("Location"), model("Post", app="blog")]
    files = [
        migration("0001_initial", create("Venue", "shop_venue"), create("Location", "shop_location")),
        migration("0001_initial", create("Post", "blog_post"), app="blog"),
    ]
    world = accounts(catalog(Name("public", "blog_post")), models, files)
    finds(world, "RK305", "shop", severity="error")
    finds(world, "RK402", "shop_location", "shop_venue")


def test_not_stamped(silent: Silent) -> None:
    create_only_state = migration("0001_initial", create("Venue", "shop_venue", side="state"))
    silent(shop(), "RK305")
    silent(accounts(catalog(), [model("Venue")], [create_only_state]), "RK305")
    silent(accounts(catalog(), [], [migration("0001_initial", create("Venue", "shop_venue"))]), "RK305")
    silent(
        accounts(
            catalog(),
            [model("Venue")],
            [migration("0001_initial", create("Venue", "shop_venue"))],
            applied=[],
        ),
        "RK305",
    )


def test_a_stamped_app_whose_table_has_an_older_name(silent: Silent) -> None:
    files = [
        migration("0001_initial", create("Venue", "venues")),
        migration("0002_name", repoint("Venue", "places")),
    ]
    silent(accounts(catalog(Name("public", "venues")), [model("Venue", "places")], files), "RK305")


# ------------------------------------------------------------------ RK205


def split(final: str, *operations: object, there: Name) -> Accounts:
    files = [migration("0001_initial", create("Venue", "venues")), migration("0002_split", *operations)]  # type: ignore[arg-type]
    return accounts(catalog(there, schemas=("adm",)), [model("Venue", final)], files)


def test_the_state_alone_was_told(finds: Finds) -> None:
    world = split(
        '"adm"."venues"', repoint("Venue", '"adm"."venues"', side="state"), there=Name("public", "venues")
    )
    (found,) = finds(world, "RK205", "adm.venues", severity="error")
    assert found.migration == "shop.0002_split"
    assert found.relation == Name("public", "venues")


def test_the_database_alone_was_told(finds: Finds) -> None:
    world = split("venues", repoint("Venue", "places", side="database"), there=Name("public", "places"))
    finds(world, "RK205", "venues", severity="error")


def test_legitimate_splits(silent: Silent) -> None:
    state = repoint("Venue", '"adm"."venues"', side="state")
    database = sql("ALTER TABLE venues SET SCHEMA adm")
    silent(split('"adm"."venues"', state, database, there=Name("adm", "venues")), "RK205")
    silent(split("places", repoint("Venue", "places", side="state"), there=Name("public", "places")), "RK205")


def test_a_model_that_moved_between_apps(silent: Silent) -> None:
    files = [
        migration("0001_initial", create("Venue", "old_venue"), app="old"),
        migration("0001_initial", create("Venue", "old_venue", side="state"), app="new"),
    ]
    world = accounts(catalog(Name("public", "old_venue")), [model("Venue", "old_venue", app="new")], files)
    silent(world, "RK205", "RK305", "RK402")


# ------------------------------------------------------------------ RK204


def returning(condition: str, *, there: tuple[Name, ...] = (), effects: tuple[Effect, ...] = ()) -> Accounts:
    files = [migration("0001_initial"), migration("0002_move", python("def move(apps, editor): ..."))]
    guard = Guard("shop.0002_move", "return", condition, (), effects, "none", where=SQL_FILE)
    return accounts(catalog(*there), [], files, verdicts=[Verdict(guard, None, None)])


MOVE = (Effect("move", "table", Name("public", "venues"), Name("adm", "venues")),)
ASKS = "'venues' in connection.introspection.table_names()"


def test_early_returns(finds: Finds) -> None:
    finds(returning(ASKS, effects=MOVE), "RK204", severity="warning")
    finds(returning(ASKS), "RK204", severity="note")


def test_innocent_returns(silent: Silent) -> None:
    silent(returning(ASKS, effects=MOVE, there=(Name("adm", "venues"),)), "RK204")
    silent(returning("schema_editor.connection.vendor == 'postgresql'", effects=MOVE), "RK204")
    silent(returning("Venue.objects.exists()", effects=MOVE), "RK204")
