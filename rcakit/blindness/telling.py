"""What the runs mean, in words: a verdict for each test, a row for each task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rcakit.blindness.results import Row, Run, Seen, Verdict
from rcakit.blindness.running import dotted
from rcakit.blindness.runs import Plan, Results, sighted
from rcakit.facts import Accounts, Claim, LooksAt, ProjectTest
from rcakit.rules._concern import Concern, about_placement, schemas

_LOOKS: dict[LooksAt, str] = {
    "source-text": "the text of the source code",
    "declared-name": "the name the model declares",
    "orm-round-trip": "rows that go in and come out through the model",
    "mocked-cursor": "a stand-in for the database",
    "framework-introspection": "what the framework finds along search_path",
    "catalog": "the catalog, schema included",
    "other": "nothing of the database",
}
_WHY: dict[LooksAt, str] = {
    "source-text": "the text says what its author wrote, whatever the database holds",
    "declared-name": "the declared name is compared with itself",
    "orm-round-trip": "Django writes and reads under the name the model declares, and finds the table under it wherever it lies",
    "mocked-cursor": "the stand-in answers what it was told to",
    "framework-introspection": "what search_path leads to is there, in whichever schema",
    "catalog": "the catalog was not asked for these tables, or not on PostgreSQL",
    "other": "no assertion depends on where a table is",
}
_RANGE = re.compile(r"\b([A-Z]{1,10}-?)(\d{1,9})\s*(?:-|–|to)\s*(?:[A-Z]{1,10}-?)?(\d{1,9})\b")
_ID = re.compile(r"\b[A-Z]{1,10}-?\d+\b")


# ------------------------------------------------------------------ tests


def seen(plan: Plan, outcome: Results, test: ProjectTest) -> Seen:
    """One test, with what the two worlds say of it."""
    name = dotted(test.id)
    runs: dict[str, Run] = {}
    sees: dict[str, None] = {}
    for engine, faulty, sound in outcome.worlds:
        one, other = outcome.ran[engine, faulty], outcome.ran[engine, sound]
        if not (one.ended and other.ended) or (one.broken and not other.broken):
            continue  # a run that did not begin, or did not end, says nothing about a test
        run = Run(engine, one.results.get(name, ""), other.results.get(name, ""))
        if run.sees:
            sees[faulty] = None
        if run.sees or engine not in runs:
            runs[engine] = run
    verdict = _verdict(name, tuple(runs.values()), outcome)
    proposal = plan.proposals.get(test.id)
    wanted = proposal if proposal and verdict in ("blind", "not-run") else None
    return Seen(
        test,
        tuple(runs.values()),
        verdict,
        _why(plan, outcome, test, verdict, tuple(runs.values())),
        _should(proposal.tables if proposal else ()),
        wanted.whole(plan.constraints) if wanted else "",
        _proved(plan, outcome, test.id) if wanted else None,
        tuple("the incident" if faulty == "a" else faulty for faulty in sees if verdict == "sighted"),
    )


def _verdict(name: str, runs: Sequence[object], outcome: Results) -> Verdict:
    results = [ran.results.get(name) for ran in outcome.ran.values()]
    if name in outcome.flaky:
        return "flaky"
    if any(getattr(run, "sees", False) for run in runs):
        return "sighted"
    if all(result in (None, "skipped") for result in results) or not runs:
        return "not-run"
    return "blind"


def _proved(plan: Plan, outcome: Results, test: str) -> bool | None:
    """The proposed test passes without the fault, and fails with it (with some of them, where there are several)."""
    name = plan.proposed_id(test)
    pairs = [
        (outcome.ran[engine, faulty].results.get(name), outcome.ran[engine, sound].results.get(name))
        for engine, faulty, sound in outcome.worlds
    ]
    told = [pair for pair in pairs if set(pair) <= {"passed", "failed"}]
    if ("failed", "passed") in told:
        return True
    # One that fails without the fault is wrong; one whose tables no fault was put into was not tried.
    return False if (plan.found and told) or any(sound == "failed" for _, sound in told) else None


def _why(plan: Plan, outcome: Results, test: ProjectTest, verdict: Verdict, runs: Sequence[object]) -> str:
    if verdict == "sighted":
        engines = sorted(
            {
                engine
                for engine, faulty, sound in outcome.worlds
                for _ in [0]
                if _tells(outcome, engine, faulty, sound, test)
            }
        )
        own = plan.suite.engine
        only = f", but it is run on {own}" if own and own not in engines else ""
        return f"it fails with the fault and passes without it, on {' and '.join(engines)}{only}"
    if verdict == "flaky":
        return "its result differs between runs of one and the same world"
    decided = next((each.decided for each in test.assertions if each.looks_at == test.looks_at), None)
    where = f" ({decided.where})" if decided else ""
    why = f"it looks at {_LOOKS[test.looks_at]}{where}: {_WHY[test.looks_at]}"
    if verdict == "not-run":
        reason = "; ".join(outcome.problems) or "it has no result in either world, or is skipped"
        return f"not run: {reason}. From its text: {why}"
    if test.id not in plan.proposals:
        return f"it has nothing to do with the tables in question: it looks at {_LOOKS[test.looks_at]}"
    engines = [getattr(run, "engine", "") for run in runs]
    if any(
        getattr(run, "world_a", "") == "passed" and getattr(run, "world_b", "") == "failed" for run in runs
    ):
        return f"it demands the fault: it passes with it and fails without. {why[0].upper()}{why[1:]}"
    return f"{why}; the same on {' and '.join(engines)}" if len(engines) > 1 else why


def _tells(outcome: Results, engine: str, faulty: str, sound: str, test: ProjectTest) -> bool:
    return dotted(test.id) in sighted(outcome.ran[engine, faulty], outcome.ran[engine, sound])


def _should(tables: Iterable[object]) -> str:
    names = [str(table) for table in tables]
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"pg_catalog has {shown}, on PostgreSQL"


# ------------------------------------------------------------------ tasks


def rows(accounts: Accounts, found: Sequence[Concern], tests: Sequence[Seen]) -> Iterator[Row]:
    """One row for each ticked task that tests belong to or that is about tests, in order; only beside a misplaced table."""
    ticked = [claim for claim in accounts.claims if claim.ticked and claim.id] if found else []
    known = [claim.id for claim in accounts.claims if claim.id]
    for claim in ticked:
        mine = [each for each in tests if claim.id in each.test.tasks]
        if mine:
            yield _row(accounts, found, claim, mine, _mentioned(claim, known))


def _mentioned(claim: Claim, known: Sequence[str]) -> list[str]:
    """The tasks a task speaks of: "T004-T006" are three."""
    said = dict.fromkeys(_ID.findall(claim.text))
    for prefix, first, last in _RANGE.findall(claim.text):
        for number in range(int(first), min(int(last), int(first) + 50) + 1):
            said[f"{prefix}{number:0{len(first)}}"] = None
    return [each for each in known if each in said and each != claim.id]


def _row(
    accounts: Accounts, found: Sequence[Concern], claim: Claim, mine: Sequence[Seen], others: Sequence[str]
) -> Row:
    tests = tuple(mine)
    if _expects_failure(claim):
        return Row(
            claim.id,
            claim,
            f"that the tests fail before the work is done: {_names(mine)}",
            f"it did fail, as it had to: {_first_line(mine)}",
            "N/A: correct. It says nothing about the database",
            tests,
            correct=True,
        )
    why = list(dict.fromkeys(_WHY[each.test.looks_at] for each in mine))
    sight = [each for each in mine if each.verdict == "sighted"]
    if sight:
        why = [f"it did not pass: {_names(sight)} fails with the fault"]
    if others:
        why.append(f"{_span(others)} pass as well, and none of them asks where a table is")
    where = _there(found, mine)
    passed = "; ".join(why) + (f" ({where})" if where and not sight else "")
    return Row(
        claim.id, claim, _tested(mine), passed, _task_should(accounts, found, claim, mine, others), tests
    )


def _expects_failure(claim: Claim) -> bool:
    said = {word.lower() for word in re.findall(r"\w+", claim.text)}
    return bool({"fail", "fails", "red"} & said) and not {"pass", "passes", "green"} & said


def _tested(mine: Sequence[Seen]) -> str:
    kinds = dict.fromkeys(each.test.looks_at for each in mine)
    return "; ".join(
        f"{_LOOKS[kind]}: {_names([each for each in mine if each.test.looks_at == kind])}" for kind in kinds
    )


def _there(found: Sequence[Concern], mine: Sequence[Seen]) -> str:
    """Where a table of these tests really is."""
    labels = {label for each in mine for label in each.test.models}
    for each in found:
        if each.model.label in labels and each.found is not None:
            return f"{each.model.label} uses {each.found.qualified}"
    return ""


def _task_should(
    accounts: Accounts, found: Sequence[Concern], claim: Claim, mine: Sequence[Seen], others: Sequence[str]
) -> str:
    labels = {label for each in mine for label in each.test.models}
    targets = [each.target for each in found if each.model.label in labels]
    all_of = about_placement(claim, list(found)) and any(
        schema in re.findall(r"\w+", claim.text) for schema in schemas(list(found))
    )
    whole = bool(others) or "suite" in claim.text.lower() or all_of
    names = ", ".join(schemas(list(found)))
    if whole:
        return f"the same, and that pg_catalog has all {len(found)} tables in schema {names}, on PostgreSQL"
    return f"the same, and {_should(targets)}"


def _names(mine: Sequence[Seen]) -> str:
    return ", ".join(each.test.id.rpartition("::")[2] for each in mine)


def _first_line(mine: Sequence[Seen]) -> str:
    first = next((each for each in mine[0].test.assertions), None)
    return f"{first.decided.what} ({first.decided.where})" if first else str(mine[0].test.where)


def _span(tasks: Sequence[str]) -> str:
    return f"{tasks[0]} to {tasks[-1]}" if len(tasks) > 2 else " and ".join(tasks)
