"""Causes proved by undoing them: each, and each combination, replayed on scratch, and the symptom decided again.

The matrix has one row for each set of causes undone, and every row is a real replay. From it follows what a
cause was to the symptom: *sufficient* (with it undone, the symptom goes), *necessary* (no row without the symptom
leaves it in), *silencing* (with it undone, the same migration fails aloud), or *refuted* (undoing it changes nothing).
With many causes not every set is replayed: the smallest ones that matter are searched for (`search.py`).
Where many migrations come before the first that is edited, they are run once for all trials whose other files are the same,
and each goes on from a clone of that database.
A counterfactual account of causation: https://plato.stanford.edu/entries/causation-counterfactual/
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
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
from rcakit.ledger import Ledger, Step
from rcakit.names import Name, spelling
from rcakit.parsing.plpgsql import made_plainly
from rcakit.scratch import Server, roles
from rcakit.undo import Undo, apply, undo_of, why_not
from rcakit.undo.copies import copied

__all__ = ["Matrix", "Suspect", "Trial", "World", "describe", "judged", "prove"]

ALL_SUBSETS_UP_TO = 4
"""Causes; with more of them: none, each alone, all, all but each, and a search for the smallest sets that matter."""
SEARCHED = 16
"""Replays of that search at most."""


SHARED_FROM = 100
"""Migrations: a replay starts in the time that some sixty small ones take, so fewer in common are run again each time."""

_UNLIKE_ITS_CLONE = """\
SELECT FROM pg_database d WHERE d.datname = current_database()
AND (d.datacl IS NOT NULL OR EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))"""
"""https://www.postgresql.org/docs/current/manage-ag-templatedbs.html: rights on and settings of a database stay behind."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A database in which a project's first migrations were run, to be cloned."""

    dbname: str
    steps: tuple[Step, ...]


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
        begun: Begun | None = None,
    ) -> Ledger:
        """The migrations of the project, or of a changed copy of it, run in this world.

        `reverse` undoes each of them and does it again. From `begun` the replay goes on, its steps lead the ledger.

        The databases are dropped again. Raises ProjectError and ScratchError as `replay.run` does.
        """
        with self.database(server, begun) as dbname:
            ledger = replay.run(
                project or self.project,
                settings=self.settings,
                python=self.python,
                server=server,
                database=dbname,
                on_step=on_step,
                options=replay.Options(reverse=reverse),
            )
        return replace(ledger, steps=begun.steps + ledger.steps) if begun else ledger

    @contextmanager
    def begin(self, server: Server, project: Path, count: int) -> Iterator[Begun | None]:
        """The first `count` migrations, run to be gone on from while the block lasts.

        None when they do not all run, when a clone would not be all they made, or when they make a role, which whoever
        runs them again meanwhile would find.
        """
        with (
            self.database(server) as dbname,
            replay.hold(
                project,
                settings=self.settings,
                python=self.python,
                server=server,
                database=dbname,
                options=replay.Options(first=count),
            ) as ledger,
        ):
            whole = len(ledger.steps) == count and ledger.failed is None
            alone = set(ledger.databases.values()) == {dbname}
            with server.connect(dbname) as connection:
                unlike = connection.execute(_UNLIKE_ITS_CLONE).rowcount
            shared = any(change.object_kind == "role" for step in ledger.steps for change in step.changes)
            yield Begun(dbname, ledger.steps) if whole and alone and not (unlike or shared) else None

    @contextmanager
    def database(self, server: Server, begun: Begun | None = None) -> Iterator[str]:
        """The name of a database as the migrations of this world find it; it goes, and its roles after it."""
        template = begun.dbname if begun else None
        with roles.made(server, self._roles), server.database("world", template) as dbname:
            if begun is None:
                with server.connect(dbname) as connection:
                    for schema in sorted(self.schemas):
                        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            yield dbname

    @cached_property
    def _roles(self) -> frozenset[str]:
        """The roles of the observed database, but for those that a migration makes without asking."""
        return frozenset(roles.roles_of(self.accounts.observed)) - self._made("role")

    @cached_property
    def schemas(self) -> frozenset[str]:
        """The schemas of the observed database, but for those that a migration makes without IF NOT EXISTS."""
        return self.accounts.observed.schema_names - self._made("schema") - {"public"}

    def _made(self, kind: str) -> set[str]:
        migrations = self.accounts.declared.migrations
        texts = (text for each in migrations for operation in each.operations for text in operation.sql)
        return {name for text in texts for made, name in made_plainly(text) if made == kind}


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
    trials = {frozenset[str](): _judge(suspects, (), ledger)}
    with ExitStack() as stack:
        bench = _Bench(world, server, suspects, tuple(undos), say, trials, stack, _in_common(undos, ledger))
        for undone in _sets(undos):
            bench.trial(undone)
        if len(undos) > ALL_SUBSETS_UP_TO:
            bench.search()
    tried = {undo.cause for undo in undos}
    untried = {cause.id: why_not(cause) for cause in causes if cause.id not in tried}
    shared = bench.common if any(bench.begun.values()) else 0
    return Matrix(tuple(bench.trials.values()), tuple(undos), untried, bench.cut_short, shared)


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
    if matrix.undecided(cause.id):
        stops = f"With it undone the replay stops where it did before, at {alone.stopped}"
        return replace(cause, proof=f"{AGREED} {stops}: what it was to the symptom could not be told.")
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
    stack: ExitStack
    common: int
    begun: dict[frozenset[str], Begun | None] = field(default_factory=dict)
    left: int = SEARCHED
    cut_short: bool = False

    def trial(self, undone: Sequence[Undo]) -> Trial:
        key = frozenset(undo.cause for undo in undone)
        if key not in self.trials:
            self.say(f"undoing {' + '.join(undo.cause for undo in undone)}: replay {len(self.trials)}")
            with self._edited(undone) as copy:
                ledger = self.world.replayed(self.server, copy, begun=self._begun(undone))
            self.trials[key] = _judge(self.suspects, undone, ledger)
        return self.trials[key]

    def _begun(self, undone: Sequence[Undo]) -> Begun | None:
        """The migrations before the first that is edited, run with the same names, if that serves more than one trial."""
        named = _named(undone)
        key = frozenset(undo.cause for undo in named)
        if key not in self.begun:
            several = sum(_named(other) == named for other in _sets(self.undos)) > 1
            self.begun[key] = self._begin(named) if several and self.common >= SHARED_FROM else None
        return self.begun[key]

    def _begin(self, named: Sequence[Undo]) -> Begun | None:
        self.say(f"running the {self.common} migrations that trials have in common")
        with self._edited(named) as copy, ExitStack() as held:
            begun = held.enter_context(self.world.begin(self.server, copy, self.common))
            if begun is not None:
                self.stack.push(held.pop_all())
            return begun

    @contextmanager
    def _edited(self, undos: Sequence[Undo]) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="trial-", dir=self.server.socket) as place:
            copy = copied(self.world.project, Path(place) / "project")
            apply(undos, copy, self.world.accounts)
            yield copy

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


def _named(undos: Sequence[Undo]) -> tuple[Undo, ...]:
    """Those that edit more than the migrations of their guards."""
    return tuple(undo for undo in undos if undo.names)


def _in_common(undos: Sequence[Undo], ledger: Ledger) -> int:
    """How many migrations ran before the first that one of these edits, names aside."""
    edited = {guard.migration for undo in undos for guard in {*undo.aimed, *undo.loud}}
    edited |= {label for undo in undos for label in undo.told}
    at = [number for number, step in enumerate(ledger.steps) if step.migration in edited]
    return min(at, default=0)


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
