"""What an investigation leaves on disk: findings.json, and every query with its answer as CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit import document

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.evidence import Evidence


def write(case: Case, directory: Path) -> Path:
    """Write both below `directory`, which is made when missing; findings.json comes last, so it means "whole"."""
    folder = directory / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    for item in case.evidence:
        (folder / f"{item.id}.sql").write_text(
            item.sql.strip() + "\n", encoding="utf-8", errors="backslashreplace"
        )
        if item.columns and item.rows:
            _csv(item, folder / f"{item.id}.csv")
    text = document.dumps(document.document(case))
    (directory / "findings.json").write_text(text, encoding="utf-8", errors="backslashreplace")
    return directory


def _csv(item: Evidence, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(item.columns)
        writer.writerows(item.rows)
