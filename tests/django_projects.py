"""Small Django projects written to disk for the tests of both readers, and the interpreters to run them with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".venv" / "django-envs"

ENVIRONMENTS = {
    "py38-django32": ("python3.8", ("Django~=3.2.0", "psycopg2-binary")),
    "py311-django42": ("python3.11", ("Django~=4.2.0", "psycopg[binary]>=3.1")),
    "py313-django60": ("python3.13", ("Django~=6.0.0",)),
    "py313-django60-psycopg": ("python3.13", ("Django~=6.0.0", "psycopg[binary]>=3.2")),
}
"""Name -> interpreter and packages. One has no driver on purpose: types come from the built-in table."""


def python_of(environment: str) -> str:
    """The interpreter of a cached virtual environment, made on first use; skips when the base is not here."""
    made = CACHE / environment / "bin" / "python"
    if not (CACHE / environment / "ready").exists():
        base, packages = ENVIRONMENTS[environment]
        shutil.rmtree(CACHE / environment, ignore_errors=True)
        subprocess.run([_base(base), "-m", "venv", str(CACHE / environment)], check=True, capture_output=True)
        install = [str(made), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{environment} could not be installed: {done.stderr.strip().splitlines()[-1]}")
        (CACHE / environment / "ready").touch()
    return str(made)


def _base(name: str) -> str:
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{name.removeprefix('python')}.*/bin/{name}"))
    for candidate in (*map(str, pyenv), shutil.which(name), sys.executable):
        if candidate and _is(candidate, name):
            return candidate
    pytest.skip(f"{name} is not installed on this machine")


def _is(candidate: str, name: str) -> bool:
    ask = [candidate, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() == name


def write(directory: Path, files: dict[str, str]) -> Path:
    """Write the files below the directory and return it; every folder becomes a package."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for folder in path.relative_to(directory).parents:
            if str(folder) != ".":
                (directory / folder / "__init__.py").touch()
    return directory


MANAGE = """\
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""

SETTINGS = """\
from .base import *
INSTALLED_APPS += ["shop.apps.ShopConfig"]
print("settings print to stdout")
"""

BASE = """\
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "people"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "never-made.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
AUTH_USER_MODEL = "people.Person"
USE_TZ = True
"""

PEOPLE = """\
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

class Person(AbstractBaseUser):
    login = models.CharField(max_length=30, unique=True)
    USERNAME_FIELD = "login"
"""

APPS = """\
from django.apps import AppConfig

class ShopConfig(AppConfig):
    name = "shop"
    label = "store"
    default_auto_field = "django.db.models.BigAutoField"
"""

FIELDS = """\
from django.db import models

class UpperField(models.CharField):
    pass

class MoneyField(models.Field):
    def db_type(self, connection):
        return "NUMERIC(12, 3)"

class RiddleField(models.Field):
    def db_type(self, connection):
        raise RuntimeError("ask somebody else")

class NoColumnField(models.Field):
    def db_type(self, connection):
        return None
"""

MODELS = """\
import uuid
from django.conf import settings
from django.db import models
from .fields import MoneyField, NoColumnField, RiddleField, UpperField

SCHEMA = "adm"


class Stamped(models.Model):
    made = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        abstract = True
        db_table = "stamped_by_parent"


class Tag(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    slug = models.SlugField()

    class Meta:
        db_table = f"{SCHEMA}.tags"


class Product(models.Model):
    name = models.CharField(max_length=100)
    code = UpperField(max_length=7, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    cost = MoneyField()
    riddle = RiddleField(null=True)
    nothing = NoColumnField()
    weight = models.FloatField(db_column="Weight kg")
    data = models.JSONField(default=dict)
    picture = models.FileField()
    opens = models.TimeField(null=True)
    span = models.DurationField(null=True)
    raw = models.BinaryField(null=True)
    amount = models.PositiveIntegerField(default=0)
    small = models.PositiveSmallIntegerField(default=0)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    parent = models.ForeignKey("self", models.SET_NULL, null=True, db_index=False, db_constraint=False)
    tags = models.ManyToManyField(Tag)
    friends = models.ManyToManyField("self")
    others = models.ManyToManyField(Tag, through="ProductTag", related_name="+")
    named = models.ManyToManyField(Tag, db_table='"adm"."named"', related_name="+")

    class Meta:
        db_table = '"adm"."products"'
        unique_together = [("name", "owner")]
        indexes = [
            models.Index(fields=["name", "-price"], name="name_price"),
            models.Index(fields=["price"], name="dear", condition=models.Q(price__gt=100)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["owner", "code"], name="one_code"),
            models.UniqueConstraint(fields=["name"], name="one_name", condition=models.Q(amount__gt=0)),
        ]


class ProductTag(models.Model):
    product = models.OneToOneField(Product, models.CASCADE)
    tag = models.ForeignKey(to="store.Tag", on_delete=models.CASCADE, to_field="id")


class Book(Product):
    isbn = models.CharField("ISBN", max_length=13)


class Novel(Book):
    class Meta:
        proxy = True


class Child(Stamped):
    key = models.BigIntegerField(primary_key=True)


class Swapped(models.Model):
    class Meta:
        swappable = "AUTH_USER_MODEL"


class Ledger(models.Model):
    note = models.TextField(blank=True)

    class Meta:
        managed = False
        db_table = 'adm"."ledger'
"""

FIRST = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Tag",
            fields=[("id", models.UUIDField(primary_key=True, serialize=False))],
            options={"db_table": "adm.tags"},
        ),
        migrations.CreateModel(name="Plain", fields=[("id", models.BigAutoField(primary_key=True))]),
    ]
"""

SECOND = '''\
from textwrap import dedent

from django.db import migrations, models

TABLES = ["tags", "products"]


def move(table, schema="adm"):
    return dedent(f"""
        ALTER TABLE public.{table} SET SCHEMA {schema};
    """)


def fill(apps, schema_editor):
    # the tags
    apps.get_model("store", "Tag").objects.all()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("store", "0001_initial")]
    operations = [
        migrations.RunSQL([move(t) for t in TABLES], migrations.RunSQL.noop),
        *[migrations.RunSQL(move(t, schema="b")) for t in TABLES],
        migrations.RunSQL([("UPDATE x SET a = %s, b = %s", ["it's", None])], reverse_sql=""),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL("ALTER TABLE tags RENAME TO labels"),
            ],
            state_operations=[
                migrations.AlterModelTable("Tag", table="labels"),
            ],
        ),
        migrations.AddField("tag", "slug", models.SlugField(default="")),
        migrations.AlterModelTable(name="plain", table=None),
    ]
'''

SHOP = {
    "manage.py": MANAGE,
    "config/settings.py": SETTINGS,
    "config/base.py": BASE,
    "people/models.py": PEOPLE,
    "shop/apps.py": APPS,
    "shop/fields.py": FIELDS,
    "shop/models.py": MODELS,
    "shop/migrations/0001_initial.py": FIRST,
    "shop/migrations/0002_more.py": SECOND,
}
