"""The intended account: where people meant each table to be, each statement with its source and strength.

Model and database of the incident agree with each other, the history agrees with both: only what people meant does not.
Intent is never written down in one place, so it is gathered from five, and a conflict between equals counts as "unknown".
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from rcakit.facts import Accounts, Catalog, Declared, Guard, Intent, Model, Verdict, Where
from rcakit.history import Order, Touching, sql_effects
from rcakit.names import Name, Spelling, display, spelling

SAID, DONE, IMPLIED = 3, 2, 1
"""Strength: said outright · acted upon · implied."""

TASK = "task "
"""What the source of an intent taken from a task list begins with."""


class Task(Protocol):
    """What a task list says, as `sources.claims` reads it."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def ticked(self) -> bool: ...
    @property
    def where(self) -> Where | None: ...


def infer(
    observed: Catalog,
    declared: Declared,
    guards: Sequence[Verdict] = (),
    expected: Mapping[str, Sequence[str]] | None = None,
    claims: Iterable[Task] = (),
) -> tuple[Intent, ...]:
    """Gather every statement of intent, the strongest first; `expected` is {schema: [bare table names]}.

    A table of `expected` that no model declares is an intent too; its `db_table` is the table's name.
    """
    read = [(model, spelling(model.db_table)) for model in declared.models]
    found = [
        *_expected(read, expected or {}),
        *_spelled(read, declared, observed),
        *_guarded(read, declared, guards),
        *_conventions(read),
        *_claimed(read, observed.schema_names, claims),
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda intent: (-intent.strength, intent.db_table)))


def by_table(intents: Iterable[Intent]) -> dict[str, list[Intent]]:
    """`db_table` -> all that is said about it, for whoever asks about many tables."""
    said: dict[str, list[Intent]] = defaultdict(list)
    for each in intents:
        said[each.db_table].append(each)
    return said


def said(accounts: Accounts) -> dict[str, list[Intent]]:
    """`by_table` of all intents; `accounts.once(said)` keeps it."""
    return by_table(accounts.intended)


def meant(accounts: Accounts, db_table: str) -> Intent | None:
    """`settled` for one table of these accounts, without going through what is said about the others."""
    return settled(accounts.once(said).get(db_table, ()), db_table)


def strongest(intents: Iterable[Intent], db_table: str) -> Intent | None:
    """The strongest statement about one `db_table`; None when there is none, or when equals contradict each other."""
    mine = [intent for intent in intents if intent.db_table == db_table]
    most = max((intent.strength for intent in mine), default=0)
    best = [intent for intent in mine if intent.strength == most]
    return best[0] if len({intent.target for intent in best}) == 1 else None


def settled(intents: Iterable[Intent], db_table: str) -> Intent | None:
    """`strongest`, where it is enough to accuse: acted upon, or implied by two sources that agree."""
    mine = [intent for intent in intents if intent.db_table == db_table]
    best = strongest(mine, db_table)
    if best is None or best.strength > IMPLIED:
        return best
    # Any number of tasks is one source: they were written by the same person on the same day.
    sources = {TASK if intent.source.startswith(TASK) else intent.source for intent in mine}
    return best if len(sources) > 1 else None


Read = Sequence[tuple[Model, Spelling]]


def _expected(read: Read, expected: Mapping[str, Sequence[str]]) -> Iterator[Intent]:
    listed = Counter(table for tables in expected.values() for table in tables)
    named = _named(read)
    for schema, tables in expected.items():
        for table in tables:
            target = Name(schema, table)
            source = f"[expected_schemas] {display(schema)}"
            for db_table in named(target, listed[table] == 1) or [table]:
                yield Intent(db_table, target, source, SAID)


def _named(read: Read) -> Callable[[Name, bool], list[str]]:
    """Tells the declared names that speak of a target: exactly, else without a schema, else (`only`) in another one."""
    exact: dict[Name, list[str]] = defaultdict(list)
    relations: dict[Name, list[str]] = defaultdict(list)
    other: dict[str, list[str]] = defaultdict(list)
    for model, name in read:
        for each in {name.relation or name.meant, name.meant}:
            exact[each].append(model.db_table)
        if name.relation:
            relations[name.relation].append(model.db_table)
            other[name.relation.name].append(model.db_table)

    def named(target: Name, only: bool) -> list[str]:
        bare = relations.get(Name(None, target.name))
        return exact.get(target) or bare or (other.get(target.name, []) if only else [])

    return named


def _schemas(observed: Catalog, declared: Declared) -> Mapping[str, str]:
    """Every schema that exists or that a migration makes -> how it is known."""
    made = {
        effect.result.name: f"the schema {display(effect.result.name)} that {migration.label} creates"
        for migration in declared.migrations
        for operation in migration.operations
        for effect in sql_effects(operation)
        if effect.object == "schema" and effect.kind == "create" and effect.result
    }
    return made | {name: f"the existing schema {display(name)}" for name in observed.schema_names}


def _spelled(read: Read, declared: Declared, observed: Catalog) -> Iterator[Intent]:
    dotted = any(name.kind == "literal-dot" for _, name in read)
    schemas = _schemas(observed, declared) if dotted else {}
    evidence = tuple(filter(None, [observed.evidence.get("schemas")]))
    for model, name in read:
        if name.relation is not None and name.relation.schema is not None:
            yield Intent(model.db_table, name.relation, "the qualified db_table itself", DONE, model.where)
        elif name.kind == "literal-dot" and (known := schemas.get(name.meant.schema or "")):
            source = f"the prefix of db_table, {known}"
            yield Intent(model.db_table, name.meant, source, DONE, model.where, evidence)


def _guarded(read: Read, declared: Declared, guards: Sequence[Verdict]) -> Iterator[Intent]:
    moves = [(verdict, target) for verdict in guards for target in _moves(verdict.guard)]
    if not moves:
        return
    bare: dict[str, list[Model]] = defaultdict(list)
    for model, name in read:
        if name.relation and name.relation.schema is None:
            bare[name.meant.name].append(model)
    order, touching = Order(declared), Touching(declared)
    for verdict, target in moves:
        moved_by = verdict.guard.migration
        if any(order.may_precede(moved_by, later.label) for later in touching(target)):
            continue
        for model in bare.get(target.name, ()):
            source = f"what {moved_by} moves under its condition"
            yield Intent(model.db_table, target, source, DONE, verdict.guard.where, verdict.evidence)


def _moves(guard: Guard) -> Iterator[Name]:
    """Where a positive guard's moves end up, renames that follow in the same branch included."""
    if guard.negated or guard.kind == "exception" or guard.function:
        return
    for position, effect in enumerate(guard.effects):
        if effect.kind == "move" and effect.object == "table" and effect.result and effect.result.schema:
            end = effect.result
            for later in guard.effects[position + 1 :]:
                if later.kind == "rename" and later.subject == end and later.result:
                    end = Name(later.result.schema or end.schema, later.result.name)
            yield end


def _conventions(read: Read) -> Iterator[Intent]:
    apps: dict[str, list[tuple[Model, Spelling]]] = defaultdict(list)
    for model, name in read:
        if name.relation is not None and not model.auto_created:
            apps[model.app].append((model, name))
    for app, members in apps.items():
        written = Counter(name.relation.schema for model, name in members if model.explicit and name.relation)
        for model, name in members:
            if name.relation and name.relation.schema is None and (schema := _siblings(model, written)):
                target = Name(schema, name.meant.name)
                yield Intent(model.db_table, target, f"the other tables of {app}", IMPLIED, model.where)


def _siblings(model: Model, written: Mapping[str | None, int]) -> str | None:
    """The one schema that all other written table names of the app carry; two siblings make a convention.

    `written` counts them by schema; the model's own, which has none, is among them when it is written.
    """
    others = {schema: count - (model.explicit and schema is None) for schema, count in written.items()}
    schemas = [schema for schema, count in others.items() if count]
    return schemas[0] if len(schemas) == 1 and others[schemas[0]] > 1 else None


def _claimed(read: Read, schemas: Collection[str], claims: Iterable[Task]) -> Iterator[Intent]:
    for claim in claims:
        if not claim.ticked:
            continue
        words = re.findall(r"\w+", claim.text)
        named = {schema for schema in schemas if _says_schema(words, schema)}
        if len(named) != 1:
            continue
        mentioned = set(words)
        for schema in named:
            for model, name in read:
                if not model.auto_created and name.meant.name in mentioned:
                    target = Name(schema, name.meant.name)
                    yield Intent(
                        model.db_table, target, f"{TASK}{claim.id or claim.where}", IMPLIED, claim.where
                    )


def _says_schema(words: Sequence[str], schema: str) -> bool:
    pairs = {(one, other.lower()) for one, other in pairwise(words)}
    reverse = {(one.lower(), other) for one, other in pairwise(words)}
    return (schema, "schema") in pairs or ("schema", schema) in reverse
