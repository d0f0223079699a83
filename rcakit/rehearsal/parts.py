"""What a rehearsal hands back: one proof for each thing that was measured, and a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rcakit.remedy.parts import Repair


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that was measured: `object` and `check` name it, `before` and `after` are what was seen, in words."""

    object: str
    check: str
    before: str
    after: str
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """One of `proofs` in the document of `rcakit repair`."""
        return {
            "object": self.object,
            "check": self.check,
            "before": self.before,
            "after": self.after,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Rehearsal:
    """What came of one repair.

    residue
        what is left to do or was broken, one line each.
    seconds
        wall time of the whole rehearsal, the copy not counted.
    """

    repair: Repair
    proofs: tuple[Proof, ...]
    residue: tuple[str, ...]
    seconds: float
    server_version: str

    @property
    def verdict(self) -> Literal["passed", "failed"]:
        """ "passed" when every proof did and nothing is left."""
        return "failed" if self.residue or self.failed else "passed"

    @property
    def failed(self) -> tuple[Proof, ...]:
        """The proofs that did not pass."""
        return tuple(proof for proof in self.proofs if not proof.passed)

    def to_json(self) -> dict[str, Any]:
        """The `rehearsal` of the document of `rcakit repair`."""
        return {
            "verdict": self.verdict,
            "proofs": [proof.to_json() for proof in self.proofs],
            "residue": list(self.residue),
            "seconds": round(self.seconds, 3),
            "server_version": self.server_version,
        }
