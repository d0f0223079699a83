"""Two runs side by side: what is new, what is really resolved, and what only looks so."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from casefixture import HOSTILE
from commands import Run, runner
from kept_runs import finding, keep, placed, step, unread

from rcakit.archive.difference import Difference, closing, closing_said, compare
from rcakit.archive.kept import Kept, read
from rcakit.archive.lookup import find
from rcakit.archive.telling import document, text
from rcakit.errors import ConfigError
from rcakit.report import comparing

SCHEMA = json.loads((files("rcakit") / "schemas" / "compare.json").read_text())


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def kept(root: Path, hours: int = 0, **content: Any) -> Kept:
    run = read(keep(root, hours, **content))
    assert isinstance(run, Kept)
    return run


def told(root: Path, earlier: dict[str, Any], later: dict[str, Any]) -> Difference:
    """The difference of two runs; each is checked to make a document its schema accepts."""
    was, now = kept(root, 0, **earlier), kept(root, 1, **later)
    found = compare(was, now)
    jsonschema.validate(json.loads(json.dumps(document(was, now, found))), SCHEMA)
    return found


def objects(rows: Any) -> list[str]:
    return [row.object for row in rows]


# ------------------------------------------------------------------ findings


def test_new_resolved_and_unchanged(tmp_path: Path) -> None:
    found = told(
        tmp_path,
        {"findings": (finding(object_="a"), finding(object_="b"))},
        {"findings": (finding(object_="b"), finding(object_="c"))},
    )
    assert (objects(found.new), objects(found.resolved), objects(found.unchanged)) == (["c"], ["a"], ["b"])
    assert found.said() == "1 new finding, 1 resolved, 1 unchanged"
    assert found.exit_code == 1


def test_lines_and_words_do_not_make_another_finding(tmp_path: Path) -> None:
    moved = finding(message="put otherwise", where={"path": "administrate/migrations/0003.py", "line": 99})
    found = told(tmp_path, {"findings": (finding(),)}, {"findings": (moved,)})
    assert (len(found.new), len(found.resolved)) == (0, 0)
    assert found.unchanged[0].message == "put otherwise"
    assert found.exit_code == 0


@pytest.mark.parametrize(
    "changed", [{"code": "RK202"}, {"object": "x"}, {"where": {"path": "b.py", "line": 12}}]
)
def test_code_object_and_path_make_another_finding(tmp_path: Path, changed: dict[str, Any]) -> None:
    found = told(tmp_path, {"findings": (finding(),)}, {"findings": ({**finding(), **changed},)})
    assert (len(found.new), len(found.resolved), len(found.unchanged)) == (1, 1, 0)


def test_the_same_finding_twice_and_then_once_is_one_resolved(tmp_path: Path) -> None:
    found = told(tmp_path, {"findings": (finding(), finding())}, {"findings": (finding(),)})
    assert (len(found.new), len(found.resolved), len(found.unchanged)) == (0, 1, 1)


def test_what_was_waived_is_not_resolved(tmp_path: Path) -> None:
    waived = [{"finding": finding(), "reason": "known", "until": None}]
    found = told(tmp_path, {"findings": (finding(),)}, {"waived": waived})
    assert (objects(found.waived), found.resolved) == (["adm.venues"], ())


def test_what_could_not_be_seen_is_not_resolved(tmp_path: Path) -> None:
    found = told(tmp_path, {"findings": (finding(),)}, {"unread": [unread()]})
    assert (objects(found.untold), found.resolved) == (["adm.venues"], ())
    assert found.exit_code == 2


def test_what_was_unread_all_along_does_not_hide_a_repair(tmp_path: Path) -> None:
    found = told(tmp_path, {"findings": (finding(),), "unread": [unread()]}, {"unread": [unread()]})
    assert (len(found.resolved), found.unread_new, found.exit_code) == (1, (), 0)


def test_without_a_replay_its_findings_are_not_resolved(tmp_path: Path) -> None:
    rows = (finding("RK306", "shop.venue"), finding())
    found = told(tmp_path, {"findings": rows, "steps": [step("a.0001", "changed")]}, {})
    assert (objects(found.untold), objects(found.resolved)) == (["shop.venue"], ["adm.venues"])
    assert found.notes == (
        "only the earlier run replayed the migrations: what a replay shows is not compared",
    )


def test_what_is_looked_at_only_beside_a_misplaced_table_is_not_resolved_by_moving_it(tmp_path: Path) -> None:
    rows = (
        finding("RK401"),
        finding("RK501", "settings_test.py", severity="warning"),
        finding("RK701", "T005"),
    )
    was, now = kept(tmp_path, 0, findings=rows), kept(tmp_path, 1)
    found = compare(was, now)
    assert (objects(found.moot), objects(found.resolved)) == (["settings_test.py"], ["adm.venues", "T005"])
    assert closing(found, now.content) == "closed"
    assert "1 of the findings are about them" in closing_said("closed", found)


def test_what_is_still_looked_at_and_gone_is_resolved(tmp_path: Path) -> None:
    rows = (finding("RK401"), finding("RK501", "settings_test.py"))
    assert objects(told(tmp_path, {"findings": rows}, {"findings": rows[:1]}).resolved) == [
        "settings_test.py"
    ]


def test_what_a_baseline_knew_is_still_there(tmp_path: Path) -> None:
    later = {"baseline": {"known": [finding()], "gone": []}}
    found = told(tmp_path, {"findings": (finding(),)}, later)
    assert (len(found.unchanged), found.resolved) == (1, ())


# ------------------------------------------------------------------ accounts


def test_an_account_that_changed_is_told_from_what_to_what(tmp_path: Path) -> None:
    now = placed(observed="adm.venues", verdict="agrees")
    found = told(tmp_path, {"accounts": {"placement": [placed()]}}, {"accounts": {"placement": [now]}})
    assert [(row.object, row.account, row.was, row.now) for row in found.accounts] == [
        ("administrate.Venue", "observed", 'public."adm.venues"', "adm.venues"),
        ("administrate.Venue", "verdict", "wrong schema", "agrees"),
    ]


def test_a_table_that_came_or_went(tmp_path: Path) -> None:
    found = told(
        tmp_path, {"accounts": {"placement": [placed("a.A")]}}, {"accounts": {"placement": [placed("a.B")]}}
    )
    assert {(row.object, row.was, row.now) for row in found.accounts} == {
        ("a.A", "adm.venues", None),
        ("a.B", None, "adm.venues"),
    }


def test_steps_and_conditions_of_two_replays(tmp_path: Path) -> None:
    def guard(value: bool, branch: str) -> dict[str, Any]:
        return {"operation": 0, "condition": "EXISTS (x)", "value": value, "branch": branch}

    found = told(
        tmp_path,
        {"steps": [step("a.0001", "silent-no-op", (guard(False, "skipped"),)), step("a.0002", "changed")]},
        {"steps": [step("a.0001", "changed", (guard(True, "taken"),)), step("a.0003", "changed")]},
    )
    assert [(row.object, row.was, row.now) for row in found.steps] == [
        ("a.0001", "silent-no-op", "changed"),
        ("a.0003", None, "changed"),
        ("a.0002", "changed", None),
    ]
    assert [(row.account, row.was, row.now) for row in found.guards] == [
        ("EXISTS (x)", "false, skipped", "true, taken")
    ]


def test_another_database_is_noted(tmp_path: Path) -> None:
    found = told(tmp_path, {}, {"target": "shop"} | {"provenance": {"declared account": "static"}})
    assert found.notes == ("the declared account was not known, and is static",)


# ------------------------------------------------------------------ what cannot be compared


def test_two_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a run of shop, .* one of depot"):
        compare(kept(tmp_path), kept(tmp_path, target="depot"))


@pytest.mark.parametrize("status", ["failed", "timeout", "kernel-died", "cancelled"])
def test_a_run_that_broke_off_is_refused(tmp_path: Path, status: str) -> None:
    with pytest.raises(ConfigError, match=f"its status is {status}: the server is gone"):
        compare(kept(tmp_path), kept(tmp_path, 1, status=status, reason="the server is gone"))


# ------------------------------------------------------------------ which run is meant


def test_a_run_by_id_folder_report_and_word(tmp_path: Path) -> None:
    good = keep(tmp_path, 0)
    bad = keep(tmp_path, 1, findings=(finding(),))
    keep(tmp_path, 2, status="failed")
    for reference in (
        good.name,
        good.name[:11],
        str(good),
        f"{good}/report.html",
        f"shop/{good.name}",
        "last-good",
    ):
        assert find(reference, tmp_path).folder == good, reference
    assert find("last", tmp_path).folder == bad


@pytest.mark.parametrize(
    ("reference", "what", "hint"),
    [
        ("2026", "'2026' is the beginning of 3 runs", "give more of the id"),
        ("1999", "no run '1999' is kept", "give its folder"),
        ("", "no run '' is kept", "give its folder"),
        ("last", "'last' could be a run of 2 targets", "name one: depot/last, shop/last"),
        ("shop/last-good", "no good run is kept", "name the directory"),
        ("20260205T130000Z-0bad", "has no run.json", "rcakit index"),
    ],
)
def test_a_run_that_is_not_clear(tmp_path: Path, reference: str, what: str, hint: str) -> None:
    keep(tmp_path, 0, findings=(finding(),))
    keep(tmp_path, 0, target="depot")
    keep(tmp_path, 1, target="depot")
    (tmp_path / "shop" / "20260205T130000Z-0bad").mkdir()
    with pytest.raises(ConfigError) as refused:
        find(reference, tmp_path)
    assert what in refused.value.what
    assert hint in refused.value.hint


# ------------------------------------------------------------------ closed?


@pytest.mark.parametrize(
    ("later", "verdict"),
    [
        ({}, "closed"),
        ({"findings": (finding("RK101", severity="note"),)}, "closed"),
        ({"findings": (finding(),)}, "not closed"),
        ({"findings": (finding("RK401", severity="warning"),)}, "not closed"),
        ({"waived": [{"finding": finding(), "reason": "known", "until": None}]}, "not closed"),
        ({"unread": [unread()]}, "could not check"),
        ({"unread": [unread(blocking=False)]}, "closed"),
    ],
)
def test_closed_is_said_of_nothing_less(tmp_path: Path, later: dict[str, Any], verdict: str) -> None:
    was, now = kept(tmp_path, 0, findings=(finding(),)), kept(tmp_path, 1, **later)
    assert closing(compare(was, now), now.content) == verdict


def test_what_only_a_replay_shows_is_not_closed_without_one(tmp_path: Path) -> None:
    was = kept(tmp_path, 0, findings=(finding("RK306"),), steps=[step("a.0001", "changed")])
    now = kept(tmp_path, 1)
    assert closing(compare(was, now), now.content) == "could not check"


# ------------------------------------------------------------------ how it is told


def test_the_text_names_what_changed(tmp_path: Path) -> None:
    was = kept(tmp_path, 0, findings=(finding(object_="a"),), accounts={"placement": [placed()]})
    now = kept(tmp_path, 1, accounts={"placement": [placed(observed=None, verdict="missing")]})
    said = text(was, now, compare(was, now))
    assert "resolved (1)\n  error RK201 a: a is not where it was meant to be" in said
    assert '  administrate.Venue observed: public."adm.venues" -> none\n' in said
    assert said.endswith("1 resolved\n")


def test_hostile_names_are_text(tmp_path: Path) -> None:
    was = kept(tmp_path, 0)
    now = kept(tmp_path, 1, findings=(finding(object_=HOSTILE, message=HOSTILE),), unread=[unread(HOSTILE)])
    found = compare(was, now)
    said, page = text(was, now, found), comparing.page(was, now, found, tmp_path)
    assert "\x1b" not in said + page
    assert "\u202e" not in said + page
    assert "<img" not in page
    assert "<script" not in page


def test_rcakit_compare(rcakit: Run, tmp_path: Path) -> None:
    keep(tmp_path / "reports", 0)
    keep(tmp_path / "reports", 1, findings=(finding(),))
    done = rcakit("compare", "last-good", "last", "--html", "changes.html", cwd=tmp_path)
    assert (done.code, done.out.splitlines()[-1]) == (1, "1 new finding")
    page = (tmp_path / "changes.html").read_text()
    assert 'href="reports/shop/' in page
    assert "1 new finding." in page
    done = rcakit("compare", "last-good", "last", "--format", "json", cwd=tmp_path)
    jsonschema.validate(json.loads(done.out), SCHEMA)
    back = rcakit("compare", "last", "last-good", cwd=tmp_path)
    assert (back.code, "note: the run named first is the later one" in back.out) == (0, True)
    nowhere = rcakit("compare", "last-good", "last", "--html", "no/changes.html", cwd=tmp_path)
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "no/changes.html cannot be written: No such file or directory" in nowhere.err
    assert rcakit("compare", "last", "gone", cwd=tmp_path).code == 2
