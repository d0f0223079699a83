"""Not every PostgreSQL comes with its contrib modules: a test that needs one says so, and is skipped without it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest


def needs_extension(connection: psycopg.Connection[Any], name: str) -> None:
    """Skip the test, naming the extension and the server, where it cannot be created."""
    found = connection.execute("SELECT FROM pg_available_extensions WHERE name = %s", [name]).fetchone()
    if found is None:
        version = connection.execute("SHOW server_version").fetchone()
        pytest.skip(
            f"PostgreSQL {version and version[0]} here has no extension {name}: install its contrib modules"
        )
