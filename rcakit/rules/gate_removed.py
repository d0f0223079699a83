"""RK801 gate-removed: a check of where tables are was taken out, and nothing came in its place.

## What it finds

A management command that checked the catalog and whose file a commit deleted, or a check (`rcakit check`, `verify_schema_placement`,
a command of the project's own) that a pipeline ran and none runs now. Silent while another check is there, be it a command, a step
of a pipeline, `rcakit.gate` among the installed apps, or a test that asks the catalog.

## Why it stays silent

A check that is gone fails nowhere. The tables are right on the day it is removed, and nobody asks again.

## Example

```python management/commands/verify_schema_placement.py removed
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    def handle(self, **options):
        if not placed("SELECT 1 FROM information_schema.tables WHERE table_schema = 'adm'"):
            raise CommandError("the tables are not in schema adm")
```

## Use instead

```python management/commands/verify_schema_placement.py
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    def handle(self, **options):
        if not placed("SELECT 1 FROM information_schema.tables WHERE table_schema = 'adm'"):
            raise CommandError("the tables are not in schema adm")
```
"""

from __future__ import annotations

from collections.abc import Iterator

from rcakit.facts import Accounts, Finding, Gate, Severity

CODE = "RK801"
SEVERITY: Severity = "warning"
NEEDS = "files"
APP = "rcakit_gate"
"""Label of the Django app that verifies after every migrate."""


def check(accounts: Accounts) -> Iterator[Finding]:
    asked = APP in accounts.declared.apps or any(test.looks_at == "catalog" for test in accounts.tests)
    for gate in accounts.gates:
        if gate.state == "removed" and not asked and not _replaced(gate, accounts):
            yield _finding(gate)


def _replaced(gone: Gate, accounts: Accounts) -> bool:
    """Some pipeline runs a check, or there is another one."""
    others = (gate for gate in accounts.gates if gate.state != "removed")
    return any(gate.state == "runs" or gate.name != gone.name for gate in others)


def _finding(gate: Gate) -> Finding:
    day = f" on {gate.at:%Y-%m-%d}" if gate.at else ""
    return Finding(
        CODE,
        "gate-removed",
        SEVERITY,
        gate.name,
        f"{gate.how}{day} by commit {gate.commit[:7]} ({gate.subject!r}), and no other check of where tables are is there",
        f"bring it back (git show {gate.commit[:7]}), or put another in its place: rcakit gate --write",
        gate.where,
    )
