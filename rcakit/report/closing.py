"""Is an incident over? It is investigated once more, and compared with the run that found it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rcakit.archive.difference import COUNTED, Closing, Difference, closing, compare, demand_finished
from rcakit.archive.kept import Kept, read
from rcakit.archive.lookup import find
from rcakit.errors import ConfigError
from rcakit.report import runs
from rcakit.report.sections.since import VERIFIES
from rcakit.target import Target

CODES: dict[Closing, int] = {"closed": 0, "not closed": 1, "could not check": 2}


@dataclass(frozen=True, slots=True)
class Verified:
    """The new run, and what it says about the earlier; without a difference the new one found nothing out."""

    run: runs.Run
    verdict: Closing
    was: Kept
    now: Kept | None
    difference: Difference | None

    @property
    def exit_code(self) -> int:
        return CODES[self.verdict]


def incident(reference: str, out: Path, target: Target) -> Kept:
    """The run whose incident is to be closed. Raises ConfigError when it is of another target, or found nothing."""
    was = find(reference, out)
    demand_finished(was)
    if was.run.target != target.name:
        raise ConfigError(
            f"{was.id} is a run of {was.run.target}, and the target here is {target.name}",
            hint="work in the directory of that target, or name its settings with --config",
        )
    if not any(row.severity in COUNTED for row in was.content.standing):
        raise ConfigError(
            f"{was.id} found no error and no warning: nothing is to be closed", hint="name the run that did"
        )
    return was


def verify(was: Kept, target: Target, out: Path, *, options: runs.Options, replay: bool = False) -> Verified:
    """Investigate `target` again and say whether what `was` found is gone. Raises what `runs.investigate` raises."""
    wanted = replace(options, env={**options.env, VERIFIES: str(was.folder.resolve())})
    run = runs.investigate(target, out, options=wanted, replay=replay)
    now = read(run.folder)
    if not isinstance(now, Kept) or not now.finished:
        return Verified(run, "could not check", was, None, None)
    found = compare(was, now)
    return Verified(run, closing(found, now.content), was, now, found)
