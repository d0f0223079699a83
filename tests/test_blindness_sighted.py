"""A suite that sees: the demo with the proposed tests written into it, by the command that people use for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import Run, runner

from rcakit import blindness, scratch
from rcakit.blindness import written
from rcakit.blindness.runs import PROPOSED
from rcakit.case import open_case
from rcakit.target import load

pytestmark = pytest.mark.slow


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def variant(rcakit: Run, directory: Path, place: Path) -> Path:
    """A copy of a demo, the same database, with the proposed tests in its project."""
    shutil.copytree(directory, place, ignore=shutil.ignore_patterns("pgdata"))
    done = rcakit("audit-tests", "--static", "--write", "project", cwd=place)
    assert done.code == 0, done.err
    assert len(list((place / "project").rglob(f"{PROPOSED}.py"))) == 1
    return place / "rcakit.toml"


def test_the_healthy_twin_with_the_proposed_tests_sees_every_fault_and_has_no_finding(
    rcakit: Run, healthy_dir: Path, own_python: str, tmp_path: Path, server: scratch.Server
) -> None:
    case = open_case(load(variant(rcakit, healthy_dir, tmp_path / "twin"), python=own_python))
    assert [each.code for each in case.findings if each.code.startswith(("RK5", "RK6", "RK7"))] == []
    audit = blindness.audit(case, server=server)
    assert audit.problems == ()
    assert (audit.score.mutants, audit.score.sighted) == (5, 5)
    mine = [each for each in audit.tests if f"{PROPOSED}.py" in each.test.id]
    assert {each.test.looks_at for each in mine} == {"catalog"}
    assert "sighted" in {each.verdict for each in mine}
    unseeing = [each for each in mine if each.verdict != "sighted"]
    touched = [fault.object for fault in audit.faults]
    assert not [each for each in unseeing if any(table in each.should_test for table in touched)]
    unnamed = [each for each in audit.faults if not any(f"{PROPOSED}.py" in test for test in each.seen_by)]
    assert [(each.kind, each.breaks) for each in unnamed] == [("migration-without-effect", True)]
    assert written.exit_code(audit) == 0


def test_the_incident_with_the_proposed_tests_is_noticed(
    rcakit: Run, demo_dir: Path, own_python: str, tmp_path: Path, server: scratch.Server
) -> None:
    case = open_case(load(variant(rcakit, demo_dir, tmp_path / "incident"), python=own_python))
    assert "RK505" not in {each.code for each in case.findings}
    audit = blindness.audit(case, server=server)
    assert audit.problems == ()
    assert (audit.score.mutants, audit.score.sighted) == (1, 1)
    mine = [each for each in audit.tests if f"{PROPOSED}.py" in each.test.id]
    assert {each.verdict for each in mine} == {"sighted"}
    assert {each.verdict for each in audit.tests if each not in mine} == {"blind"}
    assert written.exit_code(audit) == 0
