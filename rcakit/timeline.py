"""When things happened, in UTC: history rows, commits that brought the cause in, ticked tasks, this run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.facts import Unread
from rcakit.names import spelling
from rcakit.sources import git

if TYPE_CHECKING:
    from rcakit.case import Case

MOST_SEARCHES = 20
"""Texts looked up in git; each is a walk through the history."""


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """`at` is aware, UTC; `source` says where it was read: "history table", "git 3f2a9c1b", "this run"."""

    at: datetime
    what: str
    source: str


def events(case: Case) -> tuple[Event, ...]:
    """What happened to the tables and migrations of the findings, oldest first."""
    found = {
        *_applied(case),
        *_edits(case),
        *_introduced(case, case.project),
        Event(case.started, "investigated", f"this run ({case.run_id})"),
    }
    return tuple(sorted(found))


def _applied(case: Case) -> Iterator[Event]:
    """Migrations of the project's own apps, as the history table has them."""
    own = {migration.label for migration in case.declared.migrations if migration.first_party}
    for row in case.recorded.applied:
        if row.label in own:
            yield Event(row.at, f"{row.label} recorded as applied", f"history table in {row.schema}")


def _edits(case: Case) -> Iterator[Event]:
    for edit in case.recorded.edits:
        if edit.operations_changed and edit.at is not None:
            yield Event(edit.at, f"{edit.label} edited after it was applied", f"git {edit.commit[:8]}")


def _introduced(case: Case, project: Path) -> Iterator[Event]:
    """The commits that brought in what the findings speak of: one event a commit."""
    commits: dict[git.Commit, list[str]] = {}
    for text, paths, what in list(_searches(case))[:MOST_SEARCHES]:
        answer = git.introduced(project, text, paths)
        for commit in () if isinstance(answer, Unread) else answer:
            commits.setdefault(commit, []).append(what)
    for commit, whats in commits.items():
        yield Event(commit.at, f"{_listed(whats)}: {commit.subject}", f"git {commit.commit[:8]}")


def _searches(case: Case) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(text, files to search, what its arrival means)"""
    accused = {finding.where for finding in case.findings if finding.code == "RK101"}
    for model in case.declared.models:
        if model.where in accused and spelling(model.db_table).kind == "literal-dot" and model.where:
            yield model.db_table, (model.where.path,), model.db_table
    labels = {finding.migration for finding in case.findings if finding.migration}
    for migration in case.declared.migrations:
        if migration.label in labels and migration.where and migration.first_party:
            yield "class Migration", (migration.where.path,), migration.label
    schemas = {
        row.intended.target.schema for row in case.placement if row.intended and row.verdict != "agrees"
    }
    for claim in case.claims:
        if claim.ticked and claim.id and schemas & set(re.findall(r"\w+", claim.text)):
            yield f"[x] {claim.id}", (claim.where.path,), f"{claim.id} ticked"


def _listed(words: Iterable[str]) -> str:
    unique = list(dict.fromkeys(words))
    shown = ", ".join(unique[:3])
    return shown if len(unique) <= 3 else f"{shown} and {len(unique) - 3} more"
