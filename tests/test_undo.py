"""Each rule that names a cause undone for real: small projects, their incidents made by migrating, every row a replay."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from commands import runner
from django_projects import MANAGE, write
from rules.rule_facts import accounts, catalog

from rcakit import replay
from rcakit.case import Case, open_case
from rcakit.errors import ProjectError
from rcakit.facts import Migration, Operation, Where
from rcakit.ledger.outcome import guards_of
from rcakit.report.sections import replay as shown
from rcakit.scratch import Server
from rcakit.target import load
from rcakit.undo import Undo, apply, why_not

SETTINGS = """\
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
MODEL = """\
from django.db import models


class Venue(models.Model):
    class Meta:
        db_table = {table!r}
"""
FIRST = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.RunSQL("CREATE SCHEMA IF NOT EXISTS adm"),
        migrations.CreateModel(
            "Venue", [("id", models.BigAutoField(primary_key=True))], options={{"db_table": {table!r}}}
        ),
    ]
"""
SECOND = """\
from django.db import migrations, transaction
{before}

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [{operation}]
"""
pytestmark = pytest.mark.slow  # each a handful of replays
MOVE = "ALTER TABLE public.venues SET SCHEMA adm"
Make = Callable[..., Case]


@pytest.fixture
def incident(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Migrates a project with one model and two migrations, and investigates what came of it."""
    with ExitStack() as stack:

        def make(
            operation: str, before: str = "", *, created: str = "adm.venues", table: str = "adm.venues"
        ) -> Case:
            project = written(tmp_path, operation, before, created, table)
            options = {"settings": "config.settings", "python": sys.executable}
            held = stack.enter_context(replay.hold(project, server=server, **options))
            monkeypatch.setenv("UNDO_DSN", server.conninfo(held.databases["default"]))
            target = load(None, dsn_env="UNDO_DSN", project=str(project), **options)
            return open_case(target, replay=True)

        yield make


def written(directory: Path, operation: str, before: str, created: str, table: str) -> Path:
    return write(
        directory / "project",
        {
            "manage.py": MANAGE,
            "config/settings.py": SETTINGS,
            "shop/models.py": MODEL.format(table=table),
            "shop/migrations/0001_initial.py": FIRST.format(table=created),
            "shop/migrations/0002_move.py": SECOND.format(before=before, operation=operation),
        },
    )


def judged(case: Case) -> dict[str, tuple[str, str]]:
    """Code of each cause -> its role and confidence."""
    return {cause.codes[0]: (cause.role, cause.confidence) for cause in case.causes}


def id_of(case: Case, code: str) -> str:
    (found,) = [cause.id for cause in case.causes if cause.codes == (code,)]
    return found


def stopped(case: Case, code: str) -> str:
    """Where the replay with this cause alone undone stopped, and with which error."""
    assert case.matrix is not None
    assert case.matrix.untried == {}
    assert case.matrix.trial().stopped == ""
    return case.matrix.trial(id_of(case, code)).stopped


SWALLOWED = f"DO $$ BEGIN {MOVE}; EXCEPTION WHEN OTHERS THEN NULL; END $$"


def test_a_handler_taken_away_lets_the_error_through(incident: Make) -> None:
    case = incident(f"migrations.RunSQL({SWALLOWED!r})")
    assert judged(case) == {"RK101": ("root", "proved"), "RK203": ("silencing", "proved")}
    assert (
        stopped(case, "RK203") == 'shop.0002_move: ProgrammingError: relation "public.venues" does not exist'
    )
    assert "kept it silent</b> but did not cause it" in shown.matrix(case).text


IN_PYTHON = f"""

def move(apps, schema_editor):
    try:
        with transaction.atomic():
            schema_editor.execute("{MOVE}")
    except Exception:
        pass

"""


def test_a_handler_in_python_too(incident: Make) -> None:
    case = incident("migrations.RunPython(move)", IN_PYTHON)
    assert judged(case)["RK203"] == ("silencing", "proved")
    assert "does not exist" in stopped(case, "RK203")
    assert (case.project / "shop/migrations/0002_move.py").read_text().count("pass") == 1


EARLY = f"""

def move(apps, schema_editor):
    if "venues" not in schema_editor.connection.introspection.table_names():
        return
    schema_editor.execute("{MOVE}")

"""


def test_an_early_return_that_raises_instead(incident: Make) -> None:
    case = incident("migrations.RunPython(move)", EARLY)
    assert {code: judged(case)[code] for code in ("RK101", "RK204")} == {
        "RK101": ("root", "proved"),
        "RK204": ("silencing", "proved"),
    }
    assert case.matrix is not None
    assert case.matrix.untried == {id_of(case, "RK201"): why_not(case.causes[1])}
    said = case.matrix.trial(id_of(case, "RK204")).stopped
    assert said == "shop.0002_move: RuntimeError: shop.0002_move did nothing: it gave up before its work"


STATE_ALONE = """\
migrations.SeparateDatabaseAndState(
    state_operations=[migrations.AlterModelTable("venue", '"adm"."venues"')], database_operations=[]
)"""


def test_a_database_that_is_told_what_the_state_was_told(incident: Make) -> None:
    case = incident(STATE_ALONE, created="venues", table='"adm"."venues"')
    assert judged(case) == {"RK205": ("contributing", "proved")}
    assert case.matrix is not None
    (cause,) = case.causes
    assert (case.matrix.trial().placed, case.matrix.trial(cause.id).placed) == (0, 1)
    assert case.matrix.sufficient(cause.id)
    assert "That alone removes the symptom (sufficient)." in cause.proof


HARMLESS = (
    "DO $$ BEGIN ALTER TABLE public.venues ADD COLUMN seats int; EXCEPTION WHEN OTHERS THEN NULL; END $$"
)


def test_a_cause_whose_undoing_changes_nothing_is_refuted_in_the_report(incident: Make) -> None:
    """The handler is as broad as can be, and never had anything to swallow."""
    operations = f"{STATE_ALONE}, migrations.RunSQL({HARMLESS!r})"
    case = incident(operations, created="venues", table='"adm"."venues"')
    assert judged(case) == {"RK205": ("contributing", "proved"), "RK203": ("silencing", "refuted")}
    refuted = next(cause for cause in case.causes if cause.codes == ("RK203",))
    assert refuted.proof == "With it undone, alone or together with others, the replay ends just the same."
    assert "refuted</b> undoing it changes nothing" in shown.matrix(case).text


def test_a_stamped_history_is_a_cause_that_no_patch_undoes_and_the_report_says_why(
    server: Server,
    conninfo: str,
    connection: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection.execute("CREATE SCHEMA adm")
    connection.execute(
        "CREATE TABLE django_migrations (id bigserial PRIMARY KEY, app varchar(255), name varchar(255), applied timestamptz)"
    )
    for name in ("0001_initial", "0002_move"):
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', %s, now())", [name]
        )
    project = written(tmp_path, "", "", "venues", "venues")
    monkeypatch.setenv("UNDO_DSN", conninfo)
    target = load(
        None, dsn_env="UNDO_DSN", project=str(project), settings="config.settings", python=sys.executable
    )
    case = open_case(target, replay=True)
    assert judged(case) == {"RK305": ("root", "likely")}
    (cause,) = case.causes
    assert case.matrix is not None
    assert case.matrix.untried == {cause.id: why_not(cause)}
    assert not case.matrix.trial().symptom
    assert "a record in the database" in cause.proof
    text = shown.matrix(case).text
    assert f"{cause.id}</a> was not undone: the history is a record in the database" in text


STOCK = """

class Stock(models.Model):
    class Meta:
        db_table = '"adm"."stock"'
"""
GUARDED = (
    f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_tables WHERE tablename = 'venues') THEN {MOVE}; END IF; END $$"
)
LAYERS = {
    "0002_state": (STATE_ALONE.replace("venue", "stock"), ""),
    "0003_guarded": (f"migrations.RunSQL({GUARDED!r})", ""),
    "0004_swallowed": (f"migrations.RunSQL({SWALLOWED!r})", ""),
    "0005_early": ("migrations.RunPython(move)", EARLY),
}
"""Migrations, each with a cause of its own; the first is about another table than the rest."""


def test_of_many_causes_the_command_finds_the_two_that_it_takes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Five that can be undone: twelve replays of the thirty-two sets, and a search."""
    project = written(tmp_path, "", "", "adm.venues", "adm.venues")
    (project / "shop/migrations/0002_move.py").unlink()
    with (project / "shop/models.py").open("a") as models:
        models.write(STOCK)
    first = FIRST.format(table="adm.venues").replace(
        "    ]\n",
        "        migrations.CreateModel('Stock', [('id', models.BigAutoField(primary_key=True))],"
        " options={'db_table': 'stock'}),\n    ]\n",
    )
    previous = "0001_initial"
    files = {f"shop/migrations/{previous}.py": first}
    for name, (operation, before) in LAYERS.items():
        text = SECOND.format(before=before, operation=operation)
        files[f"shop/migrations/{name}.py"] = text.replace("0001_initial", previous)
        previous = name
    write(project, files)
    options = {"settings": "config.settings", "python": sys.executable}
    with replay.hold(project, server=server, **options) as held:
        monkeypatch.setenv("UNDO_DSN", server.conninfo(held.databases["default"]))
        given = ["--dsn-env", "UNDO_DSN", "--project", project, "--settings", "config.settings"]
        run = runner(monkeypatch, capfd)
        done = run("replay", "--counterfactual", *given, "--python", sys.executable, "--format", "json")
    assert done.code == 1, done.err
    found = json.loads(done.out)["counterfactual"]
    hows = {each["how"]: each["cause"] for each in found["undone"]}
    assert len(hows) == 5
    names, moves = (next(cause for how, cause in hows.items() if word in how) for word in ("models", "moves"))
    assert found["sufficient_sets"] == [[names, moves]]
    assert found["necessary_sets"] == [[names], [moves]]
    assert 12 <= len(found["trials"]) < 32
    assert not found["cut_short"]
    assert found["untried"] == []


def test_a_statement_that_is_not_the_one_that_was_read_is_no_undoing(server: Server, tmp_path: Path) -> None:
    """Else the trial would be one with nothing undone, and refute the cause."""
    read, run = (
        f"DO $$ BEGIN IF to_regclass('{name}') IS NOT NULL THEN {MOVE}; END IF; END $$" for name in "ab"
    )
    project = written(tmp_path, f"migrations.RunSQL({run!r})", "", "adm.venues", "adm.venues")
    operation = Operation("RunSQL", sql=(read,))
    migration = Migration("shop", "0002_move", Where("shop/migrations/0002_move.py"), (operation,))
    (guard,), _ = guards_of(migration)
    apply([Undo("C1", "", loud=frozenset({guard}))], project, accounts(catalog(), [], [migration]))
    with pytest.raises(ProjectError, match="is not the one that was read, and cannot be replaced"):
        replay.run(project, settings="config.settings", python=sys.executable, server=server)
