"""The section and notebook about the tests: what they show of the demo, read only, and how foreign text comes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcakit import blindness
from rcakit.blindness import Audit, Fault, Run, Score
from rcakit.case import Case
from rcakit.report.sections import blind

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def audit(demo_case: Case) -> Audit:
    return blindness.audit(demo_case, run=False)


def test_the_rows_and_what_was_not_run(demo_case: Case, audit: Audit) -> None:
    html = str(blind.tests(demo_case, audit))
    for task in ("T004", "T005", "T006", "T007", "T010", "T011"):
        assert f">{task}<" in html
    assert "What it should have tested" in html
    assert "Not run: the tests were not run." in html
    assert "pg_catalog.pg_class" in html


def test_where_the_tests_run(demo_case: Case) -> None:
    html = str(blind.where_tests_run(demo_case))
    for said in ("sqlite3", "TEST_ON_POSTGRES=1: postgresql", "GitHub Actions: test", "MIGRATION_MODULES"):
        assert said in html


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score(0, 0, 0), "Not decided"),
        (Score(5, 5, 5), "Yes: "),
        (
            Score(5, 3, 5),
            "No: 2 of 5 faults pass every test of the project. The proposed tests notice them all.",
        ),
        (Score(1, 0, 1), "No: not one test of the project notices the fault. The proposed tests do.</p>"),
        (Score(1, 0, 0), "No: not one test of the project notices the fault.</p>"),
    ],
)
def test_the_answer(audit: Audit, score: Score, said: str) -> None:
    assert said in str(blind.verdict(replace(audit, score=score)))


def test_foreign_text_is_shown_as_text(demo_case: Case, audit: Audit) -> None:
    seen = audit.tests[0]
    run = Run("sqlite3", "passed", "failed")
    evil = replace(
        seen, test=replace(seen.test, id=EVIL), why=EVIL, runs=(run,), verdict="sighted", proved=True
    )
    row = replace(audit.rows[0], tested=EVIL, why_passed=EVIL, tests=(evil,))
    changed = replace(
        audit,
        tests=(evil,),
        rows=(row,),
        problems=(EVIL,),
        proposed=EVIL,
        faults=(Fault(EVIL, EVIL, (), False),),
    )
    html = str(blind.tests(demo_case, changed))
    assert EVIL not in html
    assert "&lt;img src=x" in html
