"""A check without a database: it judges what files can tell, names what they cannot, and opens no connection."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from commands import ROOT, Run, runner
from test_document import SCHEMA

from rcakit import baseline, exports, rules
from rcakit.case import open_case
from rcakit.exports import checked

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
FROM_FILES = {rule.code for rule in rules.RULES if rule.needs == "files"}


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


@pytest.fixture
def unreachable(demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's files below settings whose interpreter and database do not exist."""
    shutil.copytree(demo_dir / "project", tmp_path / "project")
    monkeypatch.setenv("RCAKIT_NOWHERE", "host=/nonexistent dbname=none")
    live = (demo_dir / "rcakit.toml").read_text()
    settings = live.replace('python = "current"\n', 'python = "/nonexistent/python"\n')
    (tmp_path / "rcakit.toml").write_text(settings.replace("RCAKIT_TEST_INCIDENT", "RCAKIT_NOWHERE"))
    return tmp_path


def test_what_the_files_tell_is_found_without_a_database(rcakit: Run, unreachable: Path) -> None:
    done = rcakit("check", "--static", "--format", "json", cwd=unreachable)
    content = json.loads(done.out)
    jsonschema.validate(content, SCHEMA)
    assert (done.code, content["status"]) == (1, "findings")
    assert {row["code"] for row in content["findings"]} == {"RK101"}
    assert len(content["findings"]) == 7
    assert "database" not in content["target"]


def test_without_static_the_same_settings_cannot_run(rcakit: Run, unreachable: Path) -> None:
    done = rcakit("check", cwd=unreachable)
    assert (done.code, done.out) == (2, "")


def test_the_rules_that_were_not_asked_are_named(rcakit: Run, unreachable: Path) -> None:
    content = json.loads(rcakit("check", "--static", "--format", "json", cwd=unreachable).out)
    (row,) = (row for row in content["unread"] if row["account"] == "observed")
    named = {word.strip(",") for word in row["reason"].split() if word.startswith("RK")}
    assert named == {rule.code for rule in rules.RULES} - FROM_FILES
    assert not row["blocking"]


def test_a_healthy_project_is_clean_and_says_what_was_not_asked(rcakit: Run, healthy_dir: Path) -> None:
    done = rcakit("check", "--static", "--fail-on", "note", cwd=healthy_dir)
    assert done.code == 0
    assert "these rules need one: RK102" in done.out
    assert done.out.splitlines()[-1].startswith("nothing found: ")
    assert done.out.splitlines()[-1].endswith("from the files alone")


def test_a_file_that_cannot_be_read_is_not_clean(rcakit: Run, healthy_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(healthy_dir / "project", tmp_path / "project")
    (tmp_path / "project" / "administrate" / "models.py").write_text("class Venue(\n")
    done = rcakit(
        "check", "--static", "--project", tmp_path / "project", "--settings", "config.settings", cwd=tmp_path
    )
    assert done.code == 2
    assert "could not check" in done.out


def test_no_project_is_said(rcakit: Run, tmp_path: Path) -> None:
    done = rcakit("check", "--static", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "no project is named" in done.err


def test_every_rule_from_files_finds_the_same_with_the_database(demo_dir: Path) -> None:
    """Files alone accuse of nothing that the whole check does not."""
    alone = open_case(demo_dir / "rcakit.toml", static=True).findings
    whole = open_case(demo_dir / "rcakit.toml").findings
    assert {(row.code, row.where, row.severity) for row in alone} == {
        (row.code, row.where, row.severity) for row in whole if row.code in FROM_FILES
    }


def test_what_was_not_asked_is_skipped_in_junit_and_passed_elsewhere(healthy_dir: Path) -> None:
    def skipped(static: bool) -> set[str]:
        what = checked(open_case(healthy_dir / "rcakit.toml", static=static))
        root = ElementTree.fromstring(exports.FORMATS["junit"](what))  # noqa: S314 - of our own making
        cases = [case for case in root.iter("testcase") if case.find("skipped") is not None]
        return {
            case.attrib["classname"].split()[0] for case in cases if case.attrib["name"].startswith("needs a")
        }

    assert skipped(static=True) == {rule.code for rule in rules.RULES} - FROM_FILES
    assert (
        skipped(static=False)
        == {rule.code for rule in rules.RULES if rule.needs == "replay"}
        == {"RK206", "RK306"}
    )


def test_what_nobody_looked_for_is_not_gone(demo_dir: Path) -> None:
    whole = open_case(demo_dir / "rcakit.toml")
    alone = open_case(demo_dir / "rcakit.toml", static=True)
    alone.baseline = baseline.of(whole.standing)
    assert {entry.code for entry in alone.parted.gone} <= FROM_FILES


# ------------------------------------------------------------------ the hook


def test_the_hook_runs_the_check_of_the_files(rcakit: Run, demo_dir: Path, healthy_dir: Path) -> None:
    (hook,) = HOOKS
    command, *arguments = shlex.split(hook["entry"])
    assert (command, hook["language"], hook["pass_filenames"]) == ("rcakit", "python", False)
    assert rcakit(*arguments, cwd=demo_dir).code == 1
    assert rcakit(*arguments, cwd=healthy_dir).code == 0
