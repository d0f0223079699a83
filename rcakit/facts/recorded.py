"""The recorded account: what the history table says was applied, and what became of those files since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rcakit.facts.common import Where
from rcakit.facts.observed import HistoryTable


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the history table; `schema` is where that table lies."""

    app: str
    name: str
    at: datetime
    schema: str = "public"
    id: int = 0

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded account: what the history table the project reads says."""

    applied: tuple[Applied, ...] = ()
    tables: tuple[HistoryTable, ...] = ()
    elsewhere: tuple[Applied, ...] = ()
    """Rows of history tables in other schemas than the one the project reads."""
    edits: tuple[Edit, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(row.label for row in self.applied)


@dataclass(frozen=True, slots=True)
class Edit:
    """A commit that changed a migration file; `at` is its committer date, None when not committed yet."""

    label: str
    where: Where
    at: datetime | None
    commit: str
    subject: str
    operations_changed: bool
    """False when only comments, docstrings or layout changed."""
