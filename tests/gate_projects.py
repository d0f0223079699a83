"""Projects with the gate installed, on disk, each with its own interpreter and database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import jsonschema
from psycopg.conninfo import conninfo_to_dict

from tests.commands import ROOT, Done
from tests.django_projects import MANAGE, python_of, write

DJANGOS = ["installed", "py38-django32", "py311-django42", "py313-django60-psycopg"]
COMMAND = "verify_schema_placement"
SCHEMA = json.loads((ROOT / "rcakit" / "schemas" / "placement.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Project:
    """A project on disk, its interpreter and its database."""

    directory: Path
    python: str
    env: Mapping[str, str]

    def manage(self, *arguments: str) -> Done:
        done = subprocess.run(
            [self.python, "-W", "error::DeprecationWarning:rcakit", "manage.py", *arguments],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def verify(self, *arguments: str) -> tuple[int, Any]:
        done = self.manage(COMMAND, "--format", "json", *arguments)
        assert done.out, done.err
        document = json.loads(done.out)
        jsonschema.validate(document, SCHEMA)
        return done.code, document


SETTINGS = """\
import os
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = ["shop", "rcakit.gate"]
POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["DB_NAME"], "HOST": os.environ["DB_HOST"], "USER": os.environ["DB_USER"],
    "PORT": os.environ.get("DB_PORT", ""),
}
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
DATABASES = {"default": POSTGRESQL}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
"""


def project(
    directory: Path,
    conninfo: str,
    models: str = "",
    *,
    migrations: Mapping[str, str] | None = None,
    settings: str = "",
    django: str = "installed",
    files: Mapping[str, str] | None = None,
) -> Project:
    """Write a project with one app, `shop`; a text of `migrations` is the list of its operations."""
    to = conninfo_to_dict(conninfo)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DB_", "DJANGO_"))}
    env |= {"PYTHONPATH": str(ROOT), "DB_NAME": str(to["dbname"]), "DB_HOST": str(to["host"])}
    env |= {"DB_USER": str(to["user"]), "DB_PORT": str(to.get("port", "")), "PYTHONDONTWRITEBYTECODE": "1"}
    written = {
        "manage.py": MANAGE,
        "config/settings.py": SETTINGS + dedent(settings),
        "shop/models.py": "from django.db import models\n\n" + dedent(models),
        **(files or {}),
    }
    before = ""
    for name, operations in (migrations or {}).items():
        written[f"shop/migrations/{name}.py"] = migration(operations, before)
        before = name
    return Project(
        write(directory, written), sys.executable if django == "installed" else python_of(django), env
    )


def migration(operations: str, before: str = "") -> str:
    return (
        "from django.db import migrations, models\nfrom rcakit.gate.operations import *\n\n\n"
        "class Migration(migrations.Migration):\n"
        f"    dependencies = {[('shop', before)] if before else []!r}\n"
        f"    operations = [\n{indent(dedent(operations).strip(), ' ' * 8)}\n    ]\n"
    )


def model(name: str, db_table: str, fields: str = "name = models.CharField(max_length=30)") -> str:
    return (
        f"class {name}(models.Model):\n    {fields}\n    class Meta:\n        db_table = {db_table!r}\n\n\n"
    )
