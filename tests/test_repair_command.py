"""`rcakit repair` as a person or a pipeline runs it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from commands import Run, runner

from rcakit.rehearsal import Proof, Rehearsal
from rcakit.remedy import Repair
from rcakit.text import repair as repair_text

SCHEMA = json.loads((files("rcakit") / "schemas" / "repair.json").read_text("utf-8"))


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_files_are_written_for_a_reviewer(rcakit: Run, demo_dir: Path, tmp_path: Path, option: str) -> None:
    done = rcakit("repair", "--option", option, "--out", tmp_path, "--format", "json", cwd=demo_dir)
    assert done.code == 0, done.err
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert document["rehearsal"] is None
    assert all((tmp_path / path).is_file() for path in document["files"])
    page = (tmp_path / "README.md").read_text("utf-8")
    assert page.startswith(f"# Option {option}: ")
    assert "## Trade-offs" in page


def test_the_usual_advice_fails_with_exit_code_1(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    done = rcakit(
        "repair", "--option", "advised", "--out", tmp_path, "--rehearse", "--format", "json", cwd=demo_dir
    )
    assert done.code == 1, done.err
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert document["rehearsal"]["verdict"] == "failed"
    proofs = {(proof["object"], proof["check"]): proof for proof in document["rehearsal"]["proofs"]}
    failed = {check for (_, check), proof in proofs.items() if not proof["passed"]}
    assert failed == {"rights of acted_app", "works", "--check", "ends in the same catalog"}
    assert (
        proofs["rcakit check", "errors and warnings"]["after"] == "0"
    )  # the usual checks are content with it
    shut = proofs["adm.venues", "rights of acted_app"]
    assert (shut["before"], shut["after"]) == ("DELETE, INSERT, SELECT, UPDATE", "nothing")
    broken = proofs["function public.seats_at(text)", "works"]
    assert broken["after"] == 'relation "adm.locations" does not exist'
    assert proofs["view public.venue_directory", "works"]["passed"]
    assert "Rename table" in proofs["manage.py makemigrations", "--check"]["after"]
    left = document["rehearsal"]["residue"]
    assert {line.split()[1] for line in left} == {"constraint", "index", "sequence", "function"}
    assert "the sequence adm.venues_id_seq still carries the old name" in left


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "trip"), [("0", "0 rows, read (no row)"), ("3", "rows, read, updated")])
def test_a_sample_will_do_and_so_will_empty_tables(
    rcakit: Run, demo_dir: Path, tmp_path: Path, rows: str, trip: str
) -> None:
    given = ("--option", "A", "--out", tmp_path, "--rehearse", "--rows", rows, "--format", "json")
    done = rcakit("repair", *given, cwd=demo_dir)
    assert done.code == 0, done.out
    proofs = {
        (proof["object"], proof["check"]): proof["after"]
        for proof in json.loads(done.out)["rehearsal"]["proofs"]
    }
    assert proofs["the copy", "rows to try it on"].endswith(f": {rows} a table, and what they refer to")
    kept = [int(after) for (_, check), after in proofs.items() if check == "rows"]
    assert sum(kept) == int(proofs["the copy", "rows to try it on"].split()[0])
    assert all(int(rows) <= each < 160 for each in kept)
    assert trip in proofs["administrate.Venue", "ORM round trip"]
    assert proofs["a fresh database", "ends in the same catalog"] == "equal"


def test_a_number_of_rows_is_a_number(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    done = rcakit("repair", "--option", "A", "--out", tmp_path, "--rehearse", "--rows", "-1", cwd=demo_dir)
    assert done.code == 2
    assert "neither 'all' nor a number of rows" in done.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_repair_is_refused(rcakit: Run, healthy_dir: Path, tmp_path: Path) -> None:
    done = rcakit("repair", "--option", "A", "--out", tmp_path, cwd=healthy_dir)
    assert done.code == 3
    assert "no misplaced table" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_somebody_else_is_not_overwritten(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    done = rcakit("repair", "--option", "A", "--out", tmp_path, cwd=demo_dir)
    assert done.code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_failed_rehearsal_names_each_kind_once() -> None:
    proofs = tuple(Proof(f"t{n}", "rights of \x1b[31mapp", "SELECT", "nothing", False) for n in range(9))
    rehearsed = Rehearsal(
        Repair("A", "move"), proofs, ("the index a is left", "the index b is left"), 1.5, "15.18"
    )
    said = repair_text.repair(rehearsed.repair, (), rehearsed)
    assert "failed: rights of \\x1b[31mapp: t0: SELECT -> nothing (and 8 more like it)" in said
    assert "left: the index a is left (and 1 more like it)" in said
    assert "0 of 9 proofs" in said
