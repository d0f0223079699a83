"""Causes proved by undoing them, on the demo: every row of the matrix is a real replay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rcakit import causes, counterfactual, undo
from rcakit.case import Case, open_case
from rcakit.counterfactual import Matrix, Trial
from rcakit.scratch import Server
from rcakit.target import load
from rcakit.undo.copies import copied

MOVE = "administrate.0003_migrate_to_adm_schema"


@pytest.fixture(scope="module")
def case(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Case:
    from rcakit import demo

    place = tmp_path_factory.mktemp("counterfactual")
    built = demo.build(place, server, database="counterfactual")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERFACTUAL_DSN", built.conninfo)
        case = open_case(load(place / "rcakit.toml", dsn_env="COUNTERFACTUAL_DSN"), replay=True)
        assert case.matrix is not None
    return case


@pytest.fixture(scope="module")
def matrix(case: Case) -> Matrix:
    assert case.matrix is not None
    return case.matrix


def test_every_set_of_causes_was_replayed(matrix: Matrix) -> None:
    assert [trial.undone for trial in matrix.trials] == [
        (),
        ("C1",),
        ("C2",),
        ("C3",),
        ("C1", "C2"),
        ("C1", "C3"),
        ("C2", "C3"),
        ("C1", "C2", "C3"),
    ]
    assert matrix.untried == {}


def test_with_nothing_undone_the_incident_happens_again(matrix: Matrix) -> None:
    trial = matrix.trial()
    assert (trial.placed, trial.reached, trial.total, trial.stopped) == (0, 7, 7, "")
    assert trial.silent == (MOVE,)
    assert trial.symptom


def test_the_name_undone_alone_removes_the_symptom(matrix: Matrix) -> None:
    assert not matrix.trial("C1").symptom
    assert matrix.sufficient("C1")
    assert matrix.necessary("C1")


def test_the_guard_undone_alone_moves_the_tables_and_leaves_the_models_behind(matrix: Matrix) -> None:
    trial = matrix.trial("C2")
    assert (trial.placed, trial.reached) == (7, 0)
    assert not matrix.sufficient("C2")
    assert not matrix.refuted("C2")


def test_the_silence_undone_alone_makes_the_same_migration_fail_aloud(matrix: Matrix) -> None:
    trial = matrix.trial("C3")
    assert trial.placed == 0
    assert trial.stopped.startswith(f"{MOVE}: ")
    assert matrix.silencing("C3")
    assert not matrix.silencing("C1")


def test_name_and_guard_undone_together_end_well(matrix: Matrix) -> None:
    trial = matrix.trial("C1", "C2")
    assert (trial.symptom, trial.stopped) == (False, "")


def test_no_two_causes_come_to_the_same(matrix: Matrix) -> None:
    """Name and guard together end as the name alone does: then there is nothing left for the guard to move."""
    outcomes = [matrix.trial(*undone).outcome for undone in ((), ("C1",), ("C2",), ("C3",))]
    assert len(set(outcomes)) == 4
    assert matrix.trial("C1", "C2").outcome == matrix.trial("C1").outcome


def test_rows_are_the_same_when_migrations_in_common_run_once(
    case: Case, matrix: Matrix, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before 0003, once with the names as they are and once with them undone."""
    monkeypatch.setattr(counterfactual, "SHARED_FROM", 2)
    said: list[str] = []
    ledger = case.replayed
    assert ledger is not None
    again = counterfactual.prove(case._world, case.causes, case.findings, server, ledger, said.append)
    assert again is not None
    assert (matrix.shared, again.shared) == (0, 2)
    assert sum("in common" in line for line in said) == 2
    assert [(each.undone, each.outcome) for each in again.trials] == [
        (each.undone, each.outcome) for each in matrix.trials
    ]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("SELECT 1", True),
        (
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 99', current_database()); END $$",
            False,
        ),
        (
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END $$",
            False,
        ),
        ("ALTER TABLE nowhere ADD x int", False),
    ],
)
def test_a_database_that_a_clone_would_not_be_like_is_not_gone_on_from(
    case: Case, server: Server, tmp_path: Path, text: str, whole: bool
) -> None:
    copy = copied(case.project, tmp_path / "project")
    path = next(copy.rglob("administrate/migrations/0002_*.py"))
    edited = path.read_text().replace(
        "operations = [", f"operations = [\n        migrations.RunSQL({text!r}),"
    )
    path.write_text(edited)
    with case._world.begin(server, copy, 2) as begun:
        assert (begun is not None) == whole
        assert begun is None or len(case._world.replayed(server, copy, begun=begun).steps) == 20


def test_the_chain_says_what_the_matrix_proved(case: Case) -> None:
    judged = {cause.id: cause for cause in case.causes}
    assert {id_: (cause.role, cause.confidence) for id_, cause in judged.items()} == {
        "C1": ("root", "proved"),
        "C2": ("contributing", "proved"),
        "C3": ("silencing", "proved"),
    }
    assert "sufficient" in judged["C1"].proof
    assert "necessary" in judged["C1"].proof
    assert "silent" in judged["C3"].proof


def test_a_cause_whose_undoing_changes_nothing_is_refuted(case: Case, matrix: Matrix) -> None:
    trials = [trial for trial in matrix.trials if set(trial.undone) <= {"C1"}]
    also = [replace(trial, undone=(*trial.undone, "C9")) for trial in trials]
    padded = Matrix((*trials, *also), matrix.undos, {})
    assert padded.refuted("C9")
    (judged,) = counterfactual.judged([replace(case.causes[0], id="C9")], padded)
    assert judged.confidence == "refuted"


def test_an_untried_cause_keeps_its_confidence_and_says_why(case: Case, matrix: Matrix) -> None:
    cause = replace(case.causes[0], id="C9", confidence="likely")
    (judged,) = counterfactual.judged([cause], replace(matrix, untried={"C9": "It is a record."}))
    assert (judged.confidence, judged.role) == ("likely", cause.role)
    assert judged.proof.endswith("Not undone in a replay: It is a record.")


def test_describe_tells_where_tables_are_whether_models_find_them_and_where_it_stopped() -> None:
    assert (
        counterfactual.describe(Trial((), 7, 7, 7, "", (), 0.1))
        == "7 of 7 tables are where they were meant to be"
    )
    told = counterfactual.describe(Trial((), 7, 0, 7, "app.0002: boom", (), 0.1))
    assert told.endswith("and the models reach 0; the replay stops at app.0002: boom")


def test_the_ledger_and_the_catalog_agree_on_the_absent_effect(case: Case) -> None:
    assert case.replayed is not None
    assert [step.migration for step in case.replayed.silent()] == [MOVE]
    assert [finding.migration for finding in case.findings if finding.code == "RK301"] == [MOVE]
    taken = [branch.branch for branch in case.replayed.step(MOVE).guards if branch.verdict.guard.kind == "if"]
    assert taken == ["skipped"] * 7


def test_the_replay_makes_the_tables_that_the_database_has(case: Case) -> None:
    assert case.accounts.replayed is not None
    assert [finding for finding in case.findings if finding.code == "RK306"] == []


def test_the_project_itself_is_left_as_it_was(case: Case) -> None:
    models = (case.project / "administrate" / "models.py").read_text()
    assert "adm.course_templates" in models
    assert '"adm"."course_templates"' not in models


def test_undoing_a_name_changes_constants_and_nothing_else(case: Case, tmp_path: Path) -> None:
    copy = copied(case.project, tmp_path / "copy")
    assert not (copy / ".git").exists()
    (first,) = [each for each in case.matrix.undos if each.names] if case.matrix else []
    undo.apply([first], copy, case.accounts)
    before = (case.project / "administrate" / "models.py").read_text().splitlines()
    after = (copy / "administrate" / "models.py").read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 7
    assert all("db_table" in new and '"adm"."' in new for _, new in changed)


def test_a_cause_without_a_sure_undo_is_left_untried(case: Case) -> None:
    unknown = replace(case.causes[0], findings=(replace(case.causes[0].findings[0], code="RK303"),))
    assert undo.undo_of(unknown, case.accounts) is None


def test_a_guard_beside_other_sql_is_not_rebuilt(case: Case) -> None:
    guards = tuple(
        replace(verdict, guard=replace(verdict.guard, statement=99)) for verdict in case.accounts.guards
    )
    elsewhere = replace(case.accounts, guards=guards)
    chain = causes.chain(case.accounts, case.findings)
    assert undo.undo_of(chain[1], elsewhere) is None
    assert undo.undo_of(chain[2], elsewhere) is None
