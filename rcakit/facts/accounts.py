"""The five accounts together, which is all that a rule may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rcakit.facts.checks import CiJob, Claim, Gate, ProjectTest, Suite
from rcakit.facts.common import Unread, Where
from rcakit.facts.declared import Declared
from rcakit.facts.guards import Verdict
from rcakit.facts.observed import Catalog
from rcakit.facts.recorded import Recorded
from rcakit.names import Name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Intent:
    """Where a table was meant to be, according to one source.

    strength: 3 said outright (expected_schemas), 2 acted upon (a guard's THEN branch, the prefix of a literal-dot
    name that is an existing schema), 1 implied (convention of sibling apps, task text).
    """

    db_table: str
    target: Name
    source: str
    strength: int
    where: Where | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WayBack:
    """A migration that was undone and done again on scratch, and what that showed.

    `changes` is what the way back left different from before, as "- was" and "+ is"; `error` what it failed with.
    """

    migration: str
    where: Where | None
    changes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Accounts:
    """All a rule may look at. Built by `case.py` from a live target, by hand in the rules' tests."""

    observed: Catalog
    declared: Declared = field(default_factory=lambda: Declared("static"))
    recorded: Recorded = field(default_factory=Recorded)
    intended: tuple[Intent, ...] = ()
    guards: tuple[Verdict, ...] = ()
    unread: tuple[Unread, ...] = ()
    replayed: Catalog | None = None
    """What the migrations leave behind on an empty database; None when they were not run, or did not all run."""
    ways_back: tuple[WayBack, ...] = ()
    """The migrations whose way back was tried; empty without a replay that reverses."""
    tests: tuple[ProjectTest, ...] = ()
    suites: tuple[Suite, ...] = ()
    ci: tuple[CiJob, ...] = ()
    claims: tuple[Claim, ...] = ()
    gates: tuple[Gate, ...] = ()
    _made: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, work: Callable[[Accounts], T]) -> T:
        """What a function makes of these accounts, worked out when it is first asked for, and kept with them.

        For look-ups that many models share: a rule that goes through all of them for each of them is quadratic.
        """
        if work not in self._made:
            self._made[work] = work(self)
        found: T = self._made[work]
        return found
