"""The runs: a project's tests in copies of it, with the fault and without, and what each run gave."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit import scratch
from rcakit.blindness import mutants
from rcakit.blindness.mutants import Mutant
from rcakit.blindness.proposed import METHOD, Proposal, module
from rcakit.blindness.results import Fault
from rcakit.blindness.running import RED, Ran, Runner, dotted, split
from rcakit.counterfactual import World
from rcakit.facts import Accounts, Suite
from rcakit.names import Name
from rcakit.rules._concern import Concern
from rcakit.undo import Undo, apply, undo_of
from rcakit.undo.copies import copied, write

if TYPE_CHECKING:
    from rcakit.case import Case

PROPOSED = "test_rcakit_placement"
"""Name of the module of proposed tests, as it is written out."""
LAID = "test_rcakit_laid_beside"
"""Its name in the copies: the project may have the proposed module by now, as a part of its own tests."""


@dataclass
class Results:
    """What the runs gave: (engine, world) -> result; a world is "a", "b", or a fault's name."""

    ran: dict[tuple[str, str], Ran] = field(default_factory=dict)
    worlds: list[tuple[str, str, str]] = field(default_factory=list)
    """(engine, world with the fault, world without it)."""
    flaky: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Plan:
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

    def run(self, server: scratch.Server) -> Results:
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

    def __init__(self, plan: Plan, place: Path, runners: Mapping[str, Runner]) -> None:
        self.plan, self.place, self.runners = plan, place, runners
        self.outcome = Results()
        self.copies = count(1)

    def incident(self) -> Results:
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

    def healthy(self) -> Results:
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
            if any(self.outcome.ran[engine, fault.kind].ended for engine in self.runners):
                self._fault(fault.kind, fault.object, fault.kind)
        return self.outcome

    def _copy(self, *, undo: Sequence[Undo] = (), fault: Mutant | None = None) -> Callable[[], Path]:
        """Makes a copy when it is called: each run has one of its own."""

        def make() -> Path:
            copy = copied(self.plan.case.project, self.place / f"world-{next(self.copies)}")
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
            (engine, world, make)
            for world, make in worlds
            for engine in self.runners
            if (engine, world) not in known
        ]
        self.plan.say(f"running the tests {len(jobs)} times, on copies of the project ...")
        with ThreadPoolExecutor(2) as pool:
            done = pool.map(lambda job: self._ran(job[0], job[2]), jobs)
            for (engine, world, _), ran in zip(jobs, done, strict=True):
                self._keep(engine, world, ran)

    def _ran(self, engine: str, make: Callable[[], Path]) -> Ran:
        copy = make()
        try:
            return self.runners[engine].run(copy)
        finally:
            shutil.rmtree(copy, ignore_errors=True)  # what the tests made unremovable goes with the directory

    def _keep(self, engine: str, world: str, ran: Ran) -> None:
        self.outcome.ran[engine, world] = ran
        if not ran.ended and world not in ("a", "b"):
            self.outcome.problems.append(f"on {engine}, the project with {world}: {ran.problem}")
        elif ran.problem and world in ("a", "b"):
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
                    again = self._ran(engine, make)
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


def _candidates(plan: Plan) -> Iterator[tuple[Undo, ...]]:
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
