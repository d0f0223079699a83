"""Truth tables of conditional migrations: every row is the migration's own SQL, really run in a state built for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from rcakit import catalog, evidence, guards, standin, worlds
from rcakit.case import Case
from rcakit.counterfactual import World
from rcakit.facts import Accounts, Declared, Guard, Migration, Operation
from rcakit.ledger import Ledger
from rcakit.names import Name
from rcakit.parsing import plpgsql, pyguards
from rcakit.scratch import Server
from rcakit.worlds import Row, Truth

MOVE = "administrate.0003_migrate_to_adm_schema"
STEP = "shop.0002_step"


@pytest.fixture(autouse=True)
def _nothing_is_left(server: Server) -> Iterator[None]:
    def there() -> set[object]:
        with server.connect() as connection:
            return set(
                connection.execute("SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles")
            )

    before = there()
    yield
    assert there() == before


# ------------------------------------------------------------------ the incident


@pytest.fixture(scope="module")
def ledger(demo_case: Case, server: Server) -> Ledger:
    target = demo_case.target
    world = World(demo_case.accounts, demo_case.project, settings=target.settings, python=target.interpreter)
    return world.replayed(server)


@pytest.fixture(scope="module")
def incident(demo_case: Case, server: Server, ledger: Ledger) -> Truth:
    (table,) = worlds.truth(demo_case.accounts, server, ledger)
    return table


def by_world(table: Truth) -> dict[str, Row]:
    return {row.world.name: row for row in table.rows}


def test_all_guards_of_a_migration_share_one_table(incident: Truth) -> None:
    assert incident.migration == MOVE
    assert {row.total for row in incident.rows} == {7} == {len(incident.guards)}


@pytest.mark.parametrize(
    ("world", "true", "outcome", "ended"),
    [
        ("fresh", 0, "does nothing", 0),
        ("plain name", 7, "moves", 7),
        ("literal-dot name", 0, "does nothing", 0),
        ("already moved", 0, "does nothing", 7),
        ("both present", 7, "fails", 7),
        ("intended schema missing", 7, "moves", 7),
        ("another search_path", 7, "moves", 7),
        ("a role without rights", 0, "fails", 0),
    ],
)
def test_what_0003_does_in_each_world(
    incident: Truth, world: str, true: int, outcome: str, ended: int
) -> None:
    row = by_world(incident)[world]
    assert (row.true, row.outcome, row.ended) == (true, outcome, ended)


def test_the_only_state_that_occurs_is_one_in_which_it_does_nothing(incident: Truth) -> None:
    reached = {row.world.name: row.world.reachable for row in incident.rows if row.world.reached}
    assert reached == {"literal-dot name": "replayed and observed"}
    assert incident.can_work is False
    assert "only from: plain name" in incident.conclusion
    assert (
        "No migration before it ever makes a table of public.course_template_price_levels"
        in incident.conclusion
    )


def test_errors_are_the_servers_own_words_without_the_scratch_databases_name(incident: Truth) -> None:
    rows = by_world(incident)
    assert rows["both present"].error == 'relation "course_templates" already exists in schema "adm"'
    assert rows["a role without rights"].error == "permission denied for database .."


def test_without_a_replay_the_observed_state_alone_is_known_to_occur(demo_case: Case, server: Server) -> None:
    (table,) = worlds.truth(demo_case.accounts, server)
    assert {row.world.reachable for row in table.rows} == {"observed", "by hand"}


def test_a_replay_that_saw_something_else_gets_a_row_of_its_own(
    demo_case: Case, server: Server, ledger: Ledger
) -> None:
    steps = tuple(
        replace(s, error="boom\nmore", kind="failed") if s.migration == MOVE else s for s in ledger.steps
    )
    (table,) = worlds.truth(demo_case.accounts, server, replace(ledger, steps=steps))
    rows = by_world(table)
    assert rows["literal-dot name"].world.reachable == "observed"
    own = rows["as the replay finds it"]
    assert (own.world.reachable, own.outcome, own.error) == ("replayed", "fails", "boom")


def test_the_healthy_twin_has_no_conditional_migration_that_cannot_work(
    healthy_case: Case, server: Server
) -> None:
    assert all(table.can_work for table in worlds.truth(healthy_case.accounts, server))


# ------------------------------------------------------------------ other conditions


def accounts(conninfo: str, *texts: str, source: str = "") -> Accounts:
    """A project with one migration of these SQL texts, on this database."""
    found: list[Guard] = []
    for number, text in enumerate(texts):
        found += plpgsql.guards(text, migration=STEP, statement=number)[0]
    if source:
        found += pyguards.python_guards(source, migration=STEP)[0]
    operation = Operation("RunPython" if source else "RunSQL", sql=texts, source=source)
    migration = Migration("shop", "0002_step", None, (operation,))
    with evidence.session(conninfo, run="test") as recorder:
        observed = catalog.read(recorder)
        verdicts = guards.evaluate(found, recorder, observed)
    return Accounts(observed, Declared("static", migrations=(migration,)), guards=verdicts)


def move(condition: str, table: str = "public.venues") -> str:
    return f"DO $$ BEGIN IF {condition} THEN ALTER TABLE {table} SET SCHEMA adm; END IF; END $$"


@pytest.fixture
def venues(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute("CREATE SCHEMA adm; CREATE TYPE mood AS ENUM ('a')")
    connection.execute(
        "CREATE TABLE venues (id bigserial PRIMARY KEY, name varchar(30) UNIQUE NOT NULL, m mood)"
    )
    connection.execute("CREATE INDEX by_m ON venues (m)")
    return connection


def table(server: Server, conninfo: str, *texts: str, source: str = "") -> Truth:
    (made,) = worlds.truth(accounts(conninfo, *texts, source=source), server)
    return made


def test_a_bare_name_is_found_along_the_search_path_alone(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    made = by_world(table(server, conninfo, move("to_regclass('venues') IS NOT NULL")))
    assert made["plain name"].outcome == "moves"
    assert made["plain name"].world.reachable == "observed"
    assert (made["another search_path"].true, made["another search_path"].outcome) == (0, "does nothing")


def test_a_right_that_is_missing_makes_the_condition_false(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    asked = "EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'venues')"
    made = by_world(table(server, conninfo, move(asked)))
    row = made["a role without rights"]
    assert (row.true, row.outcome, row.ended) == (0, "does nothing", 0)


def test_a_missing_schema_is_an_error_where_nothing_makes_it(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    made = by_world(table(server, conninfo, move("to_regclass('public.venues') IS NOT NULL")))
    row = made["intended schema missing"]
    assert (row.true, row.outcome, row.error) == (1, "fails", 'schema "adm" does not exist')


def test_if_exists_of_a_plain_statement_is_a_condition_too(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    made = table(server, conninfo, "ALTER TABLE IF EXISTS public.venues SET SCHEMA adm")
    assert {row.world.name: row.outcome for row in made.rows}["already moved"] == "does nothing"
    assert made.can_work
    assert made.conclusion.startswith(
        "A state that really occurs leads to the intended end: plain name (observed)"
    )


def test_a_column_is_looked_for_in_the_table_as_it_is(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    asked = (
        "EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'venues' AND column_name = 'name')"
    )
    text = f"DO $$ BEGIN IF {asked} THEN ALTER TABLE venues RENAME name TO title; END IF; END $$"
    made = by_world(table(server, conninfo, text))
    assert (made["as observed"].true, made["as observed"].outcome) == (1, "moves")
    assert made["fresh"].outcome == "does nothing"
    assert "literal-dot name" not in made


def test_other_statements_of_the_migration_find_their_tables(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    venues.execute("CREATE TABLE log (id int, said text)")
    texts = ("INSERT INTO log VALUES (1, 'x')", move("to_regclass('public.venues') IS NOT NULL"))
    made = by_world(table(server, conninfo, *texts))
    assert (made["plain name"].outcome, made["plain name"].error) == ("moves", "")
    assert made["fresh"].outcome == "fails"


def test_what_cannot_run_in_a_transaction_cannot_be_told(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    texts = (move("to_regclass('public.venues') IS NOT NULL"), "CREATE INDEX CONCURRENTLY x ON venues (id)")
    assert by_world(table(server, conninfo, *texts))["literal-dot name"].outcome == "cannot tell"


@pytest.mark.parametrize("text", ["COMMIT", "BEGIN; COMMIT"])
def test_sql_that_ends_the_transaction_is_not_run(
    server: Server, conninfo: str, venues: psycopg.Connection, text: str
) -> None:
    made = table(server, conninfo, text, move("to_regclass('public.venues') IS NOT NULL"))
    assert (made.rows, made.can_work) == ((), None)
    assert "replay" in made.conclusion


def test_a_project_without_conditions_has_no_table(server: Server, conninfo: str) -> None:
    assert (
        worlds.truth(accounts(conninfo, "CREATE SCHEMA IF NOT EXISTS adm", "DROP TABLE IF EXISTS x"), server)
        == ()
    )


def test_a_part_that_cannot_be_made_does_not_stop_the_rest(
    server: Server, conninfo: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE SCHEMA adm; CREATE TABLE venues (id int PRIMARY KEY, at point, j jsonb)")
    connection.execute("CREATE INDEX ON venues USING gist (at); CREATE INDEX ON venues USING gin (j)")
    connection.execute("CREATE VIEW places AS SELECT * FROM venues; GRANT SELECT ON venues TO pg_monitor")
    made = by_world(table(server, conninfo, "ALTER TABLE IF EXISTS public.venues SET SCHEMA adm"))
    assert made["plain name"].outcome == "moves"
    made = by_world(table(server, conninfo, "ALTER VIEW IF EXISTS public.places SET SCHEMA adm"))
    assert (made["plain name"].outcome, made["plain name"].error) == ("moves", "")


def test_hostile_names_are_names(server: Server, conninfo: str, connection: psycopg.Connection) -> None:
    name = "v\"; DROP TABLE x; --'é"
    sql = Name("public", name).sql
    connection.execute(f'CREATE SCHEMA adm; CREATE TABLE {sql} ("a""b\'" int)')
    made = by_world(table(server, conninfo, f"ALTER TABLE IF EXISTS {sql} SET SCHEMA adm"))
    assert (made["plain name"].outcome, made["plain name"].world.reachable) == ("moves", "observed")


# ------------------------------------------------------------------ a table's stand-in


def test_a_stand_in_brings_what_moves_along(
    server: Server, conninfo: str, venues: psycopg.Connection
) -> None:
    with evidence.session(conninfo, run="test") as recorder:
        observed = catalog.read(recorder)
    like = observed.find(Name("public", "venues"))
    with server.database("standin") as dbname:
        with server.connect(dbname) as connection:
            standin.create(connection, Name("adm", "x.y"), like, observed)
            standin.create(connection, Name("adm", "x.y"), like, observed)
        with evidence.session(server.conninfo(dbname), run="test") as recorder:
            made = catalog.read(recorder)
    found = made.find(Name("adm", "x.y"))
    assert found is not None
    types = [made.type_name(column) for column in made.columns_of[found.oid]]
    assert types == ["bigint", "character varying(30)", "text"]  # the scratch server has no type mood
    assert {each.name for each in made.constraints_of[found.oid]} == {"venues_pkey", "venues_name_key"}
    assert {each.name for each in made.indexes_of[found.oid]} == {"venues_pkey", "venues_name_key", "by_m"}
    assert made.find(Name("adm", "venues_id_seq")) is not None


def test_what_the_migration_makes_itself_is_not_made_before_it(
    venues: psycopg.Connection, server: Server, conninfo: str
) -> None:
    """Else its own CREATE would fail in every state, also in the one that it worked in."""
    with server.role("own") as role:
        venues.execute(f"GRANT SELECT ON venues TO {role}")
        condition = "to_regclass('public.venues') IS NOT NULL"
        made = table(server, conninfo, f"CREATE SCHEMA adm; CREATE ROLE {role}_2", move(condition))
        assert by_world(made)["plain name"].outcome == "moves"
        made = table(server, conninfo, "CREATE SCHEMA IF NOT EXISTS adm", move(condition))
        assert by_world(made)["plain name"].outcome == "moves"
