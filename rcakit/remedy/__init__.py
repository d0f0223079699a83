"""Repairs of misplaced tables, generated from the observed catalog by OID: A move, B keep, C bridge.

>>> for repair in options(case):                    # doctest: +SKIP
...     write(repair, Path("repair") / repair.option)

Nothing here touches the investigated database, and no applied migration is ever edited.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rcakit import save
from rcakit.case import Case
from rcakit.errors import ConfigError, Refused
from rcakit.remedy import advised, bridge, keep, move
from rcakit.remedy.parts import Body, File, Move, Rename, Repair, Statement
from rcakit.remedy.survey import Survey, survey

__all__ = ["CHOICES", "Body", "File", "Move", "Rename", "Repair", "Statement", "option", "options", "write"]


_BUILDERS: dict[str, Callable[[Case, Survey], Repair]] = {
    "A": move.repair,
    "B": keep.repair,
    "C": bridge.repair,
    advised.OPTION: advised.build,
}
CHOICES = tuple(_BUILDERS)


def option(case: Case, letter: str) -> Repair:
    """One way out: "A", "B" or "C"; "advised" is what people usually advise, built to be seen failing.

    Raises Refused for a state that is not understood, or without a misplaced table.
    """
    return _BUILDERS[letter](case, survey(case))


def options(case: Case) -> tuple[Repair, ...]:
    """A, B and C. Raises Refused when one of them is not possible: `option` tells of each by itself."""
    found = survey(case)
    return tuple(_BUILDERS[letter](case, found) for letter in "ABC")


def write(repair: Repair, directory: Path) -> tuple[Path, ...]:
    """Write a repair's files below a directory, all or none.

    Raises Refused when one of them is there with another text, ConfigError when the directory cannot be written.
    """
    places = {directory / each.path: each.text for each in repair.files}
    for place, text in places.items():
        if place.exists() and place.read_bytes() != text.encode():
            raise Refused(
                f"{place} exists already, with another text", hint="name an empty directory with --out"
            )
    try:
        save.files(places)
    except OSError as error:
        raise ConfigError(
            f"the repair could not be written to {directory}: {error.strerror}",
            hint="nothing of it was left there; make room, or name another directory with --out",
        ) from None
    return tuple(places)
