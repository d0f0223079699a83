"""The migrations read as a story: what has run, what is still to come, and which tables they ever named.

Everything here errs on the side of "somebody may have dealt with it": a rule that asks and hears True stays silent.
Squashed migrations: https://docs.djangoproject.com/en/stable/topics/migrations/#squashing-migrations
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from rcakit.errors import SqlError
from rcakit.facts import Accounts, Declared, Effect, Migration, Operation, Recorded
from rcakit.names import Name, spelling
from rcakit.parsing.plpgsql import effects

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


def ran(accounts: Accounts) -> frozenset[str]:
    """`applied` of these accounts; `accounts.once(ran)` keeps it."""
    return applied(accounts.declared, accounts.recorded)


def pending(declared: Declared, recorded: Recorded) -> tuple[Migration, ...]:
    """The migrations that have a file and have not run yet."""
    done = applied(declared, recorded)
    return tuple(each for each in declared.migrations if each.label not in done)


class Order:
    """Which migration may have run before which other one: a static reading orders them within an app only."""

    def __init__(self, declared: Declared) -> None:
        self._position = {each.label: position for position, each in enumerate(declared.migrations)}
        self._whole = declared.how == "live"

    def __contains__(self, label: str) -> bool:
        return label in self._position

    def may_precede(self, first: str, second: str) -> bool:
        """In doubt, yes; a migration does not precede itself."""
        if not (first in self and second in self):
            return first != second
        if not self._whole and first.partition(".")[0] != second.partition(".")[0]:
            return True
        return self._position[first] < self._position[second]


def same(one: Name | None, other: Name | None) -> bool:
    """Two names that may be one relation; a missing schema matches any."""
    if one is None or other is None or one.name != other.name:
        return False
    return one.schema is None or other.schema is None or one.schema == other.schema


def made(operation: Operation) -> Iterator[Name]:
    """Every relation name that an operation gives to a table, whatever came of it."""
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


class Touching:
    """The migrations that `touches` would tell of a relation, found by the words their operations hold."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._words: dict[str, list[tuple[Migration, Operation]]] = defaultdict(list)
        self._schemas: dict[str, list[tuple[Migration, Operation]]] = defaultdict(list)
        for migration in declared.migrations:
            for operation in migration.operations:
                effects = list(sql_effects(operation))
                words = _named_by(declared, migration.app, operation)
                for word in words | _ends(each for each in effects if each.object != "schema"):
                    self._words[word].append((migration, operation))
                for schema in _ends(each for each in effects if each.object == "schema"):
                    self._schemas[schema].append((migration, operation))

    def __call__(self, name: Name) -> Iterator[Migration]:
        places = (
            self._words.get(name.name, ()),
            self._words.get(f"{name.schema}.{name.name}", ()),
            self._schemas.get(name.schema or "", ()),
        )
        told = set()
        for migration, operation in chain.from_iterable(places):
            if migration.label not in told and _touches(self._declared, migration, operation, name):
                told.add(migration.label)
                yield migration


def _named_by(declared: Declared, app: str, operation: Operation) -> set[str]:
    """Every name that a table operation gives, and every word of what of it is text to us."""
    names = tables_of(declared, app, operation.model) if operation.kind in TABLE_OPERATIONS else ()
    return {name.name for name in names} | words_of(_unparsed(operation))


def _ends(effects: Iterable[Effect]) -> set[str]:
    """The bare names that these effects start from and lead to."""
    return {end.name for each in effects for end in (each.subject, each.result) if end is not None}


def order(accounts: Accounts) -> Order:
    """`accounts.once(order)` keeps it."""
    return Order(accounts.declared)


def touching(accounts: Accounts, name: Name) -> Iterator[Migration]:
    """The migrations that `touches` would tell of this relation."""
    return accounts.once(_touching)(name)


def _touching(accounts: Accounts) -> Touching:
    return Touching(accounts.declared)


def _touches(declared: Declared, migration: Migration, operation: Operation, name: Name) -> bool:
    if operation.kind in TABLE_OPERATIONS:
        known = tables_of(declared, migration.app, operation.model)
        return any(same(each, name) for each in known)
    if any(touched_by(effect, name) for effect in sql_effects(operation)):
        return True
    text = _unparsed(operation)
    return mentions(text, name) and bool(_DDL_WORDS.intersection(words_of(text.lower())))


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
    return name.name in words_of(text) or f"{name.schema}.{name.name}" in words_of(text)


@lru_cache(maxsize=4096)
def words_of(text: str) -> frozenset[str]:
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
