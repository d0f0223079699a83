"""The incident itself and its neighbours, on facts made by hand: names, guards, history and placement."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rule_facts import (
    Finds,
    Silent,
    accounts,
    catalog,
    create,
    guards,
    judge,
    migration,
    model,
    move,
    python,
    repoint,
    sql,
)

from rcakit import rules
from rcakit.facts import Accounts, Migration, Operation
from rcakit.names import Name

TABLES = ("course_templates", "instructors", "locations", "venues")
VENUES = Name("public", "adm.venues")


def literal_migrations(*last: Migration, otherwise: str = "") -> list[Migration]:
    return [
        migration("0001_initial", *(create(f"M{table}", f"adm.{table}") for table in TABLES)),
        migration(
            "0002_move", *(sql(move(table, otherwise=otherwise), group=n) for n, table in enumerate(TABLES))
        ),
        *last,
    ]


def incident(*last: Migration, **more: object) -> Accounts:
    """Four literal-dot tables in public, a schema adm that stays empty, one app that does it right."""
    observed = catalog(
        *(Name("public", f"adm.{table}") for table in TABLES),
        Name("acted", "products"),
        schemas=("public", "adm"),
    )
    models = [model(f"M{table}", f"adm.{table}") for table in TABLES]
    models.append(model("Product", '"acted"."products"', app="tutorials"))
    files = [
        *literal_migrations(*last),
        migration("0001_initial", create("Product", '"acted"."products"'), app="tutorials"),
    ]
    return accounts(observed, models, files, **more)  # type: ignore[arg-type]


def repaired() -> Accounts:
    """The same project after a new migration did what 0002 did not."""
    statements = [
        f'ALTER TABLE public."adm.{table}" SET SCHEMA adm; ALTER TABLE adm."adm.{table}" RENAME TO {table};'
        for table in TABLES
    ]
    files = literal_migrations(
        migration(
            "0003_repair", sql(*statements), *(repoint(f"M{t}", f'"adm"."{t}"', side="state") for t in TABLES)
        )
    )
    models = [model(f"M{table}", f'"adm"."{table}"') for table in TABLES]
    return accounts(catalog(*(Name("adm", table) for table in TABLES)), models, files)


def healthy() -> Accounts:
    """Qualified from the start; the guarded move is left over from older installations."""
    models = [model(f"M{table}", f'"adm"."{table}"') for table in TABLES]
    files = [
        migration("0001_initial", *(create(m.name, m.db_table) for m in models)),
        migration("0002_move", *(sql(move(table), group=n) for n, table in enumerate(TABLES))),
    ]
    return accounts(catalog(*(Name("adm", table) for table in TABLES)), models, files)


# ------------------------------------------------------------------ the incident


@pytest.mark.parametrize("code", ["RK101", "RK201", "RK202", "RK401"])
def test_one_finding_a_table(finds: Finds, code: str) -> None:
    severity = "warning" if code == "RK202" else "error"
    finds(incident(), code, *(f'public."adm.{table}"' for table in TABLES), severity=severity)


def test_the_migration_is_accused_once_with_its_count(finds: Finds) -> None:
    (found,) = finds(incident(), "RK301", "shop.0002_move", severity="error")
    assert "4 of 4" in found.message
    assert found.migration == "shop.0002_move"


def test_nothing_else_is_said_of_the_incident(finds: Finds) -> None:
    assert {finding.code for finding in rules.run(incident())} == {
        "RK101",
        "RK102",
        "RK201",
        "RK202",
        "RK301",
        "RK401",
    }
    assert not [
        each for each in rules.run(incident()) if "products" in each.object or "tutorials" in each.object
    ]


def test_the_guard_names_what_it_meant(finds: Finds) -> None:
    found = finds(incident(), "RK201")
    assert {each.message for each in found} >= {
        'public.venues never existed when this guard ran; public."adm.venues" does'
    }
    assert all(each.migration == "shop.0002_move" and each.where and each.evidence for each in found)


def test_the_spellings_are_mixed(finds: Finds) -> None:
    (found,) = finds(incident(), "RK102", severity="warning")
    assert "4 models" in found.message


@pytest.mark.parametrize("world", [repaired, healthy])
def test_a_good_world_is_silent(world: object) -> None:
    assert rules.run(world()) == ()  # type: ignore[operator]


def test_findings_come_in_one_order() -> None:
    found = rules.run(incident())
    turned = incident()
    turned = replace(turned, guards=turned.guards[::-1], intended=turned.intended[::-1])
    assert [f.code for f in rules.run(turned)] == [f.code for f in found]
    assert found[0].severity == "error"
    assert found[-1].severity == "warning"


# ------------------------------------------------------------------ RK101, RK102, RK103, RK104


def test_a_dot_without_such_a_schema_is_a_note(finds: Finds) -> None:
    finds(accounts(catalog(VENUES), [model("Venue", "adm.venues")]), "RK101", severity="note")


def test_a_dot_beside_an_unused_table_of_the_bare_name(finds: Finds) -> None:
    world = accounts(catalog(VENUES, Name("public", "venues")), [model("Venue", "adm.venues")])
    finds(world, "RK101", severity="warning")


def test_a_dot_beside_a_table_that_another_model_uses(finds: Finds) -> None:
    models = [model("Venue", "adm.venues"), model("Place", "venues")]
    finds(accounts(catalog(VENUES, Name("public", "venues")), models), "RK101", severity="note")


def test_a_literal_name_that_somebody_stands_by(finds: Finds, silent: Silent) -> None:
    world = accounts(
        catalog(VENUES, schemas=("adm",)), [model("Venue", "adm.venues")], [migration("0001_initial")],
        expected={"public": ["adm.venues"]},
    )  # fmt: skip
    finds(world, "RK101", severity="note")
    silent(world, "RK401", "RK402")


@pytest.mark.parametrize(
    "changes", [{"managed": False}, {"installed": False}, {"swapped": True}, {"alias": "other"}], ids=str
)
def test_models_that_django_makes_no_table_for_here(silent: Silent, changes: dict[str, object]) -> None:
    world = accounts(
        catalog(schemas=("adm",)), [model("Venue", "adm.venues", **changes)], [migration("0001_initial")]
    )
    silent(world, "RK101", "RK103", "RK201", "RK202", "RK205", "RK301", "RK305", "RK401", "RK402", "RK403")


@pytest.mark.parametrize("db_table", ["venues", '"adm"."venues"', 'adm"."venues', '"Venues"', ""])
def test_good_spellings(silent: Silent, db_table: str) -> None:
    silent(accounts(catalog(schemas=("adm",)), [model("Venue", db_table)]), "RK101", "RK102", "RK103")


def test_derived_link_tables_are_not_written_by_anybody(silent: Silent) -> None:
    models = [
        model("Event", '"acted"."events"'),
        model("Event_tags", 'acted"."events_tags', auto_created=True, explicit=False),
        model("Other", "plain"),
    ]
    silent(accounts(catalog(schemas=("acted",)), models), "RK101", "RK102")


def test_mixed_only_where_the_prefix_is_a_schema(silent: Silent) -> None:
    models = [model("A", "v1.things"), model("B", '"acted"."b"')]
    silent(accounts(catalog(schemas=("acted",)), models), "RK102")


def test_unusable_names(finds: Finds) -> None:
    long = "x" * 70
    finds(accounts(catalog(), [model("A", '"adm"."venues')]), "RK103", severity="error")
    finds(accounts(catalog(), [model("A", long)]), "RK103", severity="warning")
    finds(accounts(catalog(), [model("A", long + "a"), model("B", long + "b")]), "RK103", severity="error")


def test_a_model_nobody_loads_is_a_note(finds: Finds, silent: Silent) -> None:
    finds(accounts(catalog(), [model("Old", installed=False)]), "RK104", severity="note")
    silent(accounts(catalog(), [model("Old")]), "RK104")


# ------------------------------------------------------------------ RK201, RK202


def world_of(
    text: str, *, observed: object = None, models: object = None, before: object = (), after: object = ()
) -> Accounts:
    """One literal-dot model, the text in 0002, more operations before and after it."""
    files = [
        migration("0001_initial", create("Venue", "adm.venues"), *before),  # type: ignore[misc]
        migration("0002_move", sql(text)),
        *([migration("0003_later", *after)] if after else []),  # type: ignore[misc]
    ]
    return accounts(
        observed or catalog(VENUES, schemas=("adm",)),  # type: ignore[arg-type]
        models or [model("Venue", "adm.venues")],  # type: ignore[arg-type]
        files,
    )


NEVER = {
    "information_schema": move("venues"),
    "to_regclass": """DO $$ BEGIN IF to_regclass('public.venues') IS NOT NULL THEN
        ALTER TABLE public.venues SET SCHEMA adm; END IF; END $$""",
    "pg_tables": """DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_tables WHERE schemaname='public' AND tablename='venues')
        THEN EXECUTE format('ALTER TABLE public.%I SET SCHEMA adm', 'venues'); END IF; END $$""",
    "clause": "ALTER TABLE IF EXISTS public.venues SET SCHEMA adm",
    "return": """DO $$ BEGIN IF to_regclass('public.venues') IS NULL THEN RETURN; END IF;
        ALTER TABLE public.venues SET SCHEMA adm; END $$""",
    "notice": move("venues", otherwise="ELSE RAISE NOTICE 'nothing to do';"),
}


@pytest.mark.parametrize("text", NEVER.values(), ids=NEVER)
def test_guards_that_never_held(finds: Finds, text: str) -> None:
    world = world_of(text)
    finds(world, "RK201", 'public."adm.venues"', severity="error")
    finds(world, "RK202", 'public."adm.venues"', severity="warning")
    finds(world, "RK301", "shop.0002_move")


INNOCENT = {
    "else raises": move("venues", otherwise="ELSE RAISE EXCEPTION 'not there';"),
    "else works": move("venues", otherwise="ELSE CREATE TABLE adm.venues (id int);"),
    "create if not exists": "CREATE TABLE IF NOT EXISTS adm.other (id int)",
    "create schema": "CREATE SCHEMA IF NOT EXISTS adm2",
    "drop if exists": "DROP TABLE IF EXISTS public.venues",
    "drop column": 'ALTER TABLE public."adm.venues" DROP COLUMN IF EXISTS old',
    "rows only": "DO $$ BEGIN IF to_regclass('venues') IS NOT NULL THEN DELETE FROM venues; END IF; END $$",
    "raise itself": "DO $$ BEGIN IF to_regclass('venues') IS NULL THEN RAISE EXCEPTION 'no'; END IF; END $$",
    "a function for later": """CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
        IF to_regclass('public.venues') IS NOT NULL THEN ALTER TABLE public.venues SET SCHEMA adm; END IF; END $f$""",
    "not SQL at all": "this is not SQL",
}


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT)
def test_innocent_guards(silent: Silent, text: str) -> None:
    silent(world_of(text), "RK202", "RK203")


@pytest.mark.parametrize("text", [t for n, t in INNOCENT.items() if n != "else raises"])
def test_innocent_guards_left_nothing_undone(silent: Silent, text: str) -> None:
    silent(world_of(text), "RK201", "RK301")


def test_a_warning_nobody_hears_is_a_note(finds: Finds) -> None:
    finds(world_of(move("venues", otherwise="ELSE RAISE WARNING 'no';")), "RK202", severity="note")


def test_a_guard_that_held(silent: Silent) -> None:
    world = world_of(
        move("venues"), observed=catalog(Name("adm", "venues")), models=[model("Venue", '"adm"."venues"')]
    )
    silent(world, "RK201", "RK202", "RK301", "RK401")


def test_move_and_rename_in_one_branch(silent: Silent, finds: Finds) -> None:
    text = """DO $$ BEGIN IF to_regclass('public."adm.venues"') IS NOT NULL THEN
        ALTER TABLE public."adm.venues" SET SCHEMA adm;
        ALTER TABLE adm."adm.venues" RENAME TO venues; END IF; END $$"""
    silent(
        world_of(text, observed=catalog(Name("adm", "venues")), models=[model("Venue", '"adm"."venues"')]),
        "RK201", "RK202", "RK301",
    )  # fmt: skip
    finds(world_of(text), "RK301")


def test_a_relation_an_earlier_migration_made(silent: Silent) -> None:
    silent(world_of(move("venues"), before=[sql("CREATE TABLE public.venues (id int)")]), "RK201")
    silent(world_of(move("venues"), before=[create("Older", "venues")]), "RK201")
    silent(
        world_of(move("venues"), before=[python("def f(a, s): s.execute('create table venues (id int)')")]),
        "RK201",
    )


def test_a_relation_that_an_earlier_statement_of_the_same_migration_made(
    silent: Silent, finds: Finds
) -> None:
    made = sql("CREATE TABLE public.venues (id int)", group=0)
    asks = sql(move("venues"), group=1)

    def with_move(*operations: Operation) -> Accounts:
        return accounts(
            catalog(VENUES, schemas=("adm",)),
            [model("Venue", "adm.venues")],
            [
                migration("0001_initial", create("Venue", "adm.venues")),
                migration("0002_move", *operations),
            ],
        )

    silent(with_move(made, asks), "RK201")
    finds(with_move(replace(asks, group=0), replace(made, group=1)), "RK201")


def test_a_later_literal_mention_is_not_a_making(finds: Finds) -> None:
    finds(world_of(move("venues"), before=[sql('CREATE VIEW v AS SELECT * FROM "adm.venues"')]), "RK201")


LATER = {
    "dropped": sql("DROP TABLE IF EXISTS adm.venues"),
    "schema dropped": sql("DROP SCHEMA adm CASCADE"),
    "moved on": sql("ALTER TABLE adm.venues SET SCHEMA archive"),
    "renamed": sql("ALTER TABLE adm.venues RENAME TO places"),
    "by python": python("def f(a, s): s.execute('DROP TABLE adm.venues')"),
    "model deleted": replace(create("Venue", ""), kind="DeleteModel", db_table=None),
    "re-pointed": repoint("Venue", "places"),
}


@pytest.mark.parametrize("operation", LATER.values(), ids=LATER)
def test_what_a_later_migration_dealt_with(silent: Silent, operation: object) -> None:
    silent(world_of(move("venues"), after=[operation]), "RK201", "RK202", "RK301")


def test_a_migration_that_has_not_run(silent: Silent) -> None:
    world = accounts(
        catalog(VENUES, schemas=("adm",)),
        [model("Venue", "adm.venues")],
        [
            migration("0001_initial", create("Venue", "adm.venues")),
            migration("0002_move", sql(move("venues"))),
        ],
        applied=["shop.0001_initial"],
    )
    silent(world, "RK201", "RK202", "RK301", "RK401", "RK402")


def test_nothing_resembles_what_is_asked_for(finds: Finds) -> None:
    world = world_of("ALTER TABLE IF EXISTS public.legacy SET SCHEMA adm")
    finds(world, "RK201", severity="note")


def test_hidden_by_information_schema(finds: Finds) -> None:
    observed = catalog(Name("public", "venues"), schemas=("adm",))
    files = [
        migration("0001_initial", create("Venue", "venues")),
        migration("0002_move", sql(move("venues"))),
    ]
    hidden = [replace(judge(each, observed), as_role=False, as_catalog=True) for each in guards(files)]
    world = accounts(observed, [model("Venue", "venues")], files, verdicts=hidden)
    (found,) = finds(world, "RK201", severity="warning")
    assert "information_schema" in found.message


def test_a_condition_that_could_not_be_told(silent: Silent) -> None:
    world = incident()
    unknown = tuple(replace(each, as_role=None, as_catalog=None) for each in world.guards)
    silent(replace(world, guards=unknown), "RK201")


# ------------------------------------------------------------------ RK203


def swallow(names: str, action: str = "NULL;") -> str:
    return (
        f"DO $$ BEGIN ALTER TABLE public.venues SET SCHEMA adm; EXCEPTION WHEN {names} THEN {action} END $$"
    )


@pytest.mark.parametrize("names", ["OTHERS", "undefined_table", "undefined_table OR OTHERS"])
def test_swallowed(finds: Finds, names: str) -> None:
    finds(world_of(swallow(names)), "RK203", severity="warning")


def test_swallowed_and_there_all_the_same(finds: Finds, silent: Silent) -> None:
    there = {"observed": catalog(Name("adm", "venues")), "models": [model("Venue", '"adm"."venues"')]}
    finds(world_of(swallow("OTHERS"), **there), "RK203", severity="note")
    silent(world_of(swallow("undefined_table"), **there), "RK203")


@pytest.mark.parametrize(
    "text",
    [
        swallow("OTHERS", "RAISE;"),
        "DO $$ BEGIN CREATE TYPE size AS ENUM ('s'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "DO $$ BEGIN CREATE TABLE t (id int); EXCEPTION WHEN duplicate_table THEN NULL; END $$",
        "DO $$ BEGIN PERFORM 1; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    ],
)
def test_handlers_that_are_innocent(silent: Silent, text: str) -> None:
    silent(world_of(text), "RK203")


def test_other_peoples_migrations_are_theirs(silent: Silent) -> None:
    files = [migration("0002_move", sql(swallow("OTHERS")), first_party=False)]
    silent(accounts(catalog(), [], files), "RK203")
