"""Folders of runs written down by hand, as runs leave them."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOON = datetime(2026, 2, 5, 12, tzinfo=UTC)


def finding(code: str = "RK201", object_: str = "adm.venues", **changed: Any) -> dict[str, Any]:
    """A finding as findings.json holds it."""
    row = {
        "code": code,
        "rule": "guard-never-true",
        "severity": "error",
        "object": object_,
        "message": f"{object_} is not where it was meant to be",
        "hint": "move it",
        "where": {"path": "administrate/migrations/0003.py", "line": 12},
        "evidence": [],
        "migration": None,
    }
    return {**row, **changed}


def unread(reason: str = "a guard asks a table", *, blocking: bool = True) -> dict[str, Any]:
    return {"account": "observed", "reason": reason, "where": None, "blocking": blocking}


def placed(model: str = "administrate.Venue", **changed: Any) -> dict[str, Any]:
    """The row of a table in five accounts."""
    row = {
        "model": model,
        "declared": "adm.venues",
        "intended": "adm.venues",
        "recorded": "administrate.0001_initial",
        "replayed": "not replayed",
        "observed": 'public."adm.venues"',
        "verdict": "wrong schema",
    }
    return {**row, **changed}


def step(migration: str, kind: str, guards: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"migration": migration, "class": kind, "changes": [], "guards": list(guards), "seconds": 0.0}


def keep(
    root: Path,
    hours: int = 0,
    *,
    target: str = "shop",
    status: str | None = None,
    findings: tuple[dict[str, Any], ...] = (),
    accounts: dict[str, Any] | None = None,
    incident: str = "",
    reason: str = "",
    seconds: float = 9.5,
    parameters: dict[str, Any] | None = None,
    **document: Any,
) -> Path:
    """A whole run that began so many hours after noon; its status follows from what it found unless given."""
    started = NOON + timedelta(hours=hours)
    blocked = any(row["blocking"] for row in document.get("unread", ()))
    status = status or ("findings" if findings else "could-not-check" if blocked else "ok")
    folder = root / target / f"{started:%Y%m%dT%H%M%SZ}-{zlib.crc32(target.encode()) & 0xFFFF:04x}"
    (folder / "evidence").mkdir(parents=True)
    run = {
        "version": 1,
        "id": folder.name,
        "status": status,
        "reason": reason,
        "target": target,
        "incident": incident,
        "exit_code": 0 if status == "ok" else 1,
        "started": started.isoformat(),
        "ended": (started + timedelta(seconds=seconds)).isoformat(),
        "seconds": seconds,
        "notebook": "10_incident_report.ipynb",
        "parameters": parameters or {},
        "rcakit": "0.1",
    }
    found = {
        "version": 1,
        "status": status,
        "target": {"name": target, "database": "shop"},
        "accounts": accounts or {},
        "findings": list(findings),
        "waived": [],
        "causes": [],
        "unread": [],
        "steps": [],
        "provenance": {"run": folder.name},
        **document,
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "findings.json").write_text(json.dumps(found))
    (folder / "report.html").write_text("<!doctype html><title>report</title>")
    (folder / "evidence" / "E1.csv").write_text("a\n1\n")
    return folder
