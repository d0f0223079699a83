"""When things happened: history rows, commits, ticks and edits, each with its source, in UTC and in order."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from casefixture import GUARDED, NOW, make_case

from rcakit import timeline
from rcakit.case import Case
from rcakit.facts import Edit, Where
from rcakit.sources import claims
from rcakit.timeline import Event

Commit = Callable[[str, dict[str, str], str], None]
GUARD_FILE = "administrate/migrations/0003_migrate_to_adm_schema.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def commit(project: Path) -> Commit:
    """commit(date, files, subject): a commit of these files at that moment, by nobody's own settings."""
    project.mkdir()

    def git(*arguments: str, date: str = "") -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"), ("DATE", date))
        }
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(
            ["git", *arguments],
            cwd=project,
            env={**clean, **who, **settings},
            check=True,
            capture_output=True,
        )

    git("init", "-q", "-b", "main")

    def make(date: str, files: dict[str, str], subject: str) -> None:
        for name, text in files.items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text, encoding="utf-8")
        git("add", "-A", date=date)
        git("commit", "-q", "-m", subject, date=date)

    return make


def case_of(project: Path, **changes: Any) -> Any:
    """The incident's facts on a project's own git history; the models' places are in one file."""
    case = make_case()
    project.mkdir(exist_ok=True)
    given = {"project": project, "claims": claims.read(project), **changes}
    return SimpleNamespace(**{**vars(case), **given})


def told(case: Any, source: str) -> list[tuple[datetime, str]]:
    return [(event.at, event.what) for event in timeline.events(case) if event.source.startswith(source)]


# ------------------------------------------------------------------ the demo


def test_the_story_of_the_incident_in_its_order(demo_case: Case) -> None:
    whats = [event.what for event in demo_case.timeline]
    story = [
        "adm.locations, adm.venues, adm.instructors and 4 more: ",
        "administrate.0001_initial recorded as applied",
        "T005 ticked: ",
        f"{GUARDED}: ",
        f"{GUARDED} recorded as applied",
        "T008 ticked: ",
        "investigated",
    ]
    places = [next(at for at, what in enumerate(whats) if what.startswith(part)) for part in story]
    assert places == sorted(places)
    assert whats[-1] == "investigated"


def test_every_event_has_an_aware_time_and_a_source(demo_case: Case) -> None:
    events = demo_case.timeline
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {event.at.utcoffset() for event in events} == {timedelta(0)}
    assert {event.source.split()[0] for event in events} == {"git", "history", "this"}


def test_the_frameworks_own_migrations_are_no_news(demo_case: Case) -> None:
    assert "auth.0001_initial" in demo_case.recorded.labels
    assert not [event for event in demo_case.timeline if "auth." in event.what]


# ------------------------------------------------------------------ sources, one by one


def test_a_project_without_git_has_its_history_rows(project: Path) -> None:
    case = case_of(project)
    assert told(case, "git") == []
    assert [what for _, what in told(case, "history table in public")] == [
        f"{row.label} recorded as applied" for row in case.recorded.applied
    ]


def test_the_commit_that_brought_a_name_in(project: Path, commit: Commit) -> None:
    models = "administrate/models.py"
    commit("2026-01-10T12:00:00+0200", {models: "class Venue: pass\n"}, "Begin")
    commit(
        "2026-01-11T12:00:00+0200", {models: 'class Venue:\n    db_table = "adm.venues"\n'}, "Name the table"
    )
    commit("2026-01-12T12:00:00+0200", {"other.py": '"adm.venues"\n'}, "Speak of it elsewhere")
    assert told(case_of(project), "git") == [
        (datetime(2026, 1, 11, 10, tzinfo=UTC), "adm.venues: Name the table")
    ]


def test_one_commit_is_one_event(project: Path, commit: Commit) -> None:
    names = "".join(f'"adm.{table}"\n' for table in ("venues", "locations", "instructors", "pricelevels"))
    commit("2026-01-11T12:00:00+0000", {"administrate/models.py": names}, "Name them")
    ((_, what),) = told(case_of(project), "git")
    assert what.endswith("and 1 more: Name them")
    assert what.count("adm.") == 3


def test_the_commit_that_brought_the_migration_in(project: Path, commit: Commit) -> None:
    commit("2026-01-13T08:00:00+0000", {GUARD_FILE: "class Migration: pass\n"}, "Move the tables")
    commit("2026-01-14T08:00:00+0000", {GUARD_FILE: "class Migration:\n    pass\n"}, "Format")
    assert told(case_of(project), "git") == [
        (datetime(2026, 1, 13, 8, tzinfo=UTC), f"{GUARDED}: Move the tables")
    ]


def test_a_tick_is_dated_when_its_text_names_the_schema(project: Path, commit: Commit) -> None:
    tasks = "- [{}] T005 Six tables in adm schema\n- [{}] T006 Write letters\n"
    commit("2026-01-10T08:00:00+0000", {"tasks.md": tasks.format(" ", " ")}, "Plan")
    commit("2026-01-20T08:00:00+0000", {"tasks.md": tasks.format("x", "x")}, "Done")
    assert told(case_of(project), "git") == [(datetime(2026, 1, 20, 8, tzinfo=UTC), "T005 ticked: Done")]


def test_an_edit_of_an_applied_migration(project: Path) -> None:
    at = NOW - timedelta(days=2)
    edit = Edit(GUARDED, Where(GUARD_FILE), at, "3f2a9c1d0e5b", "Tidy", operations_changed=True)
    remark = replace(edit, operations_changed=False)
    waiting = replace(edit, at=None)
    recorded = replace(make_case().recorded, edits=(edit, remark, waiting))
    assert told(case_of(project, recorded=recorded), "git 3f2a9c1d") == [
        (at, f"{GUARDED} edited after it was applied")
    ]


def test_a_healthy_project_has_no_culprits(project: Path, commit: Commit) -> None:
    commit("2026-01-11T12:00:00+0000", {"administrate/models.py": '"adm.venues"\n'}, "Name it")
    healthy = make_case(healthy=True)
    given = {name: getattr(healthy, name) for name in ("findings", "declared", "placement", "recorded")}
    assert told(case_of(project, **given), "git") == []


def test_the_number_of_searches_has_a_bound(
    project: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        "administrate/models.py": "".join(
            f'"adm.{table}"\n' for table in ("venues", "locations", "instructors")
        )
    }
    commit("2026-01-11T12:00:00+0000", names, "Name them")
    monkeypatch.setattr(timeline, "MOST_SEARCHES", 0)
    assert told(case_of(project), "git") == []


def test_names_that_git_would_take_for_options_are_text(project: Path, commit: Commit) -> None:
    commit("2026-01-11T12:00:00+0000", {"administrate/models.py": "--all\n"}, "Odd")
    case = case_of(project)
    models = tuple(replace(model, db_table="--output=x.y") for model in case.declared.models)
    case.declared = replace(case.declared, models=models)
    assert told(case, "git") == []
    assert sorted(path.name for path in project.iterdir()) == [".git", "administrate"]


def test_events_sort_by_time_then_text() -> None:
    early, late = Event(NOW, "a", "z"), Event(NOW + timedelta(seconds=1), "a", "a")
    assert sorted([late, Event(NOW, "b", "a"), early]) == [early, Event(NOW, "b", "a"), late]
