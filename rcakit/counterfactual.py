"""Causes proved by undoing them: each, and each combination, replayed on scratch, and the symptom decided again.

The matrix has one row for each set of causes undone, and every row is a real replay. From it follows what a
cause was to the symptom: *sufficient* (with it undone, the symptom goes), *necessary* (no row without the symptom
leaves it in), *silencing* (with it undone, the same migration fails aloud), or *refuted* (undoing it changes nothing).
A counterfactual account of causation: https://plato.stanford.edu/entries/causation-counterfactual/
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from psycopg import sql

from rcakit import replay
from rcakit.causes import Cause, symptoms
from rcakit.facts import Accounts, Finding
from rcakit.intent import meant
from rcakit.ledger import Ledger
from rcakit.names import Name, spelling
from rcakit.plpgsql import effects as sql_effects
from rcakit.plpgsql import guards
from rcakit.scratch import Server
from rcakit.undo import Undo, apply, copied, undo_of

ALL_SUBSETS_UP_TO = 4
"""Causes; with more of them: none, each alone, all, and all but each."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One table of the symptom: where it was meant to be, and under which name its model looks for it."""

    db_table: str
    target: Name


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
    untried: tuple[str, ...]
    """Ids of causes that no certain change undoes."""

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
        """Undoing it changes nothing, alone or together with others."""
        return all(
            trial.outcome == self.trial(*(each for each in trial.undone if each != cause)).outcome
            for trial in self.trials
            if cause in trial.undone
        )


@dataclass(frozen=True)
class World:
    """Where the replays of one case begin: an empty database with the schemas and roles of the observed one."""

    accounts: Accounts
    project: Path
    settings: str | None
    python: str | None

    def replayed(
        self,
        server: Server,
        project: Path | None = None,
        *,
        on_step: replay.OnStep | None = None,
        reverse: bool = False,
    ) -> Ledger:
        """The migrations of the project, or of a changed copy of it, run in this world.

        `reverse` undoes each of them and does it again.

        The databases are dropped again. Raises ProjectError and ScratchError as `replay.run` does.
        """
        with server.database("world") as dbname:
            with server.connect(dbname) as connection:
                for schema in sorted(self.schemas):
                    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            return replay.run(
                project or self.project,
                settings=self.settings,
                python=self.python,
                server=server,
                database=dbname,
                on_step=on_step,
                options=replay.Options(roles=replay.roles_of(self.accounts.observed), reverse=reverse),
            )

    @cached_property
    def schemas(self) -> frozenset[str]:
        """The schemas of the observed database, but for those that a migration makes without IF NOT EXISTS."""
        made = {
            name.name
            for migration in self.accounts.declared.migrations
            for operation in migration.operations
            for text in operation.sql
            for name in _plainly_made(text)
        }
        return self.accounts.observed.schema_names - made - {"public"}


def prove(
    world: World,
    causes: Sequence[Cause],
    findings: Sequence[Finding],
    server: Server,
    ledger: Ledger,
    say: Callable[[str], None] = lambda _: None,
) -> Matrix | None:
    """Replay every set of causes; None when there is no misplaced table, or no cause that can be undone.

    `ledger` is `world.replayed(server)`: the row with nothing undone.
    The copies and databases are gone afterwards. Raises ProjectError and ScratchError as `replay.run` does.
    """
    suspects = tuple(_suspects(world.accounts, findings))
    undos = [undo for cause in causes if (undo := undo_of(cause, world.accounts))]
    if not suspects or not undos:
        return None
    wanted = list(_sets(undos))
    trials = [_judge(suspects, (), ledger)]
    for undone in wanted:  # one after the other: roles belong to the whole server
        say(f"undoing {' + '.join(undo.cause for undo in undone)}: {len(trials)} of {len(wanted)}")
        trials.append(_judge(suspects, undone, _replayed(world, server, undone)))
    tried = {undo.cause for undo in undos}
    untried = tuple(cause.id for cause in causes if cause.id not in tried)
    return Matrix(tuple(trials), tuple(undos), untried)


def judged(causes: Sequence[Cause], matrix: Matrix) -> tuple[Cause, ...]:
    """The causes with what the matrix says about them as their proof."""
    return tuple(cause if cause.id in matrix.untried else _judged(cause, matrix) for cause in causes)


def _judged(cause: Cause, matrix: Matrix) -> Cause:
    if matrix.refuted(cause.id):
        proof = "With it undone, alone or together with others, the replay ends just the same."
        return replace(cause, confidence="refuted", proof=proof)
    alone = matrix.trial(cause.id)
    sufficient, necessary = matrix.sufficient(cause.id), matrix.necessary(cause.id)
    says = [f"With it alone undone, {describe(alone)}."]
    if matrix.silencing(cause.id):
        says.append("It did not cause the fault; it kept it silent.")
        return replace(cause, confidence="proved", role="silencing", proof=" ".join(says))
    if sufficient:
        says.append("That alone removes the symptom (sufficient).")
    if necessary:
        says.append("No replay that left it in was free of the symptom (necessary).")
    if not sufficient and not necessary:
        says.append("The outcome changes, but this alone does not repair it: it contributed.")
    changed = sufficient or necessary or alone.outcome != matrix.trial().outcome
    return replace(cause, confidence="proved" if changed else "likely", proof=" ".join(says))


def describe(trial: Trial) -> str:
    """The end of one trial in words."""
    said = f"{trial.placed} of {trial.total} tables are where they were meant to be"
    if trial.reached != trial.placed or trial.reached < trial.total:
        said += f", and the models reach {trial.reached}"
    if trial.stopped:
        said += f"; the replay stops at {trial.stopped}"
    return said


# ------------------------------------------------------------------ the trials


def _replayed(world: World, server: Server, undos: Sequence[Undo]) -> Ledger:
    with tempfile.TemporaryDirectory(prefix="trial-", dir=server.socket) as place:
        copy = copied(world.project, Path(place) / "project")
        apply(undos, copy, world.accounts)
        return world.replayed(server, copy)


def _judge(suspects: Sequence[Suspect], undos: Sequence[Undo], ledger: Ledger) -> Trial:
    renamed = {old: new for undo in undos for old, new in undo.names.items()}
    relations = [spelling(renamed.get(each.db_table, each.db_table)).relation for each in suspects]
    stop = ledger.failed
    return Trial(
        undone=tuple(undo.cause for undo in undos),
        placed=sum(ledger.catalog.find(each.target) is not None for each in suspects),
        reached=sum(each is not None and ledger.catalog.find(each) is not None for each in relations),
        total=len(suspects),
        stopped=f"{stop.migration}: {stop.error.partition(chr(10))[0]}" if stop else "",
        silent=tuple(step.migration for step in ledger.silent()),
        seconds=ledger.seconds,
    )


def _plainly_made(text: str) -> Iterator[Name]:
    """The schemas that a text makes without asking whether they are there."""
    found, _ = guards(text, migration="")
    asked = {effect.result for guard in found if guard.negated for effect in guard.effects}
    for effect in sql_effects(text):
        made = (effect.kind, effect.object) == ("create", "schema")
        if made and effect.result is not None and effect.result not in asked:
            yield effect.result


def _suspects(accounts: Accounts, findings: Sequence[Finding]) -> Iterator[Suspect]:
    misplaced = {finding.relation for finding in symptoms(findings) if finding.code == "RK401"}
    for model in accounts.declared.models:
        relation = spelling(model.db_table).relation
        found = accounts.observed.find(relation) if relation else None
        intended = meant(accounts, model.db_table)
        if found is not None and found.qualified in misplaced and intended is not None:
            yield Suspect(model.db_table, intended.target)


def _sets(undos: Sequence[Undo]) -> Iterator[tuple[Undo, ...]]:
    """The sets to try but for the empty one, small before large."""
    every = range(1, len(undos) + 1)
    few = sorted({1, len(undos) - 1, len(undos)})
    for size in every if len(undos) <= ALL_SUBSETS_UP_TO else few:
        yield from combinations(undos, size)
