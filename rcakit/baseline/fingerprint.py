"""What makes a finding the same finding tomorrow: its rule, its object, its migration. Never a line, never a wording."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from rcakit.facts import Finding


def fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """One for each finding, in their order: 32 hexadecimal digits, no two alike.

    They depend on code, object and migration alone, so lines may be added above, a file may move, and a message may
    be put in better words. Findings that share all three are numbered, so that a third one beside two is new.
    """
    times: Counter[tuple[str, str, str]] = Counter()
    made = []
    for finding in findings:
        same = (finding.code, finding.object, finding.migration)
        times[same] += 1
        parts = "\0".join((*same, str(times[same])))
        made.append(hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()[:32])
    return tuple(made)
