"""A Django project for a generated catalog: its models are tables of `catalog.py`, its migrations make them.

Twenty applications, one a schema. A migration that has no model to create alters a field, renames in words only, moves
rows, or holds guarded SQL, in turns; all are committed to git and recorded as applied.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

APPS = 20

MANAGE = """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

SETTINGS = """\
import os
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = {apps}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": os.environ.get("BENCH_NAME", ""),
             "HOST": os.environ.get("BENCH_HOST", ""), "PORT": "5432", "USER": "postgres"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

MODEL = """

class T{n}(models.Model):
    name = models.CharField(max_length=100, default="x")
    note = models.TextField(null=True)
    data = models.JSONField(null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    at = models.DateTimeField(default=timezone.now)
    up = models.ForeignKey("T{up}", models.CASCADE, null=True, db_column="up", db_index=False, related_name="+")
    next = models.ForeignKey("self", models.CASCADE, null=True, db_column="next", db_index=False, related_name="+")

    class Meta:
        db_table = '"s{app}"."t{n}"'
        indexes = [models.Index(fields=["name", "at"], name="t{n}_name_at")]
"""

CREATE = """
        migrations.CreateModel(
            name="T{n}",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False)),
                ("name", models.CharField(default="x", max_length=100)),
                ("note", models.TextField(null=True)),
                ("data", models.JSONField(null=True)),
                ("price", models.DecimalField(decimal_places=2, max_digits=8, null=True)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("up", models.ForeignKey(db_column="up", db_index=False, null=True, related_name="+",
                       on_delete=django.db.models.deletion.CASCADE, to="app{app}.t{up}")),
                ("next", models.ForeignKey(db_column="next", db_index=False, null=True, related_name="+",
                         on_delete=django.db.models.deletion.CASCADE, to="app{app}.t{n}")),
            ],
            options={{"db_table": '"s{app}"."t{n}"',
                     "indexes": [models.Index(fields=["name", "at"], name="t{n}_name_at")]}},
        ),"""

OTHERS = (
    """
        migrations.AlterField("T{n}", "name", models.CharField(default="x", max_length=100)),""",
    """
        migrations.AlterModelOptions("T{n}", {{"verbose_name": "the {n}th"}}),""",
    """
        migrations.RunPython(fill, migrations.RunPython.noop),""",
    """
        migrations.RunSQL('''DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM information_schema.tables
                           WHERE table_schema = 's{app}' AND table_name = 't{n}') THEN
                CREATE TABLE s{app}.t{n} (id bigint PRIMARY KEY);
            END IF;
        END $$''', migrations.RunSQL.noop),""",
)

FILE = """\
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


def fill(apps, schema_editor):
    model = apps.get_model("app{app}", "T{n}")
    for row in model.objects.filter(note=None):
        row.note = row.name
        row.save()


class Migration(migrations.Migration):

    dependencies = {depends}

    operations = [{operations}
    ]
"""


def write(directory: Path, models: int, migrations: int) -> Path:
    """The project's files, committed: `models` tables of the catalog, made by `migrations` migrations."""
    apps = [f"app{n}" for n in range(APPS)]
    (directory / "manage.py").write_text(MANAGE)
    (directory / "settings.py").write_text(SETTINGS.format(apps=apps))
    for app in range(APPS):
        folder = directory / f"app{app}"
        (folder / "migrations").mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "migrations" / "__init__.py").touch()
        mine = range(app, models, APPS)
        text = "".join(MODEL.format(app=app, n=n, up=max(n - APPS, app)) for n in mine)
        (folder / "models.py").write_text(
            f"from django.db import models\nfrom django.utils import timezone\n{text}"
        )
        for name, content in _files(app, list(mine), migrations // APPS):
            (folder / "migrations" / f"{name}.py").write_text(content)
    _commit(directory)
    return directory


def _files(app: int, mine: list[int], count: int) -> Iterator[tuple[str, str]]:
    done = 0
    for number in range(count):
        due = max(1, len(mine) * (number + 1) // count)
        new, done = mine[done:due], due
        shape = {"app": app, "n": mine[done - 1]}
        if new:
            body = "".join(CREATE.format(app=app, n=n, up=max(n - APPS, app)) for n in new)
        else:
            body = OTHERS[number % len(OTHERS)].format(**shape)
        depends = [(f"app{app}", _name(number - 1))] if number else []
        yield _name(number), FILE.format(depends=depends, operations=body, **shape)


def _name(number: int) -> str:
    return f"{number + 1:04}_step" if number else "0001_initial"


def _commit(directory: Path) -> None:
    who = {f"GIT_{role}_{part}": "x@x" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All of it"]):
        subprocess.run(["git", *command], cwd=directory, env={**os.environ, **who}, check=True)


def record(conninfo: str, project: Path) -> None:
    """Every migration of the project as applied, as `migrate` would have written it."""
    found = sorted(project.glob("app*/migrations/0*.py"), key=lambda path: (path.stem, path.parts[-3]))
    rows = [(path.parts[-3], path.stem) for path in found]
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists public.django_migrations")
        cursor.execute(
            "create table public.django_migrations (id bigint generated by default as identity primary key, "
            "app varchar(255) not null, name varchar(255) not null, applied timestamptz not null)"
        )
        cursor.executemany("insert into django_migrations (app, name, applied) values (%s, %s, now())", rows)
