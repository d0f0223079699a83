"""What was known before: a file of findings that an old project has, and that are not to fail its checks.

The file is JSON, sorted, one finding an object, so that a review shows what was added and what went::

    {"version": 1, "findings": [
      {"code": "RK101", "object": "public.\\"adm.venues\\"", "migration": null, "fingerprint": "9c1e..."}]}

Only the fingerprint is compared (`rcakit.baseline.fingerprint`); the rest tells people what it stands for. It is no
waiver: nobody gave a reason, and no day ends it. So a waived finding is not written, and an expired waiver (RK901)
never becomes known: it would be "for ever" by another door.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rcakit.baseline.fingerprint import fingerprints
from rcakit.errors import ConfigError
from rcakit.facts import Finding
from rcakit.waivers import EXPIRED


class Entry(BaseModel):
    """One known finding."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    code: str
    object: str
    migration: str | None
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]

    def __str__(self) -> str:
        return f"{self.code} {self.object}"


class Baseline(BaseModel):
    """A whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    version: Literal[1] = 1
    findings: Annotated[tuple[Entry, ...], Field(strict=False)]


@dataclass(frozen=True, slots=True)
class Parted:
    """Findings held against a baseline: the new ones, the known ones, and what is in the file and not found now."""

    new: tuple[Finding, ...]
    known: tuple[Finding, ...] = ()
    gone: tuple[Entry, ...] = ()


def of(findings: Iterable[Finding]) -> Baseline:
    """The baseline in which all of these are known, expired waivers apart."""
    rows = [row for row in findings if row.code != EXPIRED]
    entries = [
        Entry(code=row.code, object=row.object, migration=row.migration or None, fingerprint=mark)
        for row, mark in zip(rows, fingerprints(rows), strict=True)
    ]
    return Baseline(findings=tuple(sorted(entries, key=lambda row: (row.code, row.object, row.fingerprint))))


def part(baseline: Baseline | None, findings: Iterable[Finding], unasked: Container[str] = ()) -> Parted:
    """Hold findings against a baseline; without one all of them are new.

    What a rule of `unasked` (codes) once found is not gone: nobody looked.
    """
    found = tuple(findings)
    if baseline is None:
        return Parted(found)
    marks = fingerprints(found)
    listed = {entry.fingerprint for entry in baseline.findings}
    is_known = [mark in listed and row.code != EXPIRED for row, mark in zip(found, marks, strict=True)]
    return Parted(
        new=tuple(row for row, known in zip(found, is_known, strict=True) if not known),
        known=tuple(row for row, known in zip(found, is_known, strict=True) if known),
        gone=tuple(
            entry
            for entry in baseline.findings
            if entry.fingerprint not in marks and entry.code not in unasked
        ),
    )


def read(path: Path) -> Baseline:
    """Read a baseline. Raises ConfigError when it is not there or not one."""
    hint = f"rcakit check --write-baseline {path} writes one"
    try:
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the baseline {path}: {error.strerror}", hint=hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        said = f"{place}: {first['msg']}" if place else first["msg"]
        raise ConfigError(f"{path} is not a baseline of rcakit: {said}", hint=hint) from None


def write(path: Path, baseline: Baseline) -> None:
    """Write a baseline whole or not at all. Raises ConfigError when its directory is missing or refuses."""
    text = json.dumps(baseline.model_dump(), indent=2) + "\n"
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(text, encoding="ascii")
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(
            f"cannot write the baseline {path}: {error.strerror}",
            hint="name a file in a directory that exists",
        ) from None
    finally:
        part.unlink(missing_ok=True)
