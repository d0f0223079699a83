"""What an investigation leaves on disk: findings.json, and as CSV every query with its answer, and the report's long tables.

`queries.csv` has them all, one a line. What was answered by rows has files of its own, `E3.sql` and `E3.csv`; an answer of one
value is in that line: thousands of guards are thousands of such questions. Rows are written one by one: a million take no more memory than fifty. CSV alone, which everything reads: Parquet needs pyarrow,
55 MB for each installation.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit import document
from rcakit.credentials import blanked, blanking

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.evidence import Evidence

Rows = Sequence[Sequence[object]]


def write(case: Case, directory: Path) -> Path:
    """Write both below `directory`, which is made when missing; findings.json comes last, so it means "whole"."""
    folder = directory / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    for item in case.evidence:
        if _one_value(item):
            continue
        (folder / f"{item.id}.sql").write_text(
            blanked(item.sql).strip() + "\n", encoding="utf-8", errors="backslashreplace"
        )
        if item.columns and item.rows:
            _csv(item.columns, item.rows, folder / f"{item.id}.csv")
    for name, columns, rows in _tables(case):
        if rows:
            _csv(columns, rows, folder / f"{name}.csv")
    text = document.dumps(document.document(case))
    (directory / "findings.json").write_text(text, encoding="utf-8", errors="backslashreplace")
    return directory


def _one_value(item: Evidence) -> bool:
    return len(item.columns) == 1 and item.row_count == 1


def _answer(item: Evidence) -> object:
    if item.error:
        return f"refused: {item.error}"
    return item.rows[0][0] if _one_value(item) else f"{item.row_count} row{'s' * (item.row_count != 1)}"


def _tables(case: Case) -> Iterator[tuple[str, Sequence[str], Rows]]:
    """All queries, and what the report shows the first rows of, whole: name of the file, columns, rows."""
    yield (
        "queries",
        ("id", "name", "answer", "taken at", "seconds", "role", "parameters", "sql"),
        [
            (
                row.id,
                row.name,
                _answer(row),
                row.taken_at.astimezone(UTC).isoformat(timespec="milliseconds"),
                f"{row.seconds:.3f}",
                row.role,
                row.params or "",
                row.sql.strip(),
            )
            for row in case.evidence
        ],
    )
    yield (
        "findings",
        ("code", "severity", "object", "message", "hint", "where", "evidence"),
        [
            (
                row.code,
                row.severity,
                row.object,
                row.message,
                row.hint,
                row.where or "",
                " ".join(row.evidence),
            )
            for row in case.findings
        ],
    )
    yield (
        "accounts",
        ("model", "where", "verdict", "intended", "says so", "declared", "recorded", "replayed", "observed"),
        [
            (
                row.model,
                row.where or "",
                row.verdict,
                row.intended.target if row.intended else "",
                row.intended.source if row.intended else "",
                row.spelling.db_table,
                row.recorded,
                row.replayed,
                row.relation or "",
            )
            for row in case.placement
        ],
    )
    yield (
        "guards",
        (
            "migration",
            "where",
            "condition",
            "as the role sees it",
            "as the catalog has it",
            "otherwise",
            "evidence",
        ),
        [
            (
                row.guard.migration,
                row.guard.where or "",
                row.guard.condition,
                row.as_role,
                row.as_catalog,
                row.guard.otherwise,
                " ".join(row.evidence),
            )
            for row in case.guards
        ],
    )


def _csv(columns: Sequence[str], rows: Rows, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(map(blanking(), rows))


def files(texts: Mapping[Path, str]) -> None:
    """Write files, and make the directories they need: all of them, or none that was not there. Raises OSError."""
    made: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                made.append(path)
            path.write_bytes(text.encode())
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
