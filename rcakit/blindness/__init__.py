"""Which of a project's tests can see the incident: they are run in two worlds, one with it and one without.

World A has the fault, world B has not. Where a table is misplaced, A is the project as it is and B a copy in which the causes are
undone (`undo`); where all is well, B is the project and each A a copy with one fault of placement put in (`mutants`). A test
that fails in A and passes in B is *sighted*; one that tells the two apart in no run is *blind*; one that differs within one world
is *flaky*, and not counted. Both worlds are run with the project's settings as they are and, where it lets itself be pointed
there, on a scratch PostgreSQL: so the blindness of the engine is told from that of the assertion.

Mutation analysis: https://doi.org/10.1109/C-M.1978.218136
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rcakit import scratch
from rcakit.blindness import mutants, telling
from rcakit.blindness.proposed import Proposal, klass_name, module
from rcakit.blindness.results import Audit, Fault, Row, Run, Score, Seen
from rcakit.blindness.runs import Plan, Results
from rcakit.errors import ProjectError, ScratchError
from rcakit.facts import Accounts
from rcakit.rules._concern import Concern, concerns

if TYPE_CHECKING:
    from rcakit.case import Case

__all__ = ["Audit", "Fault", "Row", "Run", "Score", "Seen", "audit"]


def audit(
    case: Case,
    *,
    run: bool = True,
    server: scratch.Server | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Read the tests and, with `run`, run them in both worlds: the project's code runs then, on copies and on scratch.

    `server` is a scratch server to use, else one is started. The command and its time are those of the target's `[tests]`.
    What cannot be run is told in `problems`, and the static part stands.
    """
    began = time.monotonic()
    accounts = case.checked
    found = concerns(accounts)
    plan = Plan(case, accounts, found, _proposals(case, accounts, found), say)
    outcome = Results()
    problems: list[str] = []
    if not accounts.tests:
        problems.append("no test was found in the project")
    elif not accounts.suites:
        problems.append("how the tests are run could not be told: neither pytest nor manage.py is set up")
    elif run:
        try:
            with ExitStack() as stack:
                major = case.observed.server.version_num // 10000
                running = server or stack.enter_context(scratch.server(prefer=major))
                outcome = plan.run(running)
        except (ProjectError, ScratchError) as error:
            problems.append(error.what)
    else:
        problems.append("the tests were not run")
    seen = tuple(telling.seen(plan, outcome, test) for test in accounts.tests)
    return Audit(
        seen,
        tuple(telling.rows(accounts, found, seen)),
        tuple(outcome.faults),
        module(plan.proposals.values(), plan.constraints) if plan.proposals else "",
        plan.proposed_path if plan.proposals else "",
        tuple(dict.fromkeys((*problems, *outcome.problems))),
        tuple(each for each in accounts.unread if each.account in ("tests", "ci")),
        time.monotonic() - began,
        Score(
            len(outcome.faults),
            sum(fault.noticed for fault in outcome.faults),
            sum(fault.noticed or fault.seen_by_proposed for fault in outcome.faults),
        ),
    )


def _proposals(case: Case, accounts: Accounts, found: Sequence[Concern]) -> dict[str, Proposal]:
    """Test id -> the test of placement that belongs beside it; tests that have nothing to do with it have none."""
    if found:
        targets = {each.model.label: each.target for each in found}
    else:
        rows = mutants.placed(accounts, case.placement)
        targets = {row.model: row.found.qualified for row in rows if row.found}
    made: dict[str, Proposal] = {}
    names: dict[str, int] = defaultdict(int)
    for test in accounts.tests:
        tables = tuple(dict.fromkeys(targets[label] for label in test.models if label in targets))
        if tables:
            name = klass_name(test.tasks, test.id.rpartition("::")[2])
            names[name] += 1
            klass = name if names[name] == 1 else f"{name}{names[name]}"
            made[test.id] = Proposal(klass, tables)
    return made
