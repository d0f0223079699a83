"""The title block on earlier runs: what is new since the last one, and whether an incident is over."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from casefixture import HOSTILE, make_case
from commands import ROOT, Done, runner
from kept_runs import finding, keep, placed
from psycopg.conninfo import conninfo_to_dict

from rcakit import demo, document
from rcakit.report import sections
from rcakit.report.sections import since
from rcakit.scratch import Server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of the target `demo` that is under way."""
    part = tmp_path / "demo" / ".20260301T000000Z-3f9c.part"
    part.mkdir(parents=True)
    monkeypatch.setenv("RCAKIT_RUN_DIR", str(part))
    return tmp_path


def as_found(case: Any) -> tuple[dict[str, Any], ...]:
    return tuple(document.finding(row) for row in case.findings)


def plain(markup: object) -> str:
    return re.sub(r"<[^>]+>", "", str(markup))


def test_outside_a_run_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RCAKIT_RUN_DIR", raising=False)
    assert since.block(make_case()).text == ""


def test_the_first_run_says_so_in_one_short_line(here: Path) -> None:
    assert since.block(make_case()).text == "<p class=meta>The first run kept of this target.</p>"


def test_a_later_run_tells_what_changed(here: Path) -> None:
    case = make_case()
    rows = [document.placed(row) for row in case.placement]
    before = keep(
        here,
        target="demo",
        findings=(*as_found(case)[1:], finding("RK999", "gone.table")),
        accounts={"placement": [{**rows[0], "observed": None}, *rows[1:]]},
        unread=[document.unread(row) for row in case.unread],
    )
    block = since.block(case)
    same = len(case.findings) - 1
    assert f'Since <a href="../{before.name}/report.html">the last run</a>' in block.text
    assert f"2026-02-05 12:00:00 UTC: 1 new finding, 1 resolved, {same} unchanged." in plain(block)
    assert f"new {case.findings[0].code}" in plain(block)
    assert "resolved RK999 guard-never-true gone.table" in plain(block)
    assert f"{rows[0]['model']} observed: none → {rows[0]['observed']}" in plain(block)
    assert block.text in sections.title(case).text, "it is part of the title block"


def test_a_long_list_is_cut_and_counted(here: Path) -> None:
    keep(here, target="demo", findings=tuple(finding(f"RK9{n:02}", f"t{n}") for n in range(40)))
    block = since.block(make_case(healthy=True)).text
    assert block.count("<li>") == since.LINES + 1
    assert "rcakit compare" in block


def test_findings_of_one_rule_are_one_line(here: Path) -> None:
    keep(here, target="demo", findings=tuple(finding(object_=f"t{n}") for n in range(40)))
    block = since.block(make_case(healthy=True)).text
    assert "resolved RK201 guard-never-true 40 times" in plain(block)


def test_runs_of_others_and_runs_that_broke_off_are_passed_over(here: Path) -> None:
    keep(here, 0, target="demo")
    keep(here, 1, target="demo", status="failed")
    (keep(here, 2, target="demo") / "run.json").write_text("{")
    other = keep(here, 3, target="other", findings=(finding(),))
    other.rename(here / "demo" / other.name)
    said = plain(since.block(make_case(healthy=True)))
    assert "2026-02-05 12:00:00 UTC: nothing found in either. 1 run after it did not come to an end." in said


def test_names_from_an_earlier_run_are_text(here: Path) -> None:
    rows = (finding(object_=HOSTILE, rule=HOSTILE, code=HOSTILE),)
    keep(
        here,
        target="demo",
        findings=rows,
        accounts={"placement": [placed(HOSTILE)]},
        provenance={"declared account": HOSTILE},
    )
    block = since.block(make_case(healthy=True)).text
    assert "<img" not in block
    assert "<script" not in block
    assert "\u202e" not in block


# ------------------------------------------------------------------ closed?


@pytest.mark.parametrize(
    ("healthy", "chip", "verdict"), [(True, "good", "closed"), (False, "error", "not closed")]
)
def test_the_title_block_says_whether_it_is_closed(
    here: Path, monkeypatch: pytest.MonkeyPatch, healthy: bool, chip: str, verdict: str
) -> None:
    was = keep(here, target="demo", findings=as_found(make_case()))
    monkeypatch.setenv(since.VERIFIES, str(was))
    block = since.block(make_case(healthy=healthy)).text
    assert f"<b class={chip}>{verdict}</b>" in block
    assert f'href="../{was.name}/report.html"' in block


def test_what_could_not_be_checked_is_never_closed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    was = keep(here, target="demo", findings=as_found(make_case()))
    monkeypatch.setenv(since.VERIFIES, str(was))
    case = make_case(healthy=True)
    case.unread = make_case().unread
    assert "<b class=unknown>could not check</b>" in since.block(case).text


def test_a_run_that_went_away_meanwhile_is_not_closed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(since.VERIFIES, str(here / "demo" / "20260205T120000Z-3f9c"))
    assert "<b class=unknown>could not check</b>" in since.block(make_case(healthy=True)).text


# ------------------------------------------------------------------ the demo, mended for real


@pytest.fixture(scope="module")
def broken(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, demo.Demo]]:
    """A demo of its own, which is to be repaired."""
    place = tmp_path_factory.mktemp("closing")
    built = demo.build(place / "incident", server, database="demo_closing")
    settings = built.config.read_text("utf-8")
    named = settings.replace('python = "current"\n', 'python = "current"\ndsn_env = "RCAKIT_TEST_CLOSING"\n')
    built.config.write_text(named, "utf-8")
    yield built.directory, built
    with server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS demo_closing WITH (FORCE)")


def _apply(place: Path, built: demo.Demo) -> None:
    """As fix/README.md says: copy the migration, apply the model patch, migrate."""
    shutil.copytree(place / "fix" / "project", built.project, dirs_exist_ok=True)
    subprocess.run(["git", "apply", place / "fix" / "models.patch"], cwd=built.project, check=True)
    to = conninfo_to_dict(built.conninfo)
    named = {"HOST": "host", "PORT": "port", "NAME": "dbname", "USER": "user", "PASSWORD": "password"}
    settings = {f"DB_{key}": str(to.get(name) or "") for key, name in named.items()}
    command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
    subprocess.run(command, cwd=built.project, env={**os.environ, **settings}, check=True)


@pytest.mark.slow
def test_an_incident_is_closed_by_the_repair_and_by_nothing_less(
    broken: tuple[Path, demo.Demo], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place, built = broken
    run_here = runner(monkeypatch, capfd)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def rcakit(*arguments: str, conninfo: str = built.conninfo) -> Done:
        monkeypatch.setenv("RCAKIT_TEST_CLOSING", conninfo)
        return run_here(*arguments, cwd=place)

    first = rcakit("investigate")
    assert first.code == 1, first.err
    run = Path(first.out.strip()).parent.name
    assert "The first run kept of this target" in (place / first.out.strip()).read_text()

    second = rcakit("investigate", "--verify-closed", run)
    assert second.code == 1, second.err
    assert "\nnot closed: " in second.out
    assert "unchanged (" in second.out

    gone = rcakit("investigate", "--verify-closed", run, conninfo="host=/nowhere dbname=x connect_timeout=1")
    assert (gone.code, gone.out.splitlines()[0]) == (2, "could not check: the run did not come to its end")

    assert rcakit("repair", "--option", "A", "--out", "fix").code == 0
    _apply(place, built)

    third = rcakit("investigate", "--verify-closed", run)
    assert third.code == 0, third.out + third.err
    assert "\nclosed: " in third.out
    assert "resolved (" in third.out
    assert "on tests and pipelines, not looked for any more" in third.out, (
        "settings_test.py still says sqlite3"
    )
    page = (place / third.out.splitlines()[-1]).read_text()
    assert "<b class=good>closed</b>" in page
    assert f"../{run}/report.html" in page

    compared = rcakit("compare", run, "last", "--format", "json")
    assert compared.code == 0
    moved = {
        (row["was"], row["now"])
        for row in json.loads(compared.out)["accounts"]
        if row["account"] == "observed"
    }
    assert ('public."adm.venues"', "adm.venues") in moved

    nothing = rcakit("investigate", "--verify-closed", "last")
    assert (nothing.code, "nothing is to be closed" in nothing.err) == (2, True)
