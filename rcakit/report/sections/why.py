"""Why it happened and how we know: evidence, causes, what the tests missed, contributing factors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from rcakit.report import figures, tables
from rcakit.report.html import Html, between, breakable, chip, code, details, join, pre, source, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    import pandas as pd

    from rcakit.case import Case
    from rcakit.causes import Cause
    from rcakit.evidence import Evidence
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
BY_HAND = "asked by hand"
"""The name of what a person asked with `case.query`."""
MIGRATIONS = 3
"""Migrations whose false guards are shown one by one, as many as there is room for; the others share a table."""
SHOWN = 3
"""Rows of a cited answer that the page shows; the CSV file beside it has them all."""


def evidence(case: Case) -> Html:
    """Names and guards as PostgreSQL sees them, then every query that was asked, with its answer."""
    cited = {id_ for row in case.findings for id_ in row.evidence}
    said = "Read-only, and all of one moment. Every query is a line of "
    groups = _groups(case.evidence)
    used = [group for group in groups if cited & {item.id for item in group} or group[0].name == BY_HAND]
    return join(
        _spellings(case),
        _guards(case),
        tag("h3", "The queries findings rest on"),
        tag("p", said, code("evidence/queries.csv"), " beside this page; long answers are files there."),
        *(map(_query, used)),
        _background([group for group in groups if group not in used]),
    )


def _background(groups: list[list[Evidence]]) -> Html:
    """Queries that fill the accounts, and that no finding cites; those that are alike share a row."""
    if not groups:
        return Html("")
    columns = {
        "Query": lambda group: common.listed((item.id for item in group), limit=2),
        "Name": lambda group: group[0].name,
        "SQL": lambda group: _where_sql_is(group[0]),
        "Answer": lambda group: join(*between([_short_answer(item) for item in group], ", ")),
        "Seconds": lambda group: f"{sum(item.seconds for item in group):.3f}",
        "Role": lambda group: code(group[0].role),
    }
    times = [item.taken_at.astimezone(UTC) for group in groups for item in group]
    period = f"{min(times):%Y-%m-%d %H:%M:%S} to {max(times):%H:%M:%S} UTC"
    style = tables.Style(f"Asked to fill the accounts, {period}", limit=None, noun="question", cards=True)
    number = sum(map(len, groups))
    return details(
        f"{common.plural(number, 'query').replace('querys', 'queries')} that no finding rests on",
        tables.records(groups, style, columns),
    )


def _where_sql_is(item: Evidence) -> Html:
    """The text itself, or the file of rcakit that holds exactly this text."""
    if (file := _shipped().get(item.sql.strip())) is not None:
        return code(file)
    short = len(item.sql) < 160
    return source(code(" ".join(item.sql.split())) if short else pre(item.sql.strip()), "left out")


@cache
def _shipped() -> dict[str, str]:
    """The text of each query that rcakit brings as a file -> that file."""
    folders = [files("rcakit") / name for name in ("sql", "twins")]
    found = [(folder.name, file) for folder in folders for file in folder.iterdir()]
    return {
        file.read_text("utf-8").strip(): f"rcakit/{folder}/{file.name}"
        for folder, file in found
        if file.name.endswith(".sql")
    }


def _groups(items: Iterable[Evidence]) -> list[list[Evidence]]:
    """Queries that are the same but for a word or two stand together; the first is shown in full."""
    groups: list[list[Evidence]] = []
    for item in items:
        like = (
            group
            for group in groups
            if group[0].columns == item.columns and tables.alike(item.sql, group[0].sql) is not None
        )
        if (group := next(like, None)) is not None and not item.error:
            group.append(item)
        else:
            groups.append([item])
    return groups


def _query(group: list[Evidence]) -> Html:
    first, *others = group
    if not others:
        return tables.evidence(first, limit=SHOWN)
    if (line := _in_a_line(first, others)) is not None:
        return tables.evidence(first, limit=SHOWN, below=line)
    columns = {
        "Query": lambda item: tag("span", item.id, id=item.id),
        "Instead of": lambda item: _words(item, first, 1),
        "Stands": lambda item: _words(item, first, 0),
        "Answer": _short_answer,
        "Seconds": lambda item: f"{item.seconds:.3f}",
    }
    style = tables.Style(
        f"The same as {first.id}, with other words",
        noun="question",
        cards=True,
        source="evidence/queries.csv",
    )
    return tables.evidence(first, limit=SHOWN, below=tables.records(others, style, columns))


def _in_a_line(first: Evidence, others: Sequence[Evidence]) -> Html | None:
    """Queries that replace the same words and were answered alike; None where they differ in more."""
    came = {_came(item) for item in (first, *others)}
    replaced = {_words(item, first, 1).text for item in others}
    if len(came) > 1 or len(replaced) > 1:
        return None
    shown = [
        join(tag("span", item.id, id=item.id), " ", _words(item, first, 0)) for item in others[: tables.LIMIT]
    ]
    left = len(others) - len(shown)
    more = [join(f"{left:,} more in ", code("evidence/queries.csv"))] if left else []
    seconds = sum(item.seconds for item in others)
    instead = Html(replaced.pop())
    said = f"The same answer, in {seconds:.3f} s, came with other words than "
    return tag("p", said, instead, ": ", *between([*shown, *more], ", "), ".")


def _came(item: Evidence) -> str:
    return str(item.rows if item.row_count == 1 else (item.error, item.row_count, item.id))


def _words(item: Evidence, first: Evidence, side: int) -> Html:
    pairs = tables.alike(item.sql, first.sql) or ()
    return join(*(code(pair[side]) for pair in pairs)) if pairs else Html("–")


def _short_answer(item: Evidence) -> object:
    if item.error:
        return f"refused: {item.error}"
    if item.row_count == 1 and len(item.columns) == 1:
        return Html(tables.cell(item.rows[0][0]))
    return common.plural(item.row_count, "row")


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
    """The guards that kept a migration from its work, by migration; then every other condition."""
    if not case.guards:
        return common.nothing("No migration holds a condition that could skip its work.")
    shut: dict[str, list[Verdict]] = {}
    others: list[Verdict] = []
    for row in case.guards:
        closed = row.as_catalog is False and not row.guard.negated
        (shut.setdefault(row.guard.migration, []) if closed else others).append(row)
    told, more = list(shut.items())[:MIGRATIONS], list(shut.items())[MIGRATIONS:]
    limit = tables.LIMIT // max(1, len(told))
    shown = [_verdicts(rows, f"Guards of {label} that are false", "error", limit) for label, rows in told]
    rest = _verdicts(others, "Other conditions in migrations", "quiet") if others else Html("")
    return join(
        *shown,
        _shut(more),
        details(f"{common.plural(len(others), 'other condition')}", rest) if others else rest,
    )


def _shut(more: Sequence[tuple[str, list[Verdict]]]) -> Html:
    """A row for each migration that there is no room for the guards of."""
    if not more:
        return Html("")
    rows = [
        (code(label), len(rows), _asked(rows[0]), code(near.qualified) if (near := rows[0].nearest) else "–")
        for label, rows in more
    ]
    style = tables.Style(
        "Other migrations with guards that are false",
        noun="migration",
        cards=True,
        source="evidence/guards.csv",
    )
    return tables.table(["Migration", "Guards", "The first asks for", "Nearest name"], rows, style)


def _verdicts(rows: list[Verdict], caption: str, false: str, limit: int = tables.LIMIT) -> Html:
    columns = {
        "Asks for": _asked,
        "Migration": lambda row: join(
            code(row.guard.migration), tag("p", breakable(row.guard.where or ""), class_="meta")
        ),
        "As the role sees it": lambda row: _truth(row.as_role, false),
        "As the catalog has it": lambda row: _truth(row.as_catalog, false),
        "Otherwise": lambda row: {"none": "nothing, silently"}.get(row.guard.otherwise, row.guard.otherwise),
        "Nearest name": lambda row: code(row.nearest.qualified) if row.nearest else "–",
        "Evidence": lambda row: common.refs(row.evidence),
    }
    return tables.records(
        rows,
        tables.Style(caption, limit, noun="guard", cards=True, source="evidence/guards.csv"),
        columns,
    )


def _asked(row: Verdict) -> object:
    guard = row.guard
    if guard.kind == "exception":
        return f"a handler that swallows {common.listed(guard.swallows) or 'errors'}"
    if not guard.relations:
        return source(code(guard.condition), "a condition")
    return join("absence of " if guard.negated else "", *(code(name) for name in guard.relations))


def _truth(value: bool | None, false: str) -> Html:
    if value is None:
        return chip("unknown", "could not tell")
    return chip("quiet", "true") if value else chip(false, "false")


def answer(frame: pd.DataFrame) -> Html:
    """What `case.query` gave, with the query that gave it."""
    item = frame.attrs.get("evidence")
    style = tables.Style("Answer", head=False)
    if item is None:
        return tables.plain(frame, style)
    rows = list(frame.itertuples(index=False, name=None))
    return tables.evidence(replace(item, columns=tuple(map(str, frame.columns)), rows=rows), open_=True)


def causes(case: Case) -> Html:
    """The chain: each link with its claim, evidence, confidence, proof, and what would refute it."""
    if not case.causes:
        return common.nothing("No cause could be tied to a symptom.")
    return join(
        figures.chain(case.causes, len(common.symptoms(case))),
        *(_cause(case, row, case.causes[:n]) for n, row in enumerate(case.causes)),
    )


def _cause(case: Case, cause: Cause, before: Sequence[Cause]) -> Html:
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
        _behind(case, cause, before),
        id=cause.id,
        class_=f"cause {cause.role}",
    )


def _behind(case: Case, cause: Cause, before: Sequence[Cause]) -> Html:
    """The findings of a cause; where the symptoms, or those of an earlier cause, are about just the same, each leads
    to its like.
    """
    caption = f"Findings behind {cause.id}"
    for others in (common.symptoms(case), *(each.findings for each in before)):
        if list(map(_about, others)) == list(map(_about, cause.findings)):
            places = common.anchors(case)
            pairs = zip(cause.findings, others, strict=True)
            links = [common.anchor(places[id(row)], to=places[id(like)]) for row, like in pairs]
            where = join("each is about what the finding it leads to is about: ", *between(links, ", "))
            if said := common.alike(cause.findings, caption, where):
                return said
    return common.findings(case, cause.findings, caption)


def _about(finding: Finding) -> tuple[object, ...]:
    return finding.object, finding.where, frozenset(finding.evidence)


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
