"""The accounts without a database: what the project's files say by themselves, for a hook that has nothing else.

Nothing of the project is run and no connection is opened. The rules that can judge from files alone say so
(`Rule.needs`); all others are not asked, since on a catalog that nobody read each of them would find what it wants to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rcakit import intent, rules
from rcakit.facts import Accounts, Catalog, Server, Unread
from rcakit.sources import django_static, gates
from rcakit.sources.claims import Claim

NO_SERVER = Server("", 0, "", "", False, "", (), "", False, "", datetime.fromtimestamp(0, UTC))
"""The session of a database that nobody asked."""


def accounts(
    project: Path,
    settings: str | None,
    expected: Mapping[str, Sequence[str]],
    claims: Iterable[Claim],
) -> Accounts:
    """The declared and the intended account, and the checks that the project has; raises ProjectError."""
    nothing = Catalog(server=NO_SERVER)
    declared = django_static.read(project, settings=settings)
    checked, unread_gates = gates.read(project)
    return Accounts(
        observed=nothing,
        declared=declared,
        intended=intent.infer(nothing, declared, (), expected, claims),
        gates=checked,
        unread=(*declared.unread, *unread_gates, _unasked()),
    )


def _unasked() -> Unread:
    """What a check of the files leaves open, in one row. It was asked for, so it is no reason to fail."""
    codes = ", ".join(rule.code for rule in rules.RULES if rule.needs != "files")
    reason = f"no database was asked (--static), and these rules need one: {codes}"
    return Unread("observed", reason, blocking=False)
