"""The ledger of real replays: the demo, and a project of small migrations that each do one odd thing."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from contrib import needs_extension
from django_projects import MANAGE, python_of, write

from rcakit import demo, replay, scratch
from rcakit.errors import ProjectError, ScratchError
from rcakit.ledger import Ledger, Step
from rcakit.replay import Options, environment
from rcakit.scratch.binaries import Binaries, installed

SETTINGS = """\
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "production", "HOST": "db.invalid",
                         "PASSWORD": "hush", "OPTIONS": {"service": "production"}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

MODEL = """\
        migrations.CreateModel("Venue", [("id", models.BigAutoField(primary_key=True)),
                                         ("name", models.CharField(max_length=30))]),
"""


def migration(operations: str, after: str | None = None, extra: str = "", before: str = "") -> str:
    depends = f'("shop", "{after}")' if after else ""
    return f"""\
from django.db import connection, migrations, models
from django.contrib.postgres.operations import *

{before}

class Migration(migrations.Migration):
    {extra or "pass"}
    dependencies = [{depends}]
    operations = [
{operations}
    ]
"""


def sql(text: str, reverse: str | None = None) -> str:
    return f"        migrations.RunSQL({text!r}, {reverse!r}),\n"


def project(directory: Path, *steps: str | tuple[str, str, str], settings: str = SETTINGS) -> Path:
    """An app `shop` with these operations, one migration each: 0001, 0002, .."""
    files = {"manage.py": MANAGE, "config/settings.py": settings, "shop/models.py": ""}
    previous = None
    for number, step in enumerate(steps, 1):
        operations, extra, before = (step, "", "") if isinstance(step, str) else step
        files[f"shop/migrations/{number:04}.py"] = migration(operations, previous, extra, before)
        previous = f"{number:04}"
    return write(directory, files)


def replayed(server: scratch.Server, path: Path, **options: object) -> Ledger:
    return replay.run(
        path,
        settings="config.settings",
        python=sys.executable,
        server=server,
        options=Options(**{"timeout": 100, **options}),  # type: ignore[arg-type]
    )


def kinds(ledger: Ledger) -> dict[str, str]:
    return {step.migration.removeprefix("shop."): step.kind for step in ledger.steps}


def databases(server: scratch.Server) -> set[str]:
    with server.connect() as connection:
        return {str(name) for (name,) in connection.execute("SELECT datname FROM pg_database")}


def roles(server: scratch.Server) -> set[str]:
    with server.connect() as connection:
        return {str(name) for (name,) in connection.execute("SELECT rolname FROM pg_roles")}


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    server: scratch.Server = request.getfixturevalue("server")
    before = databases(server), roles(server)
    yield
    assert (databases(server), roles(server)) == before


# ------------------------------------------------------------------ the demo


def demo_project(directory: Path, *, healthy: bool = False) -> Path:
    for name, text in demo.sources(healthy=healthy).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory / "project"


@pytest.fixture(scope="module")
def incident(server: scratch.Server, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    path = demo_project(tmp_path_factory.mktemp("demo"))
    return replay.run(path, settings=None, python=sys.executable, server=server)


def test_the_demo_has_exactly_one_silent_no_op(incident: Ledger) -> None:
    (silent,) = incident.silent()
    assert silent.migration == "administrate.0003_migrate_to_adm_schema"
    assert [str(change) for change in silent.changes] == ["created schema adm"]
    assert [outcome.result for outcome in silent.outcomes] == ["changed"] + ["no-op"] * 7


def test_all_seven_guards_were_false_and_the_name_that_was_meant_is_told(incident: Ledger) -> None:
    moves = incident.silent()[0].guards[1:]
    assert [(guard.verdict.as_role, guard.branch, guard.effects) for guard in moves] == [
        (False, "skipped", "absent")
    ] * 7
    nearest = {str(guard.verdict.nearest.qualified) for guard in moves if guard.verdict.nearest}
    assert 'public."adm.venues"' in nearest
    assert len(nearest) == 7


def test_the_other_steps_of_the_demo_are_what_they_say(incident: Ledger) -> None:
    others = {step.kind for step in incident.steps if step not in incident.silent()}
    assert others == {"changed", "state-only", "vacuous"}
    first = incident.step("administrate.0001_initial")
    assert sum(change.kind == "created" for change in first.changes) == 7
    assert incident.unread == ()


def test_the_end_state_is_the_catalog_of_the_default_alias(incident: Ledger) -> None:
    assert incident.catalog.by_name.get(("public", "adm.venues"))
    assert incident.server_version in incident.catalog.server.version


@pytest.mark.parametrize("found", list(installed()), ids=lambda found: found.version)
def test_every_version_at_hand_tells_the_same(incident: Ledger, found: Binaries, tmp_path: Path) -> None:
    path = demo_project(tmp_path)
    with scratch.server(binaries=found.path) as own:
        ledger = replay.run(path, settings=None, python=sys.executable, server=own)
    assert ledger.server_version == found.version
    assert [told(step) for step in ledger.steps] == [told(step) for step in incident.steps]


def told(step: Step) -> tuple[object, ...]:
    """What a step says of itself, but for its time."""
    return step.migration, step.kind, step.why, list(map(str, step.changes)), step.rows


def test_the_healthy_demo_has_no_silent_no_op(server: scratch.Server, tmp_path: Path) -> None:
    path = demo_project(tmp_path, healthy=True)
    ledger = replay.run(path, settings=None, python=sys.executable, server=server)
    assert ledger.silent() == ()
    assert ledger.failed is None


def test_a_ledger_becomes_json(incident: Ledger) -> None:
    steps = json.loads(json.dumps(incident.to_json()))
    assert {"migration", "class", "changes", "guards", "seconds"} <= steps[0].keys()
    assert [step["class"] for step in steps].count("silent-no-op") == 1


# ------------------------------------------------------------------ classes of steps

DO = "DO $$ BEGIN IF EXISTS (SELECT FROM pg_tables WHERE tablename = '{0}') THEN {1}; END IF; END $$"

CLASSES = {
    "guarded, and the table is not there": (
        sql(DO.format("shop_venues", "ALTER TABLE shop_venues RENAME TO shop_halls")), "silent-no-op"),
    "guarded, and it was done already": (
        sql(DO.format("shop_venues", "ALTER TABLE shop_venues RENAME TO shop_venue")), "vacuous"),
    "guarded, and it happens": (
        sql(DO.format("shop_venue", "ALTER TABLE shop_venue RENAME TO shop_halls")), "changed"),
    "a clause, and the table is not there": (
        sql("ALTER TABLE IF EXISTS shop_venues SET SCHEMA pg_catalog"), "silent-no-op"),
    "a clause on a table without an effect to see": (
        sql("ALTER TABLE IF EXISTS shop_venues OWNER TO postgres"), "silent-no-op"),
    "dropping what is not there": (sql("DROP TABLE IF EXISTS shop_venues"), "vacuous"),
    "dropping a column that is not there": (
        sql("ALTER TABLE shop_venue DROP COLUMN IF EXISTS nothing"), "vacuous"),
    "creating what is there": (sql("CREATE TABLE IF NOT EXISTS shop_venue (x int)"), "vacuous"),
    "creating what is not there": (sql("CREATE TABLE IF NOT EXISTS shop_other (x int)"), "changed"),
    "one text, a create and a guard that is false": (
        sql("CREATE SCHEMA IF NOT EXISTS a; " + DO.format("shop_venues", "ALTER TABLE shop_venues SET SCHEMA a")),
        "silent-no-op"),
    "a guard that an earlier operation makes true": (
        sql("CREATE TABLE shop_venues (x int)") + sql(DO.format("shop_venues", "ALTER TABLE shop_venues RENAME TO shop_halls")),
        "changed"),
    "an enum's value": (sql("CREATE TYPE mood AS ENUM ()") + sql("ALTER TYPE mood ADD VALUE 'good'"), "changed"),
    "rows": (sql("INSERT INTO shop_venue (name) VALUES ('a'), ('b')"), "data-only"),
    "no rows": (sql("UPDATE shop_venue SET name = ''"), "vacuous"),
    "a function that finds no rows": (
        "migrations.RunPython(lambda apps, editor: list(apps.get_model('shop', 'Venue').objects.all())),", "vacuous"),
    "a function that does nothing": ("migrations.RunPython(migrations.RunPython.noop),", "vacuous"),
    "state only, said so": (
        "migrations.SeparateDatabaseAndState(state_operations=["
        "migrations.CreateModel('B', [('id', models.BigAutoField(primary_key=True))])]),", "state-only"),
    "state only, options": ("migrations.AlterModelOptions('venue', {'ordering': ['name']}),", "state-only"),
    "no operation": ("", "state-only"),
    "an extension that is there by now": ("CITextExtension(), CITextExtension(),", "changed"),
    "SQL in Python, and the table is not there": (
        "migrations.RunPython(lambda apps, editor: editor.execute('ALTER TABLE IF EXISTS shop_v RENAME TO shop_w')),",
        "silent-no-op"),
}  # fmt: skip


def extension_of(operations: str) -> str:
    return "citext" if "CITextExtension" in operations else ""


@pytest.fixture(scope="module")
def classes(server: scratch.Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each case in an application of its own, all in one replay: what is called `shop` in it bears the application's name."""
    with server.connect() as connection:
        there = {"", *(name for (name,) in connection.execute("SELECT name FROM pg_available_extensions"))}
    files = {"manage.py": MANAGE}
    apps = {
        name: f"shop{n}" for n, (name, case) in enumerate(CLASSES.items()) if extension_of(case[0]) in there
    }
    for name, app in apps.items():
        for number, operations in (("0001", MODEL), ("0002", CLASSES[name][0])):
            text = migration(operations, "0001" if number > "0001" else None)
            files[f"{app}/migrations/{number}.py"] = text.replace("shop", app)
    files["config/settings.py"] = SETTINGS.replace('["shop"]', str(list(apps.values())))
    ledger = replayed(server, write(tmp_path_factory.mktemp("classes"), files))
    kind = {step.migration: step.kind for step in ledger.steps}
    return {name: kind.get(f"{app}.0002", "not run") for name, app in apps.items()}


@pytest.mark.parametrize("name", CLASSES)
def test_a_migration_is_what_it_did(server: scratch.Server, classes: dict[str, str], name: str) -> None:
    if extension := extension_of(CLASSES[name][0]):
        with server.connect() as connection:
            needs_extension(connection, extension)
    assert classes[name] == CLASSES[name][1]


def test_rows_are_counted_by_table_also_those_a_function_writes(
    server: scratch.Server, tmp_path: Path
) -> None:
    fill = """
def fill(apps, editor):
    venues = apps.get_model("shop", "Venue").objects
    venues.bulk_create([venues.model(name=str(n)) for n in range(5)])
    venues.filter(name__lt="2").update(name="x")
    venues.filter(name="4").delete()
"""
    path = project(tmp_path, MODEL, ("migrations.RunPython(fill),", "", fill), sql("DROP TABLE shop_venue"))
    ledger = replayed(server, path)
    assert ledger.step("shop.0002").rows == {"public.shop_venue": (5, 2, 1)}
    assert ledger.step("shop.0001").rows == {}


def test_notices_that_django_hides_are_kept(server: scratch.Server, tmp_path: Path) -> None:
    say = "DO $$ BEGIN RAISE NOTICE 'skipped %', 1; RAISE WARNING 'beware'; END $$"
    ledger = replayed(server, project(tmp_path, sql(say)))
    said = [(notice.severity, notice.message, notice.operation) for notice in ledger.steps[0].notices]
    assert said == [("NOTICE", "skipped 1", 0), ("WARNING", "beware", 0)]


def test_the_sql_really_sent_is_kept_and_no_bookkeeping(server: scratch.Server, tmp_path: Path) -> None:
    ask = "migrations.RunSQL([('SELECT %s', ['it is'])]),"
    step = replayed(server, project(tmp_path, MODEL, ask)).step("shop.0002")
    assert [(sent.sql, sent.rowcount) for sent in step.statements] == [("SELECT 'it is'", 1)]
    assert step.statements[0].seconds > 0


# ------------------------------------------------------------------ ways to run


def test_not_atomic_and_concurrently(server: scratch.Server, tmp_path: Path) -> None:
    index = "AddIndexConcurrently('venue', models.Index(fields=['name'], name='by_name')),"
    guarded = sql("ALTER TABLE IF EXISTS v RENAME TO w") + sql(
        "CREATE INDEX CONCURRENTLY more ON shop_venue (id)"
    )
    ledger = replayed(
        server, project(tmp_path, MODEL, (index, "atomic = False", ""), (guarded, "atomic = False", ""))
    )
    assert [str(change) for change in ledger.step("shop.0002").changes] == [
        "created index by_name on public.shop_venue"
    ]
    assert [outcome.result for outcome in ledger.step("shop.0003").outcomes] == ["no-op", "changed"]


EARLY = """
def create():
    with connection.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE early (x int)")


class Creates(migrations.RunSQL):
    def state_forwards(self, *args):
        create()
"""


@pytest.mark.parametrize(
    "step",
    [
        ("", "atomic = False; apply = lambda self, state, editor: create() or state", EARLY),
        ("        Creates(''),\n", "atomic = False", EARLY),
    ],
)
def test_what_is_sent_before_the_first_operation_belongs_to_its_migration(
    server: scratch.Server, tmp_path: Path, step: tuple[str, str, str]
) -> None:
    """By a migration's own code, and past Django, while much of an earlier look is still to be read."""
    many = "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (x int PRIMARY KEY)', i); END LOOP; END $$"
    ledger = replayed(server, project(tmp_path, sql(many), sql("CREATE TABLE late (x int)"), step))
    told = [[change.after for change in each.changes] for each in ledger.steps]
    assert told[1:] == [["public.late"], ["public.early"]]


def test_without_counters_the_same_is_told(server: scratch.Server, tmp_path: Path) -> None:
    moved = sql("CREATE SCHEMA a") + sql("ALTER TABLE shop_venue SET SCHEMA a")
    path = project(tmp_path, MODEL, moved, sql(DO.format("venues", "ALTER TABLE venues SET SCHEMA a")))
    with_counters, without = replayed(server, path), replayed(server, path, counters=False)
    assert (
        kinds(without)
        == kinds(with_counters)
        == {"0001": "changed", "0002": "changed", "0003": "silent-no-op"}
    )
    told = [[str(change) for change in step.changes] for step in without.steps]
    assert told == [[str(change) for change in step.changes] for step in with_counters.steps]


def test_a_squashed_migration_stands_for_those_it_replaces(server: scratch.Server, tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, sql("CREATE TABLE a (x int)"))
    squash = migration(
        MODEL + sql("CREATE TABLE a (x int)"), None, 'replaces = [("shop", "0001"), ("shop", "0002")]'
    )
    (path / "shop/migrations/0001_squashed_0002.py").write_text(squash)
    ledger = replayed(server, path)
    assert kinds(ledger) == {"0001_squashed_0002": "changed"}
    assert ledger.steps[0].replaces == ("shop.0001", "shop.0002")


ROUTED = (
    SETTINGS
    + """
DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "other.sqlite3"}
DATABASES["replica"] = {"ENGINE": "django.db.backends.postgresql", "NAME": "r", "TEST": {"MIRROR": "default"}}
class Router:
    def allow_migrate(self, db, app_label, **hints):
        return db == "other"
DATABASE_ROUTERS = [Router()]
"""
)


def test_every_alias_gets_a_database_of_its_own_and_routers_are_asked(
    server: scratch.Server, tmp_path: Path
) -> None:
    path = project(tmp_path, MODEL, sql("CREATE TABLE a (x int)"), settings=ROUTED)
    ledger = replayed(server, path)
    assert [(step.alias, step.kind) for step in ledger.steps] == [
        ("default", "vacuous"), ("default", "vacuous"), ("other", "changed"), ("other", "changed"),
    ]  # fmt: skip
    assert ledger.databases["replica"] == ledger.databases["default"] != ledger.databases["other"]
    assert "sqlite3" in ledger.unread[0].reason


INTERLEAVED = {
    ("shop", "0001"): ((), "CREATE TABLE venues (id int)"),
    ("stock", "0001"): (("shop", "0001"), "CREATE TABLE items (venue int)"),
    ("shop", "0002"): (("stock", "0001"), DO.format("items", "ALTER TABLE items ADD COLUMN price int")),
    ("staff", "0001"): (("shop", "0002"), DO.format("item", "ALTER TABLE item ADD COLUMN owner int")),
    ("stock", "0002"): (("staff", "0001"), "ALTER TABLE venues RENAME TO halls"),
    ("shop", "0003"): (("stock", "0002"), "ALTER TABLE IF EXISTS venues ADD COLUMN name text"),
}
"""(application, migration) -> what it waits for in another application, and the SQL it runs."""


def interleaved(directory: Path) -> Path:
    apps = dict.fromkeys(app for app, _ in INTERLEAVED)
    settings = SETTINGS.replace('["shop"]', repr(list(apps)))
    files = {"manage.py": MANAGE, "config/settings.py": settings, **{f"{app}/models.py": "" for app in apps}}
    for (app, name), (after, text) in INTERLEAVED.items():
        own = (app, f"{int(name) - 1:04}")
        waits = [each for each in (after, own) if each and each in INTERLEAVED]
        again = f"dependencies = {waits!r}\n    operations = [migrations.RunSQL({text!r}, '')]\n"
        files[f"{app}/migrations/{name}.py"] = migration("") + f"    {again}"
    return write(directory, files)


def test_migrations_of_apps_that_wait_for_each_other_back_and_forth(
    server: scratch.Server, tmp_path: Path
) -> None:
    """Each is told what it did itself, also to another application's table, and what another one left it to find."""
    ledger = replayed(server, interleaved(tmp_path))
    assert [(step.migration, step.kind) for step in ledger.steps] == [
        ("shop.0001", "changed"), ("stock.0001", "changed"), ("shop.0002", "changed"),
        ("staff.0001", "silent-no-op"), ("stock.0002", "changed"), ("shop.0003", "silent-no-op"),
    ]  # fmt: skip
    assert [str(change) for change in ledger.step("shop.0002").changes] == [
        "created column public.items.price"
    ]
    assert [str(change) for change in ledger.step("stock.0002").changes] == [
        "renamed table public.venues -> public.halls"
    ]
    assert "did nothing" in ledger.step("staff.0001").why


def test_a_held_database_is_there_to_be_cloned_and_replayed_further(
    server: scratch.Server, tmp_path: Path
) -> None:
    path = project(tmp_path, MODEL)
    where = {"settings": "config.settings", "python": sys.executable, "server": server}
    with (
        replay.hold(path, **where) as ledger,
        server.database("clone", template=ledger.databases["default"]) as clone,
    ):
        project(path, MODEL, sql("DROP TABLE shop_venue"))
        rest = replay.run(path, database=clone, **where)
        assert kinds(rest) == {"0002": "changed"}
        assert [str(change) for change in rest.steps[0].changes] == [
            "dropped table public.shop_venue (2 columns, 1 constraint, 1 index)"
        ]
        assert clone in databases(server)


def test_each_step_is_announced(server: scratch.Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = project(tmp_path, MODEL, sql("SELECT 1"))
    replay.run(
        path,
        settings="config.settings",
        python=sys.executable,
        server=server,
        on_step=lambda *step: seen.append(step),
    )
    assert seen == [("shop.0001", 1, 2), ("shop.0002", 2, 2)]


@pytest.mark.parametrize("environment", ["py38-django32", "py311-django42"])
def test_older_djangos_and_drivers_tell_the_same(
    server: scratch.Server, tmp_path: Path, environment: str
) -> None:
    python = python_of(environment)
    guarded = sql(DO.format("venues", "ALTER TABLE venues RENAME TO halls"))
    say = "migrations.RunSQL(\"DO $$ BEGIN RAISE WARNING 'beware: %%', 1; END $$\"),"
    path = project(
        tmp_path, MODEL, guarded, say.replace("%%", "%"), sql("INSERT INTO shop_venue VALUES (1, 'a')")
    )
    ledger = replay.run(path, settings="config.settings", python=python, server=server)
    assert kinds(ledger) == {
        "0001": "changed",
        "0002": "silent-no-op",
        "0003": "vacuous",
        "0004": "data-only",
    }
    assert [notice.message for notice in ledger.step("shop.0003").notices] == ["beware: 1"]
    assert ledger.step("shop.0004").rows == {"public.shop_venue": (1, 0, 0)}


# ------------------------------------------------------------------ the way back


def test_the_way_back_is_tried(server: scratch.Server, tmp_path: Path) -> None:
    path = project(
        tmp_path,
        MODEL,
        "migrations.AddField('venue', 'city', models.CharField(max_length=9, default='')),",
        sql("CREATE TABLE a (x int)"),
        sql("CREATE TABLE b (x int)", ""),
        sql("CREATE TABLE c (x int)", "DROP TABLE nothing"),
    )
    path.joinpath("shop/migrations/0004.py").write_text(
        migration(sql("CREATE TABLE IF NOT EXISTS b (x int)", ""), "0003")
    )
    ledger = replayed(server, path, reverse=True)
    backs = [step.reverse for step in ledger.steps]
    assert [back and back.result for back in backs] == [
        "restored", "restored", "irreversible", "differs", "failed",
    ]  # fmt: skip
    assert backs[3] is not None
    assert any("+ table public.b" in line for line in backs[3].changes)
    assert backs[4] is not None
    assert "nothing" in backs[4].error
    assert set(kinds(ledger).values()) == {"changed"}


# ------------------------------------------------------------------ what goes wrong


def test_a_migration_that_fails_is_a_step_and_the_rest_is_not_run(
    server: scratch.Server, tmp_path: Path
) -> None:
    ledger = replayed(server, project(tmp_path, MODEL, sql("ALTER TABLE nowhere ADD x int"), sql("SELECT 1")))
    assert ledger.failed is not None
    assert kinds(ledger) == {"0001": "changed", "0002": "failed"}
    assert 'relation "nowhere" does not exist' in ledger.failed.error
    assert ledger.not_run == ("shop.0003",)


def test_a_function_that_needs_rows_cannot_be_reproduced(server: scratch.Server, tmp_path: Path) -> None:
    """It would do its work where there are rows: that is no failure of the migration."""
    need = "def need(apps, editor):\n    apps.get_model('shop', 'Venue').objects.get(name='the first')\n"
    path = project(tmp_path, MODEL, ("migrations.RunPython(need),", "", need), sql("SELECT 1"))
    ledger = replayed(server, path)
    assert kinds(ledger) == {"0001": "changed", "0002": "cannot-reproduce"}
    assert "looks for rows" in ledger.step("shop.0002").why
    assert "Venue matching query does not exist" in ledger.step("shop.0002").error
    assert ledger.not_run == ("shop.0003",)
    assert [gap.blocking for gap in ledger.gaps] == [True]


def test_a_migration_that_talks_to_the_network_meets_nobody(
    server: scratch.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what it asks nor the proxy of the environment hears of it, and credentials do not reach it."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
        call = """
def call(apps, editor):
    import os, urllib.request
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
    urllib.request.urlopen("http://prices.invalid/today", timeout=20)
"""
        ledger = replayed(server, project(tmp_path, MODEL, ("migrations.RunPython(call),", "", call)))
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    step = ledger.step("shop.0002")
    assert (step.kind, step.error.partition(":")[0]) == ("cannot-reproduce", "URLError")
    assert "network" in step.why


def test_an_extension_the_server_lacks_cannot_be_reproduced(server: scratch.Server, tmp_path: Path) -> None:
    ledger = replayed(server, project(tmp_path, sql("CREATE EXTENSION postgis_of_nowhere")))
    assert kinds(ledger) == {"0001": "cannot-reproduce"}
    assert "extension" in ledger.steps[0].why


def test_a_role_is_missing_until_it_is_named(server: scratch.Server, tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, sql('GRANT SELECT ON shop_venue TO "the app"'))
    ledger = replayed(server, path)
    assert kinds(ledger)["0002"] == "failed"
    assert "role" in ledger.steps[1].why
    granted = replayed(server, path, roles=["the app", "the app"])
    assert [str(change) for change in granted.step("shop.0002").changes] == [
        "created grant SELECT on public.shop_venue to the app"
    ]


def test_roles_that_migrations_make_go_with_them(server: scratch.Server, tmp_path: Path) -> None:
    path = project(tmp_path, sql("CREATE ROLE made_by_a_migration"))
    assert kinds(replayed(server, path)) == kinds(replayed(server, path)) == {"0001": "changed"}


BACKEND = """
from django.db.backends.postgresql import base
class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        return {**super().get_connection_params(), "host": "production.invalid"}
"""


def test_it_refuses_to_start_when_an_alias_leads_elsewhere(server: scratch.Server, tmp_path: Path) -> None:
    path = project(
        tmp_path, MODEL, settings=SETTINGS.replace("django.db.backends.postgresql", "config.backend")
    )
    write(path, {"config/backend/base.py": BACKEND})
    with pytest.raises(ProjectError, match="alias 'default' still leads elsewhere: nothing was run"):
        replayed(server, path)


def test_a_migration_cannot_reach_another_server_through_the_driver(
    server: scratch.Server, tmp_path: Path
) -> None:
    call = "def call(apps, editor):\n    import psycopg\n    psycopg.connect('host=127.0.0.1 dbname=production')\n"
    ledger = replayed(server, project(tmp_path, ("migrations.RunPython(call),", "", call)))
    assert "scratch server only" in ledger.steps[0].error


def test_the_environment_names_no_other_database(
    server: scratch.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "DATABASE_URL", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "REPORTS_DSN"):
        monkeypatch.setenv(name, "postgres://user:hush@production.invalid/live" if "D" in name else "hush")
    monkeypatch.setenv("SHOP", "host=production.invalid dbname=live password=hush")
    monkeypatch.setenv("BEHIND", "service=hush")
    monkeypatch.setenv("COLOUR", "kept")
    monkeypatch.setenv("OPTION", "x=y")
    env = environment.environment(server)
    assert env["OPTION"] == "x=y"
    assert "production.invalid" not in str(env)
    assert "hush" not in str(env)
    assert env["COLOUR"] == "kept"


def test_a_broken_settings_module_is_told(server: scratch.Server, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="settings"):
        replayed(server, project(tmp_path, MODEL, settings="import nothing_like_it"))


def kill_itself() -> str:
    return "def die(apps, editor):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"


def test_a_killed_replayer_is_told_with_its_migration(server: scratch.Server, tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, ("migrations.RunPython(die),", "", kill_itself()))
    with pytest.raises(ProjectError, match=r"ended by signal 9 in the migration shop\.0002"):
        replayed(server, path)


def test_time_is_bounded(server: scratch.Server, tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, sql("SELECT pg_sleep(1000)"))
    with pytest.raises(ProjectError, match=r"within 5 seconds, it was stopped in the migration shop\.0002"):
        replayed(server, path, timeout=5)


def test_an_interruption_leaves_nothing(server: scratch.Server, tmp_path: Path) -> None:
    def interrupt(label: str, *_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay.run(
            project(tmp_path, MODEL),
            settings="config.settings",
            python=sys.executable,
            server=server,
            on_step=interrupt,
        )


def test_a_lost_server_is_told(tmp_path: Path) -> None:
    path = project(tmp_path, MODEL, sql("SELECT pg_sleep(1000)"))

    def kill(own: scratch.Server) -> Callable[[str, int, int], None]:
        def at(label: str, *_: int) -> None:
            if label == "shop.0002":
                os.kill(int((own.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

        return at

    with scratch.server() as own, pytest.raises(ScratchError, match=r"server was lost in"):
        replay.run(path, settings="config.settings", python=sys.executable, server=own, on_step=kill(own))


OWNER = """
import sys
from pathlib import Path
from rcakit import replay, scratch

with scratch.server() as own:
    print(own.socket, flush=True)
    replay.run(Path(sys.argv[1]), settings="config.settings", python=sys.executable, server=own)
"""

HOLD = """\
def hold(apps, editor):
    global end
    end = open({fifo!r}, "w")
    end.write("begun\\n")
    end.flush()
    connection.cursor().execute("SELECT pg_sleep(1000)")
"""


def until(descriptor: int, wanted: bytes) -> None:
    """Read what is wanted, or, for b"", until the last writer is gone."""
    while select.select([descriptor], [], [], 60)[0]:
        said = os.read(descriptor, 65536)
        if wanted or not said:
            assert said == wanted
            return
    pytest.fail("it did not come in time")


def test_a_replay_that_is_killed_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    step = ("migrations.RunPython(hold),", "", HOLD.format(fifo=str(fifo)))
    path = project(tmp_path / "project", MODEL, step)
    command = [sys.executable, "-c", OWNER, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(replay.__file__).parents[2])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stderr is not None
        socket = Path(owner.stdout.readline().decode().strip())
        replayer = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # its end of file is the replayer's end
        try:
            until(replayer, b"begun\n")
            assert socket.exists()
        finally:
            owner.kill()
        until(replayer, b"")
        os.close(replayer)
        until(owner.stderr.fileno(), b"")  # the server's keeper shares it
    assert not socket.exists()


def test_nothing_of_the_project_is_written_to(server: scratch.Server, tmp_path: Path) -> None:
    path = project(tmp_path, MODEL)
    before = sorted(path.rglob("*"))
    replayed(server, path)
    assert sorted(path.rglob("*")) == before


def test_the_callers_database_is_used_and_kept(server: scratch.Server, dbname: str, tmp_path: Path) -> None:
    path = project(tmp_path, MODEL)
    replay.run(path, settings="config.settings", python=sys.executable, server=server, database=dbname)
    with psycopg.connect(server.conninfo(dbname)) as connection:
        assert connection.execute("SELECT count(*) FROM shop_venue").fetchone() == (0,)
