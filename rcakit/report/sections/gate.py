"""Prevention: the gate ready to paste, and the proof that it goes red, where it was run. What the causes advise are actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcakit import gating
from rcakit.errors import RcaError
from rcakit.gating import pipeline
from rcakit.report import tables
from rcakit.report.html import Html, chip, code, details, join, pre, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.gating.proving import Proof

_LONGEST = 3000
"""Characters of the expectations that the page shows; the patch has all of them."""


def prevention(case: Case, proof: Proof | None = None) -> Html:
    """What keeps it from happening again; `proof` is what `rcakit.gating.proving.prove(case)` gave, where it was run."""
    return join(_gate(case), _proof(proof))


def _gate(case: Case) -> Html:
    try:
        made = gating.written(case)
    except RcaError as error:
        return common.nothing(f"No gate is offered: {error.what}.")
    if not made.changed:
        return common.nothing(
            "The project has the gate: its settings, expectations and pipeline are complete."
        )
    how = tag(
        "p",
        "The gate, for the project to install: ",
        code("rcakit gate --write | git apply"),
        f" changes {common.plural(len(made.changed), 'file')}. Its pipeline then runs, on an empty PostgreSQL:",
    )
    said = made.changed.get(gating.CONFIG, "")
    file = details(code(gating.CONFIG), pre(said)) if 0 < len(said) <= _LONGEST else ""
    return join(how, pre("\n".join(pipeline.COMMANDS)), file)


def _proof(proof: Proof | None) -> Html:
    if proof is None:
        return tag("p", "That it goes red was not tried in this run: ", code("rcakit gate --prove"), " does.")
    said = f"Without a fault ({proof.base}) the gate is {'green' if proof.clean.clean else 'red: ' + proof.clean.said}."
    columns = {
        "Fault": lambda row: row.kind,
        "Put into": lambda row: code(row.object),
        "Gate": lambda row: chip("good" if row.seen.colour == "red" else "error", row.seen.colour),
        "Noticed by": lambda row: ", ".join(row.seen.caught_by) or "nobody",
    }
    style = tables.Style("Faults put into copies of the project", noun="fault", limit=None, cards=True)
    left = (
        f"Not tried, as the project cannot have them: {', '.join(proof.left_out)}." if proof.left_out else ""
    )
    return join(tag("p", said), tables.records(proof.tried, style, columns), tag("p", left) if left else "")
