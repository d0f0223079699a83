"""A healthy project, whose suite by `manage.py test` sees every fault of placement, or none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pytest
from rules.rule_facts import accounts, catalog

from rcakit import blindness, scratch
from rcakit.blindness import telling, written
from rcakit.blindness.running import Ran
from rcakit.blindness.runs import Plan, Results, sighted
from rcakit.case import Case, open_case
from rcakit.facts import Claim, ProjectTest, Where

FILES = {
    "manage.py": """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
""",
    "settings.py": """
import os
SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "USER": "postgres",
    "HOST": os.environ.get("DB_HOST", "db.invalid"), "PORT": "5432", "NAME": os.environ.get("DB_NAME", "shop")}}
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models

class Venue(models.Model):
    code = models.CharField(max_length=9, unique=True)

    class Meta:
        db_table = '"adm"."venues"'
""",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
from django.db import migrations, models

class Migration(migrations.Migration):
    operations = [migrations.CreateModel("Venue", fields=[
        ("id", models.BigAutoField(primary_key=True)),
        ("code", models.CharField(max_length=9, unique=True)),
    ], options={"db_table": "venues"})]
""",
    "shop/migrations/0002_move.py": """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE SCHEMA IF NOT EXISTS adm"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL("ALTER TABLE public.venues SET SCHEMA adm")],
            state_operations=[migrations.AlterModelTable("venue", '"adm"."venues"')],
        ),
    ]
""",
}
BLIND = """
from django.test import SimpleTestCase
from shop.models import Venue

class VenueTests(SimpleTestCase):
    def test_the_code_is_short(self):
        self.assertEqual(Venue._meta.get_field("code").max_length, 9)
"""
KINDS = ["wrong-schema", "literal-dot", "missing-table", "missing-constraint", "migration-without-effect"]
MISPLACED = {
    "shop/models.py": FILES["shop/models.py"].replace("""'"adm"."venues"'""", "'adm.venues'"),
    "shop/migrations/0001_initial.py": FILES["shop/migrations/0001_initial.py"]
    .replace('"venues"', '"adm.venues"')
    .replace(
        "[migrations.Create", '[migrations.RunSQL("CREATE SCHEMA IF NOT EXISTS adm"), migrations.Create'
    ),
    "shop/migrations/0002_move.py": """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = []
""",
}
ALTERNATING = """
import fcntl
from django.test import SimpleTestCase

class ChanceTests(SimpleTestCase):
    def test_every_other_time(self):
        with open({path!r}, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write("x")
            self.assertEqual(file.tell() % 2, {rest})
"""
Made = Callable[..., Case]


@pytest.fixture
def made(
    tmp_path: Path, server: scratch.Server, dbname: str, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> Made:
    """made(text of shop/tests.py, other files) -> the project, migrated, investigated."""

    def make(tests: str, more: Mapping[str, str] = MappingProxyType({})) -> Case:
        for name, text in {**FILES, **more, "shop/tests.py": tests}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        where = {"DB_HOST": str(server.socket), "DB_NAME": dbname}
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=tmp_path, env={**os.environ, **where}, check=True)
        monkeypatch.setenv("RCAKIT_TEST_SHOP", conninfo)
        return open_case(dsn_env="RCAKIT_TEST_SHOP", project=str(tmp_path), python=sys.executable)

    return make


def test_a_blind_suite_then_the_proposed_tests_see_every_fault(made: Made, server: scratch.Server) -> None:
    case = made(BLIND)
    assert case.findings == ()
    audit = blindness.audit(case, server=server)
    assert audit.problems == ()
    assert [fault.kind for fault in audit.faults] == KINDS
    assert (audit.score.mutants, audit.score.sighted, audit.score.with_proposed) == (5, 0, 5)
    (seen,) = audit.tests
    assert (seen.verdict, seen.proved) == ("blind", True)
    assert {(run.engine, run.world_a, run.world_b) for run in seen.runs} == {
        ("postgresql", "passed", "passed")
    }
    assert written.exit_code(audit) == 1

    sighted_case = made(audit.proposed)
    again = blindness.audit(sighted_case, server=server)
    assert sighted_case.findings == ()
    assert (again.score.mutants, again.score.sighted) == (5, 5)
    assert [each.verdict for each in again.tests] == ["sighted"]
    assert again.tests[0].test.looks_at == "catalog"
    assert written.exit_code(again) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("files", "rest"), [({}, 1), (MISPLACED, 0)], ids=["healthy", "incident"])
def test_a_test_that_differs_within_one_world_is_flaky_and_not_counted(
    made: Made,
    server: scratch.Server,
    tmp_path_factory: pytest.TempPathFactory,
    files: Mapping[str, str],
    rest: int,
) -> None:
    counter = tmp_path_factory.mktemp("outside") / "runs"
    case = made(BLIND + ALTERNATING.format(path=str(counter), rest=rest), files)
    audit = blindness.audit(case, server=server)
    assert audit.problems == ()
    assert len(counter.read_text()) > 2
    seen = {each.test.id.rpartition("::")[2]: each for each in audit.tests}
    flaky, blind = seen["test_every_other_time"], seen["test_the_code_is_short"]
    assert (flaky.verdict, flaky.why) == (
        "flaky",
        "its result differs between runs of one and the same world",
    )
    assert (flaky.sees, flaky.assertion) == ((), "")
    assert blind.verdict == "blind"
    assert (len(audit.faults), audit.score.sighted) == (1 if files else 5, 0)
    assert audit.score.with_proposed == audit.score.mutants
    assert {name for fault in audit.faults for name in fault.seen_by} == set()
    assert written.exit_code(audit) == 1


def test_a_run_that_cannot_begin_is_red_but_no_test_has_seen_anything() -> None:
    sound = Ran({"a": "passed", "b": "passed"})
    assert sighted(Ran({"a": "error", "b": "error"}), sound) == set()
    assert sighted(Ran({"a": "error", "b": "failed"}), sound) == {"a", "b"}
    assert sighted(Ran({"a": "skipped", "b": "passed"}), sound) == set()
    assert Ran({}).broken
    assert not Ran({"a": "skipped", "b": "passed"}).broken
    assert not Ran({"a": "skipped"}).broken  # a run in which all is skipped is green
    assert not Ran(problem="the tests did not end within 3 seconds", ended=False).broken


def test_a_run_that_did_not_end_says_nothing_about_a_test() -> None:
    """It passed without the fault; whether it passes with it is not known, and it is not called blind."""
    test = ProjectTest("shop/tests.py::VenueTests::test_it", Where("shop/tests.py", 1))
    sound = Ran({"shop.tests.VenueTests.test_it": "passed"})
    late = Ran(problem="the tests did not end within 3 seconds", ended=False)
    outcome = Results({("postgresql", "wrong-schema"): late, ("postgresql", "b"): sound})
    outcome.worlds = [("postgresql", "wrong-schema", "b")]
    plan = Plan(cast(Case, None), accounts(catalog()), (), {}, str)
    assert telling.seen(plan, outcome, test).verdict == "not-run"
    outcome.ran["postgresql", "wrong-schema"] = sound
    assert telling.seen(plan, outcome, test).verdict == "blind"


def test_a_range_of_tasks_is_read_whatever_its_length() -> None:
    claim = Claim("T010", f"T004-T006 pass, and T1-T{'9' * 5000} do not", True, Where("tasks.md", 1))
    assert telling._mentioned(claim, ["T003", "T004", "T005", "T010"]) == ["T004", "T005"]
