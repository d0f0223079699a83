"""Repairs of misplaced tables, generated from the observed catalog by OID: A move, B keep, C bridge.

>>> for repair in options(case):                    # doctest: +SKIP
...     write(repair, Path("repair") / repair.option)

Nothing here touches the investigated database, and no applied migration is ever edited.
"""

from __future__ import annotations

from pathlib import Path

from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.remedy import bridge, keep, move
from rcakit.remedy.parts import Body, File, Move, Rename, Repair, Statement
from rcakit.remedy.survey import survey

__all__ = ["Body", "File", "Move", "Rename", "Repair", "Statement", "options", "write"]


def options(case: Case) -> tuple[Repair, ...]:
    """The ways out of this case. Raises Refused for a state that is not understood, or without a misplaced table."""
    found = survey(case)
    return (move.repair(case, found), keep.repair(case, found), bridge.repair(case, found))


def write(repair: Repair, directory: Path) -> tuple[Path, ...]:
    """Write a repair's files below a directory. Raises Refused when one of them is there with another text."""
    places = [(directory / each.path, each.text) for each in repair.files]
    for place, text in places:
        if place.exists() and place.read_bytes() != text.encode():
            raise Refused(
                f"{place} exists already, with another text", hint="name an empty directory with --out"
            )
    for place, text in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())
    return tuple(place for place, _ in places)
