"""The names that change with a move, and the names in its way.

https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rcakit.errors import Refused
from rcakit.facts import Catalog
from rcakit.names import Name
from rcakit.remedy.parts import Move, Rename


class Carrier(NamedTuple):
    """One row of `sql/carried.sql`."""

    kind: str
    relation: int
    schema: str
    relation_name: str
    name: str
    own_schema: str


def renames(carriers: Iterable[Carrier], moves: Sequence[Move]) -> Iterator[Rename]:
    """What carries an old name, and the name it gets."""
    prefixes = sorted({f"{move.schema}." for move in moves})
    for each in carriers:
        new = without(each.name, prefixes)
        if new != each.name:
            yield Rename(each.kind, Name(each.schema, each.relation_name), each.name, new, each.own_schema)


def without(name: str, prefixes: Iterable[str]) -> str:
    """The name without the literal schema: at its start, and where Django puts the table a foreign key leads to."""
    for prefix in prefixes:
        name = name.removeprefix(prefix).replace(f"_fk_{prefix}", "_fk_")
    return name


def refuse_occupied(observed: Catalog, moves: Sequence[Move], types: set[Name]) -> None:
    """A table takes its indexes and sequences along, under their old names first; and its row type gets the new one."""
    going = {move.oid: move for move in moves if move.pending and move.old.schema != move.new.schema}
    relations = {each.oid: each for each in observed.relations}
    taken = {each.qualified for each in observed.relations} | types
    taken |= {
        Name(found.schema, each.name) for each in observed.indexes if (found := relations.get(each.relation))
    }
    wanted = [Name(move.schema, move.old.name) for move in going.values()]
    wanted += [move.new for move in moves if move.pending and move.new in types]
    wanted += [
        Name(going[each.relation].schema, each.name) for each in observed.indexes if each.relation in going
    ]
    wanted += [
        Name(going[each.owner_relation].schema, relations[each.relation].name)
        for each in observed.sequences
        if each.owner_relation in going
    ]
    for name in wanted:
        if name in taken:
            raise Refused(
                f"the name {name} is needed for the move, and is not free", hint="rename what holds it first"
            )


def refuse_collisions(observed: Catalog, moves: Sequence[Move], renames: Sequence[Rename]) -> None:
    """No new name may be taken: relations and indexes share one name space a schema, constraints have one a table."""
    goes_to = {move.old: move.new for move in moves}
    schemas = {relation.oid: relation.schema for relation in observed.relations}
    taken: set[tuple[object, ...]] = {(relation.schema, relation.name) for relation in observed.relations}
    taken |= {(schemas.get(index.relation), index.name) for index in observed.indexes}
    taken |= {(each.relation, each.name) for each in observed.constraints}
    oids = {relation.qualified: relation.oid for relation in observed.relations}
    for each in renames:
        alone = each.kind in ("constraint", "trigger", "policy")
        place = (oids.get(each.table) if alone else goes_to.get(each.table, each.table).schema, each.new)
        if place in taken or not each.new:
            raise Refused(
                f"the {each.kind} {each.old} of {each.table} would become {each.new or 'nothing'}, "
                "and that name is not free",
                hint="rename what holds it first",
            )
        taken.add(place)
