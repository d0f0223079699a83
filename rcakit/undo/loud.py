"""A silence taken back: the same migration, but where it did nothing and said nothing it raises an error.

SQL is rebuilt from the guard that was read; in a RunPython function the one statement that leaves in silence is
replaced, and everything else keeps its bytes.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator

from rcakit.facts import Accounts, Guard, Migration

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def said(guard: Guard) -> str:
    """What the migration says instead of nothing."""
    return f"{guard.migration} did nothing: " + (
        "its condition is false" if guard.kind == "if" else "it gave up before its work"
    )


def in_python(accounts: Accounts, guard: Guard) -> bool:
    """Whether the guard stands in a function, and one statement of it is sure to be what keeps silent."""
    migration = next((each for each in accounts.declared.migrations if each.label == guard.migration), None)
    return bool(migration and migration.first_party and _place(_source(migration, guard), guard))


def rewritten(source: str, migration: Migration, guards: Iterable[Guard]) -> str:
    """The text of a migration file in which these guards raise."""
    lines = source.encode().splitlines(keepends=True)
    edits = [edit for guard in guards for edit in _edits(source, _source(migration, guard), guard)]
    for node, text in sorted(edits, key=lambda each: (each[0].lineno, each[0].col_offset), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + text.encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()


def _source(migration: Migration, guard: Guard) -> str:
    found = [each.source for each in migration.operations if each.group == guard.operation and each.source]
    return found[0] if len(found) == 1 else ""


def _edits(source: str, text: str, guard: Guard) -> Iterator[tuple[ast.stmt, str]]:
    """The statement of the file that is the guard's, and what stands there instead."""
    wanted = _functions(text)[-1]
    for function in _functions(source):
        if ast.dump(function) == ast.dump(wanted):
            place = _silent(function, (guard.line or 0) - wanted.lineno + function.lineno, guard)
            if place is not None:
                yield place, "raise" if guard.kind == "exception" else f"raise RuntimeError({said(guard)!r})"


def _place(text: str, guard: Guard) -> ast.stmt | None:
    functions = _functions(text)
    return _silent(functions[-1], guard.line or 0, guard) if functions else None


def _functions(text: str) -> list[_Function]:
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return []  # the reader of the declared account has reported it
    return [node for node in tree.body if isinstance(node, _Function)]


def _silent(function: _Function, line: int, guard: Guard) -> ast.stmt | None:
    """The bare `return` of the condition that begins in this line, or the `pass` or `return` of its handler."""
    kind = ast.ExceptHandler if guard.kind == "exception" else ast.If
    bodies = [node.body for node in ast.walk(function) if isinstance(node, kind) and node.lineno == line]
    if len(bodies) != 1 or len(bodies[0]) != 1:
        return None
    (last,) = bodies[0]
    leaves = isinstance(last, ast.Return) and last.value is None
    quiet = leaves or (guard.kind == "exception" and isinstance(last, ast.Pass))
    return last if quiet and last.end_lineno == last.lineno else None
