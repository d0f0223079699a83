"""What the project checks by itself, and what it claims: tests, how they are run, pipelines, task lists; nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rcakit.facts import Accounts, Claim
from rcakit.sources import ci_static, suite_settings, tests_static


def added(accounts: Accounts, project: Path, settings: str | None, claims: Sequence[Claim]) -> Accounts:
    """The accounts with `tests`, `suites`, `ci`, `claims`, and what of these could not be read (never blocking)."""
    tests, unread_tests = tests_static.read(
        project, accounts.declared, [claim.id for claim in claims if claim.id]
    )
    suites, unread_suites = suite_settings.read(project, settings)
    ci, unread_ci = ci_static.read(project)
    return replace(
        accounts,
        tests=tests,
        suites=suites,
        ci=ci,
        claims=tuple(claims),
        unread=(*accounts.unread, *dict.fromkeys((*unread_tests, *unread_suites, *unread_ci))),
    )
