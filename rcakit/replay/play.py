"""One replay: what the replayer tells, line by line, and the looks at the catalog in between, made into steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, cast

import psycopg
from psycopg.conninfo import make_conninfo

from rcakit import evidence, guards
from rcakit.errors import ConnectionFailed, ProjectError, ScratchError
from rcakit.facts import Catalog, Guard, Migration, Unread, Verdict
from rcakit.ledger import Back, Ledger, Notice, Sent, Step, outcome, structure
from rcakit.ledger.diff import Change
from rcakit.ledger.snapshots import Look, Tracker, Written
from rcakit.replay.child import Child
from rcakit.scratch import SUPERUSER, Server, roles
from rcakit.sources import django_live

OnStep = Callable[[str, int, int], None]
"""Called before each migration with its label, its number from 1, and how many there are."""


@dataclass(frozen=True)
class Options:
    """How to replay.

    timeout
        seconds for the whole of it.
    roles
        made on the scratch server beforehand where they are missing, without any right: those the migrations grant to.
    reverse
        undo each reversible migration and do it again.
    counters
        False: suspect every catalog at every look, as before PostgreSQL 15, where counters cannot be relied upon.
    first
        run so many migrations of the plan, and no signal receivers after them; None: all of it.
    """

    timeout: float = 600
    roles: Sequence[str] = ()
    reverse: bool = False
    counters: bool = True
    first: int | None = None


@dataclass
class _Alias:
    """One alias while it is replayed."""

    name: str
    conninfo: str
    tracker: Tracker
    settled: bool = False


@dataclass
class _Begun:
    """A migration between its `begin` and the look after it."""

    label: str
    replaces: tuple[str, ...]
    routed: bool
    migration: Migration | None
    verdicts: tuple[Verdict, ...]
    before: Catalog | None
    done: dict[str, Any] = field(default_factory=dict)


class Play:
    """Answers the replayer line by line, and makes steps of what it tells."""

    def __init__(
        self, server: Server, database: str | None, on_step: OnStep | None, options: Options
    ) -> None:
        self.server, self.database, self.on_step, self.options = server, database, on_step, options
        self.token = self.first = ""
        self.lost: ScratchError | None = None
        self.steps: list[Step] = []
        self.unread: list[Unread] = []
        self.planned: list[str] = []
        self.count = 0
        self.before: tuple[Change, ...] = ()
        self.after: tuple[Change, ...] = ()
        self.project: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.alias: _Alias | None = None
        self.begun: _Begun | None = None
        self.clean: Catalog | None = None
        self.end: Catalog | None = None

    def run(self, child: Child, stack: ExitStack) -> Ledger:
        began = time.monotonic()
        with ExitStack() as looking:
            try:
                self._prepare(stack)
                for line in child.lines():
                    getattr(self, "_" + line.pop("kind"))(line, child, stack, looking)
                self._finish(child)
            except (psycopg.OperationalError, ProjectError, ConnectionFailed) as error:
                self.lost = self._lost(child)
                if self.lost is None:
                    raise
                raise self.lost from error
        return Ledger(
            steps=tuple(self.steps),
            catalog=cast(Catalog, self.end),
            databases=dict(self.names),
            server_version=self.server.version,
            framework=self.project["framework"],
            python=self.project["python"],
            seconds=time.monotonic() - began,
            before=self.before,
            after=self.after,
            not_run=tuple(self.planned[len(self.steps) :]),
            unread=tuple(dict.fromkeys(self.unread)),
        )

    def _prepare(self, stack: ExitStack) -> None:
        """What nobody has to be asked about, while the interpreter starts."""
        stack.enter_context(roles.made(self.server, self.options.roles))
        self.token = self._started()
        self.first = self.database or stack.enter_context(self.server.database("replay"))

    def _started(self) -> str:
        """When the server was started, to the microsecond: tells it from any other."""
        with self.server.connect() as connection:
            asked = "SELECT extract(epoch FROM pg_postmaster_start_time())::text"
            (started,) = connection.execute(asked).fetchone() or ("",)
        return str(started)

    def _lost(self, child: Child) -> ScratchError | None:
        """Whether what went wrong is that the server is gone."""
        try:
            self.server.connect().close()
        except psycopg.OperationalError as error:
            return ScratchError(
                f"the scratch server was lost in {child.at}, {self.count} of {len(self.planned)}: "
                f"{evidence.reason(error)}",
                hint="was it stopped, or out of memory or disk? Replay again.",
            )
        return None

    # ------------------------------------------------------------ what the replayer says

    def _project(self, line: dict[str, Any], child: Child, stack: ExitStack, _: ExitStack) -> None:
        self.project = line
        for each in line["databases"]:
            alias, same = each["alias"], each["same_as"]
            if same == alias or same not in {other["alias"] for other in line["databases"]}:
                self.names[alias] = self._database(alias, stack)
            if not each["postgresql"]:
                reason = f"the alias {alias!r} is no PostgreSQL database ({each['engine'] or 'no engine'}): replayed on one"
                self.unread.append(Unread("replayed", reason, blocking=False))
        for each in line["databases"]:
            self.names.setdefault(each["alias"], self.names.get(each["same_as"], ""))
        if self.server.major < 15:
            reason = (
                f"PostgreSQL {self.server.version} does not count written rows in time: rows are not told"
            )
            self.unread.append(Unread("replayed", reason, blocking=False))
        child.at = "the start of its applications"
        child.answer(
            host=str(self.server.socket),
            port="5432",
            user=SUPERUSER,
            token=self.token,
            names=self.names,
            reverse=self.options.reverse,
            counters=self.options.counters,
            first=self.options.first,
        )

    def _database(self, alias: str, stack: ExitStack) -> str:
        return self.first if alias == "default" else stack.enter_context(self.server.database("replay"))

    def _conninfo(self, alias: str) -> str:
        """As the project itself connects, its own `options` included."""
        given = next(each["options"] for each in self.project["databases"] if each["alias"] == alias)
        return make_conninfo(self.server.conninfo(self.names[alias]), options=given or None)

    def _plan(self, line: dict[str, Any], child: Child, _: ExitStack, looking: ExitStack) -> None:
        conninfo = self._conninfo(line["alias"])
        with evidence.session(conninfo, run="replay") as recorder:
            found = recorder.server
        connection = psycopg.connect(conninfo, autocommit=True, application_name="rcakit/replay")
        looking.callback(connection.close)
        self.alias = _Alias(line["alias"], conninfo, Tracker(connection, found))
        self.planned += line["migrations"]
        child.at = f"the signals before migrating {line['alias']}"
        child.answer()

    def _begin(self, line: dict[str, Any], child: Child, *_: ExitStack) -> None:
        look, add = self._look(line["touched"])
        facts = line["facts"]
        begun = _Begun(
            line["migration"],
            tuple(line["replaces"]),
            line["routed"] is not False,
            django_live.migration({k: v for k, v in facts.items() if k != "kind"}) if facts else None,
            (),
            None,
        )
        found = self._guards(begun.migration)
        if found or self.options.reverse:
            look()
            self._weigh(begun, found)
        self.count += 1
        if self.on_step:
            self.on_step(begun.label, self.count, len(self.planned))
        child.at = f"the migration {begun.label}"
        if line["waits"]:
            child.answer()
        add()
        self.begun = begun

    def _done(self, line: dict[str, Any], child: Child, *_: ExitStack) -> None:
        self._running.done = line
        if self.options.reverse:
            add = self._look()[1]
            child.answer()
            add()

    def _reversed(self, line: dict[str, Any], child: Child, *_: ExitStack) -> None:
        child.at = f"the way back of {line['migration']}"
        self._alias.tracker.look(_written(line.get("touched")))
        error = line["error"]["error"] if line["error"] else ""
        gone = structure.differences(cast(Catalog, self.clean), self._alias.tracker.catalog())
        if error:
            back = Back("irreversible") if line["irreversible"] else Back("failed", (), error)
        else:
            back = Back("differs" if gone else "restored", gone)
        self._amend(back)
        child.answer()

    def _reapplied(self, line: dict[str, Any], child: Child, *_: ExitStack) -> None:
        if line["error"]:
            error = "after the way back it cannot be applied again: " + line["error"]["error"]
            self._amend(Back("failed", (), error))
        self._alias.tracker.look(_written(line.get("touched")))
        child.answer()

    def _settled(self, line: dict[str, Any], child: Child, *_: ExitStack) -> None:
        self._look()[1]()
        self._alias.settled = True
        child.at = f"the signals after migrating {line['alias']}"
        child.answer()

    def _signals(self, line: dict[str, Any], child: Child, *_: ExitStack) -> None:
        look = self._alias.tracker.look(_written(line["touched"]))
        child.answer()
        self.after += look.changes()
        self._end()

    def _end(self) -> None:
        """The state the first alias, which is the default one, ends in."""
        self.end = self.end or self._alias.tracker.catalog()

    def _unread(self, line: dict[str, Any], *_: object) -> None:
        where = django_live.where_of(line["where"])
        self.unread.append(Unread("replayed", line["reason"], where, line["blocking"]))

    def _finish(self, child: Child) -> None:
        """A failed migration has no line after it."""
        if self.begun is not None and self.begun.done:
            self._look()[1]()
            self._end()

    # ------------------------------------------------------------ looks and steps

    @property
    def _alias(self) -> _Alias:
        return cast(_Alias, self.alias)

    @property
    def _running(self) -> _Begun:
        return cast(_Begun, self.begun)

    def _amend(self, back: Back) -> None:
        self.steps[-1] = replace(self.steps[-1], reverse=back)

    def _look(
        self, signals: Mapping[str, Sequence[int]] | None = None
    ) -> tuple[Callable[[], Look], Callable[[], None]]:
        """Begin a look at the database: what ends it, and what makes its step; both while the replayer goes on."""
        begun, self.begun = self.begun, None
        touched = signals if begun is None else begun.done.get("touched")
        look = cache(self._alias.tracker.begin(_written(touched)))
        add = partial(self._tell_signals, look) if begun is None else partial(self._add_step, begun, look)
        return look, add

    def _tell_signals(self, look: Callable[[], Look]) -> None:
        self.before += tuple(each for each in look().changes() if "django_migrations" not in str(each))

    def _add_step(self, begun: _Begun, look: Callable[[], Look]) -> None:
        self.steps.append(self._step(begun, look()))

    def _guards(self, migration: Migration | None) -> tuple[Guard, ...]:
        found, unread = outcome.guards_of(migration) if migration else ((), ())
        self.unread += unread
        return found

    def _weigh(self, begun: _Begun, found: tuple[Guard, ...]) -> None:
        """Ask each guard's condition on the state before its migration."""
        self.clean = begun.before = self._alias.tracker.catalog()
        if found:
            with self._alias.tracker.recorder() as recorder:
                begun.verdicts = guards.evaluate(found, recorder, begun.before)

    def _step(self, begun: _Begun, look: Look) -> Step:
        done, changes = begun.done, look.changes()
        sent = tuple(Sent(text, seconds, count, at) for at, text, seconds, count in done["statements"])
        notices = tuple(Notice(severity, said, at) for at, severity, said in done["notices"])
        ran = [outcome.Ran(**operation) for operation in done["operations"]]
        after = self._alias.tracker.catalog() if begun.migration is not None else look.after
        branches = tuple(
            outcome.branch(verdict, ran[verdict.guard.operation], cast(Catalog, begun.before), after)
            for verdict in begun.verdicts
        )
        made = outcome.outcomes(ran, begun.migration, sent, branches, after)
        rows = done.get("rows")
        rows = None if rows is None else self._rows(rows, look)
        error = done["error"]
        kind, why = outcome.classify(made, changes, rows, sent)
        if not begun.routed and not sent:
            kind, why = "vacuous", f"the routers keep this application out of {self._alias.name!r}"
        if error:
            kind, why = outcome.failure(error["error"], error["sqlstate"])
        return Step(
            begun.label, kind, why, changes, made, branches, sent, notices, rows, done["seconds"],
            error["error"] if error else "", django_live.where_of(error["where"]) if error else None,
            self._alias.name, begun.replaces,
        )  # fmt: skip

    def _rows(self, rows: Mapping[str, Sequence[int]], look: Look) -> dict[str, tuple[int, int, int]]:
        named = {}
        for oid, (inserted, updated, deleted) in rows.items():
            found = look.before.by_oid.get(int(oid))
            name = self._alias.tracker.name(int(oid)) or (str(found.qualified) if found else f"oid {oid}")
            named[name] = (inserted, updated, deleted)
        return named


def _written(touched: Mapping[str, Sequence[int]] | None) -> Written | None:
    """As it comes out of JSON, which has no numbers as keys."""
    if touched is None:
        return None
    return {int(oid): (counts[0], counts[1], counts[2]) for oid, counts in touched.items()}
