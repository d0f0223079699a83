"""The short check: what changed since the run before, the trend over the kept runs, and the notebook run for real."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from casefixture import HOSTILE, make_case
from commands import ROOT, Run, runner
from kept_runs import finding, keep, placed, unread
from links import dead

from rcakit import document
from rcakit.report import trend_figures
from rcakit.report.figures import Figure
from rcakit.report.html import Html
from rcakit.report.sections import drift
from rcakit.report.trend_figures import Point

NOON = datetime(2026, 2, 5, 12, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the reports, while a run of the target `demo` is under way."""
    part = tmp_path / "demo" / ".20260301T000000Z-3f9c.part"
    part.mkdir(parents=True)
    monkeypatch.setenv("RCAKIT_RUN_DIR", str(part))
    return tmp_path


def watched(**wanted: Any) -> Any:
    """A case that can say when it began and how it stands, as a real one does."""
    case = make_case(**wanted)
    case.started = NOON + timedelta(days=1)
    case.status = "findings" if case.findings else "ok"
    return case


def plain(markup: object) -> str:
    return re.sub(r"<[^>]+>", " ", str(markup))


def as_kept(case: Any) -> dict[str, Any]:
    """What a run that found the same would have left."""
    return {
        "findings": tuple(document.finding(row) for row in case.findings),
        "accounts": {"placement": [document.placed(row) for row in case.placement]},
        "unread": [document.unread(row) for row in case.unread],
        "provenance": dict(case.provenance),
    }


# ------------------------------------------------------------------ what changed


def test_without_an_earlier_run_nothing_is_said_of_drift(here: Path) -> None:
    case = watched()
    assert "The first run kept of this target" in drift.changes(case).text
    assert "nothing can be said about drift" in drift.verdict(case).text
    assert "<img" not in drift.trend(case).text


def test_outside_a_run_it_says_so_and_never_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RCAKIT_RUN_DIR", raising=False)
    case = watched(healthy=True)
    assert "not started by rcakit run" in drift.changes(case).text
    assert "not started by rcakit run" in drift.trend(case).text
    assert "nothing can be said about drift" in drift.verdict(case).text


@pytest.mark.parametrize("healthy", [True, False])
def test_the_same_again_is_no_drift(here: Path, healthy: bool) -> None:
    case = watched(healthy=healthy)
    kept = as_kept(case)
    keep(here, target="demo", **kept)
    said = plain(drift.verdict(case))
    assert "Nothing changed since" in said
    assert ("tables that were meant for schema adm" in said) is not healthy, (
        "what stands is said all the same"
    )
    assert "No finding is new." in drift.changes(case).text
    assert "No account of any table changed." in drift.changes(case).text


def test_what_changed_is_told_whole(here: Path) -> None:
    case = watched()
    kept = as_kept(case)
    gone = tuple(finding(f"RK9{n:02}", f"gone.t{n}") for n in range(40))
    kept["findings"] = (*kept["findings"][1:], *gone)
    kept["unread"] = []
    keep(here, target="demo", **kept)
    shown = plain(drift.changes(case))
    assert case.findings[0].code in shown
    assert all(row["code"] in shown for row in gone), "nothing is cut as in the title block"
    assert "What could not be read any more" in shown
    assert "1 new finding, 40 gone but not checked" in plain(drift.verdict(case))


def test_a_moved_table_is_drift_even_without_a_finding(here: Path) -> None:
    case = watched(healthy=True)
    kept = as_kept(case)
    kept["accounts"]["placement"][0] |= {"observed": None}
    keep(here, target="demo", **kept)
    assert "1 account of tables changed" in plain(drift.verdict(case))
    assert kept["accounts"]["placement"][0]["model"] in plain(drift.changes(case))


def test_all_findings_are_there(here: Path) -> None:
    case = watched()
    shown = plain(drift.findings(case))
    assert all(row.code in shown for row in case.findings)
    assert "Nothing was found." in drift.findings(watched(empty=True)).text


# ------------------------------------------------------------------ the trend


def test_the_trend_is_of_this_target_and_of_the_latest(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hours in range(5):
        keep(here, hours, target="demo", seconds=float(hours + 1))
    other = keep(here, 9, target="other", seconds=900.0)
    other.rename(here / "demo" / other.name)
    monkeypatch.setattr(drift, "RUNS", 3)
    shown = drift.trend(watched())
    assert "4 runs from 2026-02-05 14:00 to 2026-02-06 12:00 UTC" in shown.text
    assert "took 3.0 to 5.0 seconds" in shown.text
    assert "900" not in plain(shown)
    assert shown.text.count("report.html") == 3


def drawn(*points: Point) -> Figure:
    figure = trend_figures.trend(points)
    assert isinstance(figure, Figure)
    return figure


def texts(figure: Figure) -> list[str]:
    return [node.text or "" for node in ET.fromstring(figure.svg).iter(f"{SVG}text")]  # noqa: S314 - our own


def point(
    day: int, status: str = "ok", counts: dict[str, int] | None = None, seconds: float | None = 2.0
) -> Point:
    return Point(NOON + timedelta(days=day), status, counts, seconds)


def test_the_figure_says_in_words_what_it_shows() -> None:
    figure = drawn(
        point(0, counts={}),
        point(1, "failed", None, 1.0),
        point(2, "could-not-check", {"note": 1}),
        point(3, "findings", {"error": 7, "warning": 2}, None),
    )
    assert figure.alt == (
        "4 runs from 2026-02-05 12:00 to 2026-02-08 12:00 UTC; findings went from none to 7 errors, 2 warnings; "
        "1 run did not come to an end; the runs before took 1.0 to 2.0 seconds."
    )
    shown = texts(figure)
    assert [shown.count(glyph) for glyph in ("✓", "✕", "?")] == [1, 1, 1]
    assert "9" in shown, "the tallest column is labelled"


def test_the_figure_is_small_and_inert() -> None:
    figure = drawn(*(point(day, "findings", {"error": day, "warning": 1, "note": 2}) for day in range(31)))
    assert len(figure.svg) < 40_000
    tags = {node.tag.removeprefix(SVG) for node in ET.fromstring(figure.svg).iter()}  # noqa: S314 - our own
    assert tags.isdisjoint({"script", "image", "foreignObject", "a"})
    assert (
        drawn(point(0, counts={}), point(1, counts={})).svg
        == drawn(point(0, counts={}), point(1, counts={})).svg
    )


def test_the_figure_says_once_what_did_not_change() -> None:
    same, other = {"error": 7, "warning": 2}, {"error": 1}
    assert drawn(point(0, counts=same), point(0, counts=same)).alt == (
        "2 runs at 2026-02-05 12:00 UTC; 7 errors, 2 warnings found each time; the runs before took 2.0 seconds."
    )
    alt = drawn(point(0, counts=same), point(1, counts=other), point(2, counts=same, seconds=None)).alt
    assert "7 errors, 2 warnings found the first and the last time, something else between" in alt
    assert "none found each time" in drawn(point(0, counts={}), point(1, counts={})).alt


def test_one_run_is_no_trend_and_none_that_judged_is_told() -> None:
    assert trend_figures.trend([point(0, counts={})]) == Html("")
    assert "findings are not known" in drawn(point(0, "failed"), point(1, "timeout")).alt


def test_names_from_earlier_runs_are_text(here: Path) -> None:
    rows = (finding(object_=HOSTILE, rule=HOSTILE, code=HOSTILE),)
    accounts = {"placement": [placed(HOSTILE)]}
    keep(here, target="demo", findings=rows, accounts=accounts, unread=[unread(HOSTILE)])
    case = watched(hostile=True)
    for part in (drift.changes(case), drift.accounts(case), drift.findings(case), drift.trend(case)):
        assert "<img src=x" not in part.text
        assert "<script" not in part.text
        assert "\u202e" not in part.text


# ------------------------------------------------------------------ the notebook


def test_the_second_run_compares_with_the_first(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], demo_dir: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    rcakit: Run = runner(monkeypatch, capfd)
    done = [rcakit("run", "50_drift_watch", "-p", "python=", "--out", tmp_path, cwd=demo_dir) for _ in "ab"]
    assert [each.code for each in done] == [1, 1], done[-1].err
    first, second = (Path(each.out.strip()) for each in done)
    assert "nothing can be said about drift" in first.read_text()
    page = second.read_text()
    assert "Nothing changed since" in page
    assert re.search("2 runs (at|from) .* errors, .* found each time;", page)
    assert f"../{first.parent.name}/report.html" in page
    assert [dead(path) for path in (first, second, tmp_path / "index.html")] == [[], [], []]
    found = json.loads((second.parent / "findings.json").read_text())
    assert {row["code"] for row in found["findings"]} >= {"RK201", "RK401"}
    assert os.listdir(second.parent / "evidence")
