"""A catalog as sentences without OIDs: equal for two states that a person would call the same structure.

For what was undone and done again, where every OID is a new one. Column order is left out: a column that comes back
comes back last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rcakit.facts import Catalog, Relation
from rcakit.ledger.diff import RELATION_KINDS
from rcakit.names import display


def sentences(catalog: Catalog) -> frozenset[str]:
    """One sentence an object; definitions are as PostgreSQL prints them."""
    return frozenset(_all(catalog))


def differences(before: Catalog, after: Catalog) -> tuple[str, ...]:
    """ "- " what is gone and "+ " what is new, sorted."""
    was, now = sentences(before), sentences(after)
    return (*(f"- {line}" for line in sorted(was - now)), *(f"+ {line}" for line in sorted(now - was)))


def _all(catalog: Catalog) -> Iterator[str]:
    yield from (f"schema {display(schema.name)}, owner {schema.owner}" for schema in catalog.schemas)
    for relation in catalog.relations:
        yield f"{RELATION_KINDS[relation.kind]} {relation.qualified}, owner {relation.owner}"
        yield from _columns(catalog, relation)
        yield from _constraints(catalog, relation)
        yield from _indexes(catalog, relation)
    for function in catalog.functions:
        yield f"function {function.schema}.{function.name}({function.arguments}): {function.source}"
    for trigger in catalog.triggers:
        yield f"trigger {trigger.definition}, {trigger.enabled}"
    for view in catalog.views:
        yield f"query of {_name(catalog, view.relation)}"  # its tree holds OIDs
    named = {("relation", each.oid): str(each.qualified) for each in catalog.relations}
    named |= {("function", each.oid): f"{each.schema}.{each.name}" for each in catalog.functions}
    named |= {("schema", each.oid): each.name for each in catalog.schemas}
    for grant in catalog.grants:
        what = named.get((grant.object_kind, grant.object))
        if what:
            yield f"{', '.join(grant.privileges)} on {grant.object_kind} {what} to {grant.grantee}"


def _columns(catalog: Catalog, relation: Relation) -> Iterator[str]:
    defaults = {(each.relation, each.attnum): each.expression for each in catalog.defaults}
    for column in catalog.columns_of.get(relation.oid, ()):
        null = "not null" if column.not_null else "null"
        default = defaults.get((column.relation, column.attnum), "")
        kind = catalog.type_name(column)
        yield (
            f"column {relation.qualified}.{display(column.name)} {kind} {null}"
            f" default {default or 'none'} {column.identity}{column.generated}".rstrip()
        )


def _constraints(catalog: Catalog, relation: Relation) -> Iterator[str]:
    for each in catalog.constraints_of.get(relation.oid, ()):
        columns = _named(catalog, each.relation, each.columns)
        target = _name(catalog, each.foreign_relation)
        flags = f"{each.validated} {each.deferrable} {each.deferred} {each.on_delete}{each.on_update}"
        yield f"constraint {each.name} on {relation.qualified} {each.kind} ({columns}) {target} {each.definition} {flags}"


def _indexes(catalog: Catalog, relation: Relation) -> Iterator[str]:
    for each in catalog.indexes_of.get(relation.oid, ()):
        columns = _named(catalog, each.relation, each.columns)
        yield f"index {each.name} on {relation.qualified} ({columns}) {each.unique} {each.valid} {each.definition}"


def _named(catalog: Catalog, relation: int, attnums: Iterable[int]) -> str:
    names = {column.attnum: column.name for column in catalog.columns_of.get(relation, ())}
    return ", ".join(display(names.get(attnum, "")) for attnum in attnums)


def _name(catalog: Catalog, oid: int) -> str:
    relation = catalog.by_oid.get(oid)
    return str(relation.qualified) if relation else ""
