"""The ledger: what each migration of a project really did when it was run on a scratch database.

::

    Ledger.steps -> Step.outcomes -> Outcome      one operation: what it set out to do and whether it did
                    Step.guards   -> Branch       one condition: its value at that moment, the branch it took
                    Step.changes, .rows, .statements, .notices
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rcakit.facts import Catalog, Unread, Verdict, WayBack, Where
from rcakit.ledger.diff import Change

StepClass = Literal[
    "changed", "state-only", "data-only", "vacuous", "silent-no-op", "failed", "cannot-reproduce"
]
"""changed: the catalog differs · state-only: nothing to send, by design · data-only: rows and nothing else ·
vacuous: it ran and nothing needed doing (no rows, or its effect was there already) · silent-no-op: it carries DDL whose
effect is not there, and no error was raised · failed · cannot-reproduce: the scratch server lacks what it needs."""

Result = Literal["changed", "no-op", "data", "vacuous", "state-only", "failed", "not-run"]
Taken = Literal["taken", "skipped", "unknown", "not-run"]
Presence = Literal["present", "absent", "partly", "unknown"]
Reversal = Literal["restored", "differs", "failed", "irreversible"]


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement as it was sent. `rowcount` is -1 where PostgreSQL gives none; `operation` None: deferred SQL."""

    sql: str
    seconds: float
    rowcount: int
    operation: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What the server said while a migration ran, also what Django never shows: NOTICE, WARNING, .."""

    severity: str
    message: str
    operation: int | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A guard during its migration. `verdict` is the condition's value on the state just before the migration."""

    verdict: Verdict
    branch: Taken
    """Whether what it guards was run: what the operation wrote decides, the condition's value where that cannot."""
    effects: Presence
    """Whether what it guards is to be found after the migration."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One top-level operation of a migration."""

    operation: int
    kind: str
    description: str
    result: Result
    why: str = ""
    idempotent: bool = False
    """It holds nothing but IF NOT EXISTS creates."""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Back:
    """A migration undone and done again: `changes` is what the way back left different, as "- was" and "+ is"."""

    result: Reversal
    changes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One migration. `seconds` is Django's own time for it; `rows` maps a table to (inserted, updated, deleted)."""

    migration: str
    kind: StepClass
    why: str
    changes: tuple[Change, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    guards: tuple[Branch, ...] = ()
    statements: tuple[Sent, ...] = ()
    notices: tuple[Notice, ...] = ()
    rows: Mapping[str, tuple[int, int, int]] | None = field(default_factory=dict)
    """None: they could not be counted (before PostgreSQL 15)."""
    seconds: float = 0.0
    error: str = ""
    where: Where | None = None
    alias: str = "default"
    replaces: tuple[str, ...] = ()
    """Labels of the migrations a squashed one stands for."""
    reverse: Back | None = None
    """None: not tried."""

    @property
    def idle(self) -> tuple[Outcome, ...]:
        """Operations that carry DDL and did nothing, also in a step that changed something else."""
        return tuple(outcome for outcome in self.outcomes if outcome.result == "no-op")

    def to_json(self) -> dict[str, Any]:
        """The step of `findings.json`; `class` is `kind` here, which Python would not allow as a name."""
        return {
            "migration": self.migration,
            "class": self.kind,
            "why": self.why,
            "changes": [str(change) for change in self.changes],
            "guards": [_branch(guard) for guard in self.guards],
            "operations": [
                {"operation": each.operation, "kind": each.kind, "result": each.result, "why": each.why}
                for each in self.outcomes
            ],
            "statements": [each.sql for each in self.statements],
            "notices": [{"severity": each.severity, "message": each.message} for each in self.notices],
            "rows": None
            if self.rows is None
            else {table: list(counts) for table, counts in self.rows.items()},
            "seconds": round(self.seconds, 6),
            "error": self.error,
            "alias": self.alias,
            "replaces": list(self.replaces),
            "reverse": None if self.reverse is None else self.reverse.result,
            "reverse_changes": [] if self.reverse is None else list(self.reverse.changes),
        }


def _branch(branch: Branch) -> dict[str, Any]:
    guard = branch.verdict.guard
    nearest = branch.verdict.nearest
    return {
        "operation": guard.operation,
        "condition": guard.condition,
        "value": branch.verdict.as_role,
        "as_catalog": branch.verdict.as_catalog,
        "branch": branch.branch,
        "effects": branch.effects,
        "nearest": str(nearest.qualified) if nearest else None,
    }


@dataclass(frozen=True)
class Ledger:
    """All steps of a replay, in the order they ran. `databases` maps an alias to its scratch database's name."""

    steps: tuple[Step, ...]
    catalog: Catalog
    """The end state of the default alias."""
    databases: Mapping[str, str]
    server_version: str
    framework: str
    python: str
    seconds: float
    """Of the whole replay, interpreter and looks at the catalog included."""
    before: tuple[Change, ...] = ()
    """What signal receivers did before the first migration."""
    after: tuple[Change, ...] = ()
    """What they did after the last one."""
    not_run: tuple[str, ...] = ()
    """Migrations behind one that failed."""
    unread: tuple[Unread, ...] = ()

    def silent(self) -> tuple[Step, ...]:
        """The silent no-ops."""
        return tuple(step for step in self.steps if step.kind == "silent-no-op")

    def ways_back(self) -> tuple[WayBack, ...]:
        """The ways back that were tried and could be gone."""
        return tuple(
            WayBack(step.migration, step.where, step.reverse.changes, step.reverse.error)
            for step in self.steps
            if step.reverse is not None and step.reverse.result != "irreversible"
        )

    def step(self, migration: str, alias: str = "default") -> Step:
        """The step of one migration. Raises KeyError when it did not run."""
        for step in self.steps:
            if (step.migration, step.alias) == (migration, alias):
                return step
        raise KeyError(migration)

    @property
    def failed(self) -> Step | None:
        """The step that ended the replay early."""
        return next((step for step in self.steps if step.kind in ("failed", "cannot-reproduce")), None)

    @property
    def gaps(self) -> tuple[Unread, ...]:
        """What could not be told, that the replay broke off included."""
        stop = self.failed
        if stop is None:
            return self.unread
        said = stop.error.partition("\n")[0].rstrip(".")
        rest = f"; {len(self.not_run)} more were not run" if self.not_run else ""
        reason = f"the replay broke off in {stop.migration}: {said}{rest}"
        return (*self.unread, Unread("replayed", reason, stop.where))

    def to_json(self) -> list[dict[str, Any]]:
        """The `steps` of `findings.json`."""
        return [step.to_json() for step in self.steps]
