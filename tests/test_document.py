"""findings.json: valid against its schema whatever happened, stable, and honest about what was not read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from casefixture import HOSTILE, NOW, make_case

import rcakit
from rcakit import document
from rcakit.case import Case
from rcakit.facts import Unread, Where
from rcakit.waivers import Waived

SCHEMA = json.loads((Path(rcakit.__file__).parent / "schemas" / "findings.json").read_text())


def whole(case: Any, **changes: object) -> dict[str, Any]:
    """The document of a fixture case; what a fixture leaves out is filled in."""
    given = {"waived": (), "intended": case.accounts.intended, "replayed": None, "matrix": None}
    return document.document(SimpleNamespace(**{**vars(case), **given, **changes}))  # type: ignore[arg-type]


def valid(content: dict[str, Any]) -> dict[str, Any]:
    jsonschema.validate(content, SCHEMA, format_checker=jsonschema.FormatChecker())
    return content


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", ["incident", "healthy", "hostile", "empty"])
def test_every_kind_of_case_is_valid(kind: str) -> None:
    case = make_case(healthy=kind == "healthy", hostile=kind == "hostile", empty=kind == "empty")
    valid(whole(case))


def test_the_real_ones_are_valid(demo_case: Case, healthy_case: Case) -> None:
    for case in (demo_case, healthy_case):
        assert valid(document.document(case))["status"] == case.status


def test_waived_findings_are_kept_apart_with_reason_and_day() -> None:
    case = make_case()
    waived = (Waived(case.findings[0], "INC-7", date(2027, 1, 31)), Waived(case.findings[1], "inline"))
    rows = valid(whole(case, waived=waived))["waived"]
    assert [(row["reason"], row["until"]) for row in rows] == [("INC-7", "2027-01-31"), ("inline", None)]
    assert rows[0]["finding"]["code"] == "RK101"


def test_what_was_not_read_is_in_it() -> None:
    unread = (
        Unread("declared", "a syntax error", Where("a.py", 3)),
        Unread("observed", "no count", blocking=False),
    )
    rows = valid(whole(make_case(), unread=unread))["unread"]
    assert rows == [
        {
            "account": "declared",
            "reason": "a syntax error",
            "where": {"path": "a.py", "line": 3},
            "blocking": True,
        },
        {"account": "observed", "reason": "no count", "where": None, "blocking": False},
    ]


@pytest.mark.parametrize("status", ["failed", "timeout", "kernel-died", "cancelled"])
def test_a_run_that_broke_off_has_a_valid_document(status: str) -> None:
    content = valid(document.failed(status, "the kernel died", "demo", {"rcakit": "0.1.0"}))
    assert (content["status"], content["unread"][0]["reason"]) == (status, "the kernel died")
    assert content["unread"][0]["blocking"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"status": "fine"},
        {"findings": None},
        {"more": 1},
        {"unread": [{"account": "a", "reason": "", "where": None, "blocking": True}]},
    ],
)
def test_the_schema_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid({**whole(make_case()), **change})


def test_a_finding_without_its_act_is_refused() -> None:
    content = whole(make_case())
    content["findings"][0]["hint"] = ""
    with pytest.raises(jsonschema.ValidationError):
        valid(content)


def test_text_is_stable_and_comes_back() -> None:
    content = whole(make_case(hostile=True))
    text = document.dumps(content)
    assert json.loads(text) == json.loads(document.dumps(content)) == json.loads(json.dumps(content))
    assert text.endswith("}\n")
    assert HOSTILE in json.loads(text)["findings"][0]["message"]


def test_ascii_only_says_the_same() -> None:
    content = whole(make_case(hostile=True))
    text = document.dumps(content, ascii_only=True)
    assert text.isascii()
    assert not set(text) & set("\x1b\u202e")
    assert json.loads(text) == json.loads(document.dumps(content))


def test_the_name_of_a_waiver_or_a_cause_is_no_object() -> None:
    """Causes list their findings by code and object, so that a reader of the JSON can join them."""
    content = whole(make_case())
    known = {f"{row['code']} {row['object']}" for row in content["findings"]}
    assert content["causes"]
    for cause in content["causes"]:
        assert set(cause["findings"]) <= known
        assert {each for each in cause["explains"] if each != "symptom"} <= {
            row["id"] for row in content["causes"]
        }


def test_times_are_not_in_it_twice(demo_case: Case) -> None:
    content = document.document(demo_case)
    assert content["provenance"]["run"] == demo_case.run_id
    assert f"{demo_case.started:%Y-%m-%d %H:%M:%S} UTC" == content["provenance"]["started"]
    assert NOW.isoformat() not in json.dumps(content)
