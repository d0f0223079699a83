"""What applied guards should have left behind, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterator

from rcakit.facts import Accounts, Catalog, Effect, Migration, Verdict
from rcakit.history import applied, perhaps_after, same, sql_effects, touched_by, touching
from rcakit.names import Name, spelling

CHANGES = frozenset({"move", "rename", "create"})
"""The kinds of effect that leave something to be found."""

_IN_PG_CLASS = frozenset({"table", "view", "sequence"})
"""Indexes, columns and constraints are left to the rules on structure: model operations drop them without naming them."""


def present(catalog: Catalog, effect: Effect) -> bool | None:
    """Is the effect to be seen in the catalog? None when the catalog cannot say."""
    if effect.kind == "drop" and effect.subject is not None:
        there = _exists(catalog, effect.object, effect.subject)
        return None if there is None else not there
    if effect.kind in CHANGES and effect.result is not None:
        return _exists(catalog, effect.object, effect.result)
    return None


def _exists(catalog: Catalog, kind: str, name: Name) -> bool | None:
    if kind in _IN_PG_CLASS:
        return any(same(found.qualified, name) for found in catalog.named.get(name.name, ()))
    if kind == "schema":
        return name.name in catalog.schema_names
    return None


def migrations(accounts: Accounts) -> dict[str, Migration]:
    return {migration.label: migration for migration in accounts.declared.migrations}


def ran(accounts: Accounts) -> Iterator[Verdict]:
    """The verdicts on guards that ran: of applied migrations, and not in a function that somebody may call later.

    Where the other branch does work of its own, either will do: such guards are left out.
    """
    done = applied(accounts.declared, accounts.recorded)
    return (
        verdict
        for verdict in accounts.guards
        if verdict.guard.migration in done
        and not verdict.guard.function
        and verdict.guard.otherwise != "statements"
    )


def outstanding(accounts: Accounts, verdict: Verdict) -> tuple[Effect, ...]:
    """What a guard's branch should still show: nothing that was passed on, undone or dealt with later."""
    effects = [effect for effect in verdict.guard.effects if effect.kind in CHANGES and effect.result]
    return tuple(effect for effect in effects if not _excused(accounts, verdict, effect))


def absent(accounts: Accounts, verdict: Verdict) -> tuple[Effect, ...]:
    """The outstanding effects that the catalog does not show."""
    missing = [
        effect for effect in verdict.guard.effects
        if effect.kind in CHANGES and present(accounts.observed, effect) is False
    ]  # fmt: skip
    return tuple(effect for effect in missing if not _excused(accounts, verdict, effect))


def _excused(accounts: Accounts, verdict: Verdict, effect: Effect) -> bool:
    return _passed_on(accounts, verdict, effect) or _dealt_with(accounts, verdict, effect)


def _passed_on(accounts: Accounts, verdict: Verdict, effect: Effect) -> bool:
    """Another statement of the same migration takes the result further, or away."""
    own = migrations(accounts).get(verdict.guard.migration)
    others = [each for operation in own.operations for each in sql_effects(operation)] if own else []
    others += [
        each
        for other in accounts.guards
        if other.guard.migration == verdict.guard.migration
        for each in other.guard.effects
    ]
    return any(
        other.kind in ("move", "rename", "drop") and same(other.subject, effect.result) for other in others
    )


def _dealt_with(accounts: Accounts, verdict: Verdict, effect: Effect) -> bool:
    """A later migration that has run touches what the effect starts from or leads to."""
    done = applied(accounts.declared, accounts.recorded)
    names = [name for name in (effect.subject, effect.result) if name is not None]
    later = [each for each in perhaps_after(accounts.declared, verdict.guard.migration) if each.label in done]
    labels = {migration.label for migration in later}
    guarded = [
        each
        for verdict in accounts.guards
        if verdict.guard.migration in labels
        for each in verdict.guard.effects
    ]
    return any(each.label in labels for name in names for each in touching(accounts, name)) or any(
        touched_by(other, name) for other in guarded for name in names
    )


def likely_meant(accounts: Accounts, verdict: Verdict) -> Name | None:
    """The existing relation a false guard most probably meant: the evaluator's answer, else a literal-dot table."""
    if verdict.nearest is not None:
        return verdict.nearest.qualified
    wanted = {name.name for name in verdict.guard.relations}
    for model in accounts.declared.models:
        spelled = spelling(model.db_table)
        if spelled.kind == "literal-dot" and spelled.meant.name in wanted and spelled.relation:
            found = accounts.observed.find(spelled.relation)
            if found is not None:
                return found.qualified
    return None


def listed(names: list[str], limit: int = 10) -> str:
    """Names in one sentence, a long list cut with its count."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
