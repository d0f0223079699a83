"""What every format says about a check, gathered once: the findings, where a reader of the repository finds them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.baseline.fingerprint import fingerprints
from rcakit.credentials import blanked
from rcakit.facts import Finding, Unread, Where
from rcakit.names import visible
from rcakit.rules import RULES
from rcakit.waivers import EXPIRED, EXPLANATION

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.rules import Rule

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding, and what the formats need beside it."""

    finding: Finding
    fingerprint: str
    accepted: str = ""
    """Why it does not count, "" for one that does."""
    in_source: bool = False
    """It was accepted by a comment on its line, and not in a file of settings."""

    @property
    def fact(self) -> str:
        """The message on one line, led by the object where it does not name it."""
        row = self.finding
        named = row.object in row.message or (row.relation is not None and row.relation.name in row.message)
        return visible(row.message if named else f"{row.object}: {row.message}")

    @property
    def act(self) -> str:
        return visible(self.finding.hint)

    @property
    def title(self) -> str:
        return f"{self.finding.code} {self.finding.rule}"


@dataclass(frozen=True, slots=True)
class Explained:
    """One rule: its code, name, highest severity and documentation in Markdown."""

    code: str
    name: str
    severity: str
    doc: str
    lacks: str = ""
    """What it needed and did not have, "" for a rule that was asked."""

    @property
    def summary(self) -> str:
        """The first line without code and name."""
        return self.doc.partition("\n")[0].partition(": ")[2]


@dataclass(frozen=True, slots=True)
class Checked:
    """One check. Paths that come out of `path` are relative to the root of the repository, POSIX style."""

    name: str
    standing: tuple[Entry, ...]
    accepted: tuple[Entry, ...]
    unread: tuple[Unread, ...]
    rules: tuple[Explained, ...]
    counted: frozenset[str]
    """The severities that turn the exit code into 1."""
    prefix: str = ""
    """The project's directory below the repository's root, "" when it is the root."""
    anchor: str = "."
    """Where a finding without a file is shown by formats that demand one."""

    def path(self, where: Where) -> str:
        """A place in the project as the repository names it; one outside of the repository stays as it is."""
        return visible(posixpath.normpath(posixpath.join(self.prefix, where.path)))

    def place(self, where: Where | None) -> tuple[str, int]:
        """A path and a line, for formats that demand both: the first line of the anchor where there is none."""
        return (self.anchor, 1) if where is None else (self.path(where), max(where.line or 1, 1))

    def number(self, severity: str) -> int:
        """How many of the standing findings have this severity."""
        return sum(row.finding.severity == severity for row in self.standing)


def checked(case: Case, fail_on: str = "warning") -> Checked:
    """Everything the formats say about `case`; raises what reading its accounts raises."""
    standing, accepted = _entries(case)
    root = repository(case.project)
    return Checked(
        name=visible(case.target.name),
        standing=standing,
        accepted=accepted,
        unread=tuple(replace(row, reason=blanked(row.reason)) for row in case.unread),
        rules=tuple(_explained(RULES, case.asked)),
        counted=frozenset(LEVELS[: LEVELS.index(fail_on) + 1] if fail_on in LEVELS else ()),
        prefix=_below(case.project, root),
        anchor=_anchor(case.target.root, case.project, root),
    )


def _entries(case: Case) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Standing and accepted, with fingerprints that no two of them share."""
    found = [*case.findings, *(row.finding for row in case.waived), *case.parted.known]
    reasons = [("", False)] * len(case.findings)
    reasons += [(visible(row.reason), row.until is None) for row in case.waived]
    reasons += [("known before: it is in the baseline", False)] * len(case.parted.known)
    entries = [
        Entry(_blanked(finding), mark, *reason)
        for finding, mark, reason in zip(found, fingerprints(found), reasons, strict=True)
    ]
    number = len(case.findings)
    return tuple(entries[:number]), tuple(entries[number:])


def _blanked(row: Finding) -> Finding:
    """What the project's files and the database say, without the passwords of the environment."""
    return replace(row, object=blanked(row.object), message=blanked(row.message), hint=blanked(row.hint))


def _explained(rules: Sequence[Rule], asked: Collection[Rule]) -> list[Explained]:
    rows = [
        Explained(rule.code, rule.name, rule.severity, rule.doc, "" if rule in asked else rule.needs)
        for rule in rules
    ]
    return [*rows, Explained(EXPIRED, "expired-waiver", "warning", EXPLANATION)]


def repository(project: Path) -> Path:
    """The root of the repository that holds the project; the project itself outside of one."""
    project = project.resolve()
    return next((each for each in (project, *project.parents) if (each / ".git").exists()), project)


def _below(folder: Path, root: Path) -> str:
    below = folder.resolve().relative_to(root).as_posix()
    return "" if below == "." else below


def _anchor(settings: Path, project: Path, root: Path) -> str:
    """A file that stands for the whole: what names the target, else what starts the project."""
    candidates = (settings / "rcakit.toml", settings / "pyproject.toml", project / "manage.py")
    for each in (path.resolve() for path in candidates):
        if each.is_file() and each.is_relative_to(root):
            return visible(each.relative_to(root).as_posix())
    return "."
