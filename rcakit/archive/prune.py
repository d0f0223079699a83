"""Retention: the latest runs of each target stay, older ones go; a run in progress is never touched.

What is removed is a folder named by a run's id that holds a run and nothing else: one that a person renamed, or put
notes into, is theirs. It is renamed to a hidden name first, so that a removal that is broken off leaves no half run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rcakit.archive.held import busy
from rcakit.archive.kept import Archive, Kept, archive, begun
from rcakit.errors import RcaError

LEFT_BEHIND = timedelta(days=1)
"""What a killed run left may go after this time: until then somebody may want to look at it."""
_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_WRITTEN = frozenset({"report.html", "report.pdf", "notebook.ipynb", "findings.json", "run.json", "evidence"})
"""What a run writes."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A folder that goes, and why."""

    folder: Path
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes, and what is older than the rest but stays."""

    remove: tuple[Removal, ...]
    spared: tuple[Removal, ...]


def plan(root: Path, keep: int, now: datetime) -> Plan:
    """Which runs below `root` go when `keep` of each target stay; nothing is changed.

    Beyond those stay the last good run, and the last that came to its end, which the next one is compared with.
    """
    found = archive(root)
    remove = list(_left_behind(found, now))
    spared: list[Removal] = []
    for runs in found.targets().values():
        reasons = _reasons(runs)
        for kept in runs[keep:]:
            why = reasons.get(kept.folder) or _theirs(kept)
            (spared if why else remove).append(Removal(kept.folder, why or f"older than the last {keep}"))
    return Plan(tuple(remove), tuple(spared))


def _reasons(runs: Sequence[Kept]) -> dict[Path, str]:
    """Runs that stay whatever their age."""
    finished = next((kept for kept in runs if kept.finished), None)
    good = next((kept for kept in runs if kept.good), None)
    named = ((finished, "the last run that came to its end"), (good, "the last good run"))
    return {kept.folder: why for kept, why in named if kept is not None}


def _theirs(kept: Kept) -> str:
    """Why this folder is a person's, "" when a run made it and nobody touched it."""
    if not _RUN.fullmatch(kept.id):
        return "somebody gave it a name"
    foreign = sorted(path.name for path in kept.folder.iterdir() if path.name not in _WRITTEN)
    return f"holds {foreign[0]}, which no run writes" if foreign else ""


def _left_behind(found: Archive, now: datetime) -> Iterator[Removal]:
    for odd in found.odd:
        since = begun(odd.folder)
        if odd.state == "left behind" and since is not None and now - since > LEFT_BEHIND:
            yield Removal(odd.folder, "left behind by a run that was killed")


def remove(removal: Removal) -> None:
    """Take one folder away. Raises RcaError when the system refuses, or when somebody is at it now."""
    folder = removal.folder
    try:
        if not folder.name.startswith("."):
            folder = folder.rename(folder.with_name(f".{folder.name}.part"))
        elif busy(folder) is not False:
            raise RcaError(f"{folder} was left alone: somebody is at work in it", hint="run it again later")
        shutil.rmtree(folder)
    except FileNotFoundError:
        return  # another one tidies up here too
    except OSError as error:
        raise RcaError(
            f"{removal.folder} could not be removed: {error.strerror}", hint="mend that, and run it again"
        ) from None
