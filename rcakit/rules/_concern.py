"""What tests, pipelines and task lists are measured against: the tables that are not where they were meant to be.

The rules of the families 5 to 7 speak only where there is such a table: a suite on SQLite is a choice, and becomes a part of
an incident when there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rcakit import intent
from rcakit.facts import Accounts, Claim, Model, ProjectTest, Relation
from rcakit.names import Name
from rcakit.reach import reached, settled
from rcakit.rules import missing_table, wrong_schema

_NUMBERS = dict(
    zip("two three four five six seven eight nine ten eleven twelve".split(), range(2, 13), strict=True)  # noqa: SIM905
)
_ABOUT = frozenset({"schema", "schemas", "migration", "migrations", "migrate", "db_table"})


@dataclass(frozen=True, slots=True)
class Concern:
    """One declared table that is elsewhere (`found`), or nowhere (None), and not at `target`."""

    model: Model
    target: Name
    found: Relation | None


def concerns(accounts: Accounts) -> list[Concern]:
    """The misplaced and missing tables of the project's models; none in a healthy database."""
    missing = {finding.relation for finding in missing_table.check(accounts)}
    found = []
    for model in settled(accounts):
        meant = intent.meant(accounts, model.db_table)
        if meant is None or meant.target.schema is None:
            continue
        relation = wrong_schema.misplaced(accounts, model, meant.target)
        if relation is not None or (meant.target in missing and reached(accounts, model) is None):
            found.append(Concern(model, meant.target, relation))
    return found


def schemas(found: list[Concern]) -> list[str]:
    """The schemas that lack a table, sorted."""
    return sorted({each.target.schema for each in found if each.target.schema is not None})


def touching(accounts: Accounts, found: list[Concern]) -> Iterator[ProjectTest]:
    """The tests that name a model whose table is misplaced."""
    labels = {each.model.label for each in found}
    return (test for test in accounts.tests if labels.intersection(test.models))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def about_placement(claim: Claim, found: list[Concern]) -> bool:
    """The task speaks of schemas, migrations, or a schema that lacks its tables."""
    said = words(claim.text)
    return bool(_ABOUT.intersection(word.lower() for word in said) or set(schemas(found)).intersection(said))


def tables_said(claim: Claim) -> tuple[str, int] | None:
    """The number of tables a task's text gives, as written and as a number: ("six", 6); None without one."""
    said = [word.lower() for word in words(claim.text)]
    for place, word in enumerate(said):
        if word in ("table", "tables"):
            for near in reversed(said[max(0, place - 3) : place]):
                if near in _NUMBERS or near.isdecimal():
                    return near, int(near) if near.isdecimal() else _NUMBERS[near]
    return None
