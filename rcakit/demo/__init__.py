"""The demo incident: a small Django project that has it, built for real on a scratch PostgreSQL.

`project/` is the project as it was found: seven models whose `db_table` holds a literal dot, a guarded migration
that never moves them, and tests that cannot see it. `build` writes it, runs its own migrations in a process of
their own, loads a few thousand rows, and gives it a git history.

What is staged, and said here because a demo must not pass for evidence: the commits' authors and dates, and the
`applied` times and row order of `django_migrations` (`backdate.sql`), which tell the story of February 2026.
Everything else is what Django and PostgreSQL did.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from rcakit.demo import history
from rcakit.demo.variant import HEALTHY, Edit, changed
from rcakit.errors import MissingExtra, ProjectError, Refused, ScratchError
from rcakit.scratch import Server

DATABASE = "adm_demo"
ROLE = "acted_app"
"""The application's own role: may log in, is no superuser, owns nothing."""

_HERE = Path(__file__).parent
_SCRIPTS = ("20260202_grants.sql", "20260205_reporting.sql", "development_data.sql")
_PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Demo:
    """What `build` made.

    `conninfo` is the superuser's libpq connection string to `database`; it holds no secret. `commits` is 0 when
    git could not be used; `warnings` then says why.
    """

    directory: Path
    project: Path
    config: Path
    database: str
    role: str
    conninfo: str
    healthy: bool
    commits: int
    warnings: tuple[str, ...] = ()


def build(directory: Path, server: Server, *, healthy: bool = False, database: str = DATABASE) -> Demo:
    """Write the demo below `directory` and its tables into a new database of `server`.

    `directory` gets `project/` and `rcakit.toml`, whose server is `directory/pgdata`: to be found again later,
    `server` must be the one started there. `healthy` leaves the fault out.

    Raises MissingExtra without Django, Refused when the project or the database exists already, ProjectError when
    the project's migrations fail, ScratchError when the server refuses.
    """
    if find_spec("django") is None:
        raise MissingExtra("django", "demo")
    project = directory / "project"
    if project.exists():
        raise Refused(f"{project} exists already", hint="build the demo in a directory of its own")
    _create_database(server, database)
    files = sources(healthy=healthy, database=database)
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    conninfo = server.conninfo(database)
    _migrate(project, conninfo)
    _fill(project, conninfo)
    own = {path.removeprefix("project/"): text for path, text in files.items() if path.startswith("project/")}
    problem = history.write(project, own)
    return Demo(
        directory=directory,
        project=project,
        config=directory / "rcakit.toml",
        database=database,
        role=ROLE,
        conninfo=conninfo,
        healthy=healthy,
        commits=0 if problem else len(history.COMMITS),
        warnings=(problem,) if problem else (),
    )


def sources(*, healthy: bool = False, database: str = DATABASE) -> dict[str, str]:
    """The demo's files, path relative to its directory -> text. Raises ProjectError when an edit does not fit."""
    paths = (_HERE / "rcakit.toml", *sorted((_HERE / "project").rglob("*")))
    files = {
        path.relative_to(_HERE).as_posix(): path.read_bytes().decode()
        for path in paths
        if path.is_file() and not _is_cache(path.relative_to(_HERE))
    }
    named = Edit("rcakit.toml", f'database = "{DATABASE}"', f'database = "{database}"')
    return changed(files, (named, *(HEALTHY if healthy else ())))


def _is_cache(path: Path) -> bool:
    """Installers compile every module of a package, the patient's too."""
    return any(part.endswith(("_cache", "__pycache__")) for part in path.parts)


def _create_database(server: Server, database: str) -> None:
    try:
        with server.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchall():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
    except psycopg.errors.DuplicateDatabase as error:
        raise Refused(
            f"the server has a database {database!r} already", hint="drop it, or use another data directory"
        ) from error
    except psycopg.Error as error:
        raise _refusal(error) from error


def _migrate(project: Path, conninfo: str) -> None:
    """Run `manage.py migrate`, as a person would, against the new database and no other."""
    to = conninfo_to_dict(conninfo)
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("PG", "DB_", "DJANGO_", "PYTHONSAFEPATH"))
    }
    settings = {f"DB_{key}": str(to.get(name) or "") for key, name in _SETTINGS.items()}
    command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
    try:
        subprocess.run(
            command, cwd=project, env=clean | settings, capture_output=True, check=True, timeout=_PATIENCE_S
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ProjectError(
            f"the demo's migrations failed: {said}", hint=f"see for yourself: manage.py migrate in {project}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ProjectError(
            f"the demo's migrations did not end within {_PATIENCE_S} s",
            hint="is the machine or its disk busy?",
        ) from error


_SETTINGS = {"HOST": "host", "PORT": "port", "NAME": "dbname", "USER": "user", "PASSWORD": "password"}


def _fill(project: Path, conninfo: str) -> None:
    """Run the project's own scripts, then give its history the dates of the story."""
    scripts = [*(project / "ops" / name for name in _SCRIPTS), _HERE / "backdate.sql"]
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            for script in scripts:
                connection.execute(script.read_bytes())
            connection.execute("ANALYZE")
    except psycopg.Error as error:
        raise _refusal(error) from error


def _refusal(error: psycopg.Error) -> ScratchError:
    return ScratchError(
        f"the demo's database could not be prepared: {str(error).strip()}",
        hint="is the server still running, with free disk space?",
    )
