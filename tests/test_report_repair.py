"""The repair in the reports: the notebook runs for real on the incident, and each part without one says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rcakit.case import Case
from rcakit.rehearsal.parts import Proof
from rcakit.report import params, runs
from rcakit.report.sections import remedies


@pytest.mark.slow
def test_the_notebook_answers_its_title(demo_case: Case, tmp_path: Path, forked: runs.Options) -> None:
    given = {"config": str(demo_case.target.root / "rcakit.toml")}
    run = runs.execute(params.find("40_repair_rehearsal"), given, tmp_path, forked)
    assert run.reason == ""
    page = run.report.read_text(encoding="utf-8")
    assert re.search(r"Option A passes all of its \d+ proofs and leaves nothing behind\.", page)
    assert re.search(r"What people usually advise fails \d+ of its \d+\.</p>", page)
    assert "It fails on rights of acted_app, works, --check, ends in the same catalog" in page
    assert "0005_move_tables_to_adm.py" in page


def test_the_options_stand_side_by_side(demo_case: Case) -> None:
    shown = remedies.options(demo_case).text
    assert [f"Option {letter}: " in shown for letter in "ABC"] == [True, True, True]
    assert "ACCESS EXCLUSIVE" in shown
    assert "<code>later/</code>" in shown
    assert "`" not in shown


def test_objects_of_which_a_check_says_the_same_share_a_line() -> None:
    lost = [Proof(f"adm.t{number}", "rights of app", "SELECT", "nothing", False) for number in range(3)]
    long = Proof("a fresh database", "ends in the same catalog", "", "+ column a.b; " * 40, False)
    shown = remedies._proofs(
        "What happened", [*lost, Proof("view v", "works", "works", "works", True), long]
    ).text
    assert "What happened: 5 proofs <small>3 lines</small>" in shown
    assert "<code>adm.t0</code>, <code>adm.t1</code>, <code>adm.t2</code>" in shown
    assert shown.count(">failed<") == 2
    assert shown.count("<details") == 1


def test_without_a_misplaced_table_each_part_says_so(healthy_case: Case) -> None:
    for part in (remedies.options, remedies.files, remedies.rehearsal, remedies.verdict):
        assert "no misplaced table" in part(healthy_case).text
