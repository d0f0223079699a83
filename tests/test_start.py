"""The first notebook, and a person's own words: what they show, and that neither is ever written over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from casefixture import HOSTILE, make_case
from commands import Run, runner

from rcakit import scratch, tour
from rcakit.case import Case, open_case
from rcakit.report import render, runs
from rcakit.report.sections import notes, start
from rcakit.report.sections.notes import Notes
from rcakit.target import Target


def words(markup: object) -> str:
    return re.sub(r"<[^>]+>", " ", str(markup).replace("<wbr>", ""))


# ------------------------------------------------------------------ 00_start_here


def test_the_accounts_say_how_much_was_read(demo_case: Case) -> None:
    shown = words(start.accounts(demo_case))
    assert [
        name for name in ("intended", "declared", "recorded", "replayed", "observed") if name not in shown
    ] == []
    assert f"{len(demo_case.accounts.declared.models)} models" in shown
    assert f"{len(demo_case.recorded.applied)} applied" in shown
    assert "Everything could be read." in shown


def test_what_could_not_be_read_is_not_passed_over() -> None:
    case = make_case()
    assert case.unread
    assert f"{len(case.unread)} place" in words(start.accounts(case))


def test_the_tables_in_question_are_those_that_do_not_agree(demo_case: Case, healthy_case: Case) -> None:
    wrong = [row for row in demo_case.placement if row.verdict != "agrees"]
    shown = words(start.tables_in_question(demo_case))
    assert wrong
    assert all(row.model in shown for row in wrong)
    assert "agree on all" in words(start.tables_in_question(healthy_case))


def test_the_ways_on_are_those_the_case_calls_for(demo_case: Case, healthy_case: Case) -> None:
    assert "rcakit repair" in words(start.ways(demo_case))
    assert demo_case.findings[0].code in words(start.ways(demo_case))
    assert "rcakit repair" not in words(start.ways(healthy_case))
    assert "rcakit replay" in words(start.ways(healthy_case))


def test_a_question_may_come_before_anything_was_read(tmp_path: Path) -> None:
    """A server of the target's own is not waited for by the question that runs it."""
    with scratch.server(tmp_path / "pgdata"):
        pass
    (tmp_path / "manage.py").touch()
    (tmp_path / "rcakit.toml").write_text('[target]\nproject = "."\n[target.server]\ndata = "pgdata"\n')
    assert open_case(tmp_path / "rcakit.toml").query("select 1 as one").to_dict("list") == {"one": [1]}


def test_the_notebook_runs(demo_dir: Path, tmp_path: Path, forked: runs.Options) -> None:
    """On the healthy twin: test_matrix."""
    given = {"config": str(demo_dir / "rcakit.toml")}
    run = runs.execute(runs.params.find("00_start_here"), given, tmp_path, forked)
    assert (run.status, run.reason) == ("findings", "")
    found = json.loads((run.folder / "findings.json").read_text())
    assert [row for row in found["findings"] if row["severity"] == "error"]
    page = run.report.read_text()
    assert "adm.venues" in page
    assert ".dataframe" not in page


# ------------------------------------------------------------------ notes


def of(text: str, case: Case, directory: Path) -> Case:
    (directory / "notes.md").write_text(text, encoding="utf-8")
    other = Case(case.target.model_copy(update={"root": directory}))
    assert isinstance(other.target, Target)
    return other


def test_notes_are_shown_below_the_sections_own_heading(demo_case: Case, tmp_path: Path) -> None:
    found = notes(
        of("# What we saw\n\nThe *planner* was empty.\n\n|a|b|\n|-|-|\n|1|2|\n", demo_case, tmp_path)
    )
    assert isinstance(found, Notes)
    page = render.safe(found.markup)
    assert "<h3>What we saw</h3>" in page
    assert "<em>planner</em>" in page
    assert "<td>1</td>" in page


def test_what_is_hostile_in_notes_is_text(demo_case: Case, tmp_path: Path) -> None:
    found = notes(
        of(f"{HOSTILE}\n\n![x](https://example.org/x.png) [y](javascript:alert(1))", demo_case, tmp_path)
    )
    assert isinstance(found, Notes)
    for markup in (found.markup, render.safe(found.markup)):
        assert not re.search(r"<(script|img|iframe|style)|javascript:", markup.replace("&lt;", ""))


@pytest.mark.parametrize("text", ["", " \n", tour.NOTES, "<!-- one -->\n<!-- two\nlines -->"])
def test_without_words_there_are_no_notes(demo_case: Case, tmp_path: Path, text: str) -> None:
    assert words(notes(of(text, demo_case, tmp_path))).strip().startswith("None")


def test_notes_survive_every_run(
    demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new folder's own words and own cells are part of its report, and stay as they are."""
    rcakit: Run = runner(monkeypatch, capsys)
    place = tmp_path / "inc"
    assert rcakit("new", place).code == 0
    settings = (demo_dir / "rcakit.toml").read_text().replace('"project"', f'"{demo_dir / "project"}"')
    (place / "rcakit.toml").write_text(settings)
    (place / "notes.md").write_text("Seen first by **Ada**.\n")
    own = place / "notebooks" / "00_start_here.ipynb"
    own.write_text(
        own.read_text().replace("So, what do I have here", "Ada was here. So, what do I have here")
    )
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for notebook in (own, "10_incident_report"):
        done = rcakit("run", notebook, "--out", tmp_path / "out", cwd=place)
        assert done.code == 1, done.err
        page = Path(done.out.strip()).read_text()
        assert ("Ada was here" in page) == (notebook == own)
        assert ("<strong>Ada</strong>" in page) == (notebook != own)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert rcakit("new", place).code == 2
