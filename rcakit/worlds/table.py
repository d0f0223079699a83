"""A truth table: the states a conditional migration could have met, and what it does in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rcakit.facts import Guard

Origin = Literal["replayed", "observed"]
Outcome = Literal["moves", "does nothing", "fails", "cannot tell"]


@dataclass(frozen=True, slots=True)
class World:
    """One start state. `reached` says who found it; empty: it comes about only by hand."""

    name: str
    description: str
    reached: tuple[Origin, ...] = ()

    @property
    def reachable(self) -> str:
        """ "replayed", "observed", "replayed and observed" or "by hand"."""
        return " and ".join(self.reached) or "by hand"


@dataclass(frozen=True, slots=True)
class Row:
    """What a migration does in one world: of its `total` guards, how many conditions are true, how many ends are met.

    true
        None: at least one condition could not be told.
    ended
        guards whose intended result is there afterwards.
    """

    world: World
    total: int
    true: int | None
    outcome: Outcome
    ended: int
    error: str = ""

    @property
    def condition(self) -> bool | None:
        """True when all conditions are, False when none is, None else."""
        return None if self.true is None or 0 < self.true < self.total else self.true > 0

    @property
    def intended_end(self) -> bool:
        """All that was intended is there afterwards."""
        return self.ended == self.total

    @property
    def works(self) -> bool:
        """It brings the intended end about, or finds it there and keeps it."""
        return self.intended_end and self.outcome in ("moves", "does nothing")

    @property
    def is_the_end(self) -> bool:
        """The database has what was intended: its state is where the migration ended, not where it began."""
        return self.intended_end and "observed" in self.world.reached


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth table of one migration."""

    migration: str
    guards: tuple[Guard, ...]
    rows: tuple[Row, ...]
    conclusion: str

    @property
    def can_work(self) -> bool | None:
        """Some state that really occurs leads to the intended end, or is it; None: no such state is known."""
        real = [row for row in self.rows if row.world.reached]
        return any(row.works or row.is_the_end for row in real) if real else None

    def to_json(self) -> dict[str, Any]:
        """As it stands in `findings.json`."""
        return {
            "migration": self.migration,
            "guards": len(self.guards),
            "conclusion": self.conclusion,
            "rows": [
                {
                    "world": row.world.name,
                    "reachable": row.world.reachable,
                    "true": row.true,
                    "outcome": row.outcome,
                    "ended": row.ended,
                    "error": row.error,
                }
                for row in self.rows
            ],
        }
