"""The five-account row of every declared table: where each account says it is, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rcakit import intent, names
from rcakit.facts import Accounts, Intent, Model, Relation, Where
from rcakit.names import Name, Spelling

Agreement = Literal["agrees", "wrong schema", "missing", "pending", "unknown"]


@dataclass(frozen=True, slots=True)
class Placement:
    """One declared table in all five accounts.

    found
        the relation the project's queries reach, None when there is none.
    elsewhere
        other relations that carry the name that was meant.
    recorded
        "applied", "pending" or "no migration", with the migration that creates the table.
    """

    model: str
    where: Where | None
    spelling: Spelling
    intended: Intent | None
    recorded: str
    replayed: str
    found: Relation | None
    elsewhere: tuple[Relation, ...]
    verdict: Agreement

    @property
    def relation(self) -> Name | None:
        return self.found.qualified if self.found else None


def placements(accounts: Accounts) -> tuple[Placement, ...]:
    """One row for each managed table of an installed app, in the order of the models."""
    creators = _creators(accounts)
    return tuple(
        _placement(accounts, model, creators.get((model.app, model.name.lower()), ""))
        for model in accounts.declared.models
        if model.managed and model.installed and not model.swapped
    )


def _placement(accounts: Accounts, model: Model, creator: str) -> Placement:
    spelling = names.spelling(model.db_table)
    found = accounts.observed.find(spelling.relation) if spelling.relation else None
    meant = intent.strongest(accounts.intended, model.db_table)
    contested = meant is None and any(row.db_table == model.db_table for row in accounts.intended)
    wanted = meant.target.name if meant else spelling.meant.name
    elsewhere = tuple(
        relation
        for relation in accounts.observed.named.get(wanted, ())
        if relation is not found and relation.kind in "rpvmf"
    )
    recorded = _recorded(accounts, creator)
    return Placement(
        model=model.label,
        where=model.where,
        spelling=spelling,
        intended=meant,
        recorded=recorded,
        replayed="not replayed",
        found=found,
        elsewhere=elsewhere,
        verdict=_verdict(found, meant, contested, recorded),
    )


def _verdict(found: Relation | None, meant: Intent | None, contested: bool, recorded: str) -> Agreement:
    """`contested`: sources of equal strength contradict each other. Where nobody meant anything, nothing is wrong."""
    if found is None:
        return "pending" if recorded.startswith("pending") else "missing"
    if meant is None:
        return "unknown" if contested else "agrees"
    return "agrees" if meant.target.schema in (None, found.schema) else "wrong schema"


def _creators(accounts: Accounts) -> dict[tuple[str, str], str]:
    """(app, lower-case model) -> label of the migration that creates it."""
    return {
        (migration.app, operation.model.lower()): migration.label
        for migration in accounts.declared.migrations
        for operation in migration.operations
        if operation.kind == "CreateModel"
    }


def _recorded(accounts: Accounts, creator: str) -> str:
    if not creator:
        return "no migration"
    return f"{'applied' if creator in accounts.recorded.labels else 'pending'} ({creator})"
