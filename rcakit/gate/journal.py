"""What the gate's migration operations did, kept in the database they did it to: the table `rcakit_gate_journal`.

`django_migrations` says that a migration ran, not which way its conditions went. A row here is written in the same
transaction as the effect it tells of, so neither is there without the other. Like `django_migrations`, the table is no
model of the project: it is made when first needed, in the schema where Django makes its own, and never emptied; whoever
removes the gate for good may drop it, and with it the way back of what it tells of.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("rcakit.gate")
"""Where every branch that was taken is told too: INFO for what was done, WARNING for what was not."""

CREATE = """
CREATE TABLE IF NOT EXISTS rcakit_gate_journal (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    app text NOT NULL,
    operation text NOT NULL,
    branch text NOT NULL,
    about text NOT NULL,
    detail jsonb NOT NULL
)
"""
INSERT = "INSERT INTO rcakit_gate_journal (app, operation, branch, about, detail) VALUES (%s, %s, %s, %s, %s)"
LATEST = """
SELECT branch, detail::text FROM rcakit_gate_journal
WHERE app = %s AND operation = %s AND about = %s ORDER BY id DESC LIMIT 1
"""


def write(cursor: Any, app: str, operation: str, branch: str, about: str, detail: Mapping[str, Any]) -> None:
    """Keep one branch; `about` is what the operation acted on, by which `latest` finds it again."""
    cursor.execute("SELECT pg_catalog.to_regclass('rcakit_gate_journal')::oid")
    if cursor.fetchone()[0] is None:
        cursor.execute(CREATE)
    cursor.execute(INSERT, [app, operation, branch, about, json.dumps(detail)])


def latest(cursor: Any, app: str, operation: str, about: str) -> tuple[str, Any]:
    """The last branch told about this, and its details; ("", {}) when there is none."""
    cursor.execute("SELECT pg_catalog.to_regclass('rcakit_gate_journal')::oid")
    if cursor.fetchone()[0] is None:
        return "", {}
    cursor.execute(LATEST, [app, operation, about])
    row = cursor.fetchone()
    return (row[0], json.loads(row[1])) if row else ("", {})
