"""The peers' own environment: installed once, from the package index, into `.venv/benchmarks/peers`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import results

PLACE = results.KEPT / "peers"

PACKAGES = {
    "SQLAlchemy": ("SQLAlchemy", "psycopg[binary]"),
    "schemainspect": ("schemainspect", "psycopg2-binary", "setuptools<81"),  # imports pkg_resources
    "migra": ("migra", "psycopg2-binary", "setuptools<81"),
    "Django": ("Django", "psycopg[binary]"),
    "alembic": ("alembic", "psycopg[binary]"),
    "django-migration-linter": ("django-migration-linter",),
}
"""Peer -> what is installed for it."""


def python() -> Path:
    """The interpreter of the peers; the environment is made when it is not there."""
    found = PLACE / "bin" / "python"
    if not found.exists():
        venv.create(PLACE, with_pip=True)
    return found


def install(peer: str) -> str:
    """ "SQLAlchemy 2.0.43", or "" after saying why it cannot be had."""
    if not (known := _version(peer)):
        command = [python(), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES[peer]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        known = _version(peer) if done.returncode == 0 else ""
        if not known:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            print(f"{peer} could not be installed and is left out: {last}", file=sys.stderr, flush=True)
    return known


def _version(peer: str) -> str:
    asked = f"from importlib.metadata import version; print(version({peer!r}))"
    done = subprocess.run([python(), "-c", asked], capture_output=True, text=True, check=False)
    return f"{peer} {done.stdout.strip()}" if done.returncode == 0 else ""
