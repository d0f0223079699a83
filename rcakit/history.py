"""The migrations read as a story: what has run, what is still to come, and which tables they ever named.

Everything here errs on the side of "somebody may have dealt with it": a rule that asks and hears True stays silent.
Squashed migrations: https://docs.djangoproject.com/en/stable/topics/migrations/#squashing-migrations
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

from rcakit.errors import SqlError
from rcakit.facts import Accounts, Declared, Effect, Migration, Operation, Recorded
from rcakit.names import Name, spelling
from rcakit.plpgsql import effects

TABLE_OPERATIONS = frozenset({"CreateModel", "DeleteModel", "RenameModel", "AlterModelTable"})
"""The operations that make, drop, rename or re-point a whole table."""

_DDL_WORDS = frozenset(
    {"create", "drop", "alter", "rename", "move", "schema", "alter_db_table", "create_model"}
)


def applied(declared: Declared, recorded: Recorded) -> frozenset[str]:
    """Labels that count as applied: recorded ones, and squashed ones in both directions."""
    done = set(recorded.labels)
    squashes = [
        (each.label, {f"{app}.{name}" for app, name in each.replaces}) for each in declared.migrations
    ]
    while True:
        before = len(done)
        for label, replaced in squashes:
            if replaced and replaced <= done:
                done.add(label)
            if label in done:
                done |= replaced
        if len(done) == before:
            return frozenset(done)


def pending(declared: Declared, recorded: Recorded) -> tuple[Migration, ...]:
    """The migrations that have a file and have not run yet."""
    done = applied(declared, recorded)
    return tuple(each for each in declared.migrations if each.label not in done)


def perhaps_before(declared: Declared, label: str) -> Iterator[Migration]:
    """Every migration that may have run before `label`: all but itself and those known to come later."""
    return (
        each for each, relative in _relative(declared, label) if relative != "after" and each.label != label
    )


def perhaps_after(declared: Declared, label: str) -> Iterator[Migration]:
    """Every migration that may have run after `label`: all but itself and those known to come earlier."""
    return (
        each for each, relative in _relative(declared, label) if relative != "before" and each.label != label
    )


def _relative(declared: Declared, label: str) -> Iterator[tuple[Migration, str]]:
    """Each migration with "before", "after" or "unknown": a static reading orders them within an app only."""
    order = {each.label: position for position, each in enumerate(declared.migrations)}
    here, app = order.get(label), label.partition(".")[0]
    for position, each in enumerate(declared.migrations):
        if here is None or (declared.how != "live" and each.app != app):
            yield each, "unknown"
        else:
            yield each, "before" if position < here else "after"


def same(one: Name | None, other: Name | None) -> bool:
    """Two names that may be one relation; a missing schema matches any."""
    if one is None or other is None or one.name != other.name:
        return False
    return one.schema is None or other.schema is None or one.schema == other.schema


def made(migrations: Iterable[Migration]) -> Iterator[Name]:
    """Every relation name that an operation of these migrations gives to a table, whatever came of it."""
    for migration in migrations:
        for operation in migration.operations:
            yield from _made_by(operation)


def _made_by(operation: Operation) -> Iterator[Name]:
    if operation.db_table is not None and (name := spelling(operation.db_table).relation):
        yield name
    for effect in sql_effects(operation):
        if effect.result is not None and effect.relation is None:
            yield effect.result


def tables_of(declared: Declared, app: str, model: str) -> frozenset[Name]:
    """Every table name a model ever had, as PostgreSQL reads it and as it was meant; `model` in lower case."""
    spelled = [spelling(db_table) for db_table in declared.table_names.get((app, model), ())]
    return frozenset(name for each in spelled for name in (each.relation, each.meant) if name is not None)


def touches(declared: Declared, migration: Migration, name: Name) -> bool:
    """May this migration make, move, rename or drop the relation `name`, or the schema it lies in?"""
    return any(_touches(declared, migration, operation, name) for operation in migration.operations)


def touching(accounts: Accounts, name: Name) -> Iterator[Migration]:
    """The migrations that `touches` would tell of this relation, found by the words they hold."""
    by_word = accounts.once(_by_word)
    words = (name.name, name.schema or "", f"{name.schema}.{name.name}")
    found = {each.label: each for word in words for each in by_word.get(word, ())}
    return (each for each in found.values() if touches(accounts.declared, each, name))


def _by_word(accounts: Accounts) -> dict[str, list[Migration]]:
    """Every word by which a migration may touch a relation -> the migrations that hold it."""
    holders: dict[str, list[Migration]] = defaultdict(list)
    for migration in accounts.declared.migrations:
        words: set[str] = set()
        for operation in migration.operations:
            if operation.kind in TABLE_OPERATIONS:
                words |= {name.name for name in tables_of(accounts.declared, migration.app, operation.model)}
            for effect in sql_effects(operation):
                words |= {end.name for end in (effect.subject, effect.result) if end is not None}
            words |= _words(_unparsed(operation))
        for word in words:
            holders[word].append(migration)
    return holders


def _touches(declared: Declared, migration: Migration, operation: Operation, name: Name) -> bool:
    if operation.kind in TABLE_OPERATIONS:
        known = tables_of(declared, migration.app, operation.model)
        return any(same(each, name) for each in known)
    if any(touched_by(effect, name) for effect in sql_effects(operation)):
        return True
    text = _unparsed(operation)
    return mentions(text, name) and bool(_DDL_WORDS.intersection(_words(text.lower())))


def _unparsed(operation: Operation) -> str:
    """What of an operation is text to us: a function's source, or statements that PostgreSQL's parser refuses."""
    return operation.source or "\n".join(each for each in operation.sql if _effects(each) is None)


def touched_by(effect: Effect, name: Name) -> bool:
    """Does this effect concern the relation, or the schema it lies in?"""
    ends = (effect.subject, effect.result)
    if effect.object == "schema":
        return effect.kind != "create" and any(end is not None and end.name == name.schema for end in ends)
    return effect.kind != "alter" and any(same(end, name) for end in ends)


def mentions(text: str, name: Name) -> bool:
    """Is the bare name a word of this text? `adm.venues` does not count as a mention of `venues` elsewhere."""
    return name.name in _words(text) or f"{name.schema}.{name.name}" in _words(text)


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    """The words of a text of any language, dots inside a word kept."""
    spaced = "".join(char if char.isalnum() or char in "_$." else " " for char in text)
    return frozenset(word.strip(".") for word in spaced.split())


def sql_effects(operation: Operation) -> Iterator[Effect]:
    """What the statements of a RunSQL would leave behind, so far as they can be read."""
    for statement in operation.sql:
        yield from _effects(statement) or ()


@lru_cache(maxsize=4096)
def _effects(statement: str) -> tuple[Effect, ...] | None:
    """None for a text PostgreSQL's parser refuses; the reader of guards has reported it already."""
    try:
        return tuple(effects(statement))
    except SqlError:
        return None
