"""The observed account: what `pg_catalog` holds.

Catalog rows are `NamedTuple`s: their field names are the column names of `sql/*.sql`, and making one costs
a fraction of a frozen dataclass, which matters at half a million columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeVar

from rcakit.facts.common import Unread
from rcakit.names import Name

T = TypeVar("T")
K = TypeVar("K")


class Server(NamedTuple):
    """The session the observed account was read in."""

    version: str
    version_num: int
    database: str
    role: str
    superuser: bool
    search_path: str
    """The role's own search_path, as a fresh session has it (rcakit empties it for its queries)."""
    schemas_in_path: tuple[str, ...]
    """The existing schemas that path leads to, in order, `pg_catalog` left out."""
    encoding: str
    in_recovery: bool
    snapshot: str
    taken_at: datetime


class Schema(NamedTuple):
    oid: int
    name: str
    owner: str
    usable: bool
    """The session's role holds USAGE."""
    comment: str | None


class Relation(NamedTuple):
    """kind: r table, p partitioned, v view, m materialized view, f foreign, S sequence."""

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    persistence: str
    parent: int
    """OID of the partitioned or inherited parent, 0 for none."""
    row_security: bool
    readable: bool
    """The session's role holds some privilege, so `information_schema` shows it."""
    rows_estimate: int
    """`reltuples`; -1 when never analysed."""
    bytes_estimate: int
    """`relpages` times the block size, in bytes."""
    comment: str | None

    @property
    def qualified(self) -> Name:
        return Name(self.schema, self.name)


class Column(NamedTuple):
    relation: int
    attnum: int
    name: str
    type_oid: int
    typmod: int
    not_null: bool
    has_default: bool
    identity: str
    """"" none, "a" always, "d" by default."""
    generated: str
    """"" none, "s" stored, "v" virtual."""


class Default(NamedTuple):
    relation: int
    attnum: int
    expression: str
    digest: str = ""
    """MD5 of the stored tree, which names objects by OID: a rename changes the text, but not this."""


class Constraint(NamedTuple):
    """kind: p primary key, u unique, f foreign key, c check, x exclusion."""

    oid: int
    relation: int
    name: str
    kind: str
    columns: tuple[int, ...]
    foreign_relation: int
    foreign_columns: tuple[int, ...]
    validated: bool
    deferrable: bool
    deferred: bool
    on_delete: str
    on_update: str
    index_oid: int
    definition: str | None
    """Only for check and exclusion constraints."""


class Index(NamedTuple):
    oid: int
    relation: int
    name: str
    unique: bool
    primary: bool
    valid: bool
    columns: tuple[int, ...]
    """Key attnums in order, 0 for an expression; INCLUDE columns are left out."""
    definition: str | None
    """Only for expression and partial indexes."""


class Sequence(NamedTuple):
    relation: int
    """OID of the sequence itself, which is also a `Relation`."""
    owner_relation: int
    owner_attnum: int
    """The column it feeds (serial or identity), 0 and 0 for none."""
    identity: bool
    type: str
    start: int
    increment: int


class Function(NamedTuple):
    """kind: f function, p procedure, a aggregate, w window."""

    oid: int
    schema: str
    name: str
    arguments: str
    kind: str
    language: str
    owner: str
    source: str


class View(NamedTuple):
    """The query of a view or materialized view: `digest` is the MD5 of its stored tree, as in `Default`."""

    relation: int
    digest: str


class Trigger(NamedTuple):
    oid: int
    relation: int
    name: str
    function: int
    enabled: str
    definition: str


class Grant(NamedTuple):
    """object_kind: relation, schema or function."""

    object_kind: str
    object: int
    grantee: str
    privileges: tuple[str, ...]


class Dependant(NamedTuple):
    """A view, rule, constraint, trigger or default that PostgreSQL itself knows to hang on a relation."""

    relation: int
    kind: str
    dependant: str
    bound: str
    """"oid" survives a rename; "text" (a function body naming the table) does not."""


class HistoryTable(NamedTuple):
    """A relation called `django_migrations`; `read` marks the one `search_path` leads the project to."""

    oid: int
    schema: str
    rows: int | None
    """None when the role may not read it."""
    read: bool


@dataclass(frozen=True)
class Catalog:
    """The observed account: one snapshot of one database, system and extension objects left out."""

    server: Server
    schemas: tuple[Schema, ...] = ()
    relations: tuple[Relation, ...] = ()
    columns: tuple[Column, ...] = ()
    defaults: tuple[Default, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Function, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    views: tuple[View, ...] = ()
    grants: tuple[Grant, ...] = ()
    types: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """(type_oid, typmod) -> `format_type`, e.g. "character varying(100)"."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was read ("relations", "columns", ..) -> the evidence id of its query."""
    unread: tuple[Unread, ...] = ()
    """Objects whose names are not valid text in the database's encoding."""

    @cached_property
    def by_oid(self) -> dict[int, Relation]:
        return {relation.oid: relation for relation in self.relations}

    @cached_property
    def by_name(self) -> dict[tuple[str, str], Relation]:
        return {(relation.schema, relation.name): relation for relation in self.relations}

    @cached_property
    def named(self) -> dict[str, list[Relation]]:
        """Bare name -> every relation of that name, in any schema."""
        return _grouped(self.relations, attrgetter("name"))

    @cached_property
    def ending(self) -> dict[str, list[Relation]]:
        """A name, or what follows a dot in one, in small letters -> every relation it is of: "venues" -> "adm.venues"."""
        found: dict[str, list[Relation]] = defaultdict(list)
        for relation in self.relations:
            parts = relation.name.split(".")
            for key in {".".join(parts[n:]).lower() for n in range(len(parts))}:
                found[key].append(relation)
        return dict(found)

    @cached_property
    def columns_of(self) -> dict[int, list[Column]]:
        return _grouped(self.columns, attrgetter("relation"))

    @cached_property
    def constraints_of(self) -> dict[int, list[Constraint]]:
        return _grouped(self.constraints, attrgetter("relation"))

    @cached_property
    def indexes_of(self) -> dict[int, list[Index]]:
        return _grouped(self.indexes, attrgetter("relation"))

    @cached_property
    def schema_names(self) -> frozenset[str]:
        return frozenset(schema.name for schema in self.schemas)

    def find(self, name: Name) -> Relation | None:
        """What PostgreSQL would find: the exact relation, or for a bare name the first along search_path."""
        if name.schema is not None:
            return self.by_name.get((name.schema, name.name))
        return next(
            (
                found
                for schema in self.server.schemas_in_path
                if (found := self.by_name.get((schema, name.name)))
            ),
            None,
        )

    def tables(self) -> Iterator[Relation]:
        return (relation for relation in self.relations if relation.kind in "rpf")

    def type_name(self, column: Column) -> str:
        return self.types.get((column.type_oid, column.typmod), f"oid {column.type_oid}")


def _grouped(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for value, together in groupby(rows, key):
        groups.setdefault(value, []).extend(together)
    return groups
