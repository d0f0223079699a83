"""What runs have left below a directory: read as it is, whatever has happened to it since.

`<root>/<target>/<run id>/` holds a run when its run.json and findings.json can be read; everything else there is an
`Odd`, with the reason. Symbolic links are not followed: a link is no run, wherever it leads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from rcakit.archive.content import Content, Described
from rcakit.archive.held import busy

VERSION = 1
"""Of run.json and findings.json, the latest this version can read."""
PART = re.compile(r"\.(\d{8}T\d{6}Z-[0-9a-f]{4})\.part")
"""What the folder of a run is called while it is written."""

State = Literal["not a run", "broken", "in progress", "left behind"]
_Document = TypeVar("_Document", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Kept:
    """One run that is whole on disk, however it ended."""

    folder: Path
    run: Described
    content: Content

    @property
    def id(self) -> str:
        """The folder's name, by which it is found; a person may have given it another one than the run's own."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """It came to its end and judged a case: what it found can be compared."""
        return self.run.status in ("ok", "findings", "could-not-check") and self.judged

    @property
    def judged(self) -> bool:
        """A case was saved: where there was none, the run itself is among what could not be read."""
        return not any(row.account == "run" for row in self.content.unread)

    @property
    def good(self) -> bool:
        """Nothing was found, and all was checked."""
        return self.run.status == "ok" and self.judged

    @property
    def incident(self) -> str:
        """The incident's identifier, "" where none was given."""
        return self.run.incident or self.content.target.get("incident", "")

    @property
    def report(self) -> Path | None:
        """Its report.html, None when somebody took it away."""
        path = self.folder / "report.html"
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Odd:
    """Something between the runs that is none: `why` in a few words."""

    folder: Path
    state: State
    why: str


@dataclass(frozen=True)
class Archive:
    """All that lies below `root`; runs from the newest to the oldest."""

    root: Path
    runs: tuple[Kept, ...]
    odd: tuple[Odd, ...]

    def targets(self) -> dict[str, tuple[Kept, ...]]:
        """The runs of each target by its name, the names in order."""
        names = sorted({kept.run.target for kept in self.runs})
        return {name: tuple(kept for kept in self.runs if kept.run.target == name) for name in names}


class _BrokenError(Exception):
    """A document of a run that cannot be used; the text says why."""


def archive(root: Path) -> Archive:
    """Everything below `root`, which need not exist. What cannot be read is among the odd ones."""
    found = [item for directory in _directories(root) for item in _target(directory)]
    runs = [item for item in found if isinstance(item, Kept)]
    runs.sort(key=lambda kept: (kept.run.started, kept.id), reverse=True)
    return Archive(root, tuple(runs), tuple(item for item in found if isinstance(item, Odd)))


def before(directory: Path, target: str) -> tuple[Kept | None, int]:
    """The latest run of a target in its folder that can be compared, and how many after it cannot."""
    skipped = 0
    for kept in latest(directory, target):
        if kept.finished:
            return kept, skipped
        skipped += 1
    return None, skipped


def latest(directory: Path, target: str) -> Iterator[Kept]:
    """The whole runs of a target in its folder, the latest first; each is read when it is asked for."""
    for folder in reversed(list(_directories(directory))):
        found = read(folder)
        if isinstance(found, Kept) and found.run.target == target:
            yield found


def _directories(place: Path) -> Iterator[Path]:
    """The directories in a directory by name, links to some too; nothing when it is not there."""
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if path.is_dir())


def _target(directory: Path) -> Iterator[Kept | Odd]:
    """What the folder of a target holds; a folder without a single run is told once, as a whole."""
    if directory.name.startswith("."):
        return
    if directory.is_symlink():
        yield Odd(directory, "not a run", "a symbolic link, which is not followed")
        return
    try:
        found = [read(path) for path in _directories(directory)]
    except OSError as error:
        yield Odd(directory, "broken", f"cannot be read: {error.strerror}")
        return
    if all(isinstance(item, Odd) and item.state == "not a run" for item in found):
        yield Odd(directory, "not a run", "holds no run")
        return
    yield from found


def read(folder: Path) -> Kept | Odd:
    """One folder: the run in it, or why it is none."""
    if folder.is_symlink():
        return Odd(folder, "not a run", "a symbolic link, which is not followed")
    if PART.fullmatch(folder.name):
        return _unfinished(folder)
    try:
        if not (folder / "run.json").exists():
            return Odd(folder, "not a run", "has no run.json")
        run = _document(folder / "run.json", Described)
        return Kept(folder, run, _document(folder / "findings.json", Content))
    except _BrokenError as error:
        return Odd(folder, "broken", str(error))
    except OSError as error:
        return Odd(folder, "broken", f"cannot be read: {error.strerror}")


def _unfinished(folder: Path) -> Odd:
    try:
        working = busy(folder)
    except OSError as error:
        return Odd(folder, "in progress", f"cannot be opened: {error.strerror}")
    if working is None:
        return Odd(
            folder, "in progress", "not finished; this file system cannot tell whether anybody is at it"
        )
    if working:
        return Odd(folder, "in progress", "a run that is under way")
    return Odd(folder, "left behind", "not finished, and nobody is at it: its run was killed")


def _document(path: Path, kind: type[_Document]) -> _Document:
    """A document of a run, as far as it is needed here. Raises _BrokenError, and OSError."""
    if not path.is_file():
        raise _BrokenError(f"has no {path.name}")
    try:
        content = json.loads(path.read_bytes())
        version = content["version"]
        if isinstance(version, int) and version > VERSION:
            raise _BrokenError(f"{path.name} is of version {version}: a later rcakit wrote it")
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise _BrokenError(f"{path.name} is not as expected: {place}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise _BrokenError(f"{path.name} is not whole JSON") from None
    except (KeyError, TypeError):
        raise _BrokenError(f"{path.name} is not a document of rcakit") from None


def begun(folder: Path) -> datetime | None:
    """When a run began, by the name of its folder."""
    named = PART.fullmatch(folder.name)
    return datetime.strptime(named[1][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if named else None
