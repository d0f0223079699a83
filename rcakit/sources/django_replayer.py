"""Runs a project's migrations one by one on a scratch server, from inside the project's own interpreter.

The standard library, the project's Django (3.2 to 6.x) and `django_probe.py` beside it, Python 3.8 syntax. `rcakit.replay`
starts it as ``PYTHON django_replayer.py MODULE`` in the project directory; both speak JSON lines::

    project {databases}  ->  <- {host, port, user, token, names, reverse, first}
    plan {alias, migrations}  ->  <- {}
    for each migration:  begin {facts, waits}  ->  [<- {}]   done {...}
                         and in reverse:  reversed {...}  ->  <- {}  reapplied {...}  ->  <- {}
    settled {alias}  ->  <- {}   signals {alias}  ->  <- {}   and at last   end

Whoever reads `begin`, `reversed`, `reapplied` or `signals` may look at the database until it answers: nothing is
written before. After `begin` Django goes on all the same, with what it does in memory, until the migration's first
operation is let at the database. A `begin` that does not wait has nothing to look at: no catalog was written since the last one. Every alias
of DATABASES is pointed at the scratch server before the applications are loaded; when one still leads elsewhere,
nothing is run. The project's code is not caged: what it does beyond its databases, it does.
https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator  # noqa: UP035  Python 3.8

if TYPE_CHECKING:
    from rcakit.sources.django_probe import (
        NEWEST,
        OLDEST,
        Migrations,
        Places,
        Stop,
        describe,
        settings_secrets,
        stage,
    )
else:  # the script's own directory leads sys.path
    from django_probe import NEWEST, OLDEST, Migrations, Places, Stop, describe, settings_secrets, stage

Fact = Dict[str, Any]  # noqa: UP006  evaluated by Python 3.8
LONGEST = 20000
"""Characters of one statement that are kept, unless it was sent without parameters."""
GARBAGE = 20_000
"""New objects between two collections: Django renders models by the thousand, and every 700 would be looked at again."""
KEPT_OPTIONS = ("options", "isolation_level", "server_side_binding")
"""What DATABASES' OPTIONS may keep: nothing that names a host, a service or a file."""


class Halt(Exception):  # noqa: N818  it ends the run, it is not shown
    """A migration failed; the parent knows already."""


class Talk:
    """The two pipes to the parent."""

    def __init__(self) -> None:
        self.owed = False
        self.waited = 0.0
        self.channel = os.fdopen(os.dup(1), "w", encoding="ascii")
        self.orders = os.fdopen(os.dup(0), encoding="utf-8")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)

    def tell(self, kind: str, **facts: Any) -> None:
        self.channel.write(json.dumps({"kind": kind, **facts}) + "\n")

    def announce(self, kind: str, **facts: Any) -> None:
        """Tell at once."""
        self.tell(kind, **facts)
        self.channel.flush()

    def ask(self, kind: str, **facts: Any) -> Any:
        """Tell, then wait for the answer."""
        self.announce(kind, **facts)
        return self.hear()

    def ask_early(self, kind: str, **facts: Any) -> None:
        """Tell, and wait in `settle` for the answer, which must come before anything is written."""
        self.announce(kind, **facts)
        self.owed = True

    def settle(self) -> None:
        """Hear the answer that is owed, if any; `waited` are the seconds that this took in all."""
        if self.owed:
            self.owed, began = False, time.perf_counter()
            self.hear()
            self.waited += time.perf_counter() - began

    def hear(self) -> Any:
        """The next answer. The parent's end is our end."""
        answer = self.orders.readline()
        if not answer:
            os._exit(1)
        return json.loads(answer)


# ------------------------------------------------------------------ pointing every alias at the scratch server


def databases(settings: Any) -> Iterator[Fact]:
    """Each alias, and the one whose database it shares: a replica, or the same place named twice."""
    seen: Dict[Any, str] = {}  # noqa: UP006
    for alias, database in configured(settings).items():
        place = tuple(str(database.get(key) or "") for key in ("ENGINE", "HOST", "PORT", "NAME"))
        mirror = (database.get("TEST") or {}).get("MIRROR")
        same = mirror or (seen.setdefault(place, alias) if place[3] else alias)
        options = (database.get("OPTIONS") or {}).get("options")
        yield {
            "alias": alias,
            "engine": database.get("ENGINE") or "",
            "same_as": same,
            "postgresql": is_postgresql(database.get("ENGINE") or ""),
            "options": options if isinstance(options, str) else "",
        }


def configured(settings: Any) -> Fact:
    return dict(settings.DATABASES) or {"default": {}}


def is_postgresql(engine: str) -> bool:
    try:
        return bool(import_module(engine + ".base").DatabaseWrapper.vendor == "postgresql")
    except Exception:  # another database's driver is missing, or the backend is the project's own code
        return False


def point(settings: Any, order: Fact) -> None:
    """Replace DATABASES; a backend that is not PostgreSQL's gives way to Django's own for PostgreSQL."""
    made = {}
    for alias, old in configured(settings).items():
        engine = old.get("ENGINE") or ""
        options = {key: value for key, value in (old.get("OPTIONS") or {}).items() if key in KEPT_OPTIONS}
        made[alias] = {
            **old,
            "ENGINE": engine if is_postgresql(engine) else "django.db.backends.postgresql",
            "NAME": order["names"][alias],
            "HOST": order["host"],
            "PORT": order["port"],
            "USER": order["user"],
            "PASSWORD": "",
            "OPTIONS": options,
            "CONN_MAX_AGE": None,
            "TEST": {},
        }
    settings.DATABASES = made
    connections = import_module("django.db").connections
    connections._settings = None
    connections.__dict__.pop("settings", None)


def refuse_elsewhere(order: Fact) -> None:
    """Raise Stop unless every alias leads to its scratch database, asked of the backend itself and not of settings."""
    connections = import_module("django.db").connections
    wanted = {"host": order["host"], "port": str(order["port"]), "user": order["user"]}
    for alias in connections:
        params = dict(connections[alias].get_connection_params())
        leads = {key: str(params.get(key) or "") for key in wanted}
        name = params.get("dbname", params.get("database"))
        aside = any(params.get(key) for key in ("service", "hostaddr", "dsn", "conninfo"))
        if leads != wanted or name != order["names"].get(alias) or aside:
            raise Stop("elsewhere", alias=alias)


def only_scratch(order: Fact) -> None:
    """Make both drivers refuse any other host, also to code that connects by itself."""
    for name in ("psycopg", "psycopg2"):
        try:
            driver = import_module(name)
        except ImportError:
            continue
        connect = refusing(driver.connect, parser(driver), order["host"])
        setattr(driver, "connect", connect)  # noqa: B010  an attribute of a module only known at run time


def parser(driver: Any) -> Callable[..., Any]:
    if hasattr(driver, "conninfo"):
        return driver.conninfo.conninfo_to_dict  # type: ignore[no-any-return]
    return driver.extensions.parse_dsn  # type: ignore[no-any-return]


def refusing(connect: Any, parse: Any, host: str) -> Any:
    def guarded(*args: Any, **options: Any) -> Any:
        text = args[0] if args else options.get("dsn", options.get("conninfo", ""))
        leads = {**(parse(text) if text else {}), **options}
        if leads.get("host") != host or leads.get("service") or leads.get("hostaddr"):
            raise import_module("django.db.utils").OperationalError(
                "a replay connects to its scratch server only; this connection was refused"
            )
        return connect(*args, **options)

    return guarded


# ------------------------------------------------------------------ watching one connection


class Watch:
    """What one connection sends and is told, and how many tuples of each catalog it wrote."""

    def __init__(self, connection: Any, order: Fact, talk: Talk) -> None:
        self.connection, self.talk = connection, talk
        self.paused = True
        self.operation: Any = None
        self.statements: list[Any] = []
        self.notices: list[Any] = []
        self.heard: Any = None
        connection.ensure_connection()
        self.listen()
        (row,) = self.rows("SELECT extract(epoch FROM pg_postmaster_start_time())::text, current_database()")
        if list(row) != [order["token"], order["names"][connection.alias]]:
            raise Stop("elsewhere", alias=connection.alias)
        self.counted = connection.pg_version >= 150000 and order.get("counters", True)
        oids = [str(int(oid)) for (oid,) in self.rows(CATALOGS)]
        self.counters = COUNTERS.format(oids="{" + ",".join(oids) + "}")
        self.last: Any = None
        self.tables = self.row_counts()

    def rows(self, sql: str) -> list[Any]:
        """Ask the driver itself: this is not the project's SQL."""
        with self.connection.connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def listen(self) -> None:
        """Hear the server's notices, on a connection that may be a new one."""
        raw = self.connection.connection
        if raw is None or raw is self.heard:
            return
        if hasattr(raw, "add_notice_handler"):
            raw.add_notice_handler(self.notice)
        else:
            raw.notices = Notices(self)
        self.heard = raw

    def notice(self, diagnostic: Any) -> None:
        self.add_notice(diagnostic.severity_nonlocalized or "NOTICE", diagnostic.message_primary or "")

    def add_notice(self, severity: str, message: str) -> None:
        if not self.paused:
            self.notices.append([self.operation, severity, message])

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.talk.settle()
        self.listen()
        if self.paused:
            return execute(sql, params, many, context)
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            seconds = time.perf_counter() - began
            cursor = context["cursor"]
            self.statements.append(
                [self.operation, self.text(cursor, sql, params, many), seconds, cursor.rowcount]
            )

    def text(self, cursor: Any, sql: Any, params: Any, many: bool) -> str:
        if not isinstance(sql, str):
            sql = sql.as_string(self.connection.connection) if hasattr(sql, "as_string") else str(sql)
        if not params or many or len(sql) > LONGEST:
            return sql if not params else shorten(sql)
        try:
            sent = self.connection.ops.last_executed_query(cursor, sql, params)
        except Exception:  # the statement failed, or its values cannot be shown: its text can
            return shorten(sql)
        return shorten(str(sent))

    def wrote(self) -> Any:
        """Catalog OID -> tuples inserted, updated, deleted since ever, as this session can tell; None: it cannot."""
        raw = self.connection.connection
        if not self.counted or raw is None or raw.info.transaction_status == FAILED:
            self.last = None
        else:
            self.last = raw.info.backend_pid, {oid: counts for oid, *counts in self.rows(self.counters)}
        return self.last

    def wrote_by_now(self) -> Any:
        """`wrote` as last asked: where nothing but Django's bookkeeping can have been sent since."""
        return self.last or self.wrote()

    def row_counts(self) -> Any:
        if not self.counted:
            return None
        return {oid: counts for oid, *counts in self.rows(ROWS)}


def shorten(sql: str) -> str:
    return sql if len(sql) <= LONGEST else sql[:LONGEST] + " ..."


class Notices:
    """psycopg2 appends each notice to a list of its own, as one text: "WARNING:  message"."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def append(self, text: str) -> None:
        severity, _, message = text.partition(":")
        self.watch.add_notice(severity, message.strip())


FAILED = 3
"""libpq's PQTRANS_INERROR."""

CATALOGS = """
SELECT oid::int8 FROM pg_catalog.pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
  AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_largeobject_metadata')
"""
COUNTERS = """
SELECT * FROM (
    SELECT o::int8,
        pg_stat_get_tuples_inserted(o) + pg_stat_get_xact_tuples_inserted(o) AS i,
        pg_stat_get_tuples_updated(o) + pg_stat_get_xact_tuples_updated(o) AS u,
        pg_stat_get_tuples_deleted(o) + pg_stat_get_xact_tuples_deleted(o) AS d
    FROM unnest('{oids}'::oid[]) AS o
    OFFSET 0
) c WHERE i + u + d > 0
"""
"""Flushed counts plus this session's own that are not: their sum does not depend on when PostgreSQL flushes.

OFFSET keeps the planner from asking for each of them twice: this is run once a migration, and never prepared.
"""
ROWS = """
SELECT c.oid::int8,
    pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_inserted(c.oid),
    pg_stat_get_tuples_updated(c.oid) + pg_stat_get_xact_tuples_updated(c.oid),
    pg_stat_get_tuples_deleted(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid)
FROM pg_catalog.pg_class c
WHERE c.relkind = 'r' AND c.relname <> 'django_migrations' AND c.relpersistence <> 't'
  AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                             'pg_toast'::regnamespace)
"""


def difference(before: Any, after: Any) -> Any:
    """OID -> [inserted, updated, deleted] of those that moved; None when one side could not be told."""
    if before is None or after is None:
        return None
    zero = (0, 0, 0)
    moved = {oid: [a - b for a, b in zip(counts, before.get(oid, zero))] for oid, counts in after.items()}  # noqa: B905
    return {oid: counts for oid, counts in moved.items() if any(counts)}


def written(before: Any, after: Any) -> Any:
    """`difference` of two `Watch.wrote`; None when the session was another one in between."""
    if before is None or after is None or before[0] != after[0]:
        return None
    return difference(before[1], after[1])


# ------------------------------------------------------------------ one migration


def database_parts(operation: Any) -> Iterator[Any]:
    """The operation, or those that SeparateDatabaseAndState runs against the database."""
    inside = getattr(operation, "database_operations", None)
    if inside is None:
        yield operation
        return
    for part in inside:
        yield from database_parts(part)


def is_free(operation: Any) -> bool:
    """Whether it may send anything at all: RunSQL, RunPython and what is not Django's own."""
    return any(
        type(part).__name__ in ("RunSQL", "RunPython")
        or not type(part).__module__.startswith("django.db.migrations.operations.")
        for part in database_parts(operation)
    )


def is_djangos(migration: Any) -> bool:
    """Whether nothing but Django's own code runs before an operation is let at the database."""
    base = import_module("django.db.migrations").Migration
    return type(migration).apply is base.apply and all(map(is_djangos_operation, migration.operations))


def is_djangos_operation(operation: Any) -> bool:
    parts = (getattr(operation, side, None) or () for side in ("database_operations", "state_operations"))
    own = type(operation).__module__.startswith("django.")
    return own and all(is_djangos_operation(part) for side in parts for part in side)


class Tracked:
    """One migration's operations, with what each wrote; lasts for one application of it."""

    def __init__(self, watch: Watch, migration: Any) -> None:
        self.watch, self.migration = watch, migration
        self.outcomes: list[Fact] = []

    def __enter__(self) -> Tracked:
        self.watch.statements, self.watch.notices, self.outcomes = [], [], []
        for group, operation in enumerate(self.migration.operations):
            self.outcomes.append(
                {"group": group, "kind": type(operation).__name__, "free": is_free(operation)}
            )
            for way in ("database_forwards", "database_backwards"):
                setattr(operation, way, self.tracked(group, getattr(operation, way)))
        return self

    def __exit__(self, *exception: Any) -> None:
        for operation in self.migration.operations:
            for way in ("database_forwards", "database_backwards"):
                operation.__dict__.pop(way, None)

    def tracked(self, group: int, original: Any) -> Any:
        def run(*args: Any, **options: Any) -> Any:
            self.watch.talk.settle()
            outcome = self.outcomes[group]
            wrote = self.watch.wrote if group else self.watch.wrote_by_now
            before = wrote() if outcome["free"] else None
            self.watch.operation = group
            try:
                return original(*args, **options)
            finally:
                self.watch.operation = None
                outcome["ran"] = True
                if before is not None and not sys.exc_info()[0]:
                    moved = written(before, self.watch.wrote())
                    outcome["touched"] = None if moved is None else bool(moved)

        return run


class Replay:
    """Applies the plan of one alias through Django's own executor, telling each migration as it goes."""

    def __init__(self, connection: Any, talk: Talk, order: Fact, places: Places) -> None:
        self.connection, self.talk, self.order, self.places = connection, talk, order, places
        self.watch = Watch(connection, order, talk)
        self.reader = Migrations(talk.tell, places)
        self.mark = self.watch.wrote()
        self.touched: Any = None
        base: Any = import_module("django.db.migrations.executor").MigrationExecutor
        replay = self

        class Executor(base):  # type: ignore[misc]
            def apply_migration(self, state: Any, migration: Any, **options: Any) -> Any:
                return replay.migration(super(), state, migration)

            def record_migration(self, *args: Any, **options: Any) -> Any:
                with replay.aside():
                    return super().record_migration(*args, **options)  # `forward` since Django 6.0

            def unapply_migration(self, state: Any, migration: Any, **options: Any) -> Any:
                return super().unapply_migration(state, migration)

        self.executor = Executor(connection)

    def aside(self) -> Aside:
        return Aside(self.watch)

    def run(self) -> None:
        executor, alias = self.executor, self.connection.alias
        targets = executor.loader.graph.leaf_nodes()
        plan = executor.migration_plan(targets)[: self.order["first"]]
        self.talk.ask("plan", alias=alias, migrations=[label(migration) for migration, _ in plan])
        signals = import_module("django.core.management.sql")
        state = executor._create_project_state(with_applied_migrations=True)
        signals.emit_pre_migrate_signal(0, False, alias, apps=state.apps, plan=plan)
        with self.connection.execute_wrapper(self.watch):
            state = executor.migrate(targets, plan=plan, state=state.clone())
        self.talk.ask("settled", alias=alias)
        mark = self.watch.wrote()
        if self.order["first"] is None:
            state.clear_delayed_apps_cache()
            signals.emit_post_migrate_signal(0, False, alias, apps=state.apps, plan=plan)
        self.talk.ask("signals", alias=alias, touched=written(mark, self.watch.wrote()))

    def migration(self, executor: Any, state: Any, migration: Any) -> Any:
        """Apply one migration through Django's own method, between two looks of the parent."""
        before = state.clone() if self.order["reverse"] else None
        free = any(is_free(operation) for operation in migration.operations)
        waits = free or self.order["reverse"] or self.touched != {}
        early = before is None and is_djangos(migration)
        (self.talk.announce if not waits else self.talk.ask_early if early else self.talk.ask)(
            "begin",
            waits=waits,
            alias=self.connection.alias,
            migration=label(migration),
            replaces=[".".join(pair) for pair in migration.replaces],
            routed=import_module("django.db").router.allow_migrate(
                self.connection.alias, migration.app_label
            ),
            facts=self.reader.fact(migration) if free else None,
            touched=written(self.mark, self.watch.wrote()) if self.mark else None,
        )
        self.mark = None
        told, after, _ = self.once(migration, lambda: executor.apply_migration(state, migration))
        self.touched = told["touched"]
        (self.talk.tell if before is None else self.talk.ask)("done", **told)
        if told["error"]:
            raise Halt
        if before is not None:
            self.back_and_forth(executor, before, migration)
        return after

    def back_and_forth(self, executor: Any, before: Any, migration: Any) -> None:
        """Undo it and do it again; a failure that may have left half of it behind ends the run."""
        irreversible = import_module("django.db.migrations.exceptions").IrreversibleError
        told, _, error = self.once(migration, lambda: executor.unapply_migration(before.clone(), migration))
        told["irreversible"] = isinstance(error, irreversible)
        self.talk.ask("reversed", **told)
        if error is None:
            told, _, error = self.once(migration, lambda: executor.apply_migration(before.clone(), migration))
            self.talk.ask("reapplied", **told)
        elif migration.atomic or told["irreversible"]:
            return
        if error is not None:
            raise Halt

    def once(self, migration: Any, act: Callable[[], Any]) -> Any:
        """(what to tell, the value of `act`, its error). A migration is the project's code: it may raise anything."""
        watch, waited = self.watch, self.talk.waited
        before, began, value, failure = watch.wrote_by_now(), time.perf_counter(), None, None
        watch.paused = False
        with Tracked(watch, migration) as tracked:
            try:
                value = act()
            except (Exception, SystemExit) as error:
                failure = error
            finally:
                watch.paused = True
        self.talk.settle()  # no operation had anything to do with the database
        seconds = time.perf_counter() - began - (self.talk.waited - waited)
        told = {
            "migration": label(migration),
            "seconds": seconds,
            "statements": watch.statements,
            "notices": watch.notices,
            "operations": tracked.outcomes,
            "error": None if failure is None else self.failure(failure),
        }
        try:
            self.connection.ensure_connection()
            watch.listen()
            told.update(touched=written(before, watch.wrote()), rows=self.rows(tracked))
        except Exception:  # whichever driver it is: the session is lost, and the parent will see what is left
            told.update(touched=None, rows=None)
        return told, value, failure

    def rows(self, tracked: Tracked) -> Any:
        """Rows written by table; only looked at where something else than DDL can have been sent."""
        words = ("INSERT", "UPDATE", "DELETE", "COPY", "MERGE", "WITH")
        writes = any(sql.lstrip()[:6].upper().startswith(words) for _, sql, _, _ in self.watch.statements)
        if not writes and not any(outcome["free"] and outcome.get("ran") for outcome in tracked.outcomes):
            return {}
        before, self.watch.tables = self.watch.tables, self.watch.row_counts()
        return difference(before, self.watch.tables)

    def failure(self, error: BaseException) -> Fact:
        code: Any = None
        cause: Any = error
        while cause is not None and code is None:
            code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
            cause = cause.__cause__
        return {**describe(error, self.places), "sqlstate": code}


class Aside:
    """While it lasts, what is sent is Django's own bookkeeping."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.was = watch, watch.paused

    def __enter__(self) -> None:
        self.was, self.watch.paused = self.watch.paused, True

    def __exit__(self, *exception: Any) -> None:
        self.watch.paused = self.was


def label(migration: Any) -> str:
    return f"{migration.app_label}.{migration.name}"


# ------------------------------------------------------------------ the run


def run(talk: Talk, module: str) -> None:
    """Load the project with its databases turned to the scratch server, and replay alias after alias."""
    places = Places(os.getcwd())
    try:
        django = import_module("django")
    except ImportError:
        raise Stop("no-django", python=platform.python_version()) from None
    if not OLDEST <= django.VERSION[:2] <= NEWEST:
        raise Stop("version", framework="Django " + django.get_version())
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    with stage("settings", places):
        settings = import_module("django.conf").settings
        aliases = list(databases(settings))
    talk.tell("secrets", settings=settings_secrets(settings))
    order = talk.ask(
        "project",
        databases=aliases,
        framework="Django " + django.get_version(),
        python=platform.python_version(),
    )
    with stage("setup", places):
        only_scratch(order)
        point(settings, order)
        refuse_elsewhere(order)
        django.setup()
        refuse_elsewhere(order)
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    connections = import_module("django.db").connections
    done = set()
    for alias in sorted(connections, key=lambda name: (name != "default", name)):
        if order["names"][alias] not in done:
            done.add(order["names"][alias])
            with stage("migrations", places):
                Replay(connections[alias], talk, order, places).run()


def main(arguments: list[str]) -> None:
    """Keep the pipes for the protocol, give the project standard error instead, and run."""
    talk = Talk()
    sys.path[0] = os.getcwd()
    try:
        if sys.version_info < (3, 8):  # noqa: UP036  the project's interpreter, not ours
            raise Stop("python", python=platform.python_version())
        run(talk, arguments[0])
    except Stop as stop:
        if not isinstance(stop.__cause__, Halt):
            talk.tell("error", **stop.facts)
    talk.tell("end")
    talk.channel.close()


if __name__ == "__main__":
    main(sys.argv[1:])
