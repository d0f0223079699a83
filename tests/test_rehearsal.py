"""Repairs tried on a copy of the demo's database: the complete one passes, the usual advice does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from rcakit import remedy
from rcakit.case import Case
from rcakit.diff import diff
from rcakit.rehearsal import Proof, Rehearsal, Stage, rehearse, stage
from rcakit.remedy import advised


@pytest.fixture(scope="module")
def here(demo_case: Case) -> Iterator[Stage]:
    with stage(demo_case) as opened:
        yield opened


@pytest.fixture(scope="module")
def moved(here: Stage) -> Rehearsal:
    repair = next(each for each in remedy.options(here.case) if each.option == "A")
    return rehearse(here, repair)


@pytest.fixture(scope="module")
def usual(here: Stage) -> Rehearsal:
    return rehearse(here, advised.repair(here.case))


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
    assert proof(moved, "manage.py makemigrations", "--check").after == "no changes"


def test_what_is_measured_is_one_json_document(moved: Rehearsal) -> None:
    document = json.loads(json.dumps(moved.to_json()))
    assert document["verdict"] == "passed"
    assert document["residue"] == []
    assert len(document["proofs"]) == len(moved.proofs) > 60


# ------------------------------------------------------------------ the usual advice


def test_the_usual_advice_fails(usual: Rehearsal) -> None:
    assert usual.verdict == "failed"
    assert proof(usual, "rcakit check", "errors and warnings").after == "0"


def test_the_usual_advice_leaves_names_behind(usual: Rehearsal) -> None:
    kinds = {line.split()[1] for line in usual.residue}
    assert kinds == {"constraint", "index", "sequence", "function"}
    assert "the sequence adm.venues_id_seq still carries the old name" in usual.residue


def test_the_usual_advice_shuts_the_application_out(usual: Rehearsal) -> None:
    shut = proof(usual, "adm.venues", "rights of acted_app")
    assert (shut.before, shut.after, shut.passed) == ("DELETE, INSERT, SELECT, UPDATE", "nothing", False)


def test_the_usual_advice_breaks_the_function_and_not_the_view(usual: Rehearsal) -> None:
    assert (
        proof(usual, "function public.seats_at(text)", "works").after
        == 'relation "adm.locations" does not exist'
    )
    assert proof(usual, "view public.venue_directory", "works").passed


def test_the_usual_advice_leaves_django_and_fresh_databases_behind(usual: Rehearsal) -> None:
    assert "Rename table" in proof(usual, "manage.py makemigrations", "--check").after
    assert not proof(usual, "a fresh database", "ends in the same catalog").passed


# ------------------------------------------------------------------ what stands in the way


def test_a_long_transaction_ends_the_move_cleanly(here: Stage, moved: Rehearsal) -> None:
    quick = tuple(
        type(each)(each.sql.replace("'5s'", "'100ms'"), each.lock, each.on)
        for each in moved.repair.statements
    )
    with here.trial() as dbname, psycopg.connect(here.server.conninfo(dbname)) as reader:
        before = here.read(dbname)
        reader.execute('SELECT count(*) FROM public."adm.custom_fields"')
        assert "lock timeout" in here.run(dbname, quick)
        assert diff(before, here.read(dbname)) == ()
        reader.rollback()
        assert here.run(dbname, quick) == ""


def test_nothing_was_written_to_the_investigated_database(demo_case: Case, moved: Rehearsal) -> None:
    names = {each.qualified for each in demo_case.observed.relations}
    again = type(demo_case)(demo_case.target)
    assert {each.qualified for each in again.observed.relations} == names
    assert not (demo_case.project / "administrate/migrations/0005_move_tables_to_adm.py").exists()


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
