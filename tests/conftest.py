"""What every test may ask for: one scratch PostgreSQL a session, one database a test."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator

import psycopg
import pytest

from rcakit import scratch
from rcakit.binaries import installed
from rcakit.errors import RcaError


def pytest_report_header() -> str:
    """The versions a failure depends on; PostgreSQL's is that of the scratch server."""
    try:
        found = next(installed(), None)
        postgresql = f"{found.version} ({found.path})" if found else "none"
    except RcaError as error:
        postgresql = error.what
    django = importlib.metadata.version("Django")
    return f"PostgreSQL {postgresql}, Django {django}, Python {platform.python_version()}"


@pytest.fixture(scope="session", autouse=True)
def _no_libpq_environment() -> Iterator[None]:
    """A developer's own PGHOST, PGSERVICE or PGOPTIONS must not lead a test anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PG")]:
            patch.delenv(name)
        yield


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
