"""For a first look: what each account holds, which tables are in question, and where to go next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rcakit.report import tables
from rcakit.report.html import Html, code, join, tag
from rcakit.report.sections import common
from rcakit.report.words import plural

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.placement import Placement


def accounts(case: Case) -> Html:
    """The five accounts: the question each answers, and how much was read for it."""
    observed, declared, recorded = case.accounts.observed, case.accounts.declared, case.accounts.recorded
    replayed = (
        f"{plural(len(case.replayed.steps), 'migration')} run again" if case.replayed else "not asked for"
    )
    rows: list[tuple[object, str, object]] = [
        (
            "intended",
            "Where did people mean the tables to be?",
            plural(len(case.accounts.intended), "statement"),
        ),
        (
            "declared",
            "What do the models say?",
            f"{plural(len(declared.models), 'model')}, {plural(len(declared.migrations), 'migration')}",
        ),
        ("recorded", "What does the history say was applied?", f"{len(recorded.applied):,} applied"),
        ("replayed", "What do the migrations really do, one by one?", replayed),
        (
            "observed",
            "What does the database hold now?",
            f"{plural(len(observed.relations), 'relation')} in {plural(len(observed.schema_names), 'schema')}",
        ),
    ]
    found = [(tag("b", name), question, read) for name, question, read in rows]
    shown = tables.table(
        ["Account", "Question", "Read"], found, tables.Style("The five accounts", noun="account")
    )
    return join(shown, _unread(case))


def _unread(case: Case) -> Html:
    if not case.unread:
        return tag("p", "Everything could be read.")
    count = plural(len(case.unread), "place")
    return tag("p", f"{count} could not be read: ", code("case.unread"), " says which, and why.")


def tables_in_question(case: Case) -> Html:
    """The declared tables on which the accounts differ, each with what they say."""
    rows = [row for row in case.placement if row.verdict != "agrees"]
    if not rows:
        return common.nothing(f"The accounts agree on all {plural(len(case.placement), 'declared table')}.")
    columns = {
        "Model": lambda row: code(row.model),
        "Meant": _meant,
        "Declared": lambda row: code(row.spelling.emitted),
        "History": lambda row: row.recorded,
        "Found": lambda row: code(row.relation) if row.relation else "nowhere",
        "Verdict": lambda row: row.verdict,
    }
    caption = f"Of {plural(len(case.placement), 'declared table')}"
    return tables.records(rows, tables.Style(caption, noun="table in question", cards=True), columns)


def _meant(row: Placement) -> object:
    return code(row.intended.target) if row.intended else "not known"


def ways(case: Case) -> Html:
    """Where to go next: what this case calls for first."""
    rows = [(question, code(command), code(notebook)) for question, command, notebook in _ways(case)]
    style = tables.Style("Where to go next", noun="way", cards=True, head=False)
    return tables.table(["To find out", "Command", "Notebook"], rows, style)


def _ways(case: Case) -> Iterator[tuple[str, str, str]]:
    wrong = any(row.severity != "note" for row in case.findings)
    yield "What happened and why, as a report to share", "rcakit investigate", "10_incident_report"
    yield "What each migration really does", "rcakit replay", "20_migration_replay"
    if wrong:
        yield "Why the tests did not see it", "rcakit audit-tests", "30_test_blindness"
        yield (
            "Whether a repair loses anything",
            "rcakit repair --option A --out repair",
            "40_repair_rehearsal",
        )
    if case.findings:
        yield "What a finding means", f"rcakit explain {case.findings[0].code}", "–"
    if any(row.recorded == "pending" for row in case.placement):
        yield "What pending migrations will do", "rcakit rehearse --pending", "–"
