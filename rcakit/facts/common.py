"""What all accounts share: rows, places in files, what could not be read, findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from rcakit.names import Name

T = TypeVar("T")

Severity = Literal["error", "warning", "note"]
Account = Literal["intended", "declared", "recorded", "replayed", "observed"]


class Rows(tuple[T, ...]):
    """Facts of one kind in their order: a tuple that shows itself as a table in a notebook (`rcakit.display`)."""


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in the project's files; `path` is relative to the project directory, POSIX style."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read or evaluated. Never the same as "clean".

    `account` says whose reading suffered, `reason` is one sentence without secrets. `blocking` is False for
    what a verdict does not rest on (a row count, say): such rows are listed, but do not turn an exit code into 2.
    """

    account: str
    reason: str
    where: Where | None = None
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `message` is the fact, `hint` the act, `evidence` ids like "E3"."""

    code: str
    rule: str
    severity: Severity
    object: str
    message: str
    hint: str
    where: Where | None = None
    evidence: tuple[str, ...] = ()
    migration: str = ""
    """Label of the migration the finding is about, "administrate.0003_migrate_to_adm_schema"; "" for none."""
    relation: Name | None = None
    """The relation the finding is about, as it is observed or expected; None for none."""
