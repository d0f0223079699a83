"""What a migration set out to do, what it wrote, and what is there now: the class of a step, operation by operation.

An operation that wrote to no catalog and whose DDL has no effect to show is a no-op. One whose effect was there already
is innocent, and so is one whose effect cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rcakit.errors import SqlError
from rcakit.facts import Catalog, Effect, Guard, Migration, Unread, Verdict
from rcakit.ledger import Branch, Outcome, Presence, Result, Sent, StepClass, Taken
from rcakit.ledger.diff import Change
from rcakit.names import Name
from rcakit.parsing import plpgsql, pyguards

CANNOT = frozenset({"0A000", "58P01", "42704"})
"""SQLSTATEs of an extension that is not there."""


@dataclass(frozen=True)
class Ran:
    """One operation as the replayer tells it. `touched` None: it could not be measured."""

    group: int
    kind: str
    free: bool
    ran: bool = False
    touched: bool | None = None


def guards_of(migration: Migration) -> tuple[tuple[Guard, ...], tuple[Unread, ...]]:
    """Every guard in the SQL and the Python of a migration."""
    guards: list[Guard] = []
    unread: list[Unread] = []
    for operation in migration.operations:
        label, group, where = migration.label, operation.group, operation.where
        found = [
            plpgsql.guards(sql, migration=label, operation=group, statement=number, where=where)
            for number, sql in enumerate(operation.sql)
        ]
        if operation.source:
            found.append(
                pyguards.python_guards(operation.source, migration=label, operation=group, where=where)
            )
        for some, problems in found:
            guards += some
            unread += problems
    return tuple(guards), tuple(unread)


# ------------------------------------------------------------------ is an effect there?


def present(effect: Effect, catalog: Catalog) -> bool | None:
    """Whether the effect is to be seen; None when the catalog cannot tell."""
    if effect.kind == "drop" and effect.subject is not None:
        there = _exists(effect.object, effect.subject, effect.relation, catalog)
        return None if there is None else not there
    if effect.kind == "alter" and effect.object == "column" and effect.result is None and effect.subject:
        return not _exists("column", effect.subject, effect.relation, catalog)
    if effect.result is None:
        return None
    there = _exists(effect.object, effect.result, effect.relation, catalog)
    unchanged = effect.kind == "alter" and effect.subject == effect.result
    return None if unchanged and there else there


def _exists(kind: str, name: Name, table: Name | None, catalog: Catalog) -> bool | None:
    if kind in ("table", "view", "sequence"):
        return bool(catalog.find(name))
    if kind == "schema":
        return name.name in catalog.schema_names
    if kind == "index":
        return any(index.name == name.name for index in catalog.indexes)
    if kind == "function":
        return any(
            function.name == name.name and name.schema in (None, function.schema)
            for function in catalog.functions
        )
    if table is None or (relation := catalog.find(table)) is None:
        return False if table is not None else None
    if kind == "column":
        return any(column.name == name.name for column in catalog.columns_of.get(relation.oid, ()))
    if kind == "constraint":
        return any(each.name == name.name for each in catalog.constraints_of.get(relation.oid, ()))
    if kind == "trigger":
        return any(each.name == name.name and each.relation == relation.oid for each in catalog.triggers)
    return None


def _last(effects: Sequence[Effect]) -> list[Effect]:
    """Those that no other one of the same text takes further or away."""
    passed = [other.subject for other in effects if other.kind in ("move", "rename", "drop")]
    return [effect for effect in effects if effect.result is None or effect.result not in passed]


def presence(effects: Sequence[Effect], catalog: Catalog) -> Presence:
    """Whether all, none or some of the effects are there."""
    seen = {present(effect, catalog) for effect in _last(effects)}
    if not seen - {None}:
        return "unknown"
    if False not in seen:
        return "present"
    return "partly" if True in seen else "absent"


# ------------------------------------------------------------------ one guard, one operation


def branch(verdict: Verdict, ran: Ran, before: Catalog, after: Catalog) -> Branch:
    """The branch a guard took: nothing written means skipped; else what is there now, else the condition's value."""
    guard = verdict.guard
    found = presence(guard.effects, after)
    taken: Taken
    if not ran.ran or guard.function:
        taken = "not-run"
    elif guard.effects and ran.touched is False:
        taken = "skipped"
    elif found == "present" and presence(guard.effects, before) == "absent":
        taken = "taken"
    elif verdict.as_role is None:
        taken = "unknown"
    else:
        taken = "taken" if verdict.as_role else "skipped"
    return Branch(verdict, taken, found)


def result(ran: Ran, sent: Sequence[Sent], branches: Sequence[Branch], after: Catalog) -> tuple[Result, str]:
    """(what came of an operation, why) of one that may send anything it likes."""
    if not ran.ran:
        return "not-run", "no database operation ran"
    if ran.touched is not False:
        return _partial(branches, ran)
    found = presence(_effects(sent, branches), after)
    if found in ("absent", "partly"):
        return "no-op", _why(branches)
    if any(statement.rowcount > 0 and _writes(statement.sql) for statement in sent):
        return "data", "rows were written"
    if not sent:
        return "vacuous", "nothing was sent"
    return "vacuous", "its effect was there already" if found == "present" else "there was nothing to do"


def _partial(branches: Sequence[Branch], ran: Ran) -> tuple[Result, str]:
    """An operation that wrote to the catalog, or may have: a no-op when all it guards was skipped and is not there."""
    main = [each for each in branches if each.verdict.guard.effects and not _creates(each.verdict.guard)]
    idle = [each for each in main if each.branch == "skipped" and each.effects in ("absent", "partly")]
    if main and len(idle) == len(main):
        return "no-op", _why(idle)
    return ("changed", "") if ran.touched else ("vacuous", "what it wrote could not be measured")


def _effects(sent: Iterable[Sent], branches: Iterable[Branch]) -> list[Effect]:
    found = [
        effect
        for each in branches
        for effect in each.verdict.guard.effects
        if not each.verdict.guard.function
    ]
    for statement in sent:
        try:
            found += plpgsql.effects(statement.sql)
        except SqlError:
            continue
    return list(dict.fromkeys(found))


def _creates(guard: Guard) -> bool:
    return guard.kind == "clause" and guard.negated


def _why(branches: Iterable[Branch]) -> str:
    skipped = [each for each in branches if each.branch == "skipped" and each.verdict.guard.condition]
    if not skipped:
        return "it wrote nothing to the catalog, and its effect is not there"
    one = skipped[0].verdict
    near = f"; there is {one.nearest.qualified}" if one.nearest else ""
    asked = ", ".join(str(name) for name in one.guard.relations)
    subject = f"its condition on {asked} was false" if asked else "its condition was false"
    return subject + near


def _writes(sql: str) -> bool:
    return sql.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE") or sql.lstrip()[:5].upper() == "MERGE"


def outcomes(
    ran: Sequence[Ran],
    migration: Migration | None,
    sent: Sequence[Sent],
    branches: Sequence[Branch],
    after: Catalog,
) -> tuple[Outcome, ...]:
    """One outcome a top-level operation. Django's own schema operations are taken at their word."""
    made = []
    for each in ran:
        statements = [statement for statement in sent if statement.operation == each.group]
        own = [one for one in branches if one.verdict.guard.operation == each.group]
        facts = [op for op in migration.operations if op.group == each.group] if migration else []
        what, why = result(each, statements, own, after) if each.free else _schema(each, statements)
        made.append(
            Outcome(
                each.group,
                each.kind,
                facts[0].description if facts else "",
                what,
                why,
                bool(own) and len(own) == len(statements) and all(_creates(one.verdict.guard) for one in own),
                facts[0].where if facts else None,
            )
        )
    return tuple(made)


def _schema(ran: Ran, statements: Sequence[Sent]) -> tuple[Result, str]:
    if not ran.ran:
        return "not-run", "no database operation ran"
    if not statements:
        return "state-only", ""
    asked = all(statement.sql.lstrip()[:6].upper() == "SELECT" for statement in statements)
    return ("vacuous", "it only asked, and found nothing to do") if asked else ("changed", "")


# ------------------------------------------------------------------ the step


def classify(
    made: Sequence[Outcome],
    changes: Sequence[Change],
    rows: Mapping[str, tuple[int, int, int]] | None,
    sent: Sequence[Sent],
) -> tuple[StepClass, str]:
    """(class of a migration that raised no error, why)."""
    idle = [outcome for outcome in made if outcome.result == "no-op"]
    worked = [outcome for outcome in made if outcome.result == "changed" and not outcome.idempotent]
    if idle and not worked:
        return (
            "silent-no-op",
            f"{_count(idle, made)} did nothing: {idle[0].why}",
        )
    if changes:
        return "changed", f"{_count(idle, made)} did nothing: {idle[0].why}" if idle else ""
    if rows or any(outcome.result == "data" for outcome in made):
        return "data-only", ""
    if not sent and all(outcome.result in ("state-only", "not-run") for outcome in made):
        return "state-only", ""
    whys = dict.fromkeys(outcome.why for outcome in made if outcome.why)
    return "vacuous", "; ".join(whys) or "what was sent left no difference"


def _count(idle: Sequence[Outcome], made: Sequence[Outcome]) -> str:
    return f"{len(idle)} of {len(made)} operation{'s' if len(made) > 1 else ''}"


_NETWORK = frozenset(
    {"URLError", "ProxyError", "gaierror", "ConnectError", "ConnectionError", "ConnectionRefusedError"}
)
"""What the standard library, requests and httpx raise where nobody answers."""


def failure(error: str, sqlstate: str | None) -> tuple[StepClass, str]:
    """(class, what to make of it) of a migration that raised an error."""
    lowered = error.lower()
    raised = error.partition(":")[0]
    if raised == "DoesNotExist":
        return "cannot-reproduce", "it looks for rows, and a replay has those alone that migrations write"
    if raised in _NETWORK:
        return "cannot-reproduce", "it talks to the network, and a replay's proxies lead nowhere"
    if "extension" in lowered and sqlstate in CANNOT:
        return (
            "cannot-reproduce",
            "the scratch server does not have this extension: name a server that has it",
        )
    if sqlstate == "42704" and "role" in lowered:
        return (
            "failed",
            "the role exists where the project runs, not on the scratch server: name it among the roles",
        )
    return "failed", "it raised an error"
