"""A repair and its rehearsal as text for a terminal: the verdict, what failed, and how much was proved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.rehearsal import Rehearsal
    from rcakit.remedy import Repair


def repair(repair: Repair, written: Iterable[Path], rehearsed: Rehearsal | None) -> str:
    """What was written, and what came of it."""
    head = click.style(f"Option {repair.option}: {visible(repair.title)}", bold=True)
    parts = [head, *(f"  {visible(line)}" for line in repair.trade_offs)]
    parts += ["", *(visible(str(path)) for path in written)]
    if rehearsed is not None:
        parts += ["", *_rehearsed(rehearsed)]
    return "\n".join([*parts, ""])


def _rehearsed(rehearsed: Rehearsal) -> list[str]:
    good = rehearsed.verdict == "passed"
    failed = _grouped(
        (each.check, f"{each.object}: {each.before or 'wanted'} -> {each.after}") for each in rehearsed.failed
    )
    left = _grouped((" ".join(line.split()[:2]), line) for line in rehearsed.residue)
    proved = Counter(each.check for each in rehearsed.proofs if each.passed)
    return [
        click.style(f"rehearsal {rehearsed.verdict}", fg="green" if good else "red", bold=True)
        + f" on PostgreSQL {rehearsed.server_version} in {rehearsed.seconds:.1f} s: "
        f"{len(rehearsed.proofs) - len(rehearsed.failed)} of {len(rehearsed.proofs)} proofs",
        *(f"  failed: {check}: {more}" for check, more in failed.items()),
        *(f"  left: {more}" for more in left.values()),
        f"  proved: {', '.join(f'{check} ({number})' for check, number in proved.items())}",
    ]


def _grouped(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first line of each kind, and how many more there are of it."""
    groups: dict[str, list[str]] = {}
    for kind, line in lines:
        groups.setdefault(visible(kind), []).append(visible(line))
    return {
        kind: each[0] + (f" (and {len(each) - 1} more like it)" if len(each) > 1 else "")
        for kind, each in groups.items()
    }
