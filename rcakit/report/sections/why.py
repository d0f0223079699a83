"""Why it happened and how we know: evidence, causes, what the tests missed, contributing factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcakit.report import figures, tables
from rcakit.report.html import Html, chip, code, details, join, pre, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    import pandas as pd

    from rcakit.case import Case
    from rcakit.causes import Cause
    from rcakit.facts import Finding, Verdict
    from rcakit.placement import Placement

_CONFIDENCE = {"proved": "good", "likely": "warning", "hypothesis": "unknown", "refuted": "quiet"}
_SPELLINGS = {
    "plain": "a table of that name, wherever search_path leads",
    "literal-dot": "one identifier with a dot in it: no schema is named",
    "qualified": "schema and table",
    "half-qualified": "schema and table, because the outer quotes are added",
    "quoted": "exactly this name, wherever search_path leads",
    "invalid": "no name at all",
}
EVIDENCE_ROWS = 8
"""Rows of a query's answer shown in the page; the CSV file beside it has them all."""


def evidence(case: Case) -> Html:
    """Names and guards as PostgreSQL sees them, then every query that was asked, with its answer."""
    queries = [tables.evidence(item, limit=EVIDENCE_ROWS) for item in case.evidence]
    return join(
        _spellings(case),
        _guards(case),
        tag("h3", "Every query that was asked"),
        tag(
            "p",
            "In one read-only transaction, all of one moment. Each opens; the rows are in ",
            code("evidence/"),
            " beside this page.",
        ),
        *queries,
    )


def _spellings(case: Case) -> Html:
    first: dict[str, list[Placement]] = {}
    for row in case.placement:
        first.setdefault(row.spelling.kind, []).append(row)
    if not first:
        return common.nothing("The project declares no table.")
    columns = {
        "Declared": lambda rows: code(f"db_table = {rows[0].spelling.db_table!r}"),
        "Django sends": lambda rows: code(f"CREATE TABLE {rows[0].spelling.emitted}"),
        "PostgreSQL reads": lambda rows: join(
            code(rows[0].spelling.relation or "nothing"),
            tag("p", _SPELLINGS[rows[0].spelling.kind], class_="meta"),
        ),
        "Tables": lambda rows: len(rows),
        "Verdict": lambda rows: (
            chip("error", "wrong")
            if any(row.verdict in ("wrong schema", "missing") for row in rows)
            else chip("good", "as meant")
        ),
    }
    order = sorted(first.values(), key=lambda rows: all(row.verdict == "agrees" for row in rows))
    style = tables.Style("How a declared name becomes SQL", noun="spelling", head=False, cards=True)
    return tables.records(order, style, columns)


def _guards(case: Case) -> Html:
    if not case.guards:
        return common.nothing("No migration holds a condition that could skip its work.")
    columns = {
        "Migration": lambda row: join(
            code(row.guard.migration), tag("p", code(row.guard.where or ""), class_="meta")
        ),
        "Asks for": _asked,
        "As the role sees it": lambda row: _truth(row.as_role),
        "As the catalog has it": lambda row: _truth(row.as_catalog),
        "Otherwise": lambda row: {"none": "nothing, silently"}.get(row.guard.otherwise, row.guard.otherwise),
        "Nearest name there is": lambda row: code(row.nearest.qualified) if row.nearest else "–",
    }
    style = tables.Style("Guards of the migrations, evaluated now", noun="guard", head=False, cards=True)
    order: list[Verdict] = sorted(case.guards, key=lambda row: row.as_catalog is not False)
    conditions = dict.fromkeys(row.guard.condition for row in order if row.guard.condition)
    written = details(
        f"The conditions as they are written: {len(conditions)}",
        *(pre(text, "condition") for text in conditions),
    )
    return join(tables.records(order, style, columns), written if conditions else Html(""))


def _asked(row: Verdict) -> object:
    guard = row.guard
    if guard.kind == "exception":
        return f"no condition: a handler that swallows {common.listed(guard.swallows) or 'errors'}"
    named = join(*(code(name) for name in guard.relations)) if guard.relations else code(guard.condition)
    return join("absence of ", named) if guard.negated else named


def _truth(value: bool | None) -> Html:
    if value is None:
        return chip("unknown", "could not tell")
    return chip("good", "true") if value else chip("error", "false")


def answer(frame: pd.DataFrame) -> Html:
    """What `case.query` gave, with the query that gave it."""
    item = frame.attrs.get("evidence")
    style = tables.Style("Answer", head=False)
    return tables.evidence(item, open_=True) if item is not None else tables.plain(frame, style)


def causes(case: Case) -> Html:
    """The chain: each link with its claim, evidence, confidence, proof, and what would refute it."""
    if not case.causes:
        return common.nothing("No cause could be tied to a symptom.")
    return join(
        figures.chain(case.causes, len(common.symptoms(case))), *(_cause(case, row) for row in case.causes)
    )


def _cause(case: Case, cause: Cause) -> Html:
    explains = [link if link == "symptom" else tag("a", link, href=f"#{link}") for link in cause.explains]
    rows = {
        "Claim": cause.claim,
        "Confidence": chip(_CONFIDENCE[cause.confidence], cause.confidence),
        "Explains": join(*(part for link in explains for part in (link, " "))),
        "Proof": cause.proof,
        "What would refute it": cause.falsified_by,
        "Evidence": common.refs(cause.evidence),
    }
    return tag(
        "article",
        tag("h3", tag("span", cause.id, class_="number"), " ", cause.title),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows.items())),
        common.findings(case, cause.findings, f"Findings behind {cause.id}"),
        id=cause.id,
        class_=f"cause {cause.role}",
    )


def tests_blind(case: Case) -> Html:
    """Why the tests did not catch it, one row a task that claims otherwise."""
    ticked = [claim for claim in case.claims if claim.ticked]
    if not ticked:
        return join(common.nothing("No ticked task was found in the project's files."), common.later("tests"))
    columns = {
        "Task": lambda row: row.id,
        "Claims": lambda row: row.text,
        "Where": lambda row: code(row.where),
    }
    return join(
        tables.records(ticked, tables.Style("Tasks that are ticked", noun="task", cards=True), columns),
        common.later("tests"),
    )


def factors(case: Case) -> Html:
    """Every finding that is neither a symptom nor part of the chain: true, and perhaps the next incident."""
    shown = {id(row) for row in common.symptoms(case)}
    shown |= {id(row) for cause in case.causes for row in cause.findings}
    rest: list[Finding] = [row for row in case.findings if id(row) not in shown]
    return (
        common.findings(case, rest, "Contributing factors and other findings")
        if rest
        else common.nothing("Nothing else was found.")
    )
