"""What every test may ask for: one scratch PostgreSQL a session, one database a test, one demo for those that only look."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from commands import ROOT

from rcakit import connection as connecting
from rcakit import demo, scratch
from rcakit.case import Case, open_case
from rcakit.errors import RcaError
from rcakit.scratch.binaries import installed

if TYPE_CHECKING:
    from rcakit.report.runs import Options


RAM_DISK = Path("/dev/shm")  # noqa: S108


def pytest_report_header() -> str:
    """The versions a failure depends on; PostgreSQL's is that of the scratch server."""
    try:
        found = next(installed(), None)
        postgresql = f"{found.version} ({found.path})" if found else "none"
    except RcaError as error:
        postgresql = error.what
    django = importlib.metadata.version("Django")
    return f"PostgreSQL {postgresql}, Django {django}, Python {platform.python_version()}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: part of the time a test waits for a server, a process or a page."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _no_libpq_environment() -> Iterator[None]:
    """A developer's own PGHOST, PGSERVICE or PGOPTIONS must not lead a test anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PG")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Throwaway servers keep their files in memory where there is room: half of what a database costs is its files.

    What tests themselves write stays on the disk, where it can be looked at later.
    """
    tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        if _has_room(RAM_DISK):
            patch.setenv("TMPDIR", str(RAM_DISK))
            patch.setattr(tempfile, "tempdir", None)
        yield


def _has_room(place: Path) -> bool:
    """Containers often have 64 MB there, or forbid programs, which a server may have to bring along."""
    if "TMPDIR" in os.environ or not place.is_dir():
        return False
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize > 4 * 2**30 and not found.f_flag & os.ST_NOEXEC


@pytest.fixture(scope="session")
def server() -> Iterator[scratch.Server]:
    """The session's scratch server, started when first asked for."""
    with scratch.server() as running:
        yield running


@pytest.fixture
def dbname(server: scratch.Server) -> Iterator[str]:
    """The name of an empty database, dropped after the test."""
    with server.database("test") as name:
        yield name


@pytest.fixture
def conninfo(server: scratch.Server, dbname: str) -> str:
    """Superuser conninfo of the test's own database."""
    return server.conninfo(dbname)


@pytest.fixture
def connection(conninfo: str) -> Iterator[psycopg.Connection]:
    """An autocommit superuser connection to the test's own database."""
    with psycopg.connect(conninfo, autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _signals() -> None:
    """A shell's background job ignores Ctrl-C, one under nohup a hang-up too, and so would all that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting() -> Iterator[None]:
    """Between two tries to reach a server no time goes by."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connecting, "FIRST_WAIT_S", 0.0)
        yield


# ------------------------------------------------------------------ the demo, built once, for whoever only looks


@pytest.fixture(scope="session")
def demo_dir(server: scratch.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo incident's directory; every command works in it without arguments. Look, do not touch."""
    yield from _demo(server, tmp_path_factory.mktemp("shared") / "incident", healthy=False)


@pytest.fixture(scope="session")
def healthy_dir(server: scratch.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same without the fault."""
    yield from _demo(server, tmp_path_factory.mktemp("shared") / "healthy", healthy=True)


@pytest.fixture(scope="session")
def demo_case(demo_dir: Path) -> Case:
    """The incident, investigated: models read live."""
    return open_case(demo_dir / "rcakit.toml")


@pytest.fixture(scope="session")
def healthy_case(healthy_dir: Path) -> Case:
    """The healthy twin, investigated: models read live."""
    return open_case(healthy_dir / "rcakit.toml")


def _demo(server: scratch.Server, directory: Path, *, healthy: bool) -> Iterator[Path]:
    """Its settings name the session's server by an environment variable instead of a data directory."""
    variable = f"RCAKIT_TEST_{directory.name.upper()}"
    built = demo.build(directory, server, healthy=healthy, database=f"shared_{directory.name}")
    settings = built.config.read_text(encoding="utf-8")
    named = settings.replace('python = "current"\n', f'python = "current"\ndsn_env = "{variable}"\n')
    assert named != settings
    built.config.write_text(named, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, built.conninfo)
        yield directory


@pytest.fixture(scope="session")
def forked() -> Iterator[Options]:
    """For runs whose kernel need not import everything anew: it is forked, as those of many runs at a time are."""
    from rcakit.report import forks
    from rcakit.report.runs import Options

    path = {"PYTHONPATH": str(ROOT)}
    if not forks.POSSIBLE:
        yield Options(env=path)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path["PYTHONPATH"])
        template = forks.Template()
    with template:
        yield Options(env=path, template=template)


_OF_A_PROJECT = """
    Django asgiref sqlparse psycopg psycopg-binary typing_extensions
    pytest pytest-django pluggy iniconfig packaging Pygments
"""


@pytest.fixture(scope="session")
def own_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's own interpreter, as a project has one: Django, a driver and pytest, without the plugins of this one."""
    place = tmp_path_factory.mktemp("own")
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    for name in _OF_A_PROJECT.split():
        _link(importlib.metadata.distribution(name), site)
    return str(place / "bin" / "python")


def _link(package: importlib.metadata.Distribution, site: Path) -> None:
    """Let an environment have a package that is installed in this one."""
    for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
        (site / top).symlink_to(package.locate_file(top))
