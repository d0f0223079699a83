"""The static reader: the facts of the live one, without running a line of the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from django_projects import SHOP, write

from rcakit.errors import ProjectError
from rcakit.facts import Declared, Field, Migration, Model, ModelIndex, Unread, Where
from rcakit.sources import django_live, django_static

DEMO = Path(django_static.__file__).parent.parent / "demo" / "project"
HEAD = "from django.db import migrations, models\n"
SETTINGS = 'INSTALLED_APPS = ["app"]\nDEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"\n'


def project(tmp_path: Path, **files: str) -> Path:
    """A project with one app; `models` and `migration` are its main files, other names are paths."""
    known = {
        "models": "app/models.py",
        "migration": "app/migrations/0001_initial.py",
        "settings": "settings.py",
    }
    written = {known.get(name, name): text for name, text in files.items()}
    base = {"settings.py": SETTINGS, "app/__init__.py": "", "app/migrations/__init__.py": ""}
    return write(tmp_path, {**base, **written})


def read(tmp_path: Path, **files: str) -> Declared:
    return django_static.read(project(tmp_path, **files), settings="settings")


def model(declared: Declared, name: str) -> Model:
    return next(model for model in declared.models if model.name == name)


def field(declared: Declared, name: str, column: str) -> Field:
    return next(field for field in model(declared, name).fields if field.name == column)


def one_migration(declared: Declared) -> Migration:
    (migration,) = declared.migrations
    return migration


def blocking(declared: Declared) -> list[Unread]:
    return [unread for unread in declared.unread if unread.blocking]


# ------------------------------------------------------------------ against the live reader


def comparable(model: Model) -> Model:
    return replace(model, fields=tuple(sorted(model.fields, key=lambda field: field.name)), complete=True)


def own_models(declared: Declared) -> dict[str, Model]:
    inside = [model for model in declared.models if model.where and not model.where.path.startswith("<")]
    return {model.label: comparable(model) for model in inside}


def own_migrations(declared: Declared) -> dict[str, Migration]:
    """Without the texts of `describe()`, which only the framework has."""
    return {
        migration.label: replace(
            migration, operations=tuple(replace(each, description="") for each in migration.operations)
        )
        for migration in declared.migrations
        if migration.first_party
    }


def test_the_demo_reads_the_same_live_and_from_its_files() -> None:
    live = django_live.read(DEMO, settings=None, python=None)
    static = django_static.read(DEMO, settings=None)
    assert own_models(static) == own_models(live)
    assert len(own_models(static)) == 10
    assert own_migrations(static) == own_migrations(live)
    assert (static.apps, static.engine, static.search_path) == (live.apps, live.engine, live.search_path)
    assert not blocking(static)


def test_a_wide_project_reads_the_same_but_for_its_own_field_classes(tmp_path: Path) -> None:
    shop = write(tmp_path, SHOP)
    live, static = django_live.read(shop, settings=None, python=None), django_static.read(shop, settings=None)
    assert own_migrations(static) == own_migrations(live)
    expected, found = own_models(live), own_models(static)
    types = {field.name: field.type for field in found["store.Product"].fields}
    assert types["code"] == "character varying(7)", "a plain subclass has its base's type"
    assert (types["cost"], types["riddle"]) == (None, None)
    assert not model(static, "Product").complete
    del expected["store.Product"], found["store.Product"]
    assert found == expected
    assert static.apps == live.apps


# ------------------------------------------------------------------ models


@pytest.mark.parametrize(
    ("written", "table"),
    [
        ('"adm.venues"', "adm.venues"),
        ('"\\"adm\\".\\"venues\\""', '"adm"."venues"'),
        ('f"{SCHEMA}.venues"', "adm.venues"),
        ('"%s.venues" % SCHEMA', "adm.venues"),
        ('"{}.{}".format(SCHEMA, "venues")', "adm.venues"),
        ('SCHEMA + ".venues"', "adm.venues"),
        ('".".join([SCHEMA, "venues"])', "adm.venues"),
        ('table("venues")', "adm.venues"),
        ('table("venues", schema="x")', "x.venues"),
        ("Names.VENUES", "adm.venues"),
        ('TABLES["venues"]', "adm.venues"),
        ('"adm.venues" if LIVE else "venues"', "adm.venues"),
        ('(lambda name: f"adm.{name}")("venues")', "adm.venues"),
        ('f"{SCHEMA!s:>5}.v"', "  adm.v"),
    ],
)
def test_a_table_name_is_computed(tmp_path: Path, written: str, table: str) -> None:
    text = (
        f'{HEAD}SCHEMA = "adm"\nLIVE = not False\nTABLES = {{"venues": SCHEMA + ".venues"}}\n'
        'def table(name, *, schema=SCHEMA):\n    """Doc."""\n    if schema:\n        return f"{schema}.{name}"\n    return name\n'
        'class Names:\n    VENUES = "adm.venues"\n'
        f"class Venue(models.Model):\n    class Meta:\n        db_table = {written}\n"
    )
    declared = read(tmp_path, models=text)
    assert (model(declared, "Venue").db_table, model(declared, "Venue").explicit) == (table, True)
    assert not blocking(declared)


@pytest.mark.parametrize(
    "written",
    ['os.environ["TABLE"]', "unheard_of", 'open("name").read()', 'f"{os.getpid()}"', '"x" * 10 ** 9'],
)
def test_a_table_name_that_depends_on_the_world_is_unread(tmp_path: Path, written: str) -> None:
    text = f"import os\n{HEAD}class Venue(models.Model):\n    class Meta:\n        db_table = {written}\n"
    declared = read(tmp_path, models=text)
    assert model(declared, "Venue").db_table == "app_venue"
    assert [unread.where for unread in blocking(declared)] == [Where("app/models.py", 3)]


def test_an_abstract_meta_is_inherited_but_not_its_abstractness(tmp_path: Path) -> None:
    text = HEAD + (
        "class Base(models.Model):\n    a = models.IntegerField()\n"
        '    class Meta:\n        abstract = True\n        db_table = "base"\n        managed = False\n'
        "class Child(Base):\n    pass\n"
        "class Own(Base):\n    class Meta(Base.Meta):\n        managed = True\n"
        "class Fresh(Base):\n    a = None\n    class Meta:\n        pass\n"
    )
    declared = read(tmp_path, models=text)
    told = {m.name: (m.db_table, m.managed, [f.name for f in m.fields]) for m in declared.models}
    assert told == {
        "Child": ("base", False, ["id", "a"]),
        "Own": ("base", True, ["id", "a"]),
        "Fresh": ("app_fresh", True, ["id"]),
    }


def test_foreign_keys_take_the_type_they_point_to(tmp_path: Path) -> None:
    text = HEAD + (
        "class A(models.Model):\n    code = models.CharField(max_length=5, primary_key=True)\n"
        "    other = models.IntegerField(unique=True)\n"
        "class B(A):\n    pass\n"
        "class C(models.Model):\n"
        '    a = models.ForeignKey("A", on_delete=models.CASCADE)\n'
        '    b = models.ForeignKey("app.B", models.CASCADE, db_column="bb")\n'
        '    o = models.ForeignKey(A, models.CASCADE, to_field="other", related_name="+")\n'
        '    u = models.ForeignKey("auth.User", models.CASCADE)\n'
        '    x = models.ForeignKey("elsewhere.Thing", models.CASCADE)\n'
    )
    declared = read(tmp_path, models=text)
    told = {f.name: (f.column, f.type, f.references) for f in model(declared, "C").fields}
    assert told == {
        "id": ("id", "bigint", None),
        "a": ("a_id", "character varying(5)", ("app_a", "code")),
        "b": ("bb", "character varying(5)", ("app_b", "a_ptr_id")),
        "o": ("o_id", "integer", ("app_a", "other")),
        "u": ("u_id", "integer", ("auth_user", "id")),
        "x": ("x_id", None, None),
    }


def test_a_key_that_leads_back_to_itself_ends(tmp_path: Path) -> None:
    text = HEAD + (
        'class A(models.Model):\n    b = models.OneToOneField("B", models.CASCADE, primary_key=True)\n'
        "class B(models.Model):\n    a = models.OneToOneField(A, models.CASCADE, primary_key=True)\n"
    )
    assert {m.name for m in read(tmp_path, models=text).models} == {"A", "B"}


def test_arrays_and_postgresql_types(tmp_path: Path) -> None:
    text = HEAD + (
        "from django.contrib.postgres.fields import ArrayField, HStoreField, DateRangeField\n"
        "class A(models.Model):\n"
        "    a = ArrayField(models.CharField(max_length=3), size=2)\n"
        "    b = ArrayField(base_field=ArrayField(models.IntegerField()))\n"
        "    c = HStoreField()\n    d = DateRangeField()\n    e = models.EmailField()\n"
        '    f = models.CharField("name", max_length=9)\n    g = models.SlugField()\n'
    )
    types = {f.name: f.type for f in model(read(tmp_path, models=text), "A").fields}
    assert types == {
        "id": "bigint",
        "a": "character varying(3)[]",
        "b": "integer[]",
        "c": "hstore",
        "d": "daterange",
        "e": "character varying(254)",
        "f": "character varying(9)",
        "g": "character varying(50)",
    }


def test_field_classes_of_others_are_named_but_not_guessed(tmp_path: Path) -> None:
    text = HEAD + (
        "from phones import PhoneField, PhoneManager\n"
        "class A(models.Model):\n    phone = PhoneField(null=True)\n    objects = PhoneManager()\n"
    )
    declared = read(tmp_path, models=text)
    assert field(declared, "A", "phone") == Field("phone", "phone", None, True)
    assert not model(declared, "A").complete
    assert [f.name for f in model(declared, "A").fields] == ["id", "phone"]
    told = [unread for unread in declared.unread if "phone" in unread.reason]
    assert [(unread.where, unread.blocking) for unread in told] == [(Where("app/models.py", 3), False)]


def test_a_base_from_elsewhere_makes_the_model_incomplete(tmp_path: Path) -> None:
    text = HEAD + (
        "from extensions.models import TimeStampedModel\n"
        "class A(TimeStampedModel):\n    name = models.CharField(max_length=3)\n"
    )
    declared = read(tmp_path, models=text)
    assert not model(declared, "A").complete
    assert any("extensions.models.TimeStampedModel" in unread.reason for unread in declared.unread)


def test_indexes_without_a_name_get_djangos(tmp_path: Path) -> None:
    text = HEAD + (
        "class A(models.Model):\n    x = models.IntegerField()\n    class Meta:\n"
        '        db_table = \'"adm"."things"\'\n        indexes = [models.Index(fields=["x", "-id"])]\n'
    )
    base = project(tmp_path, models=text)
    (base / "settings.py").write_text(SETTINGS + 'DATABASES = {}\nSECRET_KEY = "x"\n')
    live = django_live.read(base, settings="settings", python=None)
    static = django_static.read(base, settings="settings")
    assert model(static, "A").indexes == model(live, "A").indexes
    assert isinstance(model(static, "A").indexes[0], ModelIndex)
    assert model(static, "A").indexes[0].name


def test_a_model_whose_app_is_not_installed_is_marked(tmp_path: Path) -> None:
    text = HEAD + 'class Old(models.Model):\n    class Meta:\n        db_table = "adm.old"\n'
    declared = read(
        tmp_path, models=HEAD, **{"legacy/models.py": text, "app/unused.py": text.replace("Old", "Odd")}
    )
    assert {(m.label, m.installed) for m in declared.models} == {("legacy.Old", False), ("app.Odd", False)}


def test_a_module_that_models_import_is_installed(tmp_path: Path) -> None:
    part = HEAD + "class Part(models.Model):\n    pass\n"
    declared = read(
        tmp_path, **{"app/models/__init__.py": "from .part import Part\n", "app/models/part.py": part}
    )
    assert [(m.label, m.installed) for m in declared.models] == [("app.Part", True)]


def test_classes_under_a_condition_are_taken_and_told(tmp_path: Path) -> None:
    text = HEAD + (
        "import os\nfrom typing import TYPE_CHECKING\nfrom django.db import connection\n"
        "if TYPE_CHECKING:\n    class Never(models.Model):\n        pass\n"
        "if os.environ.get('X'):\n    class Maybe(models.Model):\n        pass\n"
        "def seen():\n    try:\n        os.stat('x')\n    except OSError:\n        return False\n    else:\n        return True\n"
        "if not seen():\n    class Perhaps(models.Model):\n        pass\n"
        "if connection.vendor == 'postgresql':\n    class Ours(models.Model):\n        pass\n"
    )
    declared = read(tmp_path, models=text)
    assert [m.name for m in declared.models] == ["Maybe", "Perhaps", "Ours"]
    assert [m.sure for m in declared.models] == [False, False, True]
    assert [unread.where for unread in declared.unread] == [
        Where("app/models.py", 9),
        Where("app/models.py", 19),
    ]


def test_foreign_keys_of_others_are_known_by_their_name(tmp_path: Path) -> None:
    text = HEAD + (
        "from cluster.fields import ParentalKey\nfrom trees import Node\n"
        "class A(Node):\n    name = models.TextField()\n"
        "class B(models.Model):\n    a = ParentalKey(A, on_delete=models.CASCADE)\n"
    )
    found = field(read(tmp_path, models=text), "B", "a")
    assert (found.column, found.type, found.references) == ("a_id", None, ("app_a", "id"))


def test_a_base_out_of_sight_may_hold_the_key(tmp_path: Path) -> None:
    """A session keeps its key in its base, a subclass of Group points to its parent: neither has an "id"."""
    text = HEAD + (
        "from django.contrib.sessions.base_session import AbstractBaseSession\n"
        "from django.contrib.auth.models import Group\n"
        "class Visit(AbstractBaseSession):\n    agent = models.TextField()\n"
        "class Team(Group):\n    motto = models.TextField()\n"
        "class Plain(models.Model):\n    name = models.TextField()\n"
    )
    declared = read(tmp_path, models=text)
    keys = {each.name: [one.name for one in each.fields if one.primary_key] for each in declared.models}
    assert keys == {"Visit": [], "Team": [], "Plain": ["id"]}


def test_what_hooks_into_a_model_may_add_columns(tmp_path: Path) -> None:
    text = HEAD + (
        "import sys\nfrom django.contrib.contenttypes.fields import GenericRelation\n"
        "def load(path):\n    return getattr(sys.modules['app'], path)\n"
        "class Rating(GenericRelation):\n"
        "    def contribute_to_class(self, cls, name):\n        cls.add_to_class('sum', models.IntegerField())\n"
        "class Upload(load('FileField')):\n    pass\n"
        "class Quiet(GenericRelation):\n    pass\n"
        "class Book(models.Model):\n    rating = Rating()\n"
        "class Song(models.Model):\n    file = Upload()\n"
        "class Plain(models.Model):\n    objects = models.Manager()\n    links = Quiet()\n"
    )
    declared = read(tmp_path, models=text)
    assert {each.name: each.complete for each in declared.models} == {
        "Book": False,
        "Song": False,
        "Plain": True,
    }
    assert len(declared.unread) == 2
    assert blocking(declared) == []


def test_a_key_class_that_is_worked_out_at_run_time_is_unknown(tmp_path: Path) -> None:
    apps = (
        "from django.apps import AppConfig\nfrom other import settings\n"
        "class AppConfig(AppConfig):\n    name = 'app'\n"
        "    default_auto_field = settings.AUTO or 'django.db.models.BigAutoField'\n"
    )
    text = HEAD + "class A(models.Model):\n    name = models.TextField()\n"
    assert field(read(tmp_path, models=text, **{"app/apps.py": apps}), "A", "id").type is None


# ------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    "settings",
    [
        'INSTALLED_APPS = ["django.contrib.auth"]\nINSTALLED_APPS += ["app"]\n',
        'LOCAL = ("app",)\nINSTALLED_APPS = ["django.contrib.auth", *LOCAL]\n',
        'INSTALLED_APPS = ["django.contrib.auth"] + ["app"]\n',
        'INSTALLED_APPS = ["django.contrib.auth"]\nINSTALLED_APPS.append("app")\n',
        'INSTALLED_APPS = ["django.contrib.auth"]\nfor name in ["app"]:\n    INSTALLED_APPS += [name]\n',
        'try:\n    from nowhere import *\nexcept ImportError:\n    pass\nINSTALLED_APPS = ["django.contrib.auth", "app"]\n',
        'INSTALLED_APPS = [f"django.contrib.{x}" for x in ["auth"]] + ["app.apps.AppConfig"]\n',
    ],
)
def test_installed_apps_are_computed(tmp_path: Path, settings: str) -> None:
    config = 'from django.apps import AppConfig as Base\nclass AppConfig(Base):\n    name = "app"\n'
    declared = read(tmp_path, settings=settings, models=HEAD, **{"app/apps.py": config})
    assert declared.apps == ("auth", "app")
    assert not blocking(declared)


def test_an_app_added_under_an_unknown_condition_is_told(tmp_path: Path) -> None:
    text = 'import os\nINSTALLED_APPS = ["app"]\nif os.environ.get("DEBUG"):\n    INSTALLED_APPS += ["toolbar"]\n'
    declared = read(tmp_path, settings=text)
    assert declared.apps == ("app",)
    told = [unread for unread in declared.unread if "INSTALLED_APPS may be longer" in unread.reason]
    assert [(unread.where, unread.blocking) for unread in told] == [(Where("settings.py", 3), False)]


def test_settings_that_cannot_be_told_count_every_app(tmp_path: Path) -> None:
    text = "import yaml\nINSTALLED_APPS = yaml.load(open('apps'))\n"
    declared = read(tmp_path, settings=text, models=HEAD + "class A(models.Model):\n    pass\n")
    assert [(m.label, m.installed) for m in declared.models] == [("app.A", True)]
    assert any("INSTALLED_APPS cannot be told" in unread.reason for unread in blocking(declared))


def test_settings_that_are_not_there_are_unread(tmp_path: Path) -> None:
    declared = django_static.read(project(tmp_path, models=HEAD), settings="config.gone")
    assert any(
        "'config.gone' is not among the project's files" in unread.reason for unread in blocking(declared)
    )


def test_a_directory_that_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not a Django project"):
        django_static.read(tmp_path, settings=None)


# ------------------------------------------------------------------ migrations


@pytest.mark.parametrize(
    "operations",
    [
        "[migrations.RunSQL(move(t)) for t in TABLES]",
        "[migrations.RunSQL(sql=move(t)) for t in TABLES if t != 'none']",
        "[*[migrations.RunSQL(move(t)) for t in TABLES]]",
        "[migrations.RunSQL(move('a')), migrations.RunSQL(move('b'))]",
        "[migrations.RunSQL(x) for x in ['ALTER TABLE %s SET SCHEMA adm' % t for t in TABLES]]",
        "[migrations.RunSQL('ALTER TABLE {} SET SCHEMA {}'.format(t, s)) for t in TABLES for s in ['adm']]",
        "make()",
    ],
)
def test_operations_are_unrolled(tmp_path: Path, operations: str) -> None:
    text = HEAD + (
        'from textwrap import dedent\nTABLES = ["a", "b"]\n'
        'def move(table, *rest, schema="adm", **more):\n'
        '    verb = "ALTER" if schema else "DROP"\n'
        '    return dedent(f"""  {verb} TABLE {table} SET SCHEMA {schema}""")\n'
        "def make():\n    made = []\n    for t in TABLES:\n        made.append(migrations.RunSQL(move(t)))\n    return made\n"
        f"class Migration(migrations.Migration):\n    operations = {operations}\n"
    )
    declared = read(tmp_path, migration=text)
    assert [each.sql for each in one_migration(declared).operations] == [
        ("ALTER TABLE a SET SCHEMA adm",),
        ("ALTER TABLE b SET SCHEMA adm",),
    ]
    assert not declared.unread


def test_sql_that_is_read_from_a_file_is_unread(tmp_path: Path) -> None:
    text = HEAD + (
        "from pathlib import Path\n"
        "class Migration(migrations.Migration):\n    operations = [\n"
        '        migrations.RunSQL(Path("x.sql").read_text()),\n'
        '        migrations.RunSQL(["SELECT 1", open("y").read()], reverse_sql=migrations.RunSQL.noop),\n    ]\n'
    )
    declared = read(tmp_path, migration=text)
    assert [(each.sql, each.reverse_sql) for each in one_migration(declared).operations] == [
        ((), None),
        (("SELECT 1",), ()),
    ]
    assert [unread.where for unread in blocking(declared)] == [
        Where("app/migrations/0001_initial.py", 5),
        Where("app/migrations/0001_initial.py", 6),
    ]


def test_operations_that_cannot_be_told_are_unread(tmp_path: Path) -> None:
    text = (
        HEAD
        + "import os\nclass Migration(migrations.Migration):\n    operations = [x for x in os.listdir('.')]\n"
    )
    declared = read(tmp_path, migration=text)
    assert one_migration(declared).operations == ()
    assert ["operations cannot be told" in unread.reason for unread in blocking(declared)] == [True]


def test_a_python_function_is_given_as_it_is_written(tmp_path: Path) -> None:
    text = HEAD + (
        "from functools import wraps\nimport functools\n"
        "@functools.cache\ndef fill(apps, editor):\n    # note\n    if editor.connection.vendor != 'postgresql':\n        return\n\n"
        "class Migration(migrations.Migration):\n    operations = [migrations.RunPython(fill)]\n"
    )
    (operation,) = one_migration(read(tmp_path, migration=text)).operations
    assert operation.source.startswith("@functools.cache\ndef fill(apps, editor):\n    # note\n")


def test_a_dependency_nobody_knows_is_told_and_blocks_nothing(tmp_path: Path) -> None:
    text = HEAD + (
        "from oauth.settings import settings as own\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [migrations.swappable_dependency(own.TOKEN_MODEL)]\n    operations = []\n"
    )
    declared = read(tmp_path, migration=text)
    assert ["an entry of dependencies" in each.reason for each in declared.unread] == [True]
    assert blocking(declared) == []


def test_dependencies_on_a_swappable_model(tmp_path: Path) -> None:
    text = HEAD + (
        "from django.conf import settings\nclass Migration(migrations.Migration):\n"
        '    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL), ("a", "0001")]\n'
    )
    declared = read(tmp_path, migration=text)
    assert one_migration(declared).dependencies == (("a", "0001"), ("auth", "__first__"))
    assert not declared.unread


def test_an_operation_of_the_projects_own_is_what_it_descends_from(tmp_path: Path) -> None:
    text = HEAD + (
        "class Gentle(migrations.AlterModelTable):\n    pass\n"
        "class Made(migrations.RunSQL):\n    def __init__(self, name):\n        super().__init__(f'DROP TABLE {name}')\n"
        'class Migration(migrations.Migration):\n    operations = [Gentle("A", "adm.a"), Made("b")]\n'
    )
    declared = read(tmp_path, migration=text)
    assert [(each.kind, each.model, each.db_table) for each in one_migration(declared).operations] == [
        ("Gentle", "a", "adm.a"),
        ("Made", "", None),
    ]
    assert ["Made" in unread.reason for unread in blocking(declared)] == [True]
    assert one_migration(declared).operations[1].sql == (), "an argument of its own is no SQL"


def test_endless_code_ends(tmp_path: Path) -> None:
    text = HEAD + (
        "def again(n):\n    return again(n + 1)\nX = again(0)\n"
        "BIG = [[x for x in range(10 ** 12)] for y in range(10 ** 12)]\n"
        "class Migration(migrations.Migration):\n    operations = []\n"
    )
    declared = read(tmp_path, migration=text)
    assert any("too many steps" in unread.reason for unread in blocking(declared))


# ------------------------------------------------------------------ files that cannot be read


def test_a_syntax_error_is_unread_and_the_rest_is_read(tmp_path: Path) -> None:
    good = HEAD + "class Migration(migrations.Migration):\n    operations = []\n"
    declared = read(
        tmp_path,
        models="x = 1\nclass (:\n",
        migration=good,
        **{"app/migrations/0002_bad.py": "def f(:\n    pass\n"},
    )
    assert [migration.name for migration in declared.migrations] == ["0001_initial"]
    assert sorted(str(unread.where) for unread in blocking(declared)) == [
        "app/migrations/0002_bad.py:1",
        "app/models.py:2",
    ]
    assert all("not valid Python" in unread.reason for unread in blocking(declared))


def test_a_file_in_another_encoding_is_unread(tmp_path: Path) -> None:
    base = project(tmp_path, models=HEAD)
    (base / "app" / "models.py").write_bytes(b"# caf\xe9\nx = 1\n")
    (base / "app" / "migrations" / "0001_nul.py").write_bytes(b"x = '\0'\n")
    declared = django_static.read(base, settings="settings")
    told = {str(unread.where): unread.reason for unread in blocking(declared)}
    assert told["app/models.py:1"] == "the file is not in the encoding it says (utf-8)"
    assert len(told) == 2


def test_a_file_that_no_app_uses_blocks_nothing(tmp_path: Path) -> None:
    declared = read(tmp_path, **{"scripts/old.py": "print 'python 2'\n"})
    assert [(str(unread.where), unread.blocking) for unread in declared.unread] == [
        ("scripts/old.py:1", False)
    ]


def test_nothing_of_the_project_is_run(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'marker')!r}, 'w').close()\n"
    declared = read(tmp_path, settings=SETTINGS + trap, models=trap + HEAD, migration=trap + HEAD)
    assert declared.how == "static"
    assert not (tmp_path / "marker").exists()
