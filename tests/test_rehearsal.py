"""Repairs tried on a copy of the demo's database and measured; what people usually advise is tried in test_repair_command.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from rcakit import remedy
from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.ledger.diff import diff
from rcakit.rehearsal import Proof, Rehearsal, Stage, locks, rehearse, stage


@pytest.fixture(scope="module")
def here(demo_case: Case) -> Iterator[Stage]:
    with stage(demo_case) as opened:
        yield opened


@pytest.fixture(scope="module")
def moved(here: Stage) -> Rehearsal:
    repair = next(each for each in remedy.options(here.case) if each.option == "A")
    return rehearse(here, repair)


def proof(rehearsal: Rehearsal, thing: str, check: str) -> Proof:
    (found,) = (each for each in rehearsal.proofs if each.object == thing and each.check == check)
    return found


def test_the_copy_is_the_database(here: Stage, demo_case: Case) -> None:
    assert {each.qualified for each in here.catalog.relations} == {
        each.qualified for each in demo_case.observed.relations
    }
    assert {str(each.name) for each in here.catalog.constraints} == {
        str(each.name) for each in demo_case.observed.constraints
    }


# ------------------------------------------------------------------ the complete move


def test_the_move_passes_with_nothing_left(moved: Rehearsal) -> None:
    assert [str(each) for each in moved.failed] == []
    assert moved.residue == ()
    assert moved.verdict == "passed"


def test_the_move_is_proved_object_by_object(moved: Rehearsal) -> None:
    venues = 'public."adm.venues" -> adm.venues'
    assert proof(moved, venues, "rows").after == "160"
    assert len(proof(moved, venues, "content").after) == 32
    assert proof(moved, venues, "rewritten").after == "no"
    assert proof(moved, "adm.venues", "rights of acted_app").after == "DELETE, INSERT, SELECT, UPDATE"
    assert proof(moved, 'public."adm.venues_id_seq" -> adm.venues_id_seq', "last value").after == "160"
    assert proof(moved, "function public.seats_at(text)", "works").after == "works"
    assert proof(moved, "administrate.Venue", "ORM round trip").after.startswith("160 rows, read, updated")


def test_the_move_goes_back_and_forth(moved: Rehearsal) -> None:
    label = "administrate.0005_move_tables_to_adm"
    assert proof(moved, label, "taken back, and applied again").after == "the first catalog"
    assert proof(moved, "the database", "applied again").after == "nothing changed"
    assert proof(moved, "manage.py migrate", "a second time").after == "0 migrations ran"
    assert proof(moved, "reverse.sql", "restores the first catalog").after == "equal"


def test_both_histories_end_in_the_same_catalog(moved: Rehearsal) -> None:
    assert proof(moved, "a fresh database", "ends in the same catalog").after == "equal"
    assert proof(moved, "repair.sql", "ends where the migration does").after == "equal"
    assert proof(moved, "repair.sql", "locks").after.startswith("ACCESS EXCLUSIVE on 9 tables for ")
    assert proof(moved, "manage.py makemigrations", "--check").after == "no changes"


def test_what_is_measured_is_one_json_document(moved: Rehearsal) -> None:
    document = json.loads(json.dumps(moved.to_json()))
    assert document["verdict"] == "passed"
    assert document["residue"] == []
    assert len(document["proofs"]) == len(moved.proofs) > 60


def test_every_lock_is_measured_from_a_second_session(moved: Rehearsal) -> None:
    """Not only no stronger than written down: what is written down for tables, indexes and sequences is exact."""
    measured = [each for each in moved.proofs if each.check == "lock"]
    assert len(measured) == len(moved.repair.statements)
    exact = [each for each in measured if each.before in ("ACCESS EXCLUSIVE", "SHARE UPDATE EXCLUSIVE")]
    assert len(exact) > 40
    assert [str(each) for each in exact if not each.after.startswith(f"{each.before} on ")] == []
    (lock,) = (each for each in measured if each.object.startswith("LOCK TABLE"))
    assert lock.after == "ACCESS EXCLUSIVE on 9 tables"
    assert {each.before for each in measured} >= {"ACCESS SHARE", "none on tables"}


def test_a_reader_and_a_writer_wait_and_find_the_name_gone(moved: Rehearsal) -> None:
    held = proof(moved, "repair.sql", "locks while others read and write")
    assert held.after.startswith("ACCESS EXCLUSIVE on 9 tables")
    for actor in ("a reader", "a writer"):
        (said,) = (each for each in moved.proofs if each.object.startswith(f"{actor} of public."))
        assert said.after.startswith("waited ")
        assert said.after.endswith("does not exist")


def test_a_stronger_lock_than_written_down_is_no_proof(here: Stage) -> None:
    statement = remedy.Statement(
        'ALTER TABLE "adm.venues" ALTER COLUMN capacity SET STATISTICS 10', "ACCESS SHARE"
    )
    with here.trial() as dbname:
        (said,) = locks.one_by_one(here.server, dbname, [statement])
    assert said.after == "SHARE UPDATE EXCLUSIVE on 1 table"
    assert not said.passed


# ------------------------------------------------------------------ what stands in the way


def test_a_long_transaction_ends_the_move_cleanly(here: Stage, moved: Rehearsal) -> None:
    quick = tuple(
        type(each)(each.sql.replace("'5s'", "'100ms'"), each.lock, each.on)
        for each in moved.repair.statements
    )
    with here.trial() as dbname, psycopg.connect(here.server.conninfo(dbname)) as reader:
        before = here.read(dbname)
        reader.execute('SELECT count(*) FROM public."adm.custom_fields"')
        assert "lock timeout" in here.run(dbname, quick).error
        assert diff(before, here.read(dbname)) == ()
        reader.rollback()
        assert here.run(dbname, quick).error == ""


def test_nothing_was_written_to_the_investigated_database(demo_case: Case, moved: Rehearsal) -> None:
    names = {each.qualified for each in demo_case.observed.relations}
    again = type(demo_case)(demo_case.target)
    assert {each.qualified for each in again.observed.relations} == names
    assert not (demo_case.project / "administrate/migrations/0005_move_tables_to_adm.py").exists()


@pytest.mark.slow
def test_a_million_rows_are_moved_and_not_rewritten(here: Stage) -> None:
    fill = (
        'INSERT INTO "adm.custom_fields" (external_id, label, entity, required, roles) '
        "SELECT 'X' || n, '', '', false, '[]' FROM generate_series(1, 1000000) n"
    )
    file = "SELECT pg_relation_filenode(%s::regclass), pg_relation_size(%s::regclass)"
    with here.trial() as dbname, here.server.connect(dbname) as connection:
        connection.execute(fill)
        before = connection.execute(file, ['public."adm.custom_fields"'] * 2).fetchone()
        assert here.run(dbname, remedy.option(here.case, "A").statements).error == ""
        assert connection.execute(file, ["adm.custom_fields"] * 2).fetchone() == before


@pytest.mark.parametrize(("option", "errors"), [("A", {"UndefinedTable"}), ("C", set())])
def test_a_writer_that_knows_the_old_name_needs_the_bridge(
    here: Stage, option: str, errors: set[str]
) -> None:
    repair = remedy.option(here.case, option)
    seen: list[str] = []
    done: list[int] = []
    with here.trial() as dbname:

        def write(times: int) -> None:
            with psycopg.connect(here.server.conninfo(dbname), autocommit=True) as connection:
                for _ in range(times):
                    try:
                        connection.execute('UPDATE "adm.venues" SET capacity = capacity WHERE id = 1')
                        done.append(1)
                    except psycopg.Error as error:
                        seen.append(type(error).__name__)

        write(10)
        writer = threading.Thread(target=write, args=(300,))
        writer.start()
        ran = here.run(dbname, repair.statements)
        writer.join()
        write(10)
    assert ran.error == ""
    assert set(seen) == errors
    assert len(done) + len(seen) == 320


# ------------------------------------------------------------------ keep, and bridge


@pytest.mark.parametrize("option", ["B", "C"])
def test_the_other_options_pass_too(here: Stage, option: str) -> None:
    repair = next(each for each in remedy.options(here.case) if each.option == option)
    rehearsed = rehearse(here, repair)
    assert [str(each) for each in rehearsed.failed] == []
    assert rehearsed.residue == ()
    assert proof(rehearsed, "rcakit check", "errors and warnings").after == "0"
    if option == "C":
        old, new = "old code, over the bridge", "new code, without the bridge"
        assert proof(rehearsed, "administrate.Venue", old).after.startswith("160 rows, read, updated")
        assert proof(rehearsed, "administrate.Venue", new).after.startswith("160 rows, read, updated")
        assert proof(rehearsed, "the old names", "are gone after the later step").after == "gone"
        waited = [each.after for each in rehearsed.proofs if each.check == "during repair.sql"]
        assert [each.endswith("ms, then went on") for each in waited] == [True, True]
        assert proof(rehearsed, "the old names", "rights over the bridge").after == "as before"


# ------------------------------------------------------------------ states of other databases


@contextmanager
def changed(here: Stage, script: str) -> Iterator[tuple[str, Case]]:
    """A copy with something different in it, and the case of it."""
    with here.trial() as dbname, pytest.MonkeyPatch.context() as patch:
        with here.server.connect(dbname) as connection:
            connection.execute(script.encode())
        patch.setenv("RCAKIT_TEST_CHANGED", here.server.conninfo(dbname))
        target = here.case.target.model_copy(update={"dsn_env": "RCAKIT_TEST_CHANGED"})
        yield dbname, Case(target)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('CREATE TABLE adm.venues (LIKE public."adm.venues")', "both there"),
        ('CREATE TABLE public.more () INHERITS (public."adm.venues")', "not an ordinary table"),
        ("CREATE SEQUENCE adm.venues_id_seq", "not free"),
        ("CREATE VIEW adm.venues AS SELECT 1 AS id", "both there"),
        ('CREATE VIEW adm."adm.venues" AS SELECT 1 AS id', "not free"),
        ("CREATE TYPE adm.venues AS ENUM ('a')", "not free"),
        ("CREATE TYPE adm.venues AS (a int)", "not free"),
        ("CREATE TABLE adm.t (a int); CREATE INDEX instructor_name_idx ON adm.t (a)", "not free"),
        (
            'ALTER TABLE "adm.venues" RENAME TO plain; CREATE TABLE "adm.venues" (id int) PARTITION BY LIST (id)',
            "not an ordinary table",
        ),
        (
            'ALTER TABLE "adm.venues" RENAME TO plain; CREATE VIEW "adm.venues" AS SELECT * FROM plain',
            "not an ordinary table",
        ),
    ],
)
def test_a_state_that_is_not_understood_is_refused(here: Stage, script: str, why: str) -> None:
    with changed(here, script) as (_, case), pytest.raises(Refused, match=why) as refused:
        remedy.options(case)
    assert refused.value.exit_code == 3


CRON = """
CREATE SCHEMA cron;
CREATE TABLE cron.job (jobid bigint, schedule text, command text);
INSERT INTO cron.job VALUES (1, '* * * * *', 'VACUUM'), (2, '@daily', 'DELETE FROM "adm.venues" WHERE false');
"""


def test_a_scheduled_job_that_names_a_table_is_left_to_do(here: Stage) -> None:
    with changed(here, CRON) as (_, case):
        repair = remedy.option(case, "A")
    left = "the cron entry 2 names adm.venues: change it with cron.alter_job"
    assert repair.residue == (left,)
    assert left in repair.dependants


BY_HAND = 'ALTER TABLE public."adm.venues" SET SCHEMA adm; ALTER TABLE adm."adm.venues" RENAME TO venues'


def test_one_of_seven_moved_by_hand_gets_the_rest(here: Stage, moved: Rehearsal) -> None:
    with changed(here, BY_HAND) as (dbname, case):
        with pytest.raises(Refused, match="moved by hand"):
            remedy.option(case, "B")
        repair = remedy.option(case, "A")
        assert [str(each.new) for each in repair.moves if not each.pending] == ["adm.venues"]
        rehearsed = rehearse(Stage(case, here.server, dbname), repair)
        assert [str(each) for each in rehearsed.failed] == []
        assert rehearsed.residue == ()
        opened = proof(rehearsed, "adm.venues", "rights of acted_app")
        assert (opened.before, opened.after) == ("nothing", "DELETE, INSERT, SELECT, UPDATE")
        assert proof(rehearsed, "administrate.Venue", "ORM round trip").after.startswith(
            "160 rows, read, updated"
        )
        with here.project(repair.changed) as copy:
            ledger = here.migrate(copy, dbname)
        assert ledger.failed is None
        assert not [each.name for each in ledger.catalog.relations if each.name.startswith("adm.")]
        assert not [each.name for each in ledger.catalog.constraints if each.name.startswith("adm.")]


def test_a_long_transaction_ends_the_migration_cleanly(here: Stage, moved: Rehearsal) -> None:
    hasty = {path: text.replace("'5s'", "'100ms'") for path, text in moved.repair.changed.items()}
    with here.trial() as dbname, psycopg.connect(here.server.conninfo(dbname)) as reader:
        before = here.read(dbname)
        reader.execute('SELECT count(*) FROM public."adm.custom_fields"')
        with here.project(hasty) as copy:
            failed = here.migrate(copy, dbname).failed
            assert failed is not None
            assert "lock timeout" in failed.error
            assert diff(before, here.read(dbname)) == ()
            reader.rollback()
            assert here.migrate(copy, dbname).failed is None


def test_a_table_that_is_there_twice_stops_the_migration_whole(here: Stage, moved: Rehearsal) -> None:
    with changed(here, "CREATE TABLE adm.custom_fields (id int)") as (dbname, _):
        before = here.read(dbname)
        with here.project(moved.repair.changed) as copy:
            ledger = here.migrate(copy, dbname)
        assert ledger.failed is not None
        assert "both of" in ledger.failed.error
        assert diff(before, here.read(dbname)) == ()


def test_default_privileges_come_along(here: Stage) -> None:
    grant = "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO acted_app"
    with changed(here, grant) as (dbname, case):
        repair = next(each for each in remedy.options(case) if each.option == "A")
        wanted = 'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "adm" GRANT SELECT ON TABLES TO "acted_app"'
        assert wanted in [each.sql for each in repair.statements]
        with here.project(repair.changed) as copy:
            assert here.migrate(copy, dbname).failed is None
        with here.server.connect(dbname) as connection:
            connection.execute("CREATE TABLE adm.later (id int)")
            held = connection.execute(
                "SELECT has_table_privilege('acted_app', 'adm.later', 'SELECT')"
            ).fetchone()
        assert held == (True,)


def test_a_function_that_was_changed_since_stops_the_migration(here: Stage, moved: Rehearsal) -> None:
    other = "CREATE OR REPLACE FUNCTION public.seats_at(wanted text) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint'"
    with changed(here, other) as (dbname, _):
        with here.project(moved.repair.changed) as copy:
            ledger = here.migrate(copy, dbname)
        assert ledger.failed is not None
        assert "was changed since" in ledger.failed.error
