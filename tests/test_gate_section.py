"""The report's prevention: what to install, whether it was proved, and that both are said."""

from __future__ import annotations

import re

from casefixture import make_case

from rcakit.case import Case
from rcakit.gating.bench import CHECK, MIGRATE, VERIFY, Look, Seen, Tried
from rcakit.gating.proving import Proof
from rcakit.report import sections

FINE, FOUND = Look(), Look("adm.t is <missing>", found=True)
QUIET, LOUD = (
    Seen({MIGRATE: FINE, VERIFY: FINE, CHECK: FINE}),
    Seen({MIGRATE: FINE, VERIFY: FOUND, CHECK: FINE}),
)


def test_the_gate_is_ready_to_paste_and_says_that_it_was_not_proved(demo_case: Case) -> None:
    shown = sections.prevention(demo_case).text
    said = re.sub(r"<[^>]+>", "", shown)  # an option of a command stays on one line, by a mark of its own
    assert "rcakit gate --write | git apply" in said
    for text in ("manage.py verify_schema_placement", '    "venues",\n'):
        assert text in shown
    assert "was not tried in this run" in shown
    assert "<td>Install the gate" in sections.actions(demo_case).text


def test_a_proof_is_shown_fault_by_fault(demo_case: Case) -> None:
    tried = (Tried("wrong-schema", "adm.<t>", LOUD), Tried("literal-dot", "adm.u", QUIET))
    proof = Proof("the project as it is", QUIET, tried, ("shadowed-name",), "18.6", 1.0)
    shown = sections.prevention(demo_case, proof).text
    assert "Without a fault (the project as it is) the gate is green." in shown
    assert "adm.&lt;t&gt;" in shown
    assert "verify_schema_placement</td>" in shown
    assert "<b class=error>green</b>" in shown
    assert "nobody</td>" in shown
    assert "cannot have them: shadowed-name." in shown
    assert "was not tried" not in shown
    red = Proof("the project as it is", LOUD, (), (), "18.6", 1.0)
    assert "gate is red: adm.t is &lt;missing&gt;." in sections.prevention(demo_case, red).text


def test_where_no_gate_can_be_written_the_reason_is_given() -> None:
    for case in (make_case(), make_case(healthy=True), make_case(empty=True)):
        assert "No gate is offered: " in sections.prevention(case).text
    assert "Install the gate" not in sections.actions(make_case(healthy=True)).text
