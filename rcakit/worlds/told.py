"""What a truth table comes to, in a sentence, and the states that a replay passed through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rcakit import names
from rcakit.facts import Migration
from rcakit.ledger import Ledger
from rcakit.names import Name
from rcakit.worlds.settings import Subject
from rcakit.worlds.table import Row


def conclusion(
    rows: Sequence[Row], subjects: Sequence[Subject], ledger: Ledger | None, migration: Migration
) -> str:
    real = [row for row in rows if row.world.reached]
    good = [row for row in rows if row.works and row.outcome == "moves"]
    if not real:
        return "Which of these states really occurs is not known: replay the migrations."
    if any(row.works for row in real):
        where = "; ".join(f"{row.world.name} ({row.world.reachable})" for row in real if row.works)
        return f"A state that really occurs leads to the intended end: {where}."
    if any(row.is_the_end for row in real):
        return "The database holds what was intended. From which state it came about is told by a replay."
    met = "; ".join(f"{row.world.name} ({row.world.reachable}): it {_did(row)}" for row in real)
    if not good:
        return f"No state that was tried leads to the intended end. Those that occur: {met}."
    only = ", ".join(row.world.name for row in good)
    told = f"It reaches its end only from: {only}. No such state occurs; those that do: {met}."
    plain = {each.plain for each in subjects}
    if ledger is not None and plain and not any(there & plain for there in states(ledger, migration.label)):
        told += f" No migration before it ever makes a table of {_some(plain)}."
    return told


def _did(row: Row) -> str:
    return {"moves": f"reaches {row.ended} of {row.total}", "cannot tell": "cannot be told"}.get(
        row.outcome, row.outcome
    )


def _some(wanted: Iterable[Name]) -> str:
    listed = sorted(map(str, wanted))
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def names_before(ledger: Ledger, migration: Migration) -> frozenset[Name]:
    """The tables there are just before a migration in a replay."""
    return list(states(ledger, migration.label))[-1]


def states(ledger: Ledger, until: str) -> Iterator[frozenset[Name]]:
    """The names of all tables before each step, up to one migration."""
    there: dict[int, Name] = {}
    yield frozenset()
    for step in ledger.steps:
        if step.migration == until:
            return
        if step.alias != "default":
            continue
        for change in step.changes:
            if change.object_kind == "schema" and change.kind == "renamed":
                (was,), (now,) = names.parse(change.before), names.parse(change.after)
                there = {
                    oid: Name(now if name.schema == was else name.schema, name.name)
                    for oid, name in there.items()
                }
            elif change.object_kind in ("table", "partitioned table", "foreign table"):
                there.pop(change.relation, None)
                if change.kind != "dropped":
                    there[change.relation] = Name(*names.parse(change.after))
        yield frozenset(there.values())
