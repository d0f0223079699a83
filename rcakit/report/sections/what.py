"""What happened: summary, symptom, impact, timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from rcakit.report import figures, tables, timeline_figures
from rcakit.report.html import Html, between, breakable, chip, code, details, join, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.causes import Cause
    from rcakit.facts import Dependant, Finding
    from rcakit.placement import Placement
    from rcakit.timeline import Event

_WRONG = "What is wrong with the database now"
_VERDICTS = {
    "agrees": "good",
    "wrong schema": "error",
    "missing": "error",
    "pending": "note",
    "unknown": "unknown",
}


def summary(case: Case) -> Html:
    """Root cause, what let it through, why silent, why the tests passed, fix, prevention; one line without an incident."""
    if not case.causes and not _amiss(case):
        return _nothing_happened(case)
    rows = [
        ("Root cause", _said(case, "root", _untied(case))),
        ("Let through by", _said(case, "contributing", "Nothing was found that should have stopped it.")),
        ("Why silent", _said(case, "silencing", "Nothing was found that kept it quiet.")),
        ("Why the tests passed", _blindness(case)),
        ("Fix", _hints(case, "root") or _unadvised(case)),
        ("Prevention", _hints(case, "silencing") or code("rcakit gate --write")),
    ]
    style = tables.Style("The incident in brief", limit=None, noun="aspect")
    return tag("div", tables.table(["Aspect", "Detail"], rows, style), class_="brief")


def _nothing_happened(case: Case) -> Html:
    """What there is to say where no table is misplaced or missing."""
    parts = [f"No incident was found: {_told_amiss(case)}, {_applied(case)}."]
    if case.findings:
        parts.append(f"What else was found ({common.plural(len(case.findings), 'finding')}) is below.")
    return tag("p", " ".join(parts))


def _history_unread(case: Case) -> bool:
    return any(row.account == "recorded" and row.blocking for row in case.unread)


def _applied(case: Case) -> str:
    """How many migrations the history records; a history that could not be read records nothing that can be counted."""
    if _history_unread(case):
        return "the history of migrations not read"
    return f"{common.plural(len(case.recorded.applied), 'migration')} applied"


def _untied(case: Case) -> str:
    told = all(not row.blocking for row in case.unread)
    return "No root cause could be tied to a symptom" + (
        "." if told else ", as long as not all could be checked."
    )


def _unadvised(case: Case) -> Html:
    """What to do where no cause says it: the first thing to read, else the first finding's own advice."""
    if any(row.blocking for row in case.unread):
        return tag("p", "Make readable what could not be checked, and investigate again.")
    hint = next((row.hint for row in case.findings if row.severity != "note"), "")
    return tag("p", hint[:1].upper() + hint[1:], ".") if hint else common.nothing("Nothing to fix was found.")


_BLIND = {
    "RK501": "they run on another engine",
    "RK502": "they take the schema out of the names",
    "RK503": "they look at what the code says",
    "RK504": "they check that rows come back, wherever the table lies",
    "RK505": "none of them asks the catalog where a table is",
}


def _blindness(case: Case) -> object:
    """What the findings on the tests come to, in one sentence."""
    found = {finding.code for finding in case.findings}
    said = [f"{what} ({code_})" for code_, what in _BLIND.items() if code_ in found]
    if not said:
        return common.nothing("Nothing was found against the tests.")
    sentence = f"{'; '.join(said)}."
    return tag("p", sentence[:1].upper() + sentence[1:])


def _said(case: Case, role: str, otherwise: str) -> object:
    found = [cause for cause in case.causes if cause.role == role]
    return join(*map(_claim, found)) if found else otherwise


def _claim(cause: Cause) -> Html:
    return tag("p", tag("a", cause.id, href=f"#{cause.id}"), " ", tag("b", cause.title), ". ", cause.claim)


def _hints(case: Case, role: str) -> Html | None:
    found = [cause for cause in case.causes if cause.role == role]
    return join(*(tag("p", common.advice(cause)) for cause in found)) if found else None


def symptom(case: Case) -> Html:
    """Claimed against found, then each table in all five accounts, then the findings that say so."""
    found = common.symptoms(case)
    beside = _beside(case, found)
    said = common.alike(found, _WRONG, Html("each stands beside its table above")) if beside else None
    if not found:
        said = common.nothing(_without_symptom(case))
    return join(
        _claimed_and_found(case),
        figures.placement(case.placement),
        five_accounts(case, beside if said else {}),
        said or common.findings(case, found, _WRONG),
    )


def _beside(case: Case, found: Sequence[Finding]) -> dict[int, Html]:
    """OID of a misplaced table -> its one finding, where every finding is about one of these; else empty."""
    places = common.anchors(case)
    by_name = {row.relation: common.anchor(places[id(row)]) for row in found if row.code == "RK401"}
    rows = [row.found for row in case.placement if row.verdict != "agrees" and row.found]
    result = {row.oid: by_name[row.qualified] for row in rows if row.qualified in by_name}
    return result if len(result) == len(found) == len(by_name) else {}


def _without_symptom(case: Case) -> str:
    if _amiss(case):
        return "No rule accuses the database of it, as long as not all could be checked."
    if any(row.verdict == "pending" for row in case.placement):
        return "No table is misplaced or of another structure than its model; those that are pending were not made yet."
    return "No declared table is missing, misplaced or of another structure than its model."


def _claimed_and_found(case: Case) -> Html:
    ticked = [claim for claim in case.claims if claim.ticked]
    tasks = (
        f"{len(ticked)} of {common.plural(len(case.claims), 'task')} ticked"
        if case.claims
        else "no task list"
    )
    rows = [
        ("Tasks", tasks, _told_amiss(case)),
        ("History", _applied(case), _without_effect(case)),
        *_schemas(case),
    ]
    style = tables.Style("Claimed against found", limit=None, cards=True)
    return tables.table(["Account", "Claimed", "Found"], rows, style)


SCHEMAS = 8
"""Schemas that are told one by one; with more, those that hold what was meant for them share a row."""


def _schemas(case: Case) -> Iterator[tuple[object, object, object]]:
    """A row for each schema that tables were meant for: how many, and how many are there."""
    meant: dict[str, list[bool]] = {}
    for row in case.placement:
        if row.intended and (schema := row.intended.target.schema):
            meant.setdefault(schema, []).append(row.found is not None and row.found.schema == schema)
    whole = {schema for schema, there in meant.items() if all(there)} if len(meant) > SCHEMAS else set()
    short = sorted((schema for schema in meant if schema not in whole), key=lambda name: sum(meant[name]))
    told = short[:SCHEMAS] if len(meant) > SCHEMAS else list(meant)
    for schema in told:
        there = meant[schema]
        exists = "schema exists" if schema in case.observed.schema_names else "schema does not exist"
        yield (
            join("Schema ", code(schema)),
            f"{common.plural(len(there), 'table')} meant",
            f"{exists}, holds {sum(there):,}",
        )
    rest = [schema for schema in meant if schema not in told]
    if rest:
        number, there_too = (
            sum(len(meant[schema]) for schema in rest),
            sum(sum(meant[schema]) for schema in rest),
        )
        yield f"{common.plural(len(rest), 'other schema')}", f"{number:,} tables meant", f"hold {there_too:,}"


MIGRATIONS = 3
"""Migrations without effect that are named; findings.csv names them all."""


def _amiss(case: Case) -> int:
    return sum(row.verdict in ("wrong schema", "missing") for row in case.placement)


def _told_amiss(case: Case) -> str:
    """How many declared tables are not there, of how many."""
    if not case.placement:
        return "no table declared"
    amiss, every = _amiss(case), common.plural(len(case.placement), "declared table")
    pending = sum(row.verdict == "pending" for row in case.placement)
    if pending and not amiss:
        return f"{pending:,} of {every} not made yet"
    return (
        f"{amiss:,} of {every} not where they were meant"
        if amiss
        else f"all of {every} where they were meant"
    )


def _without_effect(case: Case) -> object:
    labels = dict.fromkeys(row.migration for row in case.findings if row.code == "RK301" and row.migration)
    if not labels:
        return "cannot be told" if _history_unread(case) else "no migration whose effect is absent"
    named = list(labels)[:MIGRATIONS]
    more = [common.plural(len(labels) - len(named), "other")] if len(labels) > len(named) else []
    return join("the effect is absent of ", *between([*map(code, named), *more], ", "))


def five_accounts(case: Case, findings: Mapping[int, Html] = MappingProxyType({})) -> Html:
    """Each declared table in all five accounts, those on which all agree folded away; `findings` by the table's OID."""
    amiss = [row for row in case.placement if row.verdict != "agrees"]
    agree = [row for row in case.placement if row.verdict == "agrees"]
    if not amiss:
        return _accounts(agree, "Every declared table in five accounts")
    parts = [_accounts(amiss, "Declared tables on whose place the accounts differ", findings)]
    if agree:
        rest = _accounts(agree, "Declared tables that are where all accounts say")
        parts.append(details(f"{common.plural(len(agree), 'table')} on which all accounts agree", rest))
    return join(*parts)


def _accounts(
    rows: list[Placement], caption: str, findings: Mapping[int, Html] = MappingProxyType({})
) -> Html:
    columns: dict[str, Callable[[Placement], object]] = {
        "Model": _model,
        "Verdict": lambda row: chip(_VERDICTS[row.verdict], row.verdict),
        "Intended": lambda row: code(row.intended.target) if row.intended else "no account of it",
        "Says so": lambda row: breakable(row.intended.source) if row.intended else "–",
        "Declared": lambda row: code(repr(row.spelling.db_table)),
        "Recorded": lambda row: breakable(row.recorded),
        "Replayed": lambda row: "as observed" if row.replayed == str(row.relation) else row.replayed,
        "Observed": lambda row: code(row.relation) if row.relation else "nowhere",
    }
    if findings:
        columns["Finding"] = lambda row: findings.get(row.found.oid, "–") if row.found else "–"
    style = tables.Style(caption, cards=True, noun="table", source="evidence/accounts.csv")
    return tables.records(rows, style, columns)


def _model(row: Placement) -> Html:
    where = row.where if row.verdict != "agrees" else None
    return join(breakable(row.model), tag("p", breakable(where), class_="meta") if where else "")


def impact(case: Case) -> Html:
    """Which tables, how many rows, what hangs on them, and what people noticed."""
    affected = {row.found.oid: row for row in case.placement if row.found and row.verdict == "wrong schema"}
    noticed = case.target.incident.impact
    said = (
        tag("p", noticed)
        if noticed
        else common.nothing("What people noticed, and since when, was not given.")
    )
    if not affected:
        return join(said, common.nothing("No table is affected."))
    counts = case.reading.rows
    columns = {
        "Table": lambda row: code(row.relation),
        "Rows": lambda row: counts.get(row.found.oid, "not counted"),
        "Owner": lambda row: code(row.found.owner),
        "Recorded by": lambda row: row.recorded,
    }
    style = tables.Style("Affected tables", noun="table", cards=True, source="evidence/accounts.csv")
    return join(
        said, tables.records(list(affected.values()), style, columns), _dependants(case, set(affected))
    )


def _dependants(case: Case, affected: set[int]) -> Html:
    found = [row for row in case.reading.dependants if row.relation in affected]
    if not found:
        return common.nothing("No view, function, foreign key or trigger hangs on them.")
    by_name = [row for row in found if row.bound != "oid"]
    by_oid = [row for row in found if row.bound == "oid"]
    breaking = _hanging(case, by_name, "What a rename breaks: bound by name") if by_name else Html("")
    rest = _hanging(case, by_oid, "Bound to the object itself: survives a rename") if by_oid else Html("")
    return join(
        breaking,
        details(f"{len(by_oid):,} more hang on them, and would survive a rename", rest) if by_oid else rest,
    )


def _hanging(case: Case, rows: list[Dependant], caption: str) -> Html:
    relations = case.observed.by_oid
    of_table: dict[int, list[Dependant]] = {}
    for row in rows:
        of_table.setdefault(row.relation, []).append(row)
    columns = {
        "On": lambda own: code(relations[own[0].relation].qualified) if own[0].relation in relations else "?",
        "Hangs": lambda own: join(*(tag("p", row.kind, " ", code(row.dependant)) for row in own)),
    }
    style = tables.Style(caption, noun="table", cards=True, source="evidence/")
    return tables.records(list(of_table.values()), style, columns)


def timeline(case: Case) -> Html:
    """When, what, and where that was read; UTC."""
    if not case.timeline:
        return common.nothing("No event with a time was found.")
    columns = {"UTC": lambda row: row.at, "What": lambda row: row.what, "Source": lambda row: row.source}
    style = tables.Style("Timeline", noun="event", cards=True)
    if len(case.timeline) <= tables.LIMIT:
        shown = tables.records(case.timeline, style, columns)
    else:
        style = replace(style, total=len(case.timeline), limit=tables.LIMIT)
        shown = tables.records(list(_gathered(case.timeline)), style, columns)
    return join(timeline_figures.timeline(case.timeline), shown)


def _gathered(events: Iterable[Event]) -> Iterator[Event]:
    """Of events that follow each other in one source the first and the last; how many lie between is said."""
    for _, same in groupby(events, key=lambda event: event.source):
        run = list(same)
        yield run[0]
        if len(run) > 3:
            yield replace(run[1], what=f"… and {len(run) - 2} more")
            yield run[-1]
        else:
            yield from run[1:]
