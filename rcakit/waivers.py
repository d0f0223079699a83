"""Findings that were accepted: `[[waiver]]` tables of the settings, and `# rcakit: ignore[RK201] reason` in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from rcakit.facts import Finding, Where
from rcakit.target import Waiver

EXPIRED = "RK901"
EXPLANATION = """\
RK901 expired-waiver: a finding was accepted until a day, and the day has passed.

A `[[waiver]]` of rcakit.toml says who accepted what, why, and until when. After that day it waives nothing, and is
itself a finding, so that "for now" does not become "for ever". Mend what it covers, or renew it with a new date."""

_MARK = "# rcakit: ignore["


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding that somebody accepted, and why."""

    finding: Finding
    reason: str
    until: date | None = None


def apply(
    findings: Iterable[Finding], waivers: Sequence[Waiver], project: Path | None, today: date
) -> tuple[tuple[Finding, ...], tuple[Waived, ...]]:
    """Part the findings into those that stand and those that are waived.

    An expired waiver waives nothing, and is a finding itself (RK901).
    """
    standing: list[Finding] = []
    waived: list[Waived] = []
    for finding in findings:
        waiver = next((w for w in waivers if today <= w.expires and _matches(w, finding)), None)
        if waiver is not None:
            waived.append(Waived(finding, waiver.reason, waiver.expires))
        elif reason := _ignored_inline(finding, project):
            waived.append(Waived(finding, reason))
        else:
            standing.append(finding)
    standing += [_expired(waiver) for waiver in waivers if today > waiver.expires]
    return tuple(standing), tuple(waived)


def _matches(waiver: Waiver, finding: Finding) -> bool:
    return waiver.code == finding.code and fnmatchcase(finding.object, waiver.object)


def _expired(waiver: Waiver) -> Finding:
    return Finding(
        code=EXPIRED,
        rule="expired-waiver",
        severity="warning",
        object=f"{waiver.code} {waiver.object}",
        message=f"the waiver of {waiver.code} for {waiver.object} expired on {waiver.expires}: {waiver.reason}",
        hint="mend what it covers, or renew the waiver with a new date",
    )


def _ignored_inline(finding: Finding, project: Path | None) -> str:
    """The reason given on the finding's own line or the line above it; "" when there is none."""
    where = finding.where
    if project is None or where is None or where.line is None:
        return ""
    lines = _lines(project, where)
    near = lines[max(0, where.line - 2) : where.line]
    for line in near:
        _, mark, rest = line.partition(_MARK)
        code, bracket, reason = rest.partition("]")
        if mark and bracket and finding.code in code.replace(" ", "").split(","):
            return reason.strip() or "ignored in the source, no reason given"
    return ""


def _lines(project: Path, where: Where) -> list[str]:
    try:
        return (project / where.path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []  # the file was read before, or is not text: nothing in it can waive anything
