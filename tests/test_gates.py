"""The gates of a project: those it has, runs, skips and lost, read from its files and its history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rules.rule_facts import accounts, catalog
from test_git import Repository

from rcakit import rules
from rcakit.case import Case
from rcakit.facts import Accounts, Assertion, Finding, Gate, ProjectTest, Remark, Where
from rcakit.sources import gates

COMMAND = "shop/management/commands/verify_schema_placement.py"
CHECKS = '''
from django.core.management.base import BaseCommand, CommandError
class Command(BaseCommand):
    """Create nothing, look only."""
    def handle(self, **options):
        cursor.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = %s", ["adm"])
        if not cursor.fetchone():
            raise CommandError("not there")
'''
WORKFLOW = ".github/workflows/ci.yml"
GITHUB = """\
on: [push]
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - run: python manage.py verify_schema_placement
"""
GITLAB = "gate:\n  script:\n    - rcakit check\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "project")
    made.commit(1, "Begin")
    return made


def read(repository: Repository) -> list[tuple[str, str, str]]:
    return [(gate.name, gate.state, gate.how) for gate in gates.read(repository.root)[0]]


def found(repository: Repository) -> list[Finding]:
    given = replace(accounts(catalog()), gates=gates.read(repository.root)[0])
    return [each for each in rules.run(given) if each.code in ("RK801", "RK802")]


def test_a_deleted_command_is_found_with_its_commit(repository: Repository) -> None:
    repository.commit(5, "Check the schemas", **{COMMAND: CHECKS})
    assert found(repository) == []
    repository.run("rm", "-q", COMMAND)
    commit = repository.commit(13, "Remove unused commands")
    (gate,) = gates.read(repository.root)[0]
    assert (gate.state, gate.commit, gate.at and gate.at.day) == ("removed", commit, 13)
    (finding,) = found(repository)
    assert (finding.code, finding.object, finding.where) == (
        "RK801",
        "verify_schema_placement",
        Where(COMMAND),
    )
    assert f"on 2026-02-13 by commit {commit[:7]} ('Remove unused commands')" in finding.message


def test_a_command_that_moved_or_came_back_is_there(repository: Repository) -> None:
    repository.commit(5, "Check", **{COMMAND: CHECKS})
    repository.run("rm", "-q", COMMAND)
    repository.commit(6, "Move", **{COMMAND.replace("shop", "core"): CHECKS})
    assert read(repository) == [("verify_schema_placement", "there", "")]
    assert found(repository) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (COMMAND.replace("verify_schema_placement", "move_tables"), CHECKS),
        (
            COMMAND,
            CHECKS.replace("SELECT 1 FROM information_schema.tables WHERE", "SELECT 1 FROM tables WHERE"),
        ),
        (COMMAND, CHECKS.replace("raise CommandError", "print")),
        (COMMAND, CHECKS + '\nFIX = " ALTER TABLE venues SET SCHEMA adm"\n'),
        (COMMAND, "def broken(:\n"),
        (COMMAND.replace("commands/", "helpers/"), CHECKS),
    ],
    ids=["another name", "no catalog", "cannot fail", "writes", "not Python", "no command"],
)
def test_what_is_no_check_for_certain_is_none(repository: Repository, path: str, text: str) -> None:
    repository.commit(5, "Add", **{path: text})
    repository.run("rm", "-q", path)
    repository.commit(6, "Remove")
    assert read(repository) == []


def test_a_step_that_left_the_pipeline(repository: Repository) -> None:
    repository.commit(5, "Check", **{COMMAND: CHECKS, WORKFLOW: GITHUB})
    assert ("verify_schema_placement", "runs", "") in read(repository)
    repository.commit(6, "Fast CI", **{WORKFLOW: GITHUB.replace("verify_schema_placement", "check")})
    (finding,) = found(repository)
    assert finding.code == "RK801"
    assert finding.message.startswith("no pipeline runs it any more on 2026-02-06")
    assert finding.where == Where(WORKFLOW)


def test_a_step_that_moved_to_another_file_did_not_leave(repository: Repository) -> None:
    repository.commit(5, "Check", **{".gitlab-ci.yml": GITLAB})
    repository.run("rm", "-q", ".gitlab-ci.yml")
    repository.commit(
        6,
        "Move to GitHub",
        **{WORKFLOW: GITHUB.replace("python manage.py verify_schema_placement", "rcakit check")},
    )
    assert read(repository) == [("rcakit check", "runs", "")]
    assert found(repository) == []


@pytest.mark.parametrize(
    ("path", "text", "how"),
    [
        (WORKFLOW, GITHUB.replace("  gate:\n", "  gate:\n    if: false\n"), "if: false"),
        (WORKFLOW, GITHUB.replace("- run", "- if: ${{ false }}\n        run"), "if: ${{ false }}"),
        (WORKFLOW, GITHUB.replace("  gate:\n", "  gate:\n    continue-on-error: true\n"), "continue-on-error: true"),
        (WORKFLOW, GITHUB.replace("- run", "- continue-on-error: true\n        run"), "continue-on-error: true"),
        (WORKFLOW, GITHUB.replace("placement", "placement || true"), "|| true"),
        (WORKFLOW, GITHUB.replace("[push]", "workflow_dispatch"), "only by hand"),
        (WORKFLOW, GITHUB.replace("- run: python", "- run: pytest\n      # - run: python"), "commented out"),
        (".gitlab-ci.yml", GITLAB + "  allow_failure: true\n", "allow_failure: true"),
        (".gitlab-ci.yml", GITLAB + "  when: manual\n", "when: manual"),
        (".gitlab-ci.yml", GITLAB + "  rules:\n    - when: never\n", "when: never"),
        (".gitlab-ci.yml", GITLAB.replace("    - ", "    - ls\n    # - "), "commented out"),
    ],
)  # fmt: skip
def test_a_step_that_cannot_fail_is_skipped(repository: Repository, path: str, text: str, how: str) -> None:
    repository.commit(5, "Check", **{path: text})
    (finding,) = found(repository)
    assert (finding.code, finding.where and finding.where.path) == ("RK802", path)
    assert finding.message == f"the check of where tables are cannot fail the pipeline: {how}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (WORKFLOW, GITHUB),
        (WORKFLOW, GITHUB.replace("- run", "- if: github.ref == 'refs/heads/main'\n        run")),
        (WORKFLOW, GITHUB.replace("[push]", "[push, workflow_dispatch]")),
        (WORKFLOW, GITHUB.replace("python manage.py", "echo python manage.py")),
        (WORKFLOW, GITHUB.replace("- run: python", "# rcakit check runs at night\n      - run: python")),
        (WORKFLOW, GITHUB.replace("placement", "placement\n      - run: rcakit check || true")),
        (".gitlab-ci.yml", GITLAB + "  rules:\n    - when: manual\n    - when: on_success\n"),
        ("Makefile", "gate:\n\trcakit check || true\n"),
    ],
)
def test_a_step_that_runs_is_not_accused(repository: Repository, path: str, text: str) -> None:
    repository.commit(5, "Check", **{path: text})
    assert found(repository) == []


def test_a_target_that_the_pipeline_calls_is_the_pipelines(repository: Repository) -> None:
    workflow = GITHUB.replace("python manage.py verify_schema_placement", "make gate")
    repository.commit(5, "Check", **{"Makefile": "gate:\n\trcakit check\n", WORKFLOW: workflow})
    assert ("rcakit check", "runs", "") in read(repository)
    repository.commit(6, "Let it be", **{WORKFLOW: workflow.replace("make gate", "make gate || true")})
    assert ("rcakit check", "skipped", "|| true") in read(repository)


def _lost() -> Accounts:
    return replace(accounts(catalog()), gates=(Gate("verify_x", "removed", Where("a.py")),))


def test_another_check_in_its_place_is_enough() -> None:
    where = Where("tests.py", 1)
    asserted = Assertion("catalog", where, "assert it", Remark(where, "said"))
    test = ProjectTest("tests.py::test_it", where, (asserted,))
    lost = _lost()
    assert [each.code for each in rules.run(lost)] == ["RK801"]
    app = replace(lost, declared=replace(lost.declared, apps=("rcakit_gate",)))
    other = replace(lost, gates=(*lost.gates, Gate("check_y", "there", where)))
    for given in (app, other, replace(lost, tests=(test,))):
        assert rules.run(given) == ()


def test_without_git_nothing_is_known_to_be_gone(tmp_path: Path) -> None:
    found_, (unread,) = gates.read(tmp_path)
    assert found_ == ()
    assert "git history cannot be read" in unread.reason


def test_neither_demo_has_or_had_a_gate(demo_case: Case, healthy_case: Case) -> None:
    assert demo_case.accounts.gates == healthy_case.accounts.gates == ()
