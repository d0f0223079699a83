"""Guards, the SQL that may do nothing, and what became of their conditions in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rcakit.facts.common import Unread, Where
from rcakit.facts.observed import Relation
from rcakit.names import Name

Else = Literal["none", "raise", "notice", "warning", "statements"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement would leave behind: `subject` becomes `result` (None when it is dropped).

    kind: move (schema changed), rename, create, drop, alter.
    """

    kind: str
    object: str
    """table, column, index, schema, sequence, view, function, type, constraint, .."""
    subject: Name | None
    result: Name | None
    relation: Name | None = None
    """The table that a column, constraint, index, trigger, policy or rule belongs to; its own names are bare then."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition in SQL and what it guards.

    kind
        `if` a PL/pgSQL IF · `clause` IF EXISTS / IF NOT EXISTS of a plain statement · `loop` FOR over a query ·
        `return` an early RETURN under a condition · `exception` a handler that swallows errors.
    """

    migration: str
    kind: str
    condition: str
    """SQL expression; "" for an exception handler."""
    guarded: tuple[str, ...]
    """The statements that run when it is true."""
    effects: tuple[Effect, ...]
    otherwise: Else
    relations: tuple[Name, ...] = ()
    """Relations whose presence the condition tests, as far as they can be read from it."""
    negated: bool = False
    """True when it runs on absence (IF NOT EXISTS): an idempotent create."""
    operation: int = 0
    statement: int = 0
    line: int | None = None
    """Line in the SQL text, from 1."""
    where: Where | None = None
    swallows: tuple[str, ...] = ()
    """Conditions an exception block silently eats: ("others",)."""
    sql: str | None = None
    """For a condition that is not SQL (Python's): the same question as an SQL expression, "" when it cannot be put."""
    function: str = ""
    """The function whose body it stands in, when nothing in the same text calls it: defined, not run. "" else."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A guard's condition evaluated read-only against the investigated database. None: could not tell.

    as_role
        as the session's role sees it, `information_schema` privileges and all.
    as_catalog
        the same question put to `pg_catalog`, which hides nothing.
    """

    guard: Guard
    as_role: bool | None
    as_catalog: bool | None
    nearest: Relation | None = None
    """The existing relation that the condition most probably meant."""
    evidence: tuple[str, ...] = ()
    unread: Unread | None = None
