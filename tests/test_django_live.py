"""The live reader, against real interpreters and real Django versions."""

from __future__ import annotations

import ast
import os
import select
import sys
import venv
from pathlib import Path

import pytest
from django_projects import ENVIRONMENTS, SHOP, python_of, write

from rcakit.errors import ProjectError
from rcakit.facts import Declared, Field, Model, ModelIndex, Where
from rcakit.names import Name, spelling
from rcakit.sources import django_live
from rcakit.sources.django_probe import canonical_type, search_path

DEMO = Path(django_live.__file__).parent.parent / "demo" / "project"


def line_of(text: str, start: str) -> int:
    return next(at for at, line in enumerate(text.splitlines(), 1) if line.strip().startswith(start))


@pytest.fixture(scope="module", params=["here", *ENVIRONMENTS])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Declared:
    project = write(tmp_path_factory.mktemp("shop"), SHOP)
    python = None if request.param == "here" else python_of(request.param)
    before = sorted(project.rglob("*"))
    declared = django_live.read(project, settings=None, python=python)
    assert sorted(project.rglob("*")) == before, "reading must leave nothing behind"
    return declared


def model(declared: Declared, label: str) -> Model:
    return next(model for model in declared.models if model.label == label)


def field(declared: Declared, label: str, name: str) -> Field:
    return next(field for field in model(declared, label).fields if field.name == name)


def test_the_project_says_what_it_runs_on(shop: Declared) -> None:
    assert shop.how == "live"
    assert shop.framework.startswith("Django ")
    assert shop.python.startswith("3.")
    assert shop.apps == ("contenttypes", "auth", "people", "store")
    assert shop.engine == "django.db.backends.sqlite3"
    assert shop.search_path is None


def test_every_table_is_a_model_and_nothing_else(shop: Declared) -> None:
    tables = {model.label: model.db_table for model in shop.models if model.app in ("store", "people")}
    assert tables == {
        "people.Person": "people_person",
        "store.Tag": "adm.tags",
        "store.Product": '"adm"."products"',
        "store.Product_tags": 'adm"."products_tags',
        "store.Product_friends": 'adm"."products_friends',
        "store.Product_named": '"adm"."named"',
        "store.ProductTag": "store_producttag",
        "store.Book": "store_book",
        "store.Child": "stamped_by_parent",
        "store.Swapped": "store_swapped",
        "store.Ledger": 'adm"."ledger',
    }
    assert spelling(tables["store.Product_tags"]).relation == Name("adm", "products_tags")
    explicit = {model.name for model in shop.models if model.app == "store" and model.explicit}
    assert explicit == {"Tag", "Product", "Product_named", "Child", "Ledger"}
    assert {model.name for model in shop.models if model.auto_created and model.app == "store"} == {
        "Product_tags",
        "Product_friends",
        "Product_named",
    }
    assert [model.name for model in shop.models if not model.managed] == ["Ledger"]
    assert [model.name for model in shop.models if model.swapped and model.app == "store"] == ["Swapped"]


def test_types_are_those_of_postgresql_whatever_the_engine(shop: Declared) -> None:
    types = {field.name: field.type for field in model(shop, "store.Product").fields}
    assert types == {
        "id": "bigint",
        "name": "character varying(100)",
        "code": "character varying(7)",
        "price": "numeric(8,2)",
        "cost": "numeric(12,3)",
        "riddle": None,
        "weight": "double precision",
        "data": "jsonb",
        "picture": "character varying(100)",
        "opens": "time without time zone",
        "span": "interval",
        "raw": "bytea",
        "amount": "integer",
        "small": "smallint",
        "owner": "integer",
        "parent": "bigint",
    }
    assert field(shop, "store.Tag", "id").type == "uuid"
    assert field(shop, "store.ProductTag", "tag").type == "uuid"
    assert [
        unread.reason for unread in shop.unread if unread.where and unread.where.path == "shop/models.py"
    ] == ["store.Product: the field riddle does not tell its PostgreSQL type"]


def test_fields_tell_keys_and_indexes(shop: Declared) -> None:
    assert field(shop, "store.Product", "id").identity
    assert not field(shop, "store.Tag", "id").identity
    assert field(shop, "store.Product", "weight").column == "Weight kg"
    assert field(shop, "store.Product", "price").null
    assert field(shop, "store.Product", "owner").references == ("people_person", "id")
    parent = field(shop, "store.Product", "parent")
    assert (parent.references, parent.constrained, parent.index) == (('"adm"."products"', "id"), False, False)
    link = field(shop, "store.Book", "product_ptr")
    assert (link.primary_key, link.references, link.identity) == (True, ('"adm"."products"', "id"), False)
    assert field(shop, "store.Child", "made").index


def test_meta_gives_indexes_and_constraints(shop: Declared) -> None:
    assert model(shop, "store.Product").indexes == (
        ModelIndex("index", "name_price", ("name", "price")),
        ModelIndex("index", "dear", ("price",), partial=True),
        ModelIndex("unique", "", ("name", "owner_id")),
        ModelIndex("unique", "one_code", ("owner_id", "code")),
        ModelIndex("unique", "one_name", ("name",), partial=True),
    )


def test_places_are_relative_to_the_project(shop: Declared) -> None:
    text = SHOP["shop/models.py"]
    assert model(shop, "store.Product").where == Where("shop/models.py", line_of(text, "class Product("))
    assert model(shop, "store.Product_tags").where == Where("shop/models.py", line_of(text, "class Product("))
    installed = model(shop, "auth.Permission").where
    assert installed is not None
    assert installed.path == "<site-packages>/django/contrib/auth/models.py"


def test_migrations_come_in_order_with_their_operations(shop: Declared) -> None:
    labels = [migration.label for migration in shop.migrations]
    assert labels.index("contenttypes.0001_initial") < labels.index("auth.0001_initial")
    assert [migration.label for migration in shop.migrations if migration.first_party] == [
        "store.0001_initial",
        "store.0002_more",
    ]
    second = next(migration for migration in shop.migrations if migration.label == "store.0002_more")
    assert not second.atomic
    assert second.dependencies == (("store", "0001_initial"),)
    told = [(op.kind, op.side, op.group, op.model, op.db_table) for op in second.operations]
    assert told == [
        ("RunSQL", "both", 0, "", None),
        ("RunSQL", "both", 1, "", None),
        ("RunSQL", "both", 2, "", None),
        ("RunSQL", "both", 3, "", None),
        ("RunPython", "both", 4, "", None),
        ("RunSQL", "database", 5, "", None),
        ("AlterModelTable", "state", 5, "tag", "labels"),
        ("AddField", "both", 6, "tag", None),
        ("AlterModelTable", "both", 7, "plain", "store_plain"),
    ]
    first = next(migration for migration in shop.migrations if migration.label == "store.0001_initial")
    assert [(op.model, op.db_table) for op in first.operations] == [
        ("tag", "adm.tags"),
        ("plain", "store_plain"),
    ]


def test_sql_and_python_are_taken_as_they_will_run(shop: Declared) -> None:
    second = next(migration for migration in shop.migrations if migration.label == "store.0002_more")
    sql = [op.sql for op in second.operations if op.kind == "RunSQL"]
    assert sql == [
        ("\nALTER TABLE public.tags SET SCHEMA adm;\n", "\nALTER TABLE public.products SET SCHEMA adm;\n"),
        ("\nALTER TABLE public.tags SET SCHEMA b;\n",),
        ("\nALTER TABLE public.products SET SCHEMA b;\n",),
        ("UPDATE x SET a = 'it''s', b = NULL",),
        ("ALTER TABLE tags RENAME TO labels",),
    ]
    assert [op.reverse_sql for op in second.operations[:4]] == [(), None, None, ()]
    assert second.operations[4].source.startswith("def fill(apps, schema_editor):\n    # the tags\n")


def test_operations_know_their_lines(shop: Declared) -> None:
    text = SHOP["shop/migrations/0002_more.py"]
    second = next(migration for migration in shop.migrations if migration.label == "store.0002_more")
    assert [op.where.line for op in second.operations if op.where] == [
        line_of(text, "migrations.RunSQL([move"),
        line_of(text, "*[migrations"),
        line_of(text, "*[migrations"),
        line_of(text, "migrations.RunSQL([("),
        line_of(text, "migrations.RunPython"),
        line_of(text, 'migrations.RunSQL("ALTER'),
        line_of(text, 'migrations.AlterModelTable("Tag"'),
        line_of(text, "migrations.AddField"),
        line_of(text, "migrations.AlterModelTable(name"),
    ]


# ------------------------------------------------------------------ what goes wrong


def failing(tmp_path: Path, changes: dict[str, str], **options: object) -> str:
    project = write(tmp_path, {**SHOP, **changes})
    with pytest.raises(ProjectError) as caught:
        django_live.read(project, **{"settings": None, "python": None, **options})  # type: ignore[arg-type]
    assert caught.value.hint
    return str(caught.value)


def test_no_database_is_ever_connected_to(tmp_path: Path) -> None:
    ready = "    def ready(self):\n        from django.db import connection\n        import sqlite3\n"
    ask = "        try:\n            connection.cursor()\n        except Exception as e:\n            assert 'no database' in str(e)\n"
    project = write(tmp_path, {**SHOP, "shop/apps.py": SHOP["shop/apps.py"] + ready + ask})
    declared = django_live.read(project, settings=None, python=None)
    told = [unread for unread in declared.unread if "the connection was refused" in unread.reason]
    assert [(unread.where, unread.blocking) for unread in told] == [(Where("shop/apps.py", 11), False)]
    assert not (project / "never-made.sqlite3").exists()


def test_a_query_while_loading_that_nobody_catches_is_named(tmp_path: Path) -> None:
    text = SHOP["shop/models.py"] + "\nTag.objects.count()\n"
    message = failing(tmp_path, {"shop/models.py": text})
    assert f"shop/models.py:{len(text.splitlines())}" in message
    assert "OperationalError" in message


def test_settings_that_are_not_there(tmp_path: Path) -> None:
    message = failing(tmp_path, {}, settings="config.nowhere")
    assert "the settings module 'config.nowhere' cannot be loaded" in message
    assert "No module named 'config.nowhere'" in message


def test_settings_that_raise_give_place_but_no_secret(tmp_path: Path) -> None:
    text = 'PASSWORD = "hunter2-in-clear"\nraise RuntimeError(f"cannot use {PASSWORD}")\n'
    message = failing(tmp_path, {"config/settings.py": text})
    assert "config/settings.py:2: RuntimeError: cannot use ***" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "text",
    [
        'import os\nPORT = int(os.environ["SHOP_PORT"])\n',
        'DATABASES = {"default": {"PASSWORD": "s3cr3t-value"}}\nraise KeyError(str(DATABASES))\n',
        'import os\nraise LookupError("cannot parse " + os.environ["SHOP_DSN"])\n',
        'url = "postgres://someone:s3cr3t-value@db/shop"\nraise ImportError(url)\n',
    ],
)
def test_a_value_of_the_settings_is_never_repeated(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PORT", "s3cr3t-value")
    monkeypatch.setenv("SHOP_DSN", "host=db password=s3cr3t-value")
    assert "s3cr3t-value" not in failing(tmp_path, {"config/settings.py": text})


def test_settings_that_exit(tmp_path: Path) -> None:
    assert "config/settings.py:2: SystemExit" in failing(
        tmp_path, {"config/settings.py": "import sys\nsys.exit(3)\n"}
    )


def test_an_interpreter_that_dies(tmp_path: Path) -> None:
    message = failing(tmp_path, {"config/settings.py": "import os\nos._exit(7)\n"})
    assert "ended by itself with exit code 7" in message


@pytest.mark.parametrize(
    ("name", "what"), [("shop/models.py", "applications"), ("shop/migrations/0002_more.py", "migrations")]
)
def test_a_syntax_error_is_placed(tmp_path: Path, name: str, what: str) -> None:
    message = failing(tmp_path, {name: "x = 1\n\ndef broken(:\n    pass\n"})
    assert f"{name}:3: SyntaxError" in message
    assert what in message


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    message = failing(tmp_path, {"shop/models.py": "import not_there_at_all\n"})
    assert "shop/models.py:1: ModuleNotFoundError: No module named 'not_there_at_all'" in message
    assert "install what is missing" in message


def test_a_project_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    text = (
        "import os, subprocess, sys, time\n"
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\n'
        'open("pids", "w").write(f"{os.getpid()} {child.pid}")\n'
        "child.wait()\n"
    )
    message = failing(tmp_path, {"config/settings.py": text}, timeout=4)
    assert "was not read within 4 seconds" in message
    for pid in (tmp_path / "pids").read_text().split():
        assert _ends(int(pid))


def _ends(pid: int) -> bool:
    """The process has ended, or does so now; a zombie that waits for init counts as ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(handle):
        return bool(select.select([handle], [], [], 10)[0])


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    message = failing(tmp_path, {}, python="no/such/python")
    assert "'no/such/python' was not found" in message


def test_something_that_is_no_interpreter(tmp_path: Path) -> None:
    tool = tmp_path / "python"
    tool.write_text("#!/bin/sh\nexit 4\n")
    tool.chmod(0o755)
    assert "does not answer as a Python interpreter" in failing(tmp_path / "shop", {}, python=str(tool))


def test_an_interpreter_without_django(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    message = failing(tmp_path / "shop", {}, python=str(tmp_path / "bare" / "bin" / "python"))
    assert "Django is not installed for" in message


def test_a_version_of_django_that_is_too_old(tmp_path: Path) -> None:
    fake = {
        "django/__init__.py": 'VERSION = (2, 2, 28, "final", 0)\ndef get_version():\n    return "2.2.28"\n'
    }
    assert "Django 2.2.28 is not supported" in failing(tmp_path, fake)


def test_an_interpreter_that_is_too_old(tmp_path: Path) -> None:
    old = sorted((Path.home() / ".pyenv" / "versions").glob("3.[67].*/bin/python3"))
    if not old:
        pytest.skip("neither Python 3.6 nor 3.7 is installed on this machine")
    for python in old:
        assert "too old to be asked: 3.8 is the first" in failing(tmp_path, {}, python=str(python))


def test_a_directory_that_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not a Django project"):
        django_live.read(tmp_path, settings=None, python=None)
    write(tmp_path, {"backend/manage.py": ""})
    with pytest.raises(ProjectError, match=r"try --project .*backend"):
        django_live.read(tmp_path, settings=None, python=None)
    with pytest.raises(ProjectError, match="does not exist"):
        django_live.read(tmp_path / "nowhere", settings=None, python=None)


def test_an_order_that_cannot_be_told_is_unread(tmp_path: Path) -> None:
    text = SHOP["shop/migrations/0002_more.py"].replace('("store", "0001_initial")', '("store", "0001_gone")')
    project = write(tmp_path, {**SHOP, "shop/migrations/0002_more.py": text})
    declared = django_live.read(project, settings=None, python=None)
    assert any(
        "the order of the migrations cannot be told" in u.reason and u.blocking for u in declared.unread
    )
    assert "store.0002_more" in [migration.label for migration in declared.migrations]


def test_a_squashed_migration_keeps_what_it_replaces(tmp_path: Path) -> None:
    text = SHOP["shop/migrations/0001_initial.py"].replace(
        "dependencies = []",
        'replaces = [("store", "0001_initial"), ("store", "0002_more")]\n    dependencies = []',
    )
    project = write(tmp_path, {**SHOP, "shop/migrations/0001_squashed.py": text})
    declared = django_live.read(project, settings=None, python=None)
    labels = [migration.label for migration in declared.migrations if migration.app == "store"]
    assert labels == ["store.0001_initial", "store.0002_more", "store.0001_squashed"]
    assert declared.migrations[-1].replaces == (("store", "0001_initial"), ("store", "0002_more"))


def test_a_class_that_hides_its_module_is_still_placed(tmp_path: Path) -> None:
    text = (
        "from django.db import models\nclass Deep(models.Model):\n    def __str__(self):\n        return ''\n"
    )
    text += "Deep.__module__ = 'shop.models'\n"
    shop = {
        **SHOP,
        "shop/deep.py": text,
        "shop/models.py": SHOP["shop/models.py"] + "from .deep import Deep\n",
    }
    declared = django_live.read(write(tmp_path, shop), settings=None, python=None)
    assert model(declared, "store.Deep").where == Where("shop/deep.py", 2)
    assert all(model.installed for model in declared.models)


def test_models_that_are_never_loaded_are_told(tmp_path: Path) -> None:
    old = "from django.db import models\nclass Old(models.Model):\n    class Meta:\n        db_table = 'adm.old'\n"
    project = write(tmp_path, {**SHOP, "legacy/models.py": old, "shop/odd.py": old.replace("Old", "Odd")})
    declared = django_live.read(project, settings=None, python=None)
    unused = [(model.label, model.db_table, model.where) for model in declared.models if not model.installed]
    assert unused == [
        ("legacy.Old", "adm.old", Where("legacy/models.py", 2)),
        ("store.Odd", "adm.old", Where("shop/odd.py", 2)),
    ]


def test_the_probe_is_python_3_8_and_stands_alone() -> None:
    text = django_live.PROBE.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.split(".")[0] not in _standard()]


def _standard() -> frozenset[str]:
    return sys.stdlib_module_names


def test_nothing_of_rcakit_reaches_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(django_live.__file__).parent.parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), "/their/own"]))
    monkeypatch.setenv("PYTHONHOME", "/somewhere")
    env = django_live.environment()
    assert env["PYTHONPATH"] == "/their/own"
    assert "PYTHONHOME" not in env


def test_the_demo_project_is_read(tmp_path: Path) -> None:
    declared = django_live.read(DEMO, settings=None, python=None)
    literal = [model.db_table for model in declared.models if spelling(model.db_table).kind == "literal-dot"]
    assert len(literal) == 7
    third = next(m for m in declared.migrations if m.label == "administrate.0003_migrate_to_adm_schema")
    assert sum("'course_templates'" in statement for op in third.operations for statement in op.sql) == 1
    assert sum("IF EXISTS" in statement for op in third.operations for statement in op.sql) == 7


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("varchar(100)", "character varying(100)"),
        ("varchar", "character varying"),
        ("VARCHAR(9)[3][]", "character varying(9)[]"),
        ("char", "character(1)"),
        ("timestamptz(3)", "timestamp(3) with time zone"),
        ("timestamp", "timestamp without time zone"),
        ("numeric(10, 2)", "numeric(10,2)"),
        ("decimal(5)", "numeric(5,0)"),
        ("float(24)", "real"),
        ("float(25)", "double precision"),
        ("double precision", "double precision"),
        ("bigserial", "bigint"),
        ("int[]", "integer[]"),
        ("bit", "bit(1)"),
        ("time(0) with time zone", "time(0) with time zone"),
        ("geometry(POINT,4326)", "geometry(Point,4326)"),
        ('"Mood"', '"Mood"'),
        ("citext", "citext"),
    ],
)
def test_types_are_spelled_as_postgresql_prints_them(written: str, printed: str) -> None:
    assert canonical_type(written) == printed


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ("-c search_path=adm,public", "adm,public"),
        ("-csearch_path=adm -c statement_timeout=5", "adm"),
        ("--search-path='a, b'", "a, b"),
        (r"-c search_path=a\ b", "a b"),
        ("-c statement_timeout=5", None),
        (None, None),
    ],
)
def test_the_search_path_of_the_settings_is_read(options: str | None, path: str | None) -> None:
    assert search_path(options) == path
