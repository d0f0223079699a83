"""The replay in the reports: in the incident's, run for real, and each part without a replay; its own is in test_matrix."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from casefixture import HOSTILE, make_case

from rcakit.case import Case, open_case
from rcakit.counterfactual import Matrix, Trial
from rcakit.facts import Migration
from rcakit.ledger import Back, Branch, Ledger, Notice, Step
from rcakit.ledger.diff import Change
from rcakit.report import replay_figures, runs
from rcakit.report.figures import Figure
from rcakit.report.html import Html
from rcakit.report.sections import replay
from rcakit.undo import Undo
from rcakit.worlds import Row, Truth, World

PARTS = ("ledger", "truth", "matrix", "replayed", "verdict")


# ------------------------------------------------------------------ for real


def page(run: runs.Run) -> str:
    assert run.reason == ""
    return run.report.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_incident_report_has_the_replay_when_it_is_asked_for(
    demo_case: Case, tmp_path: Path, forked: runs.Options
) -> None:
    run = runs.investigate(demo_case.target, tmp_path, options=forked, replay=True)
    text = page(run)
    assert "kept it silent</b> but did not cause it" in text
    assert "Not replayed" not in text
    assert run.exit_code == 1
    assert len(text.encode()) < 400_000
    assert len(re.sub(r"data:image/[^\"]+", "", text).encode()) < 80_000


# ------------------------------------------------------------------ by hand


def hostile(evil: str) -> Any:
    """A replayed case in which every foreign text may be hostile."""
    verdict = make_case(hostile=bool(evil)).guards[0]
    silent = Step(
        f"shop.0002{evil}", "silent-no-op", f"nothing{evil}", guards=(Branch(verdict, "skipped", "absent"),),
        notices=(Notice("WARNING", f"careful{evil}"),), reverse=Back("differs", (f"- table{evil}",)),
    )  # fmt: skip
    changed = Step(
        "shop.0001", "changed", "", (Change("created", "table", "", f"public.t{evil}"),) * 9,
        rows={f"t{evil}": (1, 0, 2)}, reverse=Back("failed", error=f"boom{evil}\nmore"),
    )  # fmt: skip
    failed = Step(f"shop.0003{evil}", "failed", "it raised an error", error=f"no{evil}\nmore")
    catalog = make_case().observed
    ledger = Ledger(
        (changed, silent, failed), catalog, {}, "18.6", "Django 5.2", "3.11", 1.0, not_run=("shop.0004",)
    )
    trials = (
        Trial((), 0, 7, 7, "", (silent.migration,), 1.0),
        Trial(("C1",), 7, 7, 7, "", (), 1.0),
        Trial(("C2",), 0, 7, 7, f"shop.0002{evil}: x{evil}", (), 1.0),
    )
    matrix = Matrix(
        trials, (Undo("C1", f"named{evil}"), Undo("C2", "aimed")), {"C3": f"It is a record{evil}."}
    )
    rows = (
        Row(World(f"w{evil}", f"d{evil}", ("replayed",)), 1, 0, "does nothing", 0),
        Row(World("x", "y"), 1, None, "fails", 0, f"error{evil}"),
    )
    table = Truth(silent.migration, (verdict.guard,), rows, f"It never works{evil}.")
    case = make_case(hostile=bool(evil))
    own = tuple(
        Migration("shop", step.migration.partition(".")[2], None) for step in (changed, silent, failed)
    )
    declared = replace(case.accounts.declared, migrations=own)
    found = {"replayed": ledger, "matrix": matrix, "worlds": (table,)}
    return SimpleNamespace(**{**vars(case), **found, "accounts": replace(case.accounts, declared=declared)})


@pytest.mark.parametrize("part", PARTS)
def test_without_a_replay_each_part_says_so_in_one_line(part: str) -> None:
    text = getattr(replay, part)(make_case()).text
    assert "Not replayed: run" in text
    assert text.count("<p") == 1


@pytest.mark.parametrize("part", PARTS)
def test_no_foreign_text_is_obeyed(part: str) -> None:
    text = getattr(replay, part)(hostile(HOSTILE)).text
    assert "<img src=x" not in text
    assert "<script" not in text
    assert "\u202e" not in text


def test_the_figure_is_inert_and_described() -> None:
    figure = replay_figures.ledger(hostile(HOSTILE).replayed)
    assert isinstance(figure, Figure)
    assert b"<script" not in figure.svg
    assert "silent no-op" in figure.alt
    assert replay_figures.ledger(replace(hostile("").replayed, steps=())) == Html("")


def test_a_long_ledger_shows_what_is_wrong_and_says_what_it_leaves_out() -> None:
    ledger = hostile("").replayed
    changed, silent, _ = ledger.steps
    steps = (*(replace(changed, migration=f"a.{n:04}") for n in range(300)), silent)
    figure = replay_figures.ledger(replace(ledger, steps=steps))
    assert b"shop.0002" in figure.svg
    assert f"{301 - replay_figures.LIMIT} that changed what they said are left out" in figure.text
    assert len(figure.svg) < 100_000


def test_the_ledger_tells_what_was_wrong_and_folds_the_rest() -> None:
    text = replay.ledger(hostile("")).text
    assert "1 of 1 false" in text
    assert "Migrations that did not do what they say" in text
    assert "rows of t: 1 inserted and 2 deleted" in text
    assert "and 3 more" in text
    assert "Ways back that do not lead back" in text
    assert "careful" in text
    assert "<details" in text


def test_of_installed_packages_it_tells_what_each_migration_came_to() -> None:
    case = hostile("")
    case.accounts = replace(case.accounts, declared=replace(case.accounts.declared, migrations=()))
    text = replay.ledger(case).text
    assert "Those of installed packages <small>1 application</small>" in text
    assert "<td>0001: 9 changes</td>" in text
    assert "Migrations that did not do what they say <small>2 migrations</small>" in text


def test_the_matrix_tells_an_end_once() -> None:
    case = hostile("")
    same = replace(case.matrix.trials[2], undone=("C1", "C2"))
    case.matrix = replace(case.matrix, trials=(*case.matrix.trials, same))
    text = replay.matrix(case).text
    assert text.count("stops at shop.0002: x") == 1
    assert "stops at the same as with C2 undone" in text


def test_the_matrix_says_what_each_cause_was() -> None:
    text = replay.matrix(hostile("")).text
    assert "caused it" in text
    assert "kept it silent</b> but did not cause it" in text
    assert "C3</a> was not undone: it is a record." in text
    assert "stops at shop.0002" in text


def test_the_matrix_is_drawn_and_its_text_says_the_same() -> None:
    figure = replay_figures.matrix(hostile(HOSTILE).matrix)
    assert isinstance(figure, Figure)
    assert figure.alt == (
        "3 replays. Nothing undone: there, in silence. C1 undone: gone. C2 undone: there, and it fails aloud."
    )
    assert b"<script" not in figure.svg
    assert len(figure.svg) < 20_000
    assert figure.text in replay.matrix(hostile(HOSTILE)).text


def test_a_large_matrix_is_drawn_in_part_or_not_at_all() -> None:
    case = hostile("")
    trials = tuple(replace(case.matrix.trials[0], undone=(f"C{n}",)) for n in range(50))
    figure = replay_figures.matrix(replace(case.matrix, trials=trials))
    assert f"{50 - replay_figures.ROWS} more are in the table" in figure.text
    many = tuple(Undo(f"C{n}", "") for n in range(replay_figures.COLUMNS + 1))
    assert replay_figures.matrix(replace(case.matrix, undos=many)) == Html("")


def test_what_only_several_causes_do_together_is_said() -> None:
    case = hostile("")
    there, gone = case.matrix.trials[0], case.matrix.trials[1]
    sets = [(), ("C1",), ("C2",), ("C1", "C2")]
    both = tuple(replace(gone if len(each) == 2 else there, undone=each) for each in sets)
    case.matrix = replace(case.matrix, trials=both, cut_short=True)
    text = replay.matrix(case).text
    assert "It takes C1 and C2, undone together, to remove the symptom." in text
    assert "there may be some" in text
    either = tuple(replace(gone if each else there, undone=each) for each in sets)
    case.matrix = replace(case.matrix, trials=either)
    assert "As long as C1 and C2 are all left in, the symptom stays." in replay.matrix(case).text


def test_a_cause_that_changes_nothing_is_shown_as_refuted() -> None:
    case = hostile("")
    trials = (case.matrix.trials[0], replace(case.matrix.trials[0], undone=("C1",)))
    case.matrix = replace(case.matrix, trials=trials, undos=case.matrix.undos[:1])
    assert "refuted</b> undoing it changes nothing" in replay.matrix(case).text


def test_nothing_to_undo_and_no_condition_are_said() -> None:
    case = hostile("")
    case.matrix, case.worlds = None, ()
    assert "nothing was tried" in replay.matrix(case).text
    assert "No migration of the project asks before it acts" in replay.truth(case).text


def test_the_verdict_tells_a_replay_that_broke_off_from_a_clean_one() -> None:
    case = hostile("")
    assert "broke off in shop.0003" in replay.verdict(case).text
    case.replayed = replace(case.replayed, steps=case.replayed.steps[:1])
    assert "none of 1 migration did nothing in silence" in replay.verdict(case).text


def test_an_open_case_without_replay_runs_nothing(demo_case: Case) -> None:
    case = open_case(demo_case.target)
    assert (case.replayed, case.matrix, case.worlds) == (None, None, ())
