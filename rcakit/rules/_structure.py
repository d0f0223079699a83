"""Declared and observed structure side by side, in the vocabulary of PostgreSQL's `format_type`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from rcakit.facts import Accounts, Column, Field, Finding, Model, Relation, Severity
from rcakit.names import clip, display
from rcakit.reach import evidence, reached, settled

_ALIASES = {
    "serial": "integer",
    "bigserial": "bigint",
    "smallserial": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "decimal": "numeric",
    "bool": "boolean",
    "float8": "double precision",
    "float4": "real",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
    "varbit": "bit varying",
}


@dataclass(frozen=True)
class Pair:
    """A model and the table it stands on."""

    accounts: Accounts
    model: Model
    relation: Relation

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        return {
            column.name: column for column in self.accounts.observed.columns_of.get(self.relation.oid, ())
        }

    def column(self, field: Field) -> Column | None:
        return self.columns.get(clip(field.column))

    def attnums(self, columns: tuple[str, ...]) -> tuple[int, ...] | None:
        """The column numbers of these names, in order; None when one of them is not there."""
        found = [self.columns.get(clip(name)) for name in columns]
        return None if None in found else tuple(column.attnum for column in found if column)

    def both(self) -> Iterator[tuple[Field, Column]]:
        """Each field with its column, where it has one."""
        return ((each, column) for each in self.model.fields if (column := self.column(each)))

    def finding(
        self, code: str, rule: str, severity: Severity, part: str, message: str, hint: str, *kinds: str
    ) -> Finding:
        """A finding about one part (a column, an index) of the table."""
        table = self.relation.qualified
        return Finding(
            code,
            rule,
            severity,
            f"{table}.{display(part)}" if part else str(table),
            message,
            hint,
            self.model.where,
            evidence(self.accounts, "relations", *kinds),
            relation=table,
        )


def pairs(accounts: Accounts, kinds: str = "rpf") -> Iterator[Pair]:
    """Every settled model whose fields are known, with its table; views and pending changes are left out."""
    return (pair for pair in accounts.once(_pairs) if pair.relation.kind in kinds)


def _pairs(accounts: Accounts) -> list[Pair]:
    return [
        Pair(accounts, model, relation)
        for model in settled(accounts, structure=True)
        if model.fields and (relation := reached(accounts, model)) is not None
    ]


def same_type(declared: str, observed: str) -> bool:
    """Two spellings of one type: aliases, serial, array sizes and the schema of an extension's type are no difference."""
    return _plain(declared) == _plain(observed)


def _plain(type_: str) -> str:
    """`pg_catalog.varchar(10)[3]` -> `character varying(10)[]`."""
    text = " ".join(type_.replace('"', "").split()).lower()
    base, arrays = text, 0
    while base.endswith("]"):
        base, arrays = base[: base.rindex("[")].rstrip(), arrays + 1
    head, bracket, tail = base.partition("(")
    modifier, _, rest = tail.partition(")")
    head = head.strip().rpartition(".")[2]
    head = _ALIASES.get(head, head) if not rest else head
    if head == "character" and not bracket:
        modifier = "1"
    modifier = modifier.replace(" ", "")
    return head + (f"({modifier})" if modifier else "") + rest + ("[]" if arrays else "")
