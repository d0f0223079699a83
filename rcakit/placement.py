"""The five-account row of every declared table: where each account says it is, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rcakit import intent, names
from rcakit.facts import Accounts, Catalog, Intent, Model, Relation, Where
from rcakit.names import Name, Spelling
from rcakit.reach import TABLE_KINDS, created_in, declared_tables, reached

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
    replayed
        the relation a replay ends with under the declared name, "nowhere", or "not replayed".
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
    creators, created = _creators(accounts), created_in(accounts)
    apps = {migration.app for migration in accounts.declared.migrations}
    return tuple(
        _placement(accounts, model, _recorded(model, creators, created(model), model.app in apps))
        for model in declared_tables(accounts)
    )


def with_replay(rows: Iterable[Placement], replayed: Catalog, *, whole: bool = True) -> tuple[Placement, ...]:
    """The rows with where a replay puts each table. `whole` False: it broke off, so what is not there may yet come."""
    return tuple(replace(row, replayed=_replayed(row.spelling.relation, replayed, whole)) for row in rows)


def _replayed(name: Name | None, catalog: Catalog, whole: bool) -> str:
    found = catalog.find(name) if name is not None else None
    if found is not None and found.kind in TABLE_KINDS:
        return str(found.qualified)
    return "nowhere" if whole else "the replay broke off"


def _placement(accounts: Accounts, model: Model, recorded: str) -> Placement:
    spelling = names.spelling(model.db_table)
    found = reached(accounts, model)
    meant = intent.meant(accounts, model.db_table)
    said = accounts.once(intent.said).get(model.db_table, ())
    contested = meant is None and any(row.strength > intent.IMPLIED for row in said)
    wanted = meant.target.name if meant else spelling.meant.name
    elsewhere = tuple(
        relation
        for relation in accounts.observed.named.get(wanted, ())
        if relation is not found and relation.kind in "rpvmf"
    )
    verdict = _verdict(found, meant, contested, recorded)
    return Placement(
        model=model.label,
        where=model.where,
        spelling=spelling,
        intended=meant,
        recorded=recorded,
        replayed="not replayed",
        found=found,
        elsewhere=elsewhere,
        verdict="unknown" if verdict == "missing" and not model.sure else verdict,
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


def _recorded(
    model: Model, creators: Mapping[tuple[str, str], str], created: bool, has_migrations: bool
) -> str:
    """An automatic table has no CreateModel of its own: it comes with some migration of its app."""
    word = "applied" if created else "pending"
    if creator := creators.get((model.app, model.name.lower())):
        return f"{word} ({creator})"
    return word if has_migrations else "no migration"
