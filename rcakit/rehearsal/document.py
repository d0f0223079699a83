"""The document of `rcakit repair --format json`, described by `schemas/repair.json`."""

from __future__ import annotations

from typing import Any

from rcakit.rehearsal.parts import Rehearsal
from rcakit.remedy.parts import Repair

VERSION = 1


def document(repair: Repair, rehearsed: Rehearsal | None = None) -> dict[str, Any]:
    """One repair, and its rehearsal; None there when it was not rehearsed."""
    return {
        "version": VERSION,
        **repair.to_json(),
        "rehearsal": None if rehearsed is None else rehearsed.to_json(),
    }
