"""Copies of a project: whatever is done to one, the project stays as it is, also where links lead out of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = (".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache", "pgdata")


def copied(project: Path, to: Path) -> Path:
    """A copy of the project without histories, environments and caches.

    A link leads to where it led before; one to another part of the project leads to that part of the copy.
    """
    shutil.copytree(project, to, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    here = os.path.realpath(project)
    for link in _links(to):
        was = Path(os.path.realpath(project / link.relative_to(to)))
        own = to / was.relative_to(here) if was.is_relative_to(here) else was
        link.unlink()
        link.symlink_to((own if os.path.lexists(own) else was).absolute())
    return to


def write(copy: Path, path: str | Path, text: str | bytes) -> None:
    """Write a file of a copy, its folders too; what a link leads to outside of the copy becomes the copy's own first."""
    place = copy / path
    for folder in [*reversed(place.relative_to(copy).parents[:-1]), place.relative_to(copy)]:
        _own(copy / folder, copy)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text.encode() if isinstance(text, str) else text)


def _links(copy: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(copy):
        yield from (path for name in (*folders, *names) if (path := Path(folder) / name).is_symlink())


def _own(place: Path, copy: Path) -> None:
    behind = Path(os.path.realpath(place))
    if not place.is_symlink() or behind.is_relative_to(os.path.realpath(copy)):
        return
    place.unlink()
    if behind.is_dir():
        copied(behind, place)
    elif behind.is_file():
        shutil.copy2(behind, place)
