"""What a project's tests look at, read from their text: each class of assertion, the line that decided it, the tasks."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from rcakit import demo
from rcakit.facts import Declared, Migration, Model, ProjectTest
from rcakit.sources import claims, django_static, tests_static
from rcakit.sources.asserted import asks_catalog

DECLARED = Declared(
    "static",
    models=(Model("shop", "Venue", "adm.venues", True, None),),
    migrations=(Migration("shop", "0002_move", None),),
)


def read(tmp_path: Path, text: str, *tasks: str) -> tuple[ProjectTest, ...]:
    (tmp_path / "test_it.py").write_text(dedent(text), encoding="utf-8")
    found, unread = tests_static.read(tmp_path, DECLARED, tasks)
    assert unread == ()
    return found


def only(tmp_path: Path, body: str) -> ProjectTest:
    (test,) = read(
        tmp_path, "def test_it(db, monkeypatch):\n" + "\n".join(f"    {line}" for line in body.split("\n"))
    )
    return test


@pytest.mark.parametrize(
    ("looks_at", "line", "body"),
    [
        ("source-text", 2, "assert 'adm' in inspect.getsource(Venue)"),
        ("source-text", 2, "text = Path(models.__file__).read_text()\nassert 'adm' in text"),
        ("source-text", 2, "found = importlib.import_module('shop.migrations.0002_move')\nassert found.TABLES"),
        ("source-text", 2, "text = open('models.py').read()\nassert 'adm' in text"),
        ("declared-name", 2, "assert Venue._meta.db_table == 'adm.venues'"),
        ("orm-round-trip", 2, "venue = Venue.objects.create()\nassert venue.pk"),
        ("orm-round-trip", 3, "with pytest.raises(ProtectedError):\n    venue.delete()"),
        ("framework-introspection", 2, "names = connection.introspection.table_names()\nassert 'venues' in names"),
        ("mocked-cursor", 3, "Venue.objects.all()\nmocker = mock.patch('django.db.connection.cursor')\nmocker.assert_called()"),
        ("other", 3, "total = 1\nassert total == 1"),
        (
            "catalog",
            3,
            "with connection.cursor() as cursor:\n"
            "    cursor.execute('SELECT 1 FROM information_schema.tables WHERE table_schema = %s', ['adm'])\n"
            "    assert cursor.fetchone()",
        ),
        ("catalog", 3, "cursor = connection.cursor()\ncursor.execute(\"SELECT to_regclass('adm.venues')\")\nassert cursor.fetchone()"),
    ],
)  # fmt: skip
def test_what_an_assertion_looks_at(tmp_path: Path, looks_at: str, line: int, body: str) -> None:
    test = only(tmp_path, body)
    (assertion,) = test.assertions
    assert (assertion.looks_at, assertion.decided.where.line) == (looks_at, line)
    assert test.looks_at == looks_at


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM information_schema.tables WHERE table_name = 'venues'",
        "SELECT to_regclass('venues')",
        "SELECT count(*) FROM pg_class WHERE relname = %s",
        "information_schema, in words",
        "SELECT table_schema FROM reports.weekly",
    ],
)
def test_a_catalog_query_without_a_schema_is_none(sql: str) -> None:
    assert not asks_catalog(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM information_schema.tables WHERE table_schema = %(schema)s",
        "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'adm'",
        "SELECT 1 FROM pg_tables WHERE schemaname = ANY(%s)",
        "SELECT 'adm.venues'::regclass",
        "SELECT to_regclass(%s)",
    ],
)
def test_a_schema_in_the_predicate_makes_it_one(sql: str) -> None:
    assert asks_catalog(sql)


def test_values_are_followed_through_set_up_helpers_and_module(tmp_path: Path) -> None:
    (test,) = read(
        tmp_path,
        """
        NAMES = [Venue]

        class VenueTests(TestCase):
            def setUp(self):
                self.venue = Venue.objects.create()

            def check(self, value):
                self.assertTrue(value.pk)
                self.assertIn("adm", inspect.getsource(NAMES[0]))

            def test_it(self):
                self.assertEqual(self.venue.name, "")
                self.check(self.venue)
        """,
    )
    assert test.id == "test_it.py::VenueTests::test_it"
    assert [each.looks_at for each in test.assertions] == ["orm-round-trip", "other", "source-text"]
    assert test.models == ("shop.Venue",)


def test_tasks_come_from_the_nearest_place_that_names_one(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '''
        """The whole of T011; UTF8 and SQL92 are no tasks."""

        def test_t004_by_name(): ...

        def test_by_docstring():
            """T005: the tables."""

        # T006
        def test_by_comment(): ...

        class T010Tests(TestCase):
            def test_by_class(self): ...

        def test_by_module(): ...
        ''',
        "T004", "T005", "T006", "T010", "T011",
    )  # fmt: skip
    assert {test.id.rpartition("_")[2]: test.tasks for test in found} == {
        "name": ("T004",),
        "docstring": ("T005",),
        "comment": ("T006",),
        "class": ("T010",),
        "module": ("T011",),
    }


def test_migrations_that_a_test_names(tmp_path: Path) -> None:
    assert only(tmp_path, "executor.migrate([('shop', '0002_move')])\nassert True").migrations == (
        "shop.0002_move",
    )


def test_a_file_that_is_no_python_is_told(tmp_path: Path) -> None:
    (tmp_path / "tests.py").write_text("def test_x(:\n", encoding="utf-8")
    found, (unread,) = tests_static.read(tmp_path, DECLARED)
    assert found == ()
    assert (str(unread.where), unread.blocking) == ("tests.py:1", False)


@pytest.fixture(scope="module")
def demo_tests(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProjectTest, ...]:
    directory = tmp_path_factory.mktemp("demo")
    for name, text in demo.sources().items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")
    project = directory / "project"
    tasks = [claim.id for claim in claims.read(project) if claim.id]
    return tests_static.read(project, django_static.read(project, settings=None), tasks)[0]


def test_the_demo_asserts_what_the_incident_document_says(demo_tests: tuple[ProjectTest, ...]) -> None:
    looks: dict[str, set[str]] = {}
    for test in demo_tests:
        for task in test.tasks:
            looks.setdefault(task, set()).add(test.looks_at)
    assert looks == {
        "T004": {"orm-round-trip"},
        "T005": {"source-text"},
        "T006": {"orm-round-trip"},
        "T007": {"source-text"},
        "T010": {"orm-round-trip"},
        "T011": {"orm-round-trip"},
    }
