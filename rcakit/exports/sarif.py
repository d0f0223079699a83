"""SARIF 2.1.0, which code scanning reads.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html: a waived finding is a suppressed result, and what could
not be read is a notification of the tool. A finding without a file is shown at the file that names the target, since
readers of SARIF refuse a result without a place; its object is a logical location in any case.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from rcakit import __version__
from rcakit.exports.checked import Checked, Entry, Explained
from rcakit.facts import Unread, Where
from rcakit.names import visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"


def render(checked: Checked) -> str:
    """One log with one run, in ASCII."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(checked)]}
    return json.dumps(log, indent=2) + "\n"


def _run(checked: Checked) -> dict[str, Any]:
    places = {rule.code: number for number, rule in enumerate(checked.rules)}
    return {
        "tool": {
            "driver": {
                "name": "rcakit",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in checked.rules],
            }
        },
        "automationDetails": {"id": f"rcakit/{checked.name}/"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not any(row.blocking for row in checked.unread),
                "toolExecutionNotifications": [_notification(checked, row) for row in checked.unread],
            }
        ],
        "results": [
            _result(checked, row, places[row.finding.code]) for row in (*checked.standing, *checked.accepted)
        ],
    }


def _rule(rule: Explained) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": rule.doc, "markdown": rule.doc},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(checked: Checked, row: Entry, index: int) -> dict[str, Any]:
    result = {
        "ruleId": row.finding.code,
        "ruleIndex": index,
        "level": row.finding.severity,
        "message": {"text": _plain(f"{row.fact} -> {row.act}")},
        "locations": [
            {
                **_physical(*checked.place(row.finding.where)),
                "logicalLocations": [{"fullyQualifiedName": visible(row.finding.object)}],
            }
        ],
        "partialFingerprints": {"rcakit/v1": row.fingerprint},
    }
    if row.accepted:
        kind = "inSource" if row.in_source else "external"
        result["suppressions"] = [{"kind": kind, "justification": row.accepted}]  # no status: accepted
    return result


def _notification(checked: Checked, row: Unread) -> dict[str, Any]:
    said = {
        "level": "error" if row.blocking else "note",
        "message": {"text": _plain(f"{visible(row.account)}: {visible(row.reason)}")},
    }
    return {**said, "locations": [_at(checked, row.where)]} if row.where else said


def _at(checked: Checked, where: Where) -> dict[str, Any]:
    return _physical(*checked.place(where))


def _physical(path: str, line: int) -> dict[str, Any]:
    artifact = {"uri": quote(path), "uriBaseId": _ROOT}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}


def _plain(text: str) -> str:
    """A message in which nothing is a link: brackets are escaped where they would make one."""
    return text.replace("[", "\\[").replace("]", "\\]") if "](" in text else text
