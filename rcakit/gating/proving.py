"""The red-path self-test: faults put into copies of the project, one at a time, and whether the gate goes red for each.

Each copy has the gate's own patch in it. Its migrations run in its own interpreter on a throwaway server, then
`manage.py verify_schema_placement` and `rcakit check` look, as the pipeline's step does. The one without a fault has to be green: where
tables of the project are misplaced now, that is the project with repair option A. Only the database alias "default" is looked at.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcakit import scratch
from rcakit.case import Case
from rcakit.gating import faults, written
from rcakit.gating.bench import Bench, Seen, Tried, importable
from rcakit.gating.faults import Fault
from rcakit.names import visible
from rcakit.scratch import Server, roles

_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Proof:
    """All that was tried. `base` says what the project without a fault is; `left_out` kinds of faults it cannot have."""

    base: str
    clean: Seen
    tried: tuple[Tried, ...]
    left_out: tuple[str, ...]
    server_version: str
    seconds: float

    @property
    def holds(self) -> bool:
        """Green without a fault, red with every one, and there was one at all."""
        return self.clean.clean and bool(self.tried) and all(each.seen.colour == "red" for each in self.tried)

    def to_json(self) -> dict[str, Any]:
        """The document of `rcakit gate --prove --format json`."""
        return {
            "version": 1,
            "base": self.base,
            "clean": "green" if self.clean.clean else "red",
            "clean_said": self.clean.said,
            "faults": [
                {
                    "fault": each.kind,
                    "object": each.object,
                    "gate": each.seen.colour,
                    "caught_by": list(each.seen.caught_by),
                    "said": each.seen.said,
                }
                for each in self.tried
            ],
            "left_out": list(self.left_out),
            "server_version": self.server_version,
            "seconds": round(self.seconds, 3),
        }


def prove(case: Case, *, server: Server | None = None, say: Callable[[str], None] = lambda _: None) -> Proof:
    """Try every fault. `server` is a scratch server to use, else one is started; the project's code runs there.

    Raises Refused (nothing to guard, or a state that repair option A does not understand), ProjectError and ScratchError.
    """
    if server is None:
        with scratch.server(prefer=case.observed.server.version_num // 10000) as own:
            return prove(case, server=own, say=say)
    began = time.monotonic()
    gate = written(case)
    with tempfile.TemporaryDirectory(prefix="gate-", dir=server.socket) as place:
        bench = Bench(case, server, Path(place), gate)
        base = bench.project()
        with (
            importable(Path(place) / "lib"),
            roles.made(server, roles.roles_of(case.observed)),
            server.database("gate") as template,
        ):
            say("the project without a fault ...")
            clean = bench.look(base, template)
            tried = _all(bench, base, template, say) if clean.clean else ()
    done = {each.kind for each in tried}
    left = tuple(kind for kind in faults.KINDS if kind not in done)
    return Proof(bench.base, clean, tried, left, server.version, time.monotonic() - began)


def _all(bench: Bench, base: Path, template: str, say: Callable[[str], None]) -> tuple[Tried, ...]:
    case = bench.case_of(base, template)
    found = faults.of(case.accounts, case.placement, bench.moved_by)
    wanted = sorted(found, key=lambda each: faults.KINDS.index(each.kind))

    def one(fault: Fault) -> Tried:
        say(f"{fault.kind}: {fault.object} ...")
        return bench.tried(fault, base, template, case)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(one, wanted))


def exit_code(proof: Proof) -> int:
    """0 the gate is proved, 1 it is not."""
    return 0 if proof.holds else 1


def tell(proof: Proof) -> str:
    """The proof as text, one line a fault."""
    state = "green" if proof.clean.clean else visible(f"red: {proof.clean.said}")
    lines = [f"without a fault ({proof.base}): {state}"]
    width = max((len(each.kind) for each in proof.tried), default=0)
    for each in proof.tried:
        by = f"  ({', '.join(each.seen.caught_by)})" if each.seen.caught_by else ""
        lines.append(visible(f"{each.kind:{width}}  {each.seen.colour:5}  {each.object}{by}"))
    if proof.left_out:
        lines.append(f"not tried, the project cannot have them: {', '.join(proof.left_out)}")
    red = sum(each.seen.colour == "red" for each in proof.tried)
    lines.append(f"{red} of {len(proof.tried)} faults are red, on PostgreSQL {proof.server_version}")
    return "\n".join([*lines, ""])
