"""Causes proved by undoing them: each, and each combination, replayed on scratch, and the symptom decided again.

The matrix has one row for each set of causes undone, and every row is a real replay. From it follows what a
cause was to the symptom: *sufficient* (with it undone, the symptom goes), *necessary* (no row without the symptom
leaves it in), *silencing* (with it undone, the same migration fails aloud), or *refuted* (undoing it changes nothing).
With many causes not every set is replayed: the smallest ones that matter are searched for (`search.py`).
A counterfactual account of causation: https://plato.stanford.edu/entries/causation-counterfactual/
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

from psycopg import sql

from rcakit import replay
from rcakit.causes import AGREED, Cause, symptoms
from rcakit.counterfactual.matrix import Matrix, Trial, describe
from rcakit.counterfactual.search import smallest
from rcakit.facts import Accounts, Finding
from rcakit.intent import meant
from rcakit.ledger import Ledger
from rcakit.names import Name, spelling
from rcakit.parsing.plpgsql import effects as sql_effects
from rcakit.parsing.plpgsql import guards
from rcakit.scratch import Server
from rcakit.undo import Undo, apply, copied, undo_of, why_not

__all__ = ["Matrix", "Suspect", "Trial", "World", "describe", "judged", "prove"]

ALL_SUBSETS_UP_TO = 4
"""Causes; with more of them: none, each alone, all, all but each, and a search for the smallest sets that matter."""
SEARCHED = 16
"""Replays of that search at most."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One table of the symptom: where it was meant to be, and under which name its model looks for it."""

    db_table: str
    target: Name


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
    """Replay every set of causes; None when there is no cause, or no misplaced or missing table.

    `ledger` is `world.replayed(server)`: the row with nothing undone.
    The copies and databases are gone afterwards. Raises ProjectError and ScratchError as `replay.run` does.
    """
    suspects = tuple(_suspects(world.accounts, findings))
    undos = [undo for cause in causes if (undo := undo_of(cause, world.accounts))]
    if not suspects or not causes:
        return None
    bench = _Bench(world, server, suspects, tuple(undos), say, {frozenset(): _judge(suspects, (), ledger)})
    for undone in _sets(undos):
        bench.trial(undone)
    if len(undos) > ALL_SUBSETS_UP_TO:
        bench.search()
    tried = {undo.cause for undo in undos}
    untried = {cause.id: why_not(cause) for cause in causes if cause.id not in tried}
    return Matrix(tuple(bench.trials.values()), tuple(undos), untried, bench.cut_short)


def judged(causes: Sequence[Cause], matrix: Matrix) -> tuple[Cause, ...]:
    """The causes with what the matrix says about them as their proof."""
    return tuple(
        replace(cause, proof=f"{AGREED} Not undone in a replay: {matrix.untried[cause.id]}")
        if cause.id in matrix.untried
        else _judged(cause, matrix)
        for cause in causes
    )


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
    together = [each for each in matrix.sufficient_sets if cause.id in each and len(each) > 1]
    if together:
        all_of_them = " and ".join(together[0])
        says.append(
            f"Undone together, {all_of_them} remove the symptom; no smaller part of them that was tried does."
        )
    if not sufficient and not necessary and not together:
        says.append("The outcome changes, but this alone does not repair it: it contributed.")
    changed = sufficient or necessary or bool(together) or alone.outcome != matrix.trial().outcome
    return replace(cause, confidence="proved" if changed else "likely", proof=" ".join(says))


# ------------------------------------------------------------------ the trials


@dataclass
class _Bench:
    """The trials of one matrix, none made twice, one after the other: roles belong to the whole server."""

    world: World
    server: Server
    suspects: tuple[Suspect, ...]
    undos: tuple[Undo, ...]
    say: Callable[[str], None]
    trials: dict[frozenset[str], Trial]
    left: int = SEARCHED
    cut_short: bool = False

    def trial(self, undone: Sequence[Undo]) -> Trial:
        key = frozenset(undo.cause for undo in undone)
        if key not in self.trials:
            self.say(f"undoing {' + '.join(undo.cause for undo in undone)}: replay {len(self.trials)}")
            ledger = _replayed(self.world, self.server, undone)
            self.trials[key] = _judge(self.suspects, undone, ledger)
        return self.trials[key]

    def search(self) -> None:
        """Where undoing everything helps: the fewest causes to undo, if no single one is enough, and the fewest
        to leave in that keep the symptom, if no single one does.
        """
        if self.trial(self.undos).symptom:
            return
        needed = tuple(undo for undo in self.undos if self.trial(self._but((undo,))).symptom)
        if all(self.trial((undo,)).symptom for undo in self.undos):
            smallest(needed if needed and self._gone(needed) else self.undos, self._gone)
        if not needed:
            smallest(self.undos, lambda kept: self._there(self._but(kept)))

    def _but(self, kept: Sequence[Undo]) -> tuple[Undo, ...]:
        return tuple(undo for undo in self.undos if undo not in kept)

    def _gone(self, undone: tuple[Undo, ...]) -> bool:
        return self._affordable(undone) and not self.trial(undone).symptom

    def _there(self, undone: tuple[Undo, ...]) -> bool:
        return self._affordable(undone) and self.trial(undone).symptom

    def _affordable(self, undone: tuple[Undo, ...]) -> bool:
        """Whether it was tried already, or may still be."""
        if frozenset(undo.cause for undo in undone) in self.trials:
            return True
        self.cut_short = self.cut_short or self.left <= 0
        self.left -= 1
        return not self.cut_short


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
    """The models whose table is misplaced, or is not under its name: told by the table, or else by the model's place."""
    told = [each for each in symptoms(findings) if each.code in ("RK401", "RK402")]
    names, places = {each.relation for each in told}, {each.where for each in told if each.where}
    for model in accounts.declared.models:
        relation = spelling(model.db_table).relation
        found = accounts.observed.find(relation) if relation else None
        intended = meant(accounts, model.db_table)
        target = intended.target if intended else relation
        accused = found.qualified in names if found else model.where in places
        if accused and target is not None:
            yield Suspect(model.db_table, target)


def _sets(undos: Sequence[Undo]) -> Iterator[tuple[Undo, ...]]:
    """The sets to try but for the empty one, small before large."""
    every = range(1, len(undos) + 1)
    few = sorted({1, len(undos) - 1, len(undos)})
    for size in every if len(undos) <= ALL_SUBSETS_UP_TO else few:
        yield from combinations(undos, size)
