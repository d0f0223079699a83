"""run.json and findings.json as they are read again: the fields that comparing needs, the rest is passed over.

What is written is described by `schemas/findings.json`; these models are lenient on purpose, since a later rcakit may
add fields, and strict in what they do read, since a folder may have been edited by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Status = Literal["ok", "findings", "could-not-check", "failed", "timeout", "kernel-died", "cancelled"]
Severity = Literal["error", "warning", "note"]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Described(_Read):
    """run.json: which run it is and how it ended; `seconds` is how long it took."""

    version: Literal[1]
    id: str
    status: Status
    reason: str = ""
    target: str
    incident: str = ""
    exit_code: int
    started: AwareDatetime
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    notebook: str = ""
    parameters: Mapping[str, Any] = {}


class Place(_Read):
    """Where in the project a finding is."""

    path: str
    line: int | None = None


class Found(_Read):
    """One finding."""

    code: str
    rule: str
    severity: Severity
    object: str
    message: str
    hint: str = ""
    where: Place | None = None
    migration: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same finding in another run: not its words, and not the line, which any edit moves."""
        return self.code, self.object, self.where.path if self.where else ""


class Waived(_Read):
    """A finding that was accepted."""

    finding: Found
    reason: str


class Unread(_Read):
    """What could not be read; `blocking`: so that nothing found there does not mean clean."""

    account: str
    reason: str
    where: Place | None = None
    blocking: bool

    @property
    def key(self) -> tuple[str, str, str]:
        return self.account, self.where.path if self.where else "", self.reason


class Branch(_Read):
    """A condition of a migration, as a replay met it."""

    operation: int | None = None
    condition: str
    value: bool | None = None
    branch: str

    @property
    def key(self) -> tuple[int | None, str]:
        return self.operation, self.condition

    @property
    def said(self) -> str:
        """ "true, taken"."""
        return f"{'unknown' if self.value is None else str(self.value).lower()}, {self.branch}"


class Step(_Read):
    """One migration of a replay."""

    migration: str
    kind: str = Field(alias="class")
    alias: str = "default"
    guards: tuple[Branch, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.migration, self.alias


class Placed(_Read):
    """The five accounts of one declared table."""

    model: str
    declared: str
    intended: str | None
    recorded: str
    replayed: str
    observed: str | None
    verdict: str

    @property
    def key(self) -> str:
        return self.model


class Accounts(_Read):
    """What the accounts say of each table; the numbers beside them are not compared."""

    placement: tuple[Placed, ...] = ()


class Baseline(_Read):
    """Findings that were known before: not counted in their run, but there."""

    known: tuple[Found, ...] = ()


class Content(_Read):
    """findings.json."""

    version: Literal[1]
    status: Status
    target: Mapping[str, str]
    accounts: Accounts
    findings: tuple[Found, ...]
    waived: tuple[Waived, ...] = ()
    baseline: Baseline | None = None
    unread: tuple[Unread, ...]
    steps: tuple[Step, ...] = ()
    provenance: Mapping[str, str] = {}

    @property
    def standing(self) -> tuple[Found, ...]:
        """All that was found and not waived, known before or not."""
        return (*self.findings, *(self.baseline.known if self.baseline else ()))
