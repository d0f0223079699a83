"""The model patch: `db_table` in `class Meta`, edited where it stands, everything else left byte for byte.

And where else in the project's files a moved table is named: application SQL, scripts, tests. Those are listed.
"""

from __future__ import annotations

import ast
import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rcakit.errors import Refused
from rcakit.remedy.parts import Move, TextHit
from rcakit.undo.copies import LEFT_OUT

_LARGEST = 1_000_000
"""Bytes: a larger file is no source text."""
_TEXTS = (
    ".py",
    ".sql",
    ".txt",
    ".toml",
    ".yml",
    ".yaml",
    ".json",
    ".sh",
    ".md",
    ".html",
    ".cfg",
    ".ini",
    ".cron",
    "",
)
"""What application SQL is found in; "" are files like crontab, Makefile and Procfile."""


def edited(project: Path, moves: Sequence[Move]) -> dict[str, str]:
    """Path -> new text of each file with a model to change. Raises Refused when a name is not written there plainly."""
    wanted: dict[str, dict[str, str]] = {}
    for move in moves:
        if move.model.auto_created:
            continue
        if move.model.where is None or not (project / move.model.where.path).is_file():
            raise Refused(
                f"the file of the model {move.model.label} is not in the project",
                hint="change its db_table where it is declared, then ask again",
            )
        wanted.setdefault(move.model.where.path, {})[move.model.db_table] = move.db_table
    return {path: _file(project / path, path, names) for path, names in sorted(wanted.items())}


def _file(place: Path, path: str, names: Mapping[str, str]) -> str:
    source = place.read_text("utf-8")
    found = list(_constants(ast.parse(source), names))
    missing = set(names) - {str(node.value) for node in found}
    if missing:
        raise Refused(
            f"{path} does not say db_table = {sorted(missing)[0]!r} in a plain string: it is computed, or set elsewhere",
            hint="write it out in class Meta, then ask again",
        )
    lines = source.encode().splitlines(keepends=True)
    for node in sorted(found, key=lambda each: (each.lineno, each.col_offset), reverse=True):
        line = lines[node.lineno - 1]
        new = repr(names[str(node.value)]).encode()
        lines[node.lineno - 1] = line[: node.col_offset] + new + line[node.end_col_offset :]
    return b"".join(lines).decode()


def _constants(tree: ast.AST, names: Mapping[str, str]) -> Iterator[ast.Constant]:
    """`db_table = "name"` of a class body, on one line."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for line in node.body:
            targets = line.targets if isinstance(line, ast.Assign) else []
            is_table = any(isinstance(each, ast.Name) and each.id == "db_table" for each in targets)
            value = line.value if isinstance(line, ast.Assign) else None
            if (
                is_table
                and isinstance(value, ast.Constant)
                and value.value in names
                and value.end_lineno == value.lineno
            ):
                yield value


def diff(project: Path, changed: Mapping[str, str]) -> str:
    """One unified diff, as `git apply` and `patch -p1` take it."""
    pieces: list[str] = []
    for path, text in changed.items():
        place = project / path
        old = place.read_text("utf-8").splitlines(keepends=True) if place.is_file() else []
        start = f"a/{path}" if old else "/dev/null"
        pieces += difflib.unified_diff(old, text.splitlines(keepends=True), start, f"b/{path}")
    return "".join(
        piece if piece.endswith("\n") else f"{piece}\n\\ No newline at end of file\n" for piece in pieces
    )


def mentions(project: Path, moves: Sequence[Move], leave_out: Iterable[str]) -> Iterator[TextHit]:
    """Lines of the project's files that name a table by its old name; migrations and `leave_out` are known already."""
    skipped = set(leave_out)
    for path in _files(project):
        name = path.relative_to(project).as_posix()
        if name in skipped or "migrations" in path.parts:
            continue
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # not a text that could name a table
        for number, line in enumerate(text.splitlines(), 1):
            yield from (TextHit(name, number, move.old.name) for move in moves if move.old.name in line)


def _files(project: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(set(folders) - set(LEFT_OUT))
        for name in sorted(names):
            path = Path(folder) / name
            if path.suffix in _TEXTS and path.is_file() and path.stat().st_size <= _LARGEST:
                yield path
