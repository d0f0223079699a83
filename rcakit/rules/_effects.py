"""What applied guards should have left behind, and whether it is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rcakit import history
from rcakit.facts import Accounts, Catalog, Effect, Migration, Verdict
from rcakit.history import same, sql_effects, touched_by, touching
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
    done = accounts.once(history.ran)
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
    if effect.result is None:
        return False
    others = accounts.once(_leaving).get((verdict.guard.migration, effect.result.name), ())
    return any(same(other.subject, effect.result) for other in others)


def _leaving(accounts: Accounts) -> dict[tuple[str, str], list[Effect]]:
    """(migration, bare name) -> what the migration does to a relation of that name so that it is gone from its place."""
    found: dict[tuple[str, str], list[Effect]] = defaultdict(list)
    for migration, effect in (*_plain(accounts), *_guarded(accounts)):
        if effect.kind in ("move", "rename", "drop") and effect.subject is not None:
            found[migration, effect.subject.name].append(effect)
    return found


def _plain(accounts: Accounts) -> Iterator[tuple[str, Effect]]:
    """(migration, what one of its RunSQL statements does)."""
    for migration in accounts.declared.migrations:
        for operation in migration.operations:
            for effect in sql_effects(operation):
                yield migration.label, effect


def _guarded(accounts: Accounts) -> Iterator[tuple[str, Effect]]:
    """(migration, what one of its guards would do)."""
    for verdict in accounts.guards:
        for effect in verdict.guard.effects:
            yield verdict.guard.migration, effect


def _dealt_with(accounts: Accounts, verdict: Verdict, effect: Effect) -> bool:
    """A later migration that has run touches what the effect starts from or leads to."""
    done, order, guarded = accounts.once(history.ran), accounts.once(history.order), accounts.once(_ends)

    def later(label: str) -> bool:
        return label in done and label in order and order.may_precede(verdict.guard.migration, label)

    names = [name for name in (effect.subject, effect.result) if name is not None]
    return any(later(each.label) for name in names for each in touching(accounts, name)) or any(
        touched_by(other, name) and later(label)
        for name in names
        for key in ((False, name.name), (True, name.schema))
        for label, other in guarded.get(key, ())
    )


def _ends(accounts: Accounts) -> dict[tuple[bool, str | None], list[tuple[str, Effect]]]:
    """(is it a schema, bare name) -> the guarded effects that start from it or lead to it, each with its migration."""
    found: dict[tuple[bool, str | None], list[tuple[str, Effect]]] = defaultdict(list)
    for migration, effect in _guarded(accounts):
        for name in {end.name for end in (effect.subject, effect.result) if end is not None}:
            found[effect.object == "schema", name].append((migration, effect))
    return found


def likely_meant(accounts: Accounts, verdict: Verdict) -> Name | None:
    """The existing relation a false guard most probably meant: the evaluator's answer, else a literal-dot table."""
    if verdict.nearest is not None:
        return verdict.nearest.qualified
    dotted = accounts.once(_literal_dots)
    found = [row for name in {name.name for name in verdict.guard.relations} for row in dotted.get(name, ())]
    return min(found)[1] if found else None


def _literal_dots(accounts: Accounts) -> dict[str, list[tuple[int, Name]]]:
    """The bare name that a literal-dot table was meant to have -> the tables that exist, numbered in the models' order."""
    found: dict[str, list[tuple[int, Name]]] = defaultdict(list)
    for number, model in enumerate(accounts.declared.models):
        spelled = spelling(model.db_table)
        if spelled.kind == "literal-dot" and spelled.relation:
            there = accounts.observed.find(spelled.relation)
            if there is not None:
                found[spelled.meant.name].append((number, there.qualified))
    return found


def listed(names: list[str], limit: int = 10) -> str:
    """Names in one sentence, a long list cut with its count."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
