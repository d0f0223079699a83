"""The step that a pipeline lacks: the project's migrations on a real, empty PostgreSQL, and a look at what they left.

Written for the system the project has. https://docs.github.com/actions/use-cases-and-examples/using-containerized-services/creating-postgresql-service-containers ·
https://docs.gitlab.com/ee/ci/services/postgres/
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from rcakit.facts import CiJob

GITHUB = ".github/workflows/schema-placement.yml"
GITLAB = ".gitlab-ci.yml"
JOB = "schema-placement"
DSN = "RCAKIT_DSN"
CHECK = f"rcakit check --dsn-env {DSN}"
COMMANDS = ("python manage.py migrate --no-input", "python manage.py verify_schema_placement", CHECK)
_SERVICE = {"HOST": "{host}", "PORT": "5432", "NAME": "app", "USER": "app", "PASSWORD": "app"}
_GITHUB = """\
name: Schema placement

on:
  push:
  pull_request:

jobs:
  {job}:
    runs-on: ubuntu-latest
    services:
      postgres:
        image: postgres:{major}
        env:
{container}
        ports: ["5432:5432"]
        options: --health-cmd pg_isready --health-interval 2s --health-timeout 5s --health-retries 20
    env:
{variables}
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-python@v5
        with:
          python-version: "{python}"
{steps}
"""
_GITLAB = """\
{job}:
  image: python:{python}
  services:
    - name: postgres:{major}
      alias: postgres
  variables:
    GIT_DEPTH: "0"
{container}
{variables}
  script:
{steps}
"""


def files(project: Path, jobs: tuple[CiJob, ...], settings: str, major: int, python: str) -> dict[str, str]:
    """Path -> new text of the pipeline's files: GitLab's and GitHub's where the project has them, GitHub's where it has none.

    `settings` is the path of the settings file, `major` that of PostgreSQL, `python` the version of the interpreter.
    """
    text = (project / settings).read_text("utf-8")
    install = list(_install(project))
    made = {}
    if (project / GITLAB).is_file() and not _runs(jobs, GITLAB):
        was = (project / GITLAB).read_text("utf-8")
        added = _gitlab(text, major, python, install)
        made[GITLAB] = was.rstrip("\n") + "\n\n" + added
    others = any(not job.local and not job.where.path.startswith(".git") for job in jobs)
    none = not (project / GITLAB).is_file() and not others
    if ((project / ".github" / "workflows").is_dir() or none) and not _runs(jobs, ".github/"):
        made[GITHUB] = _github(text, major, python, install)
    return made


def _runs(jobs: tuple[CiJob, ...], start: str) -> bool:
    """A job of these files looks already."""
    names = {"verify_schema_placement", "rcakit check"}
    return any(
        job.where.path.startswith(start) and names & {call.name for call in job.calls if not call.skipped}
        for job in jobs
    )


def _github(settings: str, major: int, python: str, install: list[str]) -> str:
    steps = "\n".join(f"      - run: {each}" for each in (*install, *COMMANDS))
    return _GITHUB.format(
        job=JOB,
        major=major,
        python=python,
        steps=steps,
        container=_lines(_container(settings), 10),
        variables=_lines(_variables(settings, "localhost"), 6),
    )


def _gitlab(settings: str, major: int, python: str, install: list[str]) -> str:
    steps = "\n".join(f"    - {each}" for each in (*install, *COMMANDS))
    return _GITLAB.format(
        job=JOB,
        major=major,
        python=python,
        steps=steps,
        container=_lines(_container(settings), 4),
        variables=_lines(_variables(settings, "postgres"), 4),
    )


def _lines(values: Mapping[str, str], indent: int) -> str:
    """A mapping of YAML; a text of JSON is one of YAML."""
    return "\n".join(f"{' ' * indent}{name}: {json.dumps(value)}" for name, value in values.items())


def _install(project: Path) -> Iterator[str]:
    if (project / "requirements.txt").is_file():
        yield "pip install -r requirements.txt rcakit"
    elif (project / "pyproject.toml").is_file() or (project / "setup.py").is_file():
        yield "pip install . rcakit"
    else:
        yield "pip install django psycopg[binary] rcakit"


# ------------------------------------------------------------------ how the settings find their database


def _container(settings: str) -> dict[str, str]:
    """The service is made for what the settings write down, and has names of its own for the rest; no password is copied."""
    said = _constants(settings)
    return {
        "POSTGRES_DB": said.get("NAME", _SERVICE["NAME"]),
        "POSTGRES_USER": said.get("USER", _SERVICE["USER"]),
        "POSTGRES_HOST_AUTH_METHOD": "trust",
    }


def _variables(settings: str, host: str) -> dict[str, str]:
    """The environment that leads the settings, and rcakit, to the service."""
    said = _constants(settings)
    values = {key: value.format(host=host) for key, value in _SERVICE.items()}
    values |= {key: said[key] for key in ("NAME", "USER") if key in said}
    parts = {key: quote(value, safe="") for key, value in values.items()}
    url = "postgresql://{USER}@{HOST}:{PORT}/{NAME}".format(**parts)
    made = {variable: values[key] for key, variable in _asked(settings).items()}
    if "DATABASE_URL" in settings:
        made["DATABASE_URL"] = url
    return {**made, DSN: url}


def _asked(settings: str) -> dict[str, str]:
    """HOST -> the environment variable that the default database takes it from."""
    return {
        key: name
        for key, value in _default(settings).items()
        if key in _SERVICE and (name := _variable(value))
    }


def _constants(settings: str) -> dict[str, str]:
    return {
        key: value.value
        for key, value in _default(settings).items()
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value
    }


def _default(settings: str) -> dict[str, ast.expr]:
    """Key -> expression of DATABASES["default"], where it is written out."""
    for node in ast.walk(ast.parse(settings)):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == "DATABASES" for each in node.targets
        ):
            return _pairs(_pairs(node.value).get("default"))
    return {}


def _pairs(node: ast.expr | None) -> dict[str, ast.expr]:
    if not isinstance(node, ast.Dict):
        return {}
    return {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _variable(node: ast.expr) -> str:
    """The NAME in `os.environ.get("NAME", ..)`, `os.environ["NAME"]`, `env("NAME")`; "" for anything else."""
    found: ast.expr | None = None
    if isinstance(node, ast.Call) and node.args:
        found = node.args[0]
    elif isinstance(node, ast.Subscript):
        found = node.slice
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else ""
