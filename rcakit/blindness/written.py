"""An audit as a JSON document and as text for a terminal. The document's form is that of schemas/audit-tests.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit.document import unread, where
from rcakit.errors import Refused
from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.blindness import Audit, Row, Seen

_COLOURS = {"blind": "red", "sighted": "green", "flaky": "yellow", "not-run": "yellow"}


def document(audit: Audit) -> dict[str, Any]:
    """The whole audit."""
    return {
        "version": 1,
        "tests": [_test(each) for each in audit.tests],
        "score": {
            "mutants": audit.score.mutants,
            "sighted": audit.score.sighted,
            "with_proposed": audit.score.with_proposed,
        },
        "tasks": [_task(row) for row in audit.rows],
        "mutants": [
            {
                "kind": fault.kind,
                "object": fault.object,
                "seen_by": list(fault.seen_by),
                "seen_by_proposed": fault.seen_by_proposed,
                "engines": list(fault.engines),
                "breaks": fault.breaks,
            }
            for fault in audit.faults
        ],
        "proposed": {"path": audit.proposed_path, "text": audit.proposed},
        "problems": list(audit.problems),
        "unread": [unread(row) for row in audit.unread],
        "seconds": round(audit.seconds, 3),
    }


def _test(seen: Seen) -> dict[str, Any]:
    first = seen.runs[0] if seen.runs else None
    return {
        "id": seen.test.id,
        "task": ", ".join(seen.test.tasks),
        "class": seen.test.looks_at,
        "engine": first.engine if first else "",
        "world_a": (first.world_a if first else "") or "not-run",
        "world_b": (first.world_b if first else "") or "not-run",
        "verdict": seen.verdict,
        "why": seen.why,
        "should_test": seen.should_test,
        "assertion": seen.assertion,
        "proved": seen.proved,
        "where": where(seen.test.where),
        "sees": list(seen.sees),
        "runs": [
            {"engine": run.engine, "world_a": run.world_a or "not-run", "world_b": run.world_b or "not-run"}
            for run in seen.runs
        ],
        "assertions": [
            {
                "class": each.looks_at,
                "text": each.text,
                "where": where(each.where),
                "because": each.decided.what,
                "decided": where(each.decided.where),
            }
            for each in seen.test.assertions
        ],
    }


def _task(row: Row) -> dict[str, Any]:
    return {
        "task": row.task,
        "claim": row.claim.text if row.claim else "",
        "where": where(row.claim.where) if row.claim else None,
        "tested": row.tested,
        "why_passed": row.why_passed,
        "should_test": row.should_test,
        "correct": row.correct,
        "tests": [each.test.id for each in row.tests],
    }


# ------------------------------------------------------------------ text


def text(audit: Audit) -> str:
    """Tasks first, as the incident document has them; then each test; then the score and what could not be run."""
    parts = [*map(_task_text, audit.rows), *_tests_text(audit), *_closing(audit)]
    return "\n".join(parts) + "\n"


def _task_text(row: Row) -> str:
    mark = click.style("correct", fg="green") if row.correct else click.style("blind", fg="red")
    if any(each.verdict == "sighted" for each in row.tests):
        mark = click.style("sighted", fg="green")
    lines = [
        f"{click.style(row.task, bold=True)} {mark}  {visible(row.claim.text if row.claim else '')}",
        f"  tested       {visible(row.tested)}",
        f"  passed since {visible(row.why_passed)}",
        f"  should test  {visible(row.should_test)}",
    ]
    return "\n".join(lines) + "\n"


def _tests_text(audit: Audit) -> Iterator[str]:
    for each in audit.tests:
        worlds = ", ".join(
            f"{run.engine} {run.world_a or 'not run'}/{run.world_b or 'not run'}" for run in each.runs
        )
        verdict = click.style(f"{each.verdict:8}", fg=_COLOURS[each.verdict])
        yield f"{verdict} {visible(each.test.id)}" + (f"  [{worlds}]" if worlds else "")
        yield f"         {visible(each.why)}"


def _closing(audit: Audit) -> Iterator[str]:
    for fault in audit.faults:
        how = f"noticed by {len(fault.seen_by)} tests" if fault.seen_by else "noticed by no test"
        how = "no test can begin with it" if fault.breaks and not fault.seen_by else how
        more = ", and by the proposed ones" if fault.seen_by_proposed else ""
        yield f"\n{fault.kind}: {visible(fault.object)}: {how}{more}"
    for problem in audit.problems:
        yield f"\n{click.style('not run', fg='yellow')}: {visible(problem)}"
    for row in audit.unread:
        yield f"\n{click.style('unread', fg='yellow')}: {visible(row.reason)} [{visible(str(row.where or ''))}]"
    if audit.score.mutants:
        yield (
            f"\nplacement mutation score: {audit.score}"
            f"; with the proposed tests added: {audit.score.with_proposed} of {audit.score.mutants}"
        )
    if audit.proposed:
        yield f"\nthe proposed tests belong into {visible(audit.proposed_path)}: --format json has them, --write DIR puts them there"


def put(audit: Audit, directory: Path) -> Path:
    """Write the proposed tests below a directory; returns the file. Raises Refused when it is there already."""
    path = directory / audit.proposed_path
    if path.exists():
        raise Refused(f"{path} exists already", hint="move it away, or name another directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(audit.proposed, encoding="utf-8")
    return path


def exit_code(audit: Audit, *, static: bool = False) -> int:
    """0 every fault was noticed, 1 some was not, 2 there was none to notice although the tests were to be run."""
    if static:
        return 0
    if not audit.score.mutants or all(seen.verdict == "not-run" for seen in audit.tests):
        return 2
    return 0 if audit.score.sighted == audit.score.mutants else 1
