"""What happened between two snapshots of one database: objects matched by OID, never by name.

So a move or a rename is one change, and what comes with a table (its columns, constraints, indexes and the
sequences it owns) is told with the table when that is created, dropped or moved.
https://www.postgresql.org/docs/current/datatype-oid.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from rcakit.facts import Catalog, Column, Constraint, Default, Function, Index, Relation, Trigger
from rcakit.names import Name, display

T = TypeVar("T")
Part = TypeVar("Part", Constraint, Index)

ChangeKind = Literal["created", "dropped", "moved", "renamed", "altered"]

RELATION_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
}
"""`Relation.kind` in words."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different. `before` and `after` are names as PostgreSQL prints them, "" for none.

    kind: created, dropped, moved (to another schema, perhaps with a new name), renamed, altered.
    """

    kind: ChangeKind
    object_kind: str
    """schema, table, view, sequence, column, constraint, index, function, trigger, grant, .."""
    before: str
    after: str
    detail: str = ""
    """What was altered ("owner a -> b"), or what came with a table ("3 columns, 1 constraint")."""
    relation: int = 0
    """OID of the relation it is or belongs to, 0 for none."""

    def __str__(self) -> str:
        name = " -> ".join(dict.fromkeys(part for part in (self.before, self.after) if part))
        return f"{self.kind} {self.object_kind} {name}" + (f" ({self.detail})" if self.detail else "")


def diff(before: Catalog, after: Catalog) -> tuple[Change, ...]:
    """Every change from one snapshot to a later one of the same database, in a fixed order.

    Estimates, statistics and what depends on the session's role alone are no changes.
    """
    parts = (_schemas, _relations, _columns, _constraints, _indexes, _sequences, _views, _triggers)
    return tuple(change for part in (*parts, _functions, _grants) for change in part(before, after))


# ------------------------------------------------------------------ matching and wording


@dataclass(frozen=True, slots=True)
class _Pair(Generic[T]):
    """The same object in both snapshots; one side is None when it was created or dropped."""

    old: T | None
    new: T | None

    @property
    def row(self) -> T:
        row = self.old if self.new is None else self.new
        if row is None:
            raise ValueError("a pair without rows")
        return row

    def names(self, before: Catalog, after: Catalog, name: Callable[[Catalog, T], str]) -> tuple[str, str]:
        """Both names. What still exists is named within `after`, so a table's new name is no news of its parts."""
        old_in = before if self.new is None else after
        return (
            "" if self.old is None else name(old_in, self.old),
            "" if self.new is None else name(after, self.new),
        )

    def differences(self, *fields: str) -> list[str]:
        if self.old is None or self.new is None:
            return []
        pairs = ((field, getattr(self.old, field), getattr(self.new, field)) for field in fields)
        return [_arrow(field.replace("_", " "), was, now) for field, was, now in pairs if was != now]


def _pairs(olds: Iterable[T], news: Iterable[T], key: Callable[[T], Hashable]) -> Iterator[_Pair[T]]:
    """Every key of either side; rows that are equal on both are left out."""
    left, right = {key(row): row for row in olds}, {key(row): row for row in news}
    for each in left | right:
        if left.get(each) != right.get(each):
            yield _Pair(left.get(each), right.get(each))


def _change(
    object_kind: str,
    names: tuple[str, str],
    details: Iterable[str],
    *,
    moved: bool = False,
    relation: int = 0,
) -> Iterator[Change]:
    (was, now), detail = names, "; ".join(details)
    if not was or not now:
        yield Change("created" if now else "dropped", object_kind, was, now, detail, relation)
    elif moved:
        yield Change("moved", object_kind, was, now, detail, relation)
    elif was != now:
        yield Change("renamed", object_kind, was, now, detail, relation)
    elif detail:
        yield Change("altered", object_kind, was, now, detail, relation)


def _arrow(what: str, was: object, now: object) -> str:
    return f"{what} {_shown(was)} -> {_shown(now)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def _table(catalog: Catalog, oid: int) -> str:
    relation = catalog.by_oid.get(oid)
    return str(relation.qualified) if relation else ""


def _on(catalog: Catalog, part: Constraint | Index | Trigger) -> str:
    return f"{display(part.name)} on {_table(catalog, part.relation)}"


# ------------------------------------------------------------------ schemas and relations


def _schemas(before: Catalog, after: Catalog) -> Iterator[Change]:
    for pair in _pairs(before.schemas, after.schemas, lambda schema: schema.oid):
        names = pair.names(before, after, lambda _, schema: display(schema.name))
        yield from _change("schema", names, pair.differences("owner", "comment"))


def _relations(before: Catalog, after: Catalog) -> Iterator[Change]:
    told = _told_with_their_table(before, after)
    for pair in _pairs(before.relations, after.relations, lambda relation: relation.oid):
        oid = pair.row.oid
        if oid in told:
            continue
        details = pair.differences("owner", "persistence", "parent", "row_security", "comment")
        if pair.old is None or pair.new is None:
            details = _belongings(before if pair.new is None else after, oid)
        names, moved = _placed(before, after, pair)
        yield from _change(RELATION_KINDS[pair.row.kind], names, details, moved=moved, relation=oid)


def _placed(
    before: Catalog, after: Catalog, pair: _Pair[Relation] | _Pair[Function]
) -> tuple[tuple[str, str], bool]:
    """Both names of something that lies in a schema, and whether that is another schema by OID.

    A schema that was renamed keeps its OID, and is one change of its own.
    """
    was, now = (_full(row) if row else "" for row in (pair.old, pair.new))
    if pair.old is None or pair.new is None:
        return (was, now), False
    old_schema, new_schema = _schema(before, pair.old.schema), _schema(after, pair.new.schema)
    if old_schema != new_schema:
        return (was, now), True
    return (was if pair.old.name != pair.new.name else now, now), False


def _schema(catalog: Catalog, name: str) -> int | str:
    return next((schema.oid for schema in catalog.schemas if schema.name == name), name)


def _full(row: Relation | Function) -> str:
    name = str(Name(row.schema, row.name))
    return f"{name}({row.arguments})" if isinstance(row, Function) else name


def _told_with_their_table(before: Catalog, after: Catalog) -> frozenset[int]:
    """Sequences that were created, dropped or moved because the table that owns them was."""
    owners = {
        sequence.relation: sequence.owner_relation
        for catalog in (before, after)
        for sequence in catalog.sequences
        if sequence.owner_relation
    }
    return frozenset(
        sequence
        for sequence, owner in owners.items()
        if _way(before, after, sequence) == _way(before, after, owner) and _news(before, after, sequence)
    )


def _way(before: Catalog, after: Catalog, oid: int) -> list[str | None]:
    found = (before.by_oid.get(oid), after.by_oid.get(oid))
    return [relation.schema if relation else None for relation in found]


def _news(before: Catalog, after: Catalog, oid: int) -> bool:
    """False for a relation that stayed where it was, whose own changes nobody else tells."""
    was, now = _way(before, after, oid)
    return was != now


def _belongings(catalog: Catalog, oid: int) -> list[str]:
    counts = Counter[str](
        column=len(catalog.columns_of.get(oid, ())),
        constraint=len(catalog.constraints_of.get(oid, ())),
        index=len(catalog.indexes_of.get(oid, ())),
        trigger=sum(trigger.relation == oid for trigger in catalog.triggers),
    )
    plural = {"column": "columns", "constraint": "constraints", "index": "indexes", "trigger": "triggers"}
    words = (f"{count} {what if count == 1 else plural[what]}" for what, count in counts.items() if count)
    return [text] if (text := ", ".join(words)) else []


# ------------------------------------------------------------------ what a relation is made of


def _stayed(before: Catalog, after: Catalog, pair: _Pair[T]) -> bool:
    """Whether the row's relation is there before and after; the others are told with their relation."""
    oid = getattr(pair.row, "relation", 0)
    return oid in before.by_oid and oid in after.by_oid


def _columns(before: Catalog, after: Catalog) -> Iterator[Change]:
    looks = [
        {(row.relation, row.attnum): (row, *_default(defaults, row)) for row in catalog.columns}
        for catalog in (before, after)
        for defaults in [{(row.relation, row.attnum): row for row in catalog.defaults}]
    ]
    for key in looks[0] | looks[1]:
        was, now = looks[0].get(key), looks[1].get(key)
        pair = _Pair(was and was[0], now and now[0])
        if was == now or not _stayed(before, after, pair):
            continue
        details = pair.differences("not_null", "identity", "generated")
        if was and now:
            types = before.type_name(was[0]), after.type_name(now[0])
            if types[0] != types[1]:
                details.insert(0, _arrow("type", *types))
            if was[1] != now[1] and was[2] != now[2]:
                details.append(_arrow("default", was[1], now[1]))
        names = pair.names(before, after, _column)
        yield from _change("column", names, details, relation=pair.row.relation)


def _default(defaults: dict[tuple[int, int], Default], column: Column) -> tuple[str, str]:
    """(expression, digest): a new default differs in both, one that names a renamed sequence in the first."""
    default = defaults.get((column.relation, column.attnum))
    return (default.expression, default.digest) if default else ("", "")


def _column(catalog: Catalog, column: Column) -> str:
    return f"{_table(catalog, column.relation)}.{display(column.name)}"


def _constraints(before: Catalog, after: Catalog) -> Iterator[Change]:
    watched = ("validated", "deferrable", "deferred")
    return _parts("constraint", before, after, before.constraints, after.constraints, watched)


def _indexes(before: Catalog, after: Catalog) -> Iterator[Change]:
    """Indexes of their own; that of a key or exclusion constraint is told with the constraint."""
    of_constraints = {
        constraint.index_oid
        for catalog in (before, after)
        for constraint in catalog.constraints
        if constraint.kind in "pux"
    }
    olds, news = (
        [index for index in catalog.indexes if index.oid not in of_constraints] for catalog in (before, after)
    )
    return _parts("index", before, after, olds, news, ("valid",))


def _parts(
    kind: str,
    before: Catalog,
    after: Catalog,
    olds: Iterable[Part],
    news: Iterable[Part],
    watched: tuple[str, ...],
) -> Iterator[Change]:
    pairs = [pair for pair in _pairs(olds, news, lambda part: part.oid) if _stayed(before, after, pair)]
    lost = {(pair.row.relation, pair.row.name) for pair in pairs if pair.new is None}
    made = {(pair.row.relation, pair.row.name) for pair in pairs if pair.old is None}
    for pair in pairs:
        details = pair.differences(*watched)
        if (pair.row.relation, pair.row.name) in lost & made:
            # PostgreSQL makes it anew when a column changes its type: one change, told once
            if pair.new is None:
                continue
            pair, details = _Pair(pair.row, pair.row), ["built anew"]
        names = pair.names(before, after, _on)
        yield from _change(kind, names, details, relation=pair.row.relation)


def _sequences(before: Catalog, after: Catalog) -> Iterator[Change]:
    for pair in _pairs(before.sequences, after.sequences, lambda sequence: sequence.relation):
        if _stayed(before, after, pair):
            names = pair.names(before, after, lambda catalog, row: _table(catalog, row.relation))
            details = pair.differences("owner_relation", "identity", "type", "start", "increment")
            yield from _change("sequence", names, details, relation=pair.row.relation)


def _views(before: Catalog, after: Catalog) -> Iterator[Change]:
    for pair in _pairs(before.views, after.views, lambda view: view.relation):
        if _stayed(before, after, pair):
            oid = pair.row.relation
            kind, name = RELATION_KINDS[after.by_oid[oid].kind], _table(after, oid)
            yield Change("altered", kind, name, name, "query replaced", oid)


def _triggers(before: Catalog, after: Catalog) -> Iterator[Change]:
    for pair in _pairs(before.triggers, after.triggers, lambda trigger: trigger.oid):
        if _stayed(before, after, pair):
            details = pair.differences("function", "enabled")
            if pair.differences("definition") and _quoted(before, pair.old) == _quoted(after, pair.new):
                details.append("definition replaced")
            yield from _change("trigger", pair.names(before, after, _on), details, relation=pair.row.relation)


def _quoted(catalog: Catalog, trigger: Trigger | None) -> list[str]:
    """All the names a trigger's definition may quote: when one is new, the text differs for that alone."""
    if trigger is None:
        return []
    functions = (_full(row) for row in catalog.functions if row.oid == trigger.function)
    columns = (column.name for column in catalog.columns_of.get(trigger.relation, ()))
    return [trigger.name, _table(catalog, trigger.relation), *functions, *columns]


# ------------------------------------------------------------------ functions and grants


def _functions(before: Catalog, after: Catalog) -> Iterator[Change]:
    for pair in _pairs(before.functions, after.functions, lambda function: function.oid):
        details = pair.differences("owner", "language")
        if pair.differences("source"):
            details.append("source replaced")
        names, moved = _placed(before, after, pair)
        yield from _change("function", names, details, moved=moved)


def _grants(before: Catalog, after: Catalog) -> Iterator[Change]:
    """Privileges on what still exists; those PostgreSQL only spells out at the first GRANT are no change."""
    granted = {(grant.object_kind, grant.object) for grant in before.grants}
    yield from _shut_functions(before, after)
    objects = _grantable(after)
    for pair in _pairs(before.grants, after.grants, lambda row: (row.object_kind, row.object, row.grantee)):
        grant = pair.row
        if (on := objects.get((grant.object_kind, grant.object))) is None:
            continue
        name, owner = on
        spelled_out = pair.old is None and (grant.object_kind, grant.object) not in granted
        if spelled_out and (
            grant.grantee == owner or (grant.object_kind, grant.grantee) == ("function", "PUBLIC")
        ):
            continue
        words = [
            f"{', '.join(row.privileges)} on {name} to {row.grantee}" if row else ""
            for row in (pair.old, pair.new)
        ]
        kind: ChangeKind = "created" if not words[0] else "altered" if words[1] else "dropped"
        relation = grant.object if grant.object_kind == "relation" else 0
        yield Change(kind, "grant", words[0], words[1], relation=relation)


def _shut_functions(before: Catalog, after: Catalog) -> Iterator[Change]:
    """Functions that lost the EXECUTE which PUBLIC holds from the start, and which no row ever spelled out."""
    spelled_out, open_still = (
        {grant.object for grant in grants if grant.object_kind == "function"}
        for grants in (before.grants, [grant for grant in after.grants if grant.grantee == "PUBLIC"])
    )
    explicit = {grant.object for grant in after.grants if grant.object_kind == "function"}
    old = {function.oid for function in before.functions}
    for function in after.functions:
        if function.oid in (old & explicit) - spelled_out - open_still:
            yield Change("dropped", "grant", f"EXECUTE on {_full(function)} to PUBLIC", "")


def _grantable(catalog: Catalog) -> dict[tuple[str, int], tuple[str, str]]:
    """(kind, OID) -> (name, owner) of all that can carry a `Grant`."""
    found = {("relation", row.oid): (_full(row), row.owner) for row in catalog.relations}
    found |= {("function", row.oid): (_full(row), row.owner) for row in catalog.functions}
    return found | {
        ("schema", row.oid): (f"schema {display(row.name)}", row.owner) for row in catalog.schemas
    }
