"""Guards in every world: what a conditional migration does from each state it could have met.

For each migration whose SQL asks before it acts, the states are built on a scratch database out of the observed
structure (`standin.py`, no rows); the migration's own SQL is run in each, in a transaction that is rolled back. What is
told is what happened. Conditions in Python cannot be run like that: for them there is only what the replay saw.

Which of the states can really occur is told by the replay (the state the project's own migrations lead to) and by the
observed catalog; all others come about only by somebody's hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg

from rcakit import evidence
from rcakit.errors import ScratchError, SqlError
from rcakit.facts import Accounts, Guard, Migration
from rcakit.ledger import Ledger, Step
from rcakit.parsing.pgparse import parse
from rcakit.scratch import Server
from rcakit.worlds.settings import Setting, marked, settings_of, subjects_of
from rcakit.worlds.stage import Stage, count
from rcakit.worlds.table import Outcome, Row, Truth, World
from rcakit.worlds.told import conclusion, names_before

__all__ = ["Row", "Truth", "World", "truth"]


def truth(accounts: Accounts, server: Server, ledger: Ledger | None = None) -> tuple[Truth, ...]:
    """One table for each conditional migration of the project, in the order of the migrations.

    Works in a database of its own, dropped afterwards. Raises ScratchError when it cannot be made, or is lost.
    """
    asked = list(_conditional(accounts))
    if not asked:
        return ()
    try:
        with server.database("worlds") as dbname, psycopg.connect(server.conninfo(dbname)) as connection:
            stage = Stage(connection, accounts)
            return tuple(_truth(migration, found, stage, ledger) for migration, found in asked)
    except psycopg.OperationalError as error:
        raise ScratchError(
            f"the scratch server was lost while states were tried: {evidence.reason(error)}",
            hint="was it stopped, or out of memory or disk? Try again.",
        ) from error


def _conditional(accounts: Accounts) -> Iterator[tuple[Migration, tuple[Guard, ...]]]:
    for migration in accounts.declared.migrations:
        found = tuple(
            verdict.guard
            for verdict in accounts.guards
            if verdict.guard.migration == migration.label and _decides(verdict.guard)
        )
        if found and migration.first_party:
            yield migration, found


def _decides(guard: Guard) -> bool:
    """Whether it decides about more than an idempotent create or drop."""
    if guard.kind == "exception" or guard.function or not guard.effects:
        return False
    return guard.kind != "clause" or not (guard.negated or all(each.kind == "drop" for each in guard.effects))


def _truth(migration: Migration, found: tuple[Guard, ...], stage: Stage, ledger: Ledger | None) -> Truth:
    subjects, observed = subjects_of(found, stage.accounts), stage.accounts.observed
    texts = _texts(migration)
    settings = settings_of(subjects, found, observed) if _can_run(migration, found, texts) else []
    step = _step(ledger, migration)
    before = names_before(ledger, migration) if ledger and step else None
    now = frozenset(relation.qualified for relation in observed.tables())
    rows = [stage.row(marked(each, subjects, before, now), subjects, found, texts) for each in settings]
    if subjects and settings and not any("observed" in row.world.reached for row in rows):
        there = {name: each.like for each in subjects for name in each.names if name in now}
        world = World("as observed", "the tables as the database has them", ("observed",))
        rows.append(stage.row(Setting(world, there), subjects, found, texts))
    if step is not None:
        rows = _with_replayed(rows, _of_step(step, found))
    return Truth(migration.label, found, tuple(rows), conclusion(rows, subjects, ledger, migration))


def _texts(migration: Migration) -> list[str]:
    return [
        text for each in migration.operations if each.side != "state" for text in each.sql if text.strip()
    ]


def _can_run(migration: Migration, found: Sequence[Guard], texts: Sequence[str]) -> bool:
    """Every guard stands in SQL, and that SQL leaves the transaction to us."""
    if any(guard.sql is not None for guard in found) or not texts:
        return False
    try:
        return not any(each.kind == "TransactionStmt" for text in texts for each in parse(text))
    except SqlError:
        return False


def _step(ledger: Ledger | None, migration: Migration) -> Step | None:
    steps = ledger.steps if ledger else ()
    return next(
        (each for each in steps if each.migration == migration.label and each.alias == "default"), None
    )


def _of_step(step: Step, found: Sequence[Guard]) -> Row:
    """What the replay saw, in the project's own interpreter."""
    branches = [each for each in step.guards if each.verdict.guard in found]
    branches = branches or [each for each in step.guards if _decides(each.verdict.guard)]
    ended = sum(each.effects == "present" for each in branches)
    acted = any(each.branch == "taken" for each in branches)
    done: Outcome = "fails" if step.error else "moves" if acted else "does nothing"
    if not branches or any(each.branch == "unknown" for each in branches):
        done = "fails" if step.error else "cannot tell"
    world = World("as the replay finds it", "the state the migrations before it lead to", ("replayed",))
    return Row(
        world, len(branches), count([b.verdict for b in branches]), done, ended, _first_line(step.error)
    )


def _with_replayed(rows: Sequence[Row], seen: Row) -> list[Row]:
    """The replay's row, or the mark on a row that says the same. One that says otherwise loses its mark."""
    told, agreed = [], False
    for row in rows:
        if "replayed" in row.world.reached:
            same = (row.outcome, row.ended) == (seen.outcome, seen.ended)
            agreed = agreed or same
            if not same:
                others = tuple(who for who in row.world.reached if who != "replayed")
                row = replace(row, world=replace(row.world, reached=others))
        told.append(row)
    return told if agreed else [*told, seen]


def _first_line(error: str) -> str:
    return error.partition("\n")[0]
