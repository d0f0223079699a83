"""The repair in the reports: the notebook runs for real on the incident, and each part without one says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcakit.case import Case
from rcakit.report import params, runs
from rcakit.report.sections import remedies


@pytest.mark.slow
def test_the_notebook_answers_its_title(demo_case: Case, tmp_path: Path, forked: runs.Options) -> None:
    given = {"config": str(demo_case.target.root / "rcakit.toml")}
    run = runs.execute(params.find("40_repair_rehearsal"), given, tmp_path, forked)
    assert run.reason == ""
    page = run.report.read_text(encoding="utf-8")
    assert "Option A passes with" in page
    assert "Option advised fails on rights of acted_app, works, --check, ends in the same catalog" in page
    assert "0005_move_tables_to_adm.py" in page


def test_the_options_stand_side_by_side(demo_case: Case) -> None:
    shown = remedies.options(demo_case).text
    assert [f"Option {letter}: " in shown for letter in "ABC"] == [True, True, True]
    assert "ACCESS EXCLUSIVE" in shown


def test_without_a_misplaced_table_each_part_says_so(healthy_case: Case) -> None:
    for part in (remedies.options, remedies.files, remedies.rehearsal, remedies.verdict):
        assert "no misplaced table" in part(healthy_case).text
