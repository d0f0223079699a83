"""The investigated database: which one a target names, and its own server running where it has one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcakit import scratch
from rcakit.errors import ConfigError
from rcakit.target import Target

PATIENCE_S = 120.0
"""How long a command waits for another one that runs the target's own server, in seconds."""


def named(target: Target) -> None:
    """Raises ConfigError unless the target names a database, as far as that can be told without asking for it."""
    if target.dsn_env is not None:
        _from_environment(target.dsn_env)
    elif target.server is not None and target.service is None:
        _data(target)
    elif target.service is None:
        raise ConfigError(
            "no database is named",
            hint="give --dsn-env NAME or --service NAME, or write one into rcakit.toml (rcakit new DIR)",
        )


def busy(target: Target) -> bool:
    """Another command runs the target's own server now."""
    return (
        target.server is not None and not (target.dsn_env or target.service) and scratch.held(_data(target))
    )


@contextmanager
def running(target: Target) -> Iterator[str]:
    """The libpq connection string of a target, with its own server running where it has one.

    Waits while another command runs that server. Raises ConfigError when nothing names a database, and
    ScratchError when the server does not start.
    """
    named(target)
    if target.dsn_env is not None:
        yield _from_environment(target.dsn_env)
    elif target.service is not None:
        yield f"service={target.service}"
    elif target.server is not None:
        with scratch.server(_data(target), patience=PATIENCE_S) as server:
            yield server.conninfo(target.server.database)


def _data(target: Target) -> Path:
    """The data directory of the target's own server, which is started, and never made."""
    data = target.root / target.server.data if target.server else target.root
    if not data.is_dir() or (os.access(data, os.R_OK) and not os.listdir(data)):
        raise ConfigError(
            f"there is no PostgreSQL data directory {data}", hint="check `data` in [target.server]"
        )
    return data


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    if not value.strip():
        raise ConfigError(
            f"the environment variable {name} is empty or not set",
            hint=f'put the connection string there: export {name}="host=... dbname=... user=..."',
        )
    return value
