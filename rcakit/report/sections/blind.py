"""Why the tests did not catch it: one row a task, what the two worlds say of each test, and the tests that would have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcakit import blindness
from rcakit.report import tables
from rcakit.report.html import Html, breakable, chip, code, details, join, pre, source, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.blindness import Audit, Row, Seen
    from rcakit.case import Case
    from rcakit.facts import CiJob, Remark, Suite

_VERDICTS = {"blind": "error", "sighted": "good", "flaky": "warning", "not-run": "unknown"}


def tests_blind(case: Case) -> Html:
    """The incident report's part: the tests of the ticked tasks, read and not run."""
    if case.checked.tests:
        audit = blindness.audit(case, run=False)
        more = tag(
            "p",
            "Read, not run: ",
            code("rcakit audit-tests"),
            " runs them with and without the incident.",
            class_="later",
        )
        return join(_rows(audit), more if audit.rows else "")
    ticked = [claim for claim in case.claims if claim.ticked]
    if not ticked:
        return common.nothing("Neither a test nor a ticked task was found in the project's files.")
    columns = {
        "Task": lambda row: row.id,
        "Claims": lambda row: row.text,
        "Where": lambda row: code(row.where),
    }
    style = tables.Style("Tasks that are ticked", noun="task", cards=True)
    return join(tables.records(ticked, style, columns), common.nothing("No test could be read."))


def tests(case: Case, audit: Audit | None = None) -> Html:  # noqa: PT028  not a test: what the section is called
    """What each task's tests looked at, why they passed, and what they should have looked at.

    Without an `audit` the tests are only read; with one that ran them, each row has the two-world result.
    """
    audit = audit or blindness.audit(case, run=False)
    if not audit.tests:
        return common.nothing("The project has no test that could be read.")
    parts = [_rows(audit), score(audit), _each(audit)]
    if audit.proposed:
        parts.append(
            source(details(f"The tests that would have seen it: {audit.proposed_path}", pre(audit.proposed)))
        )
    return join(*parts)


def _rows(audit: Audit) -> Html:
    if not audit.rows:
        return common.nothing("No ticked task that tests belong to speaks of a misplaced table.")
    columns = {
        "Task": lambda row: row.task,
        "What it tested": lambda row: breakable(row.tested),
        "Why it passed": lambda row: breakable(row.why_passed),
        "What it should have tested": lambda row: row.should_test,
        "Two worlds": _worlds,
    }
    style = tables.Style("Tasks that are ticked, and their tests", limit=None, noun="task", cards=True)
    return tables.records(audit.rows, style, columns)


def _worlds(row: Row) -> Html:
    if row.correct:
        return chip("good", "correct")
    verdicts = {each.verdict for each in row.tests}
    verdict = next(kind for kind in ("sighted", "flaky", "blind", "not-run") if kind in verdicts)
    engines = dict.fromkeys(run.engine for each in row.tests for run in each.runs)
    return join(
        chip(_VERDICTS[verdict], verdict), tag("p", ", ".join(engines), class_="meta") if engines else ""
    )


def _each(audit: Audit) -> Html:
    columns = {
        "Test": lambda seen: breakable(seen.test.id),
        "Verdict": lambda seen: chip(_VERDICTS[seen.verdict], seen.verdict),
        "With and without": _runs,
        "Why": lambda seen: seen.why,
        "Proposed test": _proof,
    }
    style = tables.Style("Every test of the project", noun="test", cards=True)
    return details(common.plural(len(audit.tests), "test"), tables.records(audit.tests, style, columns))


def _runs(seen: Seen) -> Html:
    said = [f"{run.engine}: {run.world_a or 'not run'} / {run.world_b or 'not run'}" for run in seen.runs]
    return join(*(tag("p", each, class_="meta") for each in said)) if said else Html("–")


def _proof(seen: Seen) -> Html:
    if not seen.assertion:
        return Html("–")
    if seen.proved is None:
        return chip("unknown", "not tried")
    return chip("good", "proved") if seen.proved else chip("error", "refuted")


def score(audit: Audit) -> Html:
    """The placement mutation score, and what could not be run."""
    problems = [tag("p", f"Not run: {problem}.", class_="later") for problem in audit.problems]
    if not audit.score.mutants:
        return join(*problems)
    number = audit.score
    return join(
        tag(
            "p",
            f"Faults that some test of the project notices: {number.sighted} of {number.mutants}. "
            f"With the proposed tests added: {number.with_proposed} of {number.mutants}.",
        ),
        *problems,
    )


def where_tests_run(case: Case) -> Html:
    """Settings, engine and bends of each way to run the tests, and what the pipelines do."""
    suites, jobs = case.checked.suites, [job for job in case.checked.ci if not job.local]
    parts = [_suites(suites), _jobs(jobs)]
    return join(*parts)


def _suites(suites: tuple[Suite, ...]) -> Html:
    if not suites:
        return common.nothing("How the tests are run could not be told.")
    columns = {
        "Command": lambda suite: code(suite.command),
        "Settings": lambda suite: join(code(suite.settings or "?"), _remarks(suite.chain)),
        "Engine": lambda suite: join(
            suite.engine or "not known", tag("p", str(suite.engine_set or ""), class_="meta")
        ),
        "Otherwise": lambda suite: ", ".join(f"{how}: {engine}" for how, engine in suite.otherwise) or "–",
        "Bent for tests": lambda suite: _remarks((*suite.strips, *suite.unmigrated)),
    }
    return tables.records(
        suites, tables.Style("Where the tests run", limit=None, noun="way", cards=True), columns
    )


def _remarks(remarks: tuple[Remark, ...]) -> Html:
    return (
        join(*(tag("p", f"{each.what} ({each.where})", class_="meta") for each in remarks))
        if remarks
        else Html("–")
    )


def _jobs(jobs: list[CiJob]) -> Html:
    if not jobs:
        return common.nothing("No pipeline of the project could be read.")
    columns = {
        "Job": lambda job: join(f"{job.system}: {job.name}", tag("p", str(job.where), class_="meta")),
        "PostgreSQL": lambda job: job.postgresql or "none",
        "Tests": lambda job: job.tests or "none",
        "Migrates": lambda job: job.migrates or "never",
        "Asks the catalog": lambda job: job.catalog or "never",
        "May fail": lambda job: job.may_fail or "no",
    }
    return tables.records(
        jobs, tables.Style("What the pipelines do", limit=None, noun="job", cards=True), columns
    )


def verdict(audit: Audit) -> Html:
    """The answer in one sentence."""
    number = audit.score
    missed = number.mutants - number.sighted
    if not number.mutants:
        said = "Not decided: the tests were not run, or there was no fault to put in."
    elif not missed:
        said = "Yes: every fault is noticed by some test of the project."
    elif number.mutants == 1:
        said = "No: not one test of the project notices the fault."
    else:
        said = f"No: {missed} of {number.mutants} faults pass every test of the project."
    if missed and number.with_proposed == number.mutants:
        said += " The proposed tests do." if missed == 1 else " The proposed tests notice them all."
    return tag("p", said, class_="answer")
