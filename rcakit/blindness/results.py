"""What was found out about a project's tests: values, made in `runs.py` and told in `telling.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rcakit.blindness.running import RED, Outcome
from rcakit.facts import Claim, ProjectTest, Unread

Verdict = Literal["blind", "sighted", "flaky", "not-run"]


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
