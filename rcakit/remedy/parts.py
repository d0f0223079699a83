"""What a repair is made of: files to review, statements with the lock each takes, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rcakit.facts import Model
from rcakit.names import Name, visible
from rcakit.target import Waiver

EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_UPDATE = "SHARE UPDATE EXCLUSIVE"
SHARE = "ACCESS SHARE"
NONE = "none on tables"
"""Lock modes as in https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES"""


@dataclass(frozen=True, slots=True)
class File:
    """A file a reviewer reads; `path` is relative to the directory it is written to, POSIX style."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without its semicolon, and the strongest lock it takes on a table."""

    sql: str
    lock: str
    on: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """A table, and where it was meant to be; not `pending` when somebody moved it there by hand already."""

    oid: int
    model: Model
    old: Name
    new: Name
    pending: bool = True

    @property
    def now(self) -> Name:
        """Where the table is."""
        return self.old if self.pending else self.new

    @property
    def schema(self) -> str:
        """Where it goes."""
        return str(self.new.schema)

    @property
    def db_table(self) -> str:
        """What the model's `db_table` becomes."""
        return self.new.sql

    def at_home(self, schema: str) -> Move:
        """The same with the schema its old name was in."""
        return replace(self, old=Name(schema, self.old.name))


@dataclass(frozen=True, slots=True)
class Rename:
    """Something that carries a table's old name: a constraint, index, sequence, trigger, policy or statistics object."""

    kind: str
    table: Name
    """As it is before the move."""
    old: str
    new: str
    schema: str
    """Where an index, sequence or statistics object lies itself; "" for what lies in its table."""


@dataclass(frozen=True, slots=True)
class Body:
    """A function whose text names a moved table: `after` is its definition rewritten, "" when that was not certain."""

    signature: str
    before: str
    after: str = ""
    old_source: str = ""
    new_source: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class TextHit:
    """A file of the project that names a moved table in a text: for people to look at."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} names {self.name}"


@dataclass(frozen=True)
class Repair:
    """One way out. Nothing in it was applied anywhere.

    files
        of the project (`project/..`) and beside it, relative to the directory they are written to.
    statements, reverse
        plain SQL, in order; empty when the database is not touched.
    dependants
        what hangs on the tables, one line each, with what becomes of it.
    residue
        what is expected to stay behind, one line each; empty for a complete repair.
    changed
        new content of project files, path -> text: what the patch holds.
    """

    option: str
    title: str
    files: tuple[File, ...] = ()
    statements: tuple[Statement, ...] = ()
    reverse: tuple[Statement, ...] = ()
    dependants: tuple[str, ...] = ()
    trade_offs: tuple[str, ...] = ()
    residue: tuple[str, ...] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    migrations: tuple[str, ...] = ()
    """Labels of the migrations it adds."""
    later: Mapping[str, str] = field(default_factory=dict)
    """New content of project files for a second step, path -> text."""
    expected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The `[expected_schemas]` it asks for; empty: as before."""
    waivers: tuple[Waiver, ...] = ()
    keeps: bool = False
    """The tables stay where they are, under their names."""
    moves: tuple[Move, ...] = ()
    renames: tuple[Rename, ...] = ()
    bodies: tuple[Body, ...] = ()

    @property
    def sql(self) -> str:
        """The forward script: one transaction, its lock time-out first."""
        return script(self.statements)

    @property
    def reverse_sql(self) -> str:
        """The way back."""
        return script(self.reverse)

    def to_json(self) -> dict[str, Any]:
        """The part of the document of `rcakit repair` that tells this option."""
        return {
            "option": self.option,
            "title": self.title,
            "files": [each.path for each in self.files],
            "statements": [{"sql": each.sql, "lock": each.lock, "on": each.on} for each in self.statements],
            "dependants": list(self.dependants),
            "trade_offs": list(self.trade_offs),
            "residue": list(self.residue),
        }


def script(statements: tuple[Statement, ...]) -> str:
    """One transaction, each statement after a comment that names its lock; "" without statements."""
    if not statements:
        return ""
    lines = ["BEGIN;"]
    for each in statements:
        on = f" on {each.on}" if each.on else ""
        lines += [visible(f"-- lock: {each.lock}{on}"), f"{each.sql};"]
    return "\n".join([*lines, "COMMIT;", ""])
