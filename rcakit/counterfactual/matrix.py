"""The counterfactual matrix: one row for each set of causes undone, and what follows from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rcakit.undo import Undo


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the matrix.

    placed, reached
        tables of the symptom that are where they were meant to be, and that their models find; of `total`.
    stopped
        "migration: error" where the replay failed; "" where it ran to its end.
    silent
        migrations that carry DDL, did nothing and said nothing.
    """

    undone: tuple[str, ...]
    placed: int
    reached: int
    total: int
    stopped: str
    silent: tuple[str, ...]
    seconds: float

    @property
    def symptom(self) -> bool:
        """The symptom is there: some table is not where it was meant to be, or its model does not find it."""
        return self.placed < self.total or self.reached < self.total

    @property
    def outcome(self) -> tuple[int, int, str, tuple[str, ...]]:
        """What two trials are compared by: everything but their time."""
        return self.placed, self.reached, self.stopped.partition(":")[0], self.silent


@dataclass(frozen=True)
class Matrix:
    """All trials, the one with nothing undone first, and how each cause was undone."""

    trials: tuple[Trial, ...]
    undos: tuple[Undo, ...]
    untried: Mapping[str, str]
    """Cause that no certain change undoes -> why, in a sentence."""
    cut_short: bool = False
    """The search for the smallest sets ended at its bound: there may be smaller ones."""
    shared: int = 0
    """Migrations that were run once for several trials, which go on from a clone of that database; 0: none."""

    def trial(self, *undone: str) -> Trial:
        """The trial with exactly these causes undone. Raises KeyError when there was none."""
        for trial in self.trials:
            if set(trial.undone) == set(undone):
                return trial
        raise KeyError(undone)

    def to_json(self) -> dict[str, Any]:
        """The `counterfactual` of `findings.json`."""
        return {
            "undone": [{"cause": undo.cause, "how": undo.what} for undo in self.undos],
            "untried": list(self.untried),
            "untried_because": [{"cause": cause, "why": why} for cause, why in self.untried.items()],
            "sufficient_sets": [list(each) for each in self.sufficient_sets],
            "necessary_sets": [list(each) for each in self.necessary_sets],
            "cut_short": self.cut_short,
            "shared": self.shared,
            "trials": [
                {
                    "undone": list(trial.undone),
                    "symptom": trial.symptom,
                    "placed": trial.placed,
                    "reached": trial.reached,
                    "total": trial.total,
                    "stopped": trial.stopped,
                    "silent": list(trial.silent),
                    "seconds": round(trial.seconds, 3),
                }
                for trial in self.trials
            ],
        }

    def sufficient(self, cause: str) -> bool:
        """With this cause alone undone, the symptom goes."""
        return self.trial().symptom and not self.trial(cause).symptom

    def necessary(self, cause: str) -> bool:
        """The symptom goes in some trial, and never while this cause is left in."""
        gone = [trial for trial in self.trials if not trial.symptom]
        return bool(gone) and all(cause in trial.undone for trial in gone)

    def silencing(self, cause: str) -> bool:
        """Undone alone it leaves the symptom, and a migration that did nothing in silence now fails aloud."""
        with_it, without = self.trial(), self.trial(cause)
        failed = without.stopped.partition(":")[0]
        return without.symptom and failed in with_it.silent

    def refuted(self, cause: str) -> bool:
        """Undoing it changes nothing, alone or together with others, as far as both were tried and got to it."""
        pairs = list(self._pairs(cause))
        same = all(trial.outcome == without.outcome for trial, without in pairs)
        return same and not self.undecided(cause)

    def undecided(self, cause: str) -> bool:
        """Every replay stops where it did with the cause left in: what would have come of it is not known."""
        pairs = list(self._pairs(cause))
        return all(trial.stopped and trial.outcome == without.outcome for trial, without in pairs)

    def _pairs(self, cause: str) -> Iterator[tuple[Trial, Trial]]:
        """Each trial with the cause undone, and the one that differs from it in nothing else."""
        tried = {frozenset(trial.undone): trial for trial in self.trials}
        for undone, trial in tried.items():
            without = tried.get(undone - {cause})
            if cause in undone and without is not None:
                yield trial, without

    @property
    def sufficient_sets(self) -> tuple[tuple[str, ...], ...]:
        """Causes whose undoing together removes the symptom, where that of no smaller part that was tried does."""
        return self._least(trial.undone for trial in self.trials if not trial.symptom)

    @property
    def necessary_sets(self) -> tuple[tuple[str, ...], ...]:
        """Causes that keep the symptom while all of them are left in, whatever else is undone; smallest sets alone.

        Empty when the symptom stays though everything is undone.
        """
        every = [undo.cause for undo in self.undos]
        stays = [set(trial.undone) for trial in self.trials if trial.symptom]
        left = [tuple(each for each in every if each not in undone) for undone in stays]
        return () if () in left else self._least(left)

    def _least(self, sets: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
        """Those of which no other one is a part, in the order of the causes."""
        found = set(sets)
        least = (each for each in found if not any(set(other) < set(each) for other in found))
        order = [undo.cause for undo in self.undos]
        return tuple(sorted(least, key=lambda each: [order.index(cause) for cause in each]))


def describe(trial: Trial) -> str:
    """The end of one trial in words."""
    said = f"{trial.placed} of {trial.total} tables are where they were meant to be"
    if trial.reached != trial.placed or trial.reached < trial.total:
        said += f", and the models reach {trial.reached}"
    if trial.stopped:
        said += f"; the replay stops at {trial.stopped}"
    return said
