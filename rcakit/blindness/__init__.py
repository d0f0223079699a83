"""Which of a project's tests can see the incident: they are run in two worlds, one with it and one without.

World A has the fault, world B has not. Where a table is misplaced, A is the project as it is and B a copy in which the causes are
undone (`undo`); where all is well, B is the project and each A a copy with one fault of placement put in (`mutants`). A test
that fails in A and passes in B is *sighted*; one that tells the two apart in no run is *blind*; one that differs within one world
is *flaky*, and not counted. Both worlds are run with the project's settings as they are and, where it lets itself be pointed
there, on a scratch PostgreSQL: so the blindness of the engine is told from that of the assertion.

Mutation analysis: https://doi.org/10.1109/C-M.1978.218136
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rcakit import scratch
from rcakit.blindness import mutants
from rcakit.blindness.mutants import Mutant
from rcakit.blindness.proposed import METHOD, Proposal, klass_name, module
from rcakit.blindness.running import RED, Outcome, Ran, Runner, dotted, split
from rcakit.counterfactual import World
from rcakit.errors import ProjectError, ScratchError
from rcakit.facts import Accounts, Claim, ProjectTest, Suite, Unread
from rcakit.names import Name
from rcakit.rules._concern import Concern, concerns
from rcakit.undo import Undo, apply, undo_of
from rcakit.undo.copies import copied, write

if TYPE_CHECKING:
    from rcakit.case import Case

Verdict = Literal["blind", "sighted", "flaky", "not-run"]
PROPOSED = "test_rcakit_placement"
"""Name of the module of proposed tests, as it is written out."""
LAID = "test_rcakit_laid_beside"
"""Its name in the copies: the project may have the proposed module by now, as a part of its own tests."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one test did in the two worlds on one engine; "" where it has no result."""

    engine: str
    world_a: Outcome | Literal[""]
    world_b: Outcome | Literal[""]

    @property
    def sees(self) -> bool:
        return self.world_a in RED and self.world_b == "passed"


@dataclass(frozen=True, slots=True)
class Seen:
    """One test of the project, and whether it can see the fault.

    `sees` are the faults it noticed; `proposal` is the test that would have, with its file's text in `assertion`; `proved`:
    that one failed in world A and passed in world B (None: it was not run).
    """

    test: ProjectTest
    runs: tuple[Run, ...]
    verdict: Verdict
    why: str
    should_test: str
    assertion: str = ""
    proved: bool | None = None
    sees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and the tests that noticed it, the project's own and the proposed ones; `engines` they did it on."""

    kind: str
    object: str
    seen_by: tuple[str, ...]
    seen_by_proposed: bool
    engines: tuple[str, ...] = ()
    breaks: bool = False
    """With it no test can begin, on some engine: the run is red, though no test by itself has noticed."""

    @property
    def noticed(self) -> bool:
        return bool(self.seen_by) or self.breaks


@dataclass(frozen=True, slots=True)
class Score:
    """The placement mutation score: faults that some test of the project noticed, of all that were put in."""

    mutants: int
    sighted: int
    with_proposed: int
    """The same with the proposed tests added."""

    def __str__(self) -> str:
        return f"{self.sighted} of {self.mutants}"


@dataclass(frozen=True, slots=True)
class Row:
    """One ticked task or test in a sentence each, as an incident document has it."""

    task: str
    claim: Claim | None
    tested: str
    why_passed: str
    should_test: str
    tests: tuple[Seen, ...]
    correct: bool = False
    """Nothing is wrong with this one."""


@dataclass(frozen=True)
class Audit:
    """All that was found out about a project's tests. `problems` say what could not be run, and why."""

    tests: tuple[Seen, ...]
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()
    proposed: str = ""
    """The whole file of proposed tests."""
    proposed_path: str = ""
    problems: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    seconds: float = 0
    score: Score = field(default=Score(0, 0, 0))


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
    from rcakit.blindness import telling

    accounts = case.checked
    found = concerns(accounts)
    plan = _Plan(case, accounts, found, _proposals(case, accounts, found), say)
    outcome = _Outcome()
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


# ------------------------------------------------------------------ the runs


@dataclass
class _Outcome:
    """What the runs gave: (engine, world) -> result; a world is "a", "b", or a fault's name."""

    ran: dict[tuple[str, str], Ran] = field(default_factory=dict)
    worlds: list[tuple[str, str, str]] = field(default_factory=list)
    """(engine, world with the fault, world without it)."""
    flaky: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class _Plan:
    case: Case
    accounts: Accounts
    found: Sequence[Concern]
    proposals: Mapping[str, Proposal]
    say: Callable[[str], None]

    @property
    def suite(self) -> Suite:
        return self.accounts.suites[0]

    @property
    def proposed_path(self) -> str:
        """Beside the first test that has to do with the tables."""
        first = next(
            (test for test in self.accounts.tests if test.id in self.proposals), self.accounts.tests[0]
        )
        folder = first.where.path.rpartition("/")[0]
        return f"{folder}/{PROPOSED}.py".lstrip("/")

    @property
    def laid_path(self) -> str:
        """Where they are in a copy."""
        return self.proposed_path.removesuffix(f"{PROPOSED}.py") + f"{LAID}.py"

    @property
    def constraints(self) -> dict[Name, str]:
        """Table -> the letters of its constraints, of a healthy database alone: a misplaced one proves nothing else."""
        if self.found:
            return {}
        kinds: dict[int, list[str]] = defaultdict(list)
        for each in self.accounts.observed.constraints:
            if each.kind in "cfpux":
                kinds[each.relation].append(each.kind)
        return {each.qualified: "".join(sorted(kinds[each.oid])) for each in self.accounts.observed.relations}

    def proposed_id(self, test: str) -> str:
        return f"{dotted(self.laid_path)}.{self.proposals[test].klass}.{METHOD}"

    def run(self, server: scratch.Server) -> _Outcome:
        """All runs. Raises ProjectError and ScratchError."""
        target = self.case.target
        world = World(self.accounts, self.case.project, target.settings, target.interpreter)
        with (
            tempfile.TemporaryDirectory(prefix="worlds-", dir=server.socket) as place,
            world.database(server) as template,
        ):
            runners = self._runners(server, template)
            work = _Work(self, Path(place), runners)
            return work.incident() if self.found else work.healthy()

    def _runners(self, server: scratch.Server, template: str) -> dict[str, Runner]:
        target, suite = self.case.target, self.suite
        base = Runner(
            self.case.project,
            suite,
            server,
            template,
            target.interpreter,
            command=split(target.tests.command),
            timeout=target.tests.timeout,
        )
        runners = {suite.engine or "as configured": base}
        if not suite.on_postgresql:
            other = next(
                (each for each in self.accounts.suites[1:] if each.on_postgresql and each.engine), None
            )
            if suite.switch:
                runners["postgresql"] = replace(base, switch=suite.switch)
            elif other is not None:
                runners["postgresql"] = replace(base, settings=other.settings)
        return runners


class _Work:
    """Copies of the project in one directory, and the tests run in them, two at a time."""

    def __init__(self, plan: _Plan, place: Path, runners: Mapping[str, Runner]) -> None:
        self.plan, self.place, self.runners = plan, place, runners
        self.outcome = _Outcome()
        self.copies = 0

    def incident(self) -> _Outcome:
        """A: the project as it is. B: the first set of causes undone with which the tables are where they were meant to be."""
        sets = list(_candidates(self.plan))
        if not sets:
            self.outcome.problems.append(
                "no cause can be undone in a copy with certainty: there is no world without the incident to compare with"
            )
            self._all([("a", self._copy())])
            return self.outcome
        self._all([("a", self._copy()), ("b", self._copy(undo=sets[0]))])
        undone = sets[0]
        for undone in sets[1:] if not self._holds("b") else ():
            self._all([("b", self._copy(undo=undone))])
            if self._holds("b"):
                break
        self._compare("a", "b")
        self._repeat([("b", self._copy(undo=undone)), ("a", self._copy())])
        titles = ", ".join(sorted({str(each.target.schema) for each in self.plan.found}))
        self._fault("the incident", titles, "a")
        return self.outcome

    def healthy(self) -> _Outcome:
        """B: the project as it is. A: one fault at a time."""
        faults = list(mutants.of(self.plan.accounts, self.plan.case.placement))
        if not faults:
            self.outcome.problems.append(
                "no table was meant to be in a schema of its own: there is no fault of placement to put in"
            )
        self._all([("b", self._copy())])
        for fault in faults:
            bare = [engine for engine in self.runners if fault.on_postgresql_alone and _is_other(engine)]
            for engine in bare:
                self.outcome.ran[engine, fault.kind] = self.outcome.ran[engine, "b"]
        self._all((fault.kind, self._copy(fault=fault)) for fault in faults)
        for fault in faults:
            self._compare(fault.kind, "b")
        self._repeat([("b", self._copy())])
        for fault in faults:
            self._fault(fault.kind, fault.object, fault.kind)
        return self.outcome

    def _copy(self, *, undo: Sequence[Undo] = (), fault: Mutant | None = None) -> Callable[[], Path]:
        """Makes a copy when it is called: each run has one of its own."""

        def make() -> Path:
            self.copies += 1
            copy = copied(self.plan.case.project, self.place / f"world-{self.copies}")
            apply(undo, copy, self.plan.accounts)
            if fault is not None:
                fault.inject(copy, self.plan.accounts)
            if self.plan.proposals:
                text = module(self.plan.proposals.values(), self.plan.constraints)
                write(copy, self.plan.laid_path, text)
            return copy

        return make

    def _all(self, worlds: Iterable[tuple[str, Callable[[], Path]]]) -> None:
        """Run every world on every engine, and keep the results."""
        known = set(self.outcome.ran) if not self.plan.found else set()
        jobs = [
            (engine, world, make())
            for world, make in worlds
            for engine in self.runners
            if (engine, world) not in known
        ]
        self.plan.say(f"running the tests {len(jobs)} times, on copies of the project ...")
        with ThreadPoolExecutor(2) as pool:
            done = pool.map(lambda job: self.runners[job[0]].run(job[2]), jobs)
            for (engine, world, _), ran in zip(jobs, done, strict=True):
                self._keep(engine, world, ran)

    def _keep(self, engine: str, world: str, ran: Ran) -> None:
        self.outcome.ran[engine, world] = ran
        if ran.problem and world in ("a", "b"):
            name = "as it is" if (world == "a") == bool(self.plan.found) else "without the fault"
            self.outcome.problems.append(f"on {engine}, the project {name}: {ran.problem}")

    def _compare(self, world: str, without: str) -> None:
        self.outcome.worlds += [(engine, world, without) for engine in self.runners]

    def _repeat(self, worlds: Sequence[tuple[str, Callable[[], Path]]]) -> None:
        """Run worlds again where some test of the project's own told two apart: is it the world, or chance?

        Each is run twice, one run right after the other: a result that alternates may well come out alike in every other run.
        """
        own = {dotted(test.id) for test in self.plan.accounts.tests}
        ran = self.outcome.ran
        told = {
            engine
            for engine, faulty, sound in self.outcome.worlds
            if own & _differing(ran[engine, faulty], ran[engine, sound])
        }
        for engine in sorted(told):
            for world, make in worlds:
                for _ in range(2):
                    again = self.runners[engine].run(make())
                    self.outcome.flaky |= _differing(ran[engine, world], again)

    def _holds(self, world: str) -> bool:
        """Some proposed test passes in this world, and none fails."""
        ids = {self.plan.proposed_id(test) for test in self.plan.proposals}
        outcomes = [
            outcome
            for engine in self.runners
            for test, outcome in self.outcome.ran[engine, world].results.items()
            if test in ids
        ]
        return "passed" in outcomes and "failed" not in outcomes

    def _fault(self, kind: str, name: str, world: str) -> None:
        """What noticed this fault."""
        seen: dict[str, None] = {}
        engines: dict[str, None] = {}
        proposed = False
        ids = {dotted(test.id): test.id for test in self.plan.accounts.tests}
        mine = {self.plan.proposed_id(test) for test in self.plan.proposals}
        broken = False
        for engine in self.runners:
            faulty, sound = self.outcome.ran[engine, world], self.outcome.ran[engine, "b"]
            noticed = sighted(faulty, sound)
            for test in sorted(noticed - self.outcome.flaky):
                if test in ids:
                    seen[ids[test]] = engines[engine] = None
            proposed = proposed or bool(noticed & mine)
            if faulty.broken and not sound.broken:
                broken, engines[engine] = True, None
        self.outcome.faults.append(Fault(kind, name, tuple(seen), proposed, tuple(engines), broken))


def _is_other(engine: str) -> bool:
    return engine in ("sqlite3", "mysql", "oracle")


def sighted(faulty: Ran, sound: Ran) -> set[str]:
    """The tests that fail with the fault and pass without it; none where no test could begin."""
    if faulty.broken:
        return set()
    return {
        test
        for test, outcome in sound.results.items()
        if outcome == "passed" and faulty.results.get(test) in RED
    }


def _differing(one: Ran, other: Ran) -> set[str]:
    both = one.results.keys() & other.results.keys()
    return {test for test in both if one.results[test] != other.results[test]}


def _candidates(plan: _Plan) -> Iterator[tuple[Undo, ...]]:
    """Sets of causes to undo: the one a replay proved, else the roots, what failed to correct them, and all but the silent."""
    causes = plan.case.causes
    undos = {cause.id: undo for cause in causes if (undo := undo_of(cause, plan.accounts))}
    matrix = plan.case.matrix
    free = [trial for trial in (matrix.trials if matrix else ()) if not trial.symptom and not trial.stopped]
    if free:
        best = min(free, key=lambda trial: len(trial.undone))
        yield tuple(undos[cause] for cause in best.undone)
        return
    tried: list[tuple[Undo, ...]] = []
    for roles in (("root",), ("contributing",), ("root", "contributing")):
        chosen = tuple(undos[each.id] for each in causes if each.role in roles and each.id in undos)
        if chosen and chosen not in tried:
            tried.append(chosen)
            yield chosen


__all__ = ["Audit", "Fault", "Row", "Run", "Score", "Seen", "audit"]
