"""The replayed account: a project's migrations run one by one on a scratch database, and what each really did.

`sources/django_replayer.py` runs them in the project's own interpreter through Django's own executor; before each one it
waits here, and the catalog is looked at (`ledger/snapshots.py`). The databases are dropped afterwards, however it ends.

This is no sandbox. The project's code runs with this user's rights: libpq's variables are taken from its environment,
database addresses in it are replaced by the scratch server's, credentials of clouds are removed and proxies lead
nowhere, but a migration that talks to the network by itself, or writes files, will do so.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rcakit import evidence, guards
from rcakit.errors import ConnectionFailed, ProjectError, ScratchError
from rcakit.facts import Catalog, Guard, Migration, Unread, Verdict
from rcakit.ledger import Back, Ledger, Notice, Sent, Step, outcome, structure
from rcakit.ledger.diff import Change
from rcakit.ledger.snapshots import Look, Tracker, Written
from rcakit.scratch import SUPERUSER, Server
from rcakit.sources import django_live
from rcakit.sources.project import settings_module

REPLAYER = Path(__file__).parent / "sources" / "django_replayer.py"
OnStep = Callable[[str, int, int], None]
"""Called before each migration with its label, its number from 1, and how many there are."""

_SCHEMES = ("postgres", "postgis", "mysql", "mariadb", "oracle", "mssql", "cockroach", "psql", "pgsql")
_CLOUDS = ("AWS_", "AZURE_", "GOOGLE_", "GCP_", "SENTRY_", "KUBE")
_PARTS = {
    "HOST": "host", "HOSTNAME": "host", "PORT": "port", "NAME": "name", "DB": "name", "DATABASE": "name",
    "USER": "user", "USERNAME": "user", "PASSWORD": "password", "PASS": "password",
}  # fmt: skip
_FAMILIES = ("DB_", "DATABASE_", "POSTGRES_", "POSTGRESQL_", "MYSQL_", "SQL_", "RDS_")


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


def run(
    project: Path,
    *,
    settings: str | None,
    python: str | None,
    server: Server,
    database: str | None = None,
    on_step: OnStep | None = None,
    options: Options = Options(),
) -> Ledger:
    """Replay a project's migrations and drop the databases again: `hold` without a block."""
    with hold(
        project,
        settings=settings,
        python=python,
        server=server,
        database=database,
        on_step=on_step,
        options=options,
    ) as ledger:
        return ledger


@contextmanager
def hold(
    project: Path,
    *,
    settings: str | None,
    python: str | None,
    server: Server,
    database: str | None = None,
    on_step: OnStep | None = None,
    options: Options = Options(),
) -> Iterator[Ledger]:
    """Replay; the databases (`Ledger.databases`) live as long as the block, nobody connected to them.

    `database` is the caller's own, for the default alias: what its history says was applied is not run again, and it is
    not dropped. Raises ProjectError (interpreter, settings, an alias that leads elsewhere, time, the process killed) and
    ScratchError (the server lost). A migration that fails is no error here but a step of class "failed".
    """
    project = project.absolute()
    command = [django_live.find_python(project, python), str(REPLAYER), settings_module(project, settings)]
    play = _Play(server, database, on_step, options)
    try:
        with ExitStack() as stack:
            with _started(command, project, server, options.timeout) as child:
                ledger = play.run(child, stack)
            yield ledger
    except ScratchError:
        if play.lost is None:
            raise
    if play.lost is not None:
        raise play.lost


def roles_of(observed: Catalog) -> tuple[str, ...]:
    """The roles that own or may use something in the observed database, for `Options.roles`."""
    owners = {each.owner for each in observed.relations} | {each.owner for each in observed.schemas}
    return tuple(sorted((owners | {grant.grantee for grant in observed.grants}) - {"PUBLIC", "public", ""}))


def environment(server: Server) -> dict[str, str]:
    """The replayer's environment: what names a database names the scratch server, or is gone."""
    parts = {
        "host": str(server.socket),
        "port": "5432",
        "name": "postgres",
        "user": SUPERUSER,
        "password": "",
    }
    url = f"postgresql://{SUPERUSER}@{quote(str(server.socket), safe='')}:5432/postgres"
    made = {}
    for name, value in django_live.environment().items():
        family = next((start for start in _FAMILIES if name.startswith(start)), "")
        part = _PARTS.get(name.removeprefix(family)) if family else None
        if name.startswith(("PG", *_CLOUDS)):
            continue
        if part:
            made[name] = parts[part]
        elif _names_database(value):
            made[name] = server.conninfo()
        else:
            made[name] = url if _scheme(value).startswith(_SCHEMES) else value
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {name: value for name, value in made.items() if name.lower() != "no_proxy"} | nowhere


def _names_database(value: str) -> bool:
    """libpq's other way to write a connection: "host=db dbname=shop"."""
    if "=" not in value or "://" in value:
        return False
    try:
        return not {"host", "hostaddr", "dbname", "service"}.isdisjoint(conninfo_to_dict(value))
    except (psycopg.Error, UnicodeError):
        return False


def _scheme(value: str) -> str:
    try:
        return urlsplit(value).scheme if "://" in value else ""
    except ValueError:
        return ""


# ------------------------------------------------------------------ the other process


class _Child:
    """The replayer: JSON lines both ways, until a deadline."""

    def __init__(self, process: subprocess.Popen[bytes], command: list[str], timeout: float) -> None:
        self.process, self.command, self.timeout = process, command, timeout
        self.at = "its start"
        self._deadline = time.monotonic() + timeout
        self._pending = b""
        self._out = cast(IO[bytes], process.stdout).fileno()

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it says, up to its last line. Raises ProjectError when it ends before that, or time runs out."""
        environ = dict(os.environ)  # which decodes each variable whenever it is looked at
        while True:
            line = django_live.heard(self._line(), environ)
            if line is None:
                continue
            if line["kind"] == "end":
                return
            if line["kind"] == "error":
                raise self._failed(line)
            yield line

    def answer(self, **facts: object) -> None:
        with suppress(BrokenPipeError):  # the next line tells that it has ended
            os.write(cast(IO[bytes], self.process.stdin).fileno(), json.dumps(facts).encode() + b"\n")

    def _line(self) -> bytes:
        while b"\n" not in self._pending:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._out], [], [], left)[0]:
                raise ProjectError(
                    f"the replay did not end within {self.timeout:g} seconds, it was stopped in {self.at}",
                    hint="allow it more time, or see what this migration waits for",
                )
            chunk = os.read(self._out, 1 << 20)
            if not chunk:
                raise self._ended()
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _ended(self) -> ProjectError:
        code = self.process.wait()
        if self.at == "its start":
            return django_live._silent(self.command[0], code)
        how = f"was ended by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
        return ProjectError(
            f"the replaying process {how} in {self.at}",
            hint="was it killed (out of memory?), or does the migration end the process?",
        )

    def _failed(self, line: Mapping[str, Any]) -> ProjectError:
        if line["stage"] == "elsewhere":
            return ProjectError(
                f"the database alias {line['alias']!r} still leads elsewhere: nothing was run",
                hint="its backend or settings choose the server by themselves; replay with other --settings",
            )
        return django_live._failed(line, self.command[2], self.command[0])


@contextmanager
def _started(command: list[str], project: Path, server: Server, timeout: float) -> Iterator[_Child]:
    """The process group is gone afterwards, whatever happens."""
    try:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=environment(server),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the project's own words, which may hold secrets
            start_new_session=True,
        )
    except OSError as error:
        raise ProjectError(
            f"the Python interpreter {command[0]} could not be started: {error.strerror}",
            hint="name a working interpreter with --python",
        ) from error
    try:
        yield _Child(process, command, timeout)
    finally:
        django_live._end(process)
        cast(IO[bytes], process.stdin).close()


@contextmanager
def _roles(server: Server, wanted: Sequence[str]) -> Iterator[str]:
    """Make the missing roles; they and those the migrations make go again, unless a kept database needs them.

    The value tells this server from any other: when it was started, to the microsecond.
    """
    with server.connect() as connection:
        had = _role_names(connection)
        for role in dict.fromkeys(wanted):
            if role not in had:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        started = connection.execute("SELECT extract(epoch FROM pg_postmaster_start_time())::text").fetchone()
    try:
        yield str(started[0] if started else "")
    finally:
        with suppress(psycopg.OperationalError), server.connect() as connection:
            for role in _role_names(connection) - had:
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _role_names(connection: psycopg.Connection[Any]) -> set[str]:
    return {str(name) for (name,) in connection.execute("SELECT rolname FROM pg_roles")}


# ------------------------------------------------------------------ one replay


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


class _Play:
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

    def run(self, child: _Child, stack: ExitStack) -> Ledger:
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
        self.token = stack.enter_context(_roles(self.server, self.options.roles))
        self.first = self.database or stack.enter_context(self.server.database("replay"))

    def _lost(self, child: _Child) -> ScratchError | None:
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

    def _project(self, line: dict[str, Any], child: _Child, stack: ExitStack, _: ExitStack) -> None:
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

    def _plan(self, line: dict[str, Any], child: _Child, _: ExitStack, looking: ExitStack) -> None:
        conninfo = self._conninfo(line["alias"])
        with evidence.session(conninfo, run="replay") as recorder:
            found = recorder.server
        connection = psycopg.connect(conninfo, autocommit=True, application_name="rcakit/replay")
        looking.callback(connection.close)
        self.alias = _Alias(line["alias"], conninfo, Tracker(connection, found))
        self.planned += line["migrations"]
        child.at = f"the signals before migrating {line['alias']}"
        child.answer()

    def _begin(self, line: dict[str, Any], child: _Child, *_: ExitStack) -> None:
        look, add = self._look(line["touched"])
        facts = line["facts"]
        begun = _Begun(
            line["migration"],
            tuple(line["replaces"]),
            line["routed"] is not False,
            django_live._migration({k: v for k, v in facts.items() if k != "kind"}) if facts else None,
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

    def _done(self, line: dict[str, Any], child: _Child, *_: ExitStack) -> None:
        self._running.done = line
        if self.options.reverse:
            add = self._look()[1]
            child.answer()
            add()

    def _reversed(self, line: dict[str, Any], child: _Child, *_: ExitStack) -> None:
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

    def _reapplied(self, line: dict[str, Any], child: _Child, *_: ExitStack) -> None:
        if line["error"]:
            error = "after the way back it cannot be applied again: " + line["error"]["error"]
            self._amend(Back("failed", (), error))
        self._alias.tracker.look(_written(line.get("touched")))
        child.answer()

    def _settled(self, line: dict[str, Any], child: _Child, *_: ExitStack) -> None:
        self._look()[1]()
        self._alias.settled = True
        child.at = f"the signals after migrating {line['alias']}"
        child.answer()

    def _signals(self, line: dict[str, Any], child: _Child, *_: ExitStack) -> None:
        look = self._alias.tracker.look(_written(line["touched"]))
        child.answer()
        self.after += look.changes()
        self._end()

    def _end(self) -> None:
        """The state the first alias, which is the default one, ends in."""
        self.end = self.end or self._alias.tracker.catalog()

    def _unread(self, line: dict[str, Any], *_: object) -> None:
        where = django_live._where(line["where"])
        self.unread.append(Unread("replayed", line["reason"], where, line["blocking"]))

    def _finish(self, child: _Child) -> None:
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
            error["error"] if error else "", django_live._where(error["where"]) if error else None,
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
