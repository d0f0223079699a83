"""A case opened with `replay`: what the ledger adds to the accounts, to findings.json and to the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import rcakit
from rcakit import document, placement
from rcakit.case import Case, open_case
from rcakit.facts import Unread
from rcakit.ledger import Ledger

MOVE = "administrate.0003_migrate_to_adm_schema"
SCHEMAS = Path(rcakit.__file__).parent / "schemas"


def valid(content: dict[str, Any], schema: str) -> dict[str, Any]:
    jsonschema.validate(content, json.loads((SCHEMAS / schema).read_text(encoding="utf-8")))
    return content


@pytest.fixture(scope="module")
def case(demo_case: Case) -> Case:
    return open_case(demo_case.target, replay=True)


@pytest.fixture(scope="module")
def ledger(case: Case) -> Ledger:
    assert case.replayed is not None
    return case.replayed


@pytest.fixture(scope="module")
def content(case: Case) -> dict[str, Any]:
    return valid(document.document(case), "findings.json")


# ------------------------------------------------------------------ findings.json


def test_every_migration_is_a_step(content: dict[str, Any], ledger: Ledger) -> None:
    assert [step["migration"] for step in content["steps"]] == [step.migration for step in ledger.steps]
    silent = [step["migration"] for step in content["steps"] if step["class"] == "silent-no-op"]
    assert silent == [MOVE]
    assert content["accounts"]["replayed"] == {"steps": len(ledger.steps), "silent": 1}


def test_the_guards_of_a_step_say_what_they_asked_and_what_was_there(content: dict[str, Any]) -> None:
    (step,) = (step for step in content["steps"] if step["migration"] == MOVE)
    asked = [guard for guard in step["guards"] if guard["nearest"]]
    assert len(asked) == 7
    assert {(guard["value"], guard["branch"], guard["effects"]) for guard in asked} == {
        (False, "skipped", "absent")
    }


def test_the_matrix_is_in_it_row_by_row(content: dict[str, Any]) -> None:
    trials = {tuple(row["undone"]): row for row in content["counterfactual"]["trials"]}
    assert trials[()]["symptom"] is True
    assert trials[("C1",)]["symptom"] is False
    assert len({(row["placed"], row["reached"], row["stopped"]) for row in trials.values()}) >= 4


def test_the_worlds_are_in_it(content: dict[str, Any]) -> None:
    (table,) = content["worlds"]
    assert (table["migration"], table["guards"]) == (MOVE, 7)
    assert [row["world"] for row in table["rows"] if row["reachable"] != "by hand"] == ["literal-dot name"]


def test_without_a_replay_the_same_keys_are_empty(demo_case: Case) -> None:
    made = valid(document.document(demo_case), "findings.json")
    assert (made["steps"], made["counterfactual"], made["worlds"]) == ([], None, [])
    assert made["accounts"]["replayed"]["steps"] == 0


def test_a_run_that_could_not_finish_has_the_same_keys() -> None:
    made = valid(document.failed("failed", "no", "demo", {}), "findings.json")
    assert (made["counterfactual"], made["worlds"]) == (None, [])


# ------------------------------------------------------------------ where the replay puts the tables


def test_the_replay_puts_the_tables_where_they_are_observed(case: Case) -> None:
    rows = {row.model: row for row in case.placement}
    assert rows["administrate.Venue"].replayed == 'public."adm.venues"'
    assert all(row.replayed == str(row.relation) for row in rows.values())


def test_a_table_no_migration_makes_is_nowhere(demo_case: Case, ledger: Ledger) -> None:
    empty = replace(ledger.catalog, relations=())
    assert {row.replayed for row in placement.with_replay(demo_case.placement, empty)} == {"nowhere"}
    broken = placement.with_replay(demo_case.placement, empty, whole=False)
    assert {row.replayed for row in broken} == {"the replay broke off"}
    assert {row.replayed for row in demo_case.placement} == {"not replayed"}


def test_a_replay_that_broke_off_is_something_that_could_not_be_checked(ledger: Ledger) -> None:
    failed = replace(ledger.steps[-1], kind="failed", error="boom\nmore")
    broken = replace(ledger, steps=(*ledger.steps[:-1], failed), not_run=("a.0009", "a.0010"))
    (gap,) = broken.gaps
    assert gap == Unread("replayed", gap.reason, failed.where)
    assert gap.reason == f"the replay broke off in {failed.migration}: boom; 2 more were not run"
    assert ledger.gaps == ()
