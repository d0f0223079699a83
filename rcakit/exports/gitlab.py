"""GitLab Code Quality, shown on a merge request: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.

The report knows issues alone. What could not be checked is therefore an issue too: left out, it would look clean.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from rcakit.exports.checked import Checked, Entry
from rcakit.facts import Unread
from rcakit.names import visible

_SEVERITIES = {"error": "critical", "warning": "major", "note": "info"}


def render(checked: Checked) -> str:
    """An array of issues in ASCII: each finding that stands, then what could not be checked."""
    issues = [_finding(checked, row) for row in checked.standing]
    times: Counter[str] = Counter()
    for row in (row for row in checked.unread if row.blocking):
        text = f"{row.account}: {row.reason}"
        times[text] += 1
        issues.append(_unread(checked, row, f"{text}\0{times[text]}"))
    return json.dumps(issues, indent=2) + "\n"


def _finding(checked: Checked, row: Entry) -> dict[str, Any]:
    return {
        "description": f"{row.fact} -> {row.act}",
        "check_name": row.title,
        "fingerprint": row.fingerprint,
        "severity": _SEVERITIES[row.finding.severity],
        "location": _location(*checked.place(row.finding.where)),
    }


def _unread(checked: Checked, row: Unread, identity: str) -> dict[str, Any]:
    return {
        "description": f"could not check {visible(row.account)}: {visible(row.reason)}",
        "check_name": "could-not-check",
        "fingerprint": hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()[:32],
        "severity": "critical",
        "location": _location(*checked.place(row.where)),
    }


def _location(path: str, line: int) -> dict[str, Any]:
    return {"path": path, "lines": {"begin": line}}
