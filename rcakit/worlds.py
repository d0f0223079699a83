"""Guards in every world: what a conditional migration does from each state it could have met.

For each migration whose SQL asks before it acts, the states are built on a scratch database out of the observed
structure (`standin.py`, no rows); the migration's own SQL is run in each, in a transaction that is rolled back. What is
told is what happened. Conditions in Python cannot be run like that: for them there is only what the replay saw.

Which of the states can really occur is told by the replay (the state the project's own migrations lead to) and by the
observed catalog; all others come about only by somebody's hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import psycopg
from psycopg import sql

from rcakit import catalog, evidence, guards, names, standin
from rcakit.errors import ScratchError, SqlError
from rcakit.facts import Accounts, Catalog, Effect, Guard, Migration, Relation, Verdict
from rcakit.facts import Server as Session
from rcakit.ledger import Ledger, Step, outcome
from rcakit.names import Name
from rcakit.parsing.pgparse import parse, walk
from rcakit.scratch import Server
from rcakit.scratch.roles import roles_of

Origin = Literal["replayed", "observed"]
Outcome = Literal["moves", "does nothing", "fails", "cannot tell"]

_ELSEWHERE = "rcakit_elsewhere"
_NOBODY = "rcakit_nobody"
_OUTSIDE = ("25001", "2D000")
"""SQLSTATEs of what cannot be run inside a transaction: CONCURRENTLY, a COMMIT in a body."""
_PATIENCE = "SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '5s'"


@dataclass(frozen=True, slots=True)
class World:
    """One start state. `reached` says who found it; empty: it comes about only by hand."""

    name: str
    description: str
    reached: tuple[Origin, ...] = ()

    @property
    def reachable(self) -> str:
        """ "replayed", "observed", "replayed and observed" or "by hand"."""
        return " and ".join(self.reached) or "by hand"


@dataclass(frozen=True, slots=True)
class Row:
    """What a migration does in one world: of its `total` guards, how many conditions are true, how many ends are met.

    true
        None: at least one condition could not be told.
    ended
        guards whose intended result is there afterwards.
    """

    world: World
    total: int
    true: int | None
    outcome: Outcome
    ended: int
    error: str = ""

    @property
    def condition(self) -> bool | None:
        """True when all conditions are, False when none is, None else."""
        return None if self.true is None or 0 < self.true < self.total else self.true > 0

    @property
    def intended_end(self) -> bool:
        """All that was intended is there afterwards."""
        return self.ended == self.total

    @property
    def works(self) -> bool:
        """It brings the intended end about, or finds it there and keeps it."""
        return self.intended_end and self.outcome in ("moves", "does nothing")

    @property
    def is_the_end(self) -> bool:
        """The database has what was intended: its state is where the migration ended, not where it began."""
        return self.intended_end and "observed" in self.world.reached


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth table of one migration."""

    migration: str
    guards: tuple[Guard, ...]
    rows: tuple[Row, ...]
    conclusion: str

    @property
    def can_work(self) -> bool | None:
        """Some state that really occurs leads to the intended end, or is it; None: no such state is known."""
        real = [row for row in self.rows if row.world.reached]
        return any(row.works or row.is_the_end for row in real) if real else None

    def to_json(self) -> dict[str, Any]:
        """As it stands in `findings.json`."""
        return {
            "migration": self.migration,
            "guards": len(self.guards),
            "conclusion": self.conclusion,
            "rows": [
                {
                    "world": row.world.name,
                    "reachable": row.world.reachable,
                    "true": row.true,
                    "outcome": row.outcome,
                    "ended": row.ended,
                    "error": row.error,
                }
                for row in self.rows
            ],
        }


def truth(accounts: Accounts, server: Server, ledger: Ledger | None = None) -> tuple[Truth, ...]:
    """One table for each conditional migration of the project, in the order of the migrations.

    Works in a database of its own, dropped afterwards. Raises ScratchError when it cannot be made, or is lost.
    """
    asked = list(_conditional(accounts))
    if not asked:
        return ()
    try:
        with server.database("worlds") as dbname, psycopg.connect(server.conninfo(dbname)) as connection:
            stage = _Stage(connection, accounts)
            return tuple(_truth(migration, found, stage, ledger) for migration, found in asked)
    except psycopg.OperationalError as error:
        raise ScratchError(
            f"the scratch server was lost while states were tried: {evidence.reason(error)}",
            hint="was it stopped, or out of memory or disk? Try again.",
        ) from error


def _conditional(accounts: Accounts) -> Iterator[tuple[Migration, tuple[Guard, ...]]]:
    for migration in accounts.declared.migrations:
        found = tuple(
            verdict.guard
            for verdict in accounts.guards
            if verdict.guard.migration == migration.label and _decides(verdict.guard)
        )
        if found and migration.first_party:
            yield migration, found


def _decides(guard: Guard) -> bool:
    """Whether it decides about more than an idempotent create or drop."""
    if guard.kind == "exception" or guard.function or not guard.effects:
        return False
    return guard.kind != "clause" or not (guard.negated or all(each.kind == "drop" for each in guard.effects))


# ------------------------------------------------------------------ where a guarded table may be


@dataclass(frozen=True)
class _Subject:
    """One guarded table: the names it may have, and the observed relation that lends its structure."""

    plain: Name
    literal: Name | None
    target: Name
    like: Relation | None

    @property
    def names(self) -> tuple[Name, ...]:
        return tuple(dict.fromkeys(each for each in (self.plain, self.literal, self.target) if each))


def _subjects(found: Sequence[Guard], accounts: Accounts) -> list[_Subject]:
    nearest = {verdict.guard: verdict.nearest for verdict in accounts.guards}
    made = [_subject(guard, nearest.get(guard), accounts.observed) for guard in found]
    return list(dict.fromkeys(each for each in made if each))


def _subject(guard: Guard, nearest: Relation | None, observed: Catalog) -> _Subject | None:
    """None for a guard that is not about where a table is."""
    chain = [each for each in guard.effects if each.kind in ("move", "rename", "create") and each.result]
    chain = [each for each in chain if each.object in ("table", "view", "sequence")]
    if not chain or chain[-1].result is None:
        return None
    start = chain[0].subject or chain[-1].result
    plain = _whole(start, "public") if chain[0].subject else Name("public", start.name)
    target = _whole(chain[-1].result, plain.schema or "public")
    dotted = Name("public", names.clip(f"{target.schema}.{target.name}"))
    literal = dotted if target.schema != "public" else None
    known = (observed.find(each) for each in (target, plain, dotted))
    return _Subject(plain, literal, target, next((each for each in known if each), nearest))


def _whole(name: Name, schema: str) -> Name:
    return name if name.schema else Name(schema, name.name)


@dataclass(frozen=True)
class _Setting:
    """A world and how to build it."""

    world: World
    tables: Mapping[Name, Relation | None]
    missing: frozenset[str] = frozenset()
    bare: bool = False
    """Without the schemas of the observed database."""
    path: str = ""
    role: str = ""


def _settings(subjects: Sequence[_Subject], found: Sequence[Guard], observed: Catalog) -> list[_Setting]:
    fresh = _Setting(World("fresh", "an empty database: no table, no schema but public"), {}, bare=True)
    if not subjects:
        base = {name: observed.find(name) for name in _about(found) if observed.find(name)}
        there = World("as observed", "the tables as the database has them", ("observed",))
        return [fresh, _Setting(there, base), *_conditions(base, "the tables as the database has them")]
    plain = {each.plain: each.like for each in subjects}
    target = {each.target: each.like for each in subjects}
    literal = {each.literal: each.like for each in subjects if each.literal}
    away = frozenset(name.schema for name in target if name.schema) - {"public"} - {n.schema for n in plain}
    places = ", ".join(sorted({names.display(name.schema or "") for name in plain}))
    made = [fresh, _Setting(World("plain name", f"the tables under their plain names in {places}"), plain)]
    if literal:
        text = "the tables in public under names that hold the schema and a dot"
        made.append(_Setting(World("literal-dot name", text), literal))
    if target.keys() != plain.keys():
        made.append(_Setting(World("already moved", "the tables where they were meant to be"), target))
        both = World("both present", "the tables under their plain names, and where they were meant to be")
        made.append(_Setting(both, plain | target))
    if away:
        text = f"plain names, and no schema {', '.join(sorted(map(names.display, away)))}"
        made.append(_Setting(World("intended schema missing", text), plain, missing=away))
    return [*made, *_conditions(plain, "plain names")]


def _conditions(base: Mapping[Name, Relation | None], text: str) -> list[_Setting]:
    path = World("another search_path", f"{text}, and a search_path that leads to another schema alone")
    role = World("a role without rights", f"{text}, run by a role that owns nothing and was granted nothing")
    return [_Setting(path, base, path=_ELSEWHERE), _Setting(role, base, role=_NOBODY)]


def _about(found: Iterable[Guard]) -> list[Name]:
    """The tables whose parts the guards are about."""
    effects = [effect for guard in found for effect in guard.effects]
    named = [_whole(each, "public") for effect in effects for each in _tables(effect)]
    return list(dict.fromkeys(named))


def _tables(effect: Effect) -> list[Name]:
    if effect.relation is not None:
        return [effect.relation]
    whole = effect.object in ("table", "view")
    return [each for each in (effect.subject, effect.result) if each] if whole else []


# ------------------------------------------------------------------ one migration


def _truth(migration: Migration, found: tuple[Guard, ...], stage: _Stage, ledger: Ledger | None) -> Truth:
    subjects, observed = _subjects(found, stage.accounts), stage.accounts.observed
    texts = _texts(migration)
    settings = _settings(subjects, found, observed) if _can_run(migration, found, texts) else []
    step = _step(ledger, migration)
    before = _names_before(ledger, migration) if ledger and step else None
    now = frozenset(relation.qualified for relation in observed.tables())
    rows = [stage.row(_marked(each, subjects, before, now), subjects, found, texts) for each in settings]
    if subjects and settings and not any("observed" in row.world.reached for row in rows):
        there = {name: each.like for each in subjects for name in each.names if name in now}
        world = World("as observed", "the tables as the database has them", ("observed",))
        rows.append(stage.row(_Setting(world, there), subjects, found, texts))
    if step is not None:
        rows = _with_replayed(rows, _of_step(step, found))
    return Truth(migration.label, found, tuple(rows), _conclusion(rows, subjects, ledger, migration))


def _texts(migration: Migration) -> list[str]:
    return [
        text for each in migration.operations if each.side != "state" for text in each.sql if text.strip()
    ]


def _can_run(migration: Migration, found: Sequence[Guard], texts: Sequence[str]) -> bool:
    """Every guard stands in SQL, and that SQL leaves the transaction to us."""
    if any(guard.sql is not None for guard in found) or not texts:
        return False
    try:
        return not any(each.kind == "TransactionStmt" for text in texts for each in parse(text))
    except SqlError:
        return False


def _marked(
    setting: _Setting, subjects: Sequence[_Subject], before: frozenset[Name] | None, now: frozenset[Name]
) -> _Setting:
    """With who has found this state; what depends on role, path or a missing schema is left to people."""
    if setting.role or setting.path or setting.missing or not subjects:
        return setting
    known = {name for each in subjects for name in each.names}
    origins: list[tuple[Origin, frozenset[Name] | None]] = [("replayed", before), ("observed", now)]
    reached = tuple(
        who for who, there in origins if there is not None and there & known == setting.tables.keys()
    )
    return replace(setting, world=replace(setting.world, reached=reached))


def _step(ledger: Ledger | None, migration: Migration) -> Step | None:
    steps = ledger.steps if ledger else ()
    return next(
        (each for each in steps if each.migration == migration.label and each.alias == "default"), None
    )


def _of_step(step: Step, found: Sequence[Guard]) -> Row:
    """What the replay saw, in the project's own interpreter."""
    branches = [each for each in step.guards if each.verdict.guard in found]
    branches = branches or [each for each in step.guards if _decides(each.verdict.guard)]
    ended = sum(each.effects == "present" for each in branches)
    acted = any(each.branch == "taken" for each in branches)
    done: Outcome = "fails" if step.error else "moves" if acted else "does nothing"
    if not branches or any(each.branch == "unknown" for each in branches):
        done = "fails" if step.error else "cannot tell"
    world = World("as the replay finds it", "the state the migrations before it lead to", ("replayed",))
    return Row(
        world, len(branches), _count([b.verdict for b in branches]), done, ended, _first_line(step.error)
    )


def _with_replayed(rows: Sequence[Row], seen: Row) -> list[Row]:
    """The replay's row, or the mark on a row that says the same. One that says otherwise loses its mark."""
    told, agreed = [], False
    for row in rows:
        if "replayed" in row.world.reached:
            same = (row.outcome, row.ended) == (seen.outcome, seen.ended)
            agreed = agreed or same
            if not same:
                others = tuple(who for who in row.world.reached if who != "replayed")
                row = replace(row, world=replace(row.world, reached=others))
        told.append(row)
    return told if agreed else [*told, seen]


def _count(verdicts: Sequence[Verdict]) -> int | None:
    values = [verdict.as_role for verdict in verdicts]
    return None if None in values else sum(value is True for value in values)


def _names_before(ledger: Ledger, migration: Migration) -> frozenset[Name]:
    """The tables there are just before a migration in a replay."""
    return list(_states(ledger, migration.label))[-1]


def _states(ledger: Ledger, until: str) -> Iterator[frozenset[Name]]:
    """The names of all tables before each step, up to one migration."""
    there: dict[int, Name] = {}
    yield frozenset()
    for step in ledger.steps:
        if step.migration == until:
            return
        if step.alias != "default":
            continue
        for change in step.changes:
            if change.object_kind == "schema" and change.kind == "renamed":
                (was,), (now,) = names.parse(change.before), names.parse(change.after)
                there = {
                    oid: Name(now if name.schema == was else name.schema, name.name)
                    for oid, name in there.items()
                }
            elif change.object_kind in ("table", "partitioned table", "foreign table"):
                there.pop(change.relation, None)
                if change.kind != "dropped":
                    there[change.relation] = Name(*names.parse(change.after))
        yield frozenset(there.values())


# ------------------------------------------------------------------ the sentence below the table


def _conclusion(
    rows: Sequence[Row], subjects: Sequence[_Subject], ledger: Ledger | None, migration: Migration
) -> str:
    real = [row for row in rows if row.world.reached]
    good = [row for row in rows if row.works and row.outcome == "moves"]
    if not real:
        return "Which of these states really occurs is not known: replay the migrations."
    if any(row.works for row in real):
        where = "; ".join(f"{row.world.name} ({row.world.reachable})" for row in real if row.works)
        return f"A state that really occurs leads to the intended end: {where}."
    if any(row.is_the_end for row in real):
        return "The database holds what was intended. From which state it came about is told by a replay."
    met = "; ".join(f"{row.world.name} ({row.world.reachable}): it {_did(row)}" for row in real)
    if not good:
        return f"No state that was tried leads to the intended end. Those that occur: {met}."
    only = ", ".join(row.world.name for row in good)
    told = f"It reaches its end only from: {only}. No such state occurs; those that do: {met}."
    plain = {each.plain for each in subjects}
    if ledger is not None and plain and not any(there & plain for there in _states(ledger, migration.label)):
        told += f" No migration before it ever makes a table of {_some(plain)}."
    return told


def _did(row: Row) -> str:
    return {"moves": f"reaches {row.ended} of {row.total}", "cannot tell": "cannot be told"}.get(
        row.outcome, row.outcome
    )


def _some(wanted: Iterable[Name]) -> str:
    listed = sorted(map(str, wanted))
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _first_line(error: str) -> str:
    return error.partition("\n")[0]


# ------------------------------------------------------------------ the stage


class _Stage:
    """One scratch database in which worlds are built, tried and rolled back, one after the other."""

    def __init__(self, connection: psycopg.Connection[Any], accounts: Accounts) -> None:
        self.connection, self.accounts = connection, accounts
        for name in ("int2[]", "int4[]", "oid[]", "name[]", "text[]"):
            info = connection.adapters.types[name.removesuffix("[]")]
            connection.adapters.register_loader(info.array_oid, evidence.TupleLoader)
        self.recorder = evidence.Recorder(connection)
        self.roles = dict.fromkeys((*roles_of(accounts.observed), _NOBODY))

    def row(
        self, setting: _Setting, subjects: Sequence[_Subject], found: Sequence[Guard], texts: Sequence[str]
    ) -> Row:
        """Build the world, ask the conditions, run the migration's SQL, look; all of it is rolled back."""
        with self._rolled_back():
            self._build(setting, subjects, found, texts)
            before, verdicts = self._look(setting, found)
            error = self._run(setting, texts)
            after, _ = self._look(setting, ())
        was = [outcome.presence(guard.effects, before) for guard in found]
        now = [outcome.presence(guard.effects, after) for guard in found]
        done: Outcome = "does nothing"
        if any(a != b for a, b in zip(was, now, strict=True)):
            done = "moves"
        if error is not None:
            done = "cannot tell" if error.sqlstate in _OUTSIDE else "fails"
        said = evidence.reason(error).replace(self.connection.info.dbname, "..") if error else ""
        ended = sum(each == "present" for each in now)
        return Row(setting.world, len(found), _count(verdicts), done, ended, said)

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            yield

    def _build(
        self, setting: _Setting, subjects: Sequence[_Subject], found: Sequence[Guard], texts: Sequence[str]
    ) -> None:
        observed, execute = self.accounts.observed, self.connection.execute
        had = {name for (name,) in execute("SELECT rolname::text FROM pg_roles")}
        for role in self.roles.keys() - had:
            execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        schemas: set[str] = {_ELSEWHERE}
        if not setting.bare:
            schemas |= observed.schema_names | {each.target.schema or "public" for each in subjects}
        for schema in sorted(schemas - setting.missing - {"public"}):
            execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for name, like in setting.tables.items():
            standin.create(self.connection, name, like, observed)
        if not setting.bare:
            taken = {name for each in subjects for name in each.names}
            for name in _beside(found, texts, observed) - taken - setting.tables.keys():
                if name.schema not in setting.missing:
                    standin.create(self.connection, name, observed.find(name), observed)

    def _dressed(self, setting: _Setting) -> None:
        if setting.path:
            self.connection.execute(
                sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(setting.path))
            )
        if setting.role:
            self.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(setting.role)))

    def _look(self, setting: _Setting, found: Sequence[Guard]) -> tuple[Catalog, Sequence[Verdict]]:
        """The catalog, and each condition's value as the world's role and search_path have it."""
        with self._rolled_back():
            self._dressed(setting)
            (self.recorder.server,) = self.recorder.rows("server", evidence.query("server"), make=Session)
            self.connection.execute("SELECT set_config('search_path', '', true)")
            state = catalog.read(self.recorder)
            return state, guards.evaluate(found, self.recorder, state) if found else ()

    def _run(self, setting: _Setting, texts: Sequence[str]) -> psycopg.Error | None:
        """Run the SQL as Django would; what it did stays until the world is rolled back."""
        try:
            with self.connection.transaction():
                self.connection.execute(_PATIENCE)
                self._dressed(setting)
                for text in texts:
                    self.connection.execute(text.encode())
                self.connection.execute("RESET ROLE; RESET search_path")
        except psycopg.Error as error:
            if self.connection.broken:
                raise
            return error
        return None


def _beside(found: Sequence[Guard], texts: Sequence[str], observed: Catalog) -> set[Name]:
    """Observed relations that the SQL names and that no world moves about."""
    named: set[Name] = set()
    for text in (*texts, *(each for guard in found for each in guard.guarded)):
        try:
            nodes = list(walk([{each.kind: each.node} for each in parse(text)]))
        except SqlError:
            continue
        for _, fields in nodes:
            for each in (fields, *fields.values()):
                if isinstance(each, dict) and "relname" in each:
                    relation = observed.find(Name(each.get("schemaname"), each["relname"]))
                    if relation is not None and relation.kind in "rpfvm":
                        named.add(relation.qualified)
    return named
