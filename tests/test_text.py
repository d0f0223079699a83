"""What a terminal shows of a case: everything once, nothing that a terminal would obey."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import click
import pytest
from casefixture import make_case

from rcakit import text
from rcakit.facts import Finding, Severity, Unread, Where
from rcakit.names import Name

VENUES = Name("public", "adm.venues")


def finding(code: str = "RK401", **changes: Any) -> Finding:
    made = Finding(
        code, "wrong-schema", "error", str(VENUES), f"{VENUES} is astray", "move it", relation=VENUES
    )
    return replace(made, **changes)


def shown(*findings: Finding, **changes: Any) -> str:
    """The text of a case with these findings, its colours taken off."""
    given = {"findings": findings, "causes": (), "unread": (), "waived": (), **changes}
    case = SimpleNamespace(**{**vars(make_case()), **given})
    return click.unstyle(text.findings(case))  # type: ignore[arg-type]


def test_nothing() -> None:
    assert (
        shown(placement=())
        == "nothing found: 0 declared tables, adm_demo on PostgreSQL 15.18 as rca_reader\n"
    )


def test_one_finding() -> None:
    out = shown(finding(where=Where("shop/models.py", 7)))
    assert out.startswith(
        "error RK401 wrong-schema  [shop/models.py:7]\n"
        '  public."adm.venues" is astray\n'
        "  -> move it\n"
        "\n"
        "1 error: "
    )


def test_a_message_that_names_no_object_is_led_by_it() -> None:
    assert '  public."adm.venues": somebody moved it\n' in shown(finding(message="somebody moved it"))
    assert "  somebody moved adm.venues\n" in shown(finding(message="somebody moved adm.venues"))


def test_places_that_differ_follow_each_fact() -> None:
    out = shown(finding(where=Where("a.py", 1)), finding(where=Where("b.py", 2)))
    assert "error RK401 wrong-schema, 2 times\n" in out
    assert "astray  [a.py:1]\n" in out
    assert "astray  [b.py:2]\n" in out


def test_acts_that_differ_in_names_are_said_once() -> None:
    out = shown(finding(hint="move a"), finding(hint="move b"), finding(hint="move c"))
    assert "  -> move a (and likewise for the other 2)\n" in out
    assert "move b" not in out
    assert "likewise" not in shown(finding(), finding())


def test_findings_of_one_code_and_two_severities_are_two_groups() -> None:
    out = shown(finding(), finding(severity="note"))
    assert "error RK401 wrong-schema\n" in out
    assert "note RK401 wrong-schema\n" in out
    assert "1 error, 1 note: " in out


@pytest.mark.parametrize(
    ("severity", "number", "said"), [("error", 1, "1 error"), ("warning", 2, "2 warnings")]
)
def test_counts(severity: Severity, number: int, said: str) -> None:
    assert shown(*[finding(severity=severity)] * number).splitlines()[-1].startswith(f"{said}: ")


def test_what_could_not_be_checked_comes_first_in_the_last_line() -> None:
    rows = (
        Unread("declared", "a syntax error", Where("a.py", 3)),
        Unread("observed", "no count", blocking=False),
    )
    out = shown(unread=rows)
    assert "could not check declared: a syntax error  [a.py:3]\n" in out
    assert "not read observed: no count\n" in out
    assert out.splitlines()[-1].startswith("1 place could not be checked, nothing found: ")


def test_a_reason_of_many_places_is_one_line() -> None:
    rows = tuple(Unread("declared", "unknown field", Where("a.py", line)) for line in (1, 2, 3))
    out = shown(unread=rows)
    assert out.count("unknown field") == 1
    assert "unknown field  [a.py:1] and in 2 other places\n" in out
    assert "3 places could not be checked" in out


def test_waived_findings_are_counted() -> None:
    assert shown(waived=(1, 2)).splitlines()[-1].startswith("nothing found, 2 waived: ")


def test_the_chain_is_told_in_words() -> None:
    out = shown(finding(), causes=make_case().causes)
    assert (
        "how it came about\n  C1 The declared name is one identifier with a dot in it (led to C2 and what is found"
        in out
    )
    assert "  C3 Nothing was said when nothing was done (hid C2; likely)\n" in out


def test_hostile_text_cannot_move_the_cursor() -> None:
    case = make_case(hostile=True)
    out = shown(*case.findings, causes=case.causes, unread=case.unread)
    assert "alert(1)" in out
    assert not set(out) & set("\x1b\u202e\x9b\r")


def test_a_line_is_a_fact() -> None:
    """A newline in a name would begin a line that looks like a finding."""
    out = shown(finding(message="adm.venues\nerror RK999 faked"))
    assert "\nerror RK999" not in out
