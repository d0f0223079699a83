"""Under which circumstances a run found what it found: enough to repeat it, nothing secret."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from rcakit import __version__
from rcakit.facts import Unread
from rcakit.sources import git

if TYPE_CHECKING:
    from rcakit.case import Case

_PACKAGES = ("psycopg", "postgast", "SQLAlchemy", "pandas", "matplotlib", "papermill", "nbconvert")


def of(case: Case) -> dict[str, str]:
    """Name -> value, in the order a reader asks: run, project, server, software."""
    server, declared = case.observed.server, case.declared
    read = next((table for table in case.recorded.tables if table.read), None)
    return {
        "run": case.run_id,
        "started": f"{case.started:%Y-%m-%d %H:%M:%S} UTC",
        "target": case.target.name,
        **_commit(case),
        "declared account": declared.how + (f", {declared.framework}" if declared.framework else ""),
        "project's Python": declared.python or "not run",
        "database": server.database,
        "server": server.version,
        "role": server.role + (" (superuser)" if server.superuser else ""),
        "search_path": server.search_path,
        "encoding": server.encoding,
        "recovery": "standby" if server.in_recovery else "primary",
        "snapshot": server.snapshot,
        "history table read": f"{read.schema}.django_migrations" if read else "none found",
        "rcakit": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def _commit(case: Case) -> dict[str, str]:
    project = case.target.project_dir
    head = git.head(project) if project else None
    if head is None or isinstance(head, Unread):
        return {"commit": f"unknown: {head.reason}" if head else "unknown"}
    return {
        "commit": head.commit + (" with uncommitted changes" if head.dirty else ""),
        "branch": head.branch,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
