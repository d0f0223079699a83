"""Undo one cause in a copy of a project: the fault taken back, all else left as it is.

A project is never changed where it lies; `copied` makes a copy, an `Undo` edits it. What cannot be undone by a
change that is certain to mean just that is not undone at all, and its cause stays unproved.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rcakit.causes import Cause
from rcakit.errors import SqlError
from rcakit.facts import Accounts, Effect, Guard, Migration, Operation, Relation
from rcakit.names import Name, literal, quote, spelling
from rcakit.parsing import pgparse

LEFT_OUT = (".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache", "pgdata")

_REPLACE = """

# The statements below replace those of the same text above; nothing else of this migration is different.
_REPLACED = {replaced}


def _replace(operations):
    for operation in operations:
        _replace(getattr(operation, "database_operations", ()))
        sql = getattr(operation, "sql", None)
        if isinstance(sql, str):
            operation.sql = _REPLACED.get(sql, sql)
        elif sql:
            operation.sql = [_REPLACED.get(each, each) if isinstance(each, str) else each for each in sql]


_replace(Migration.operations)
"""


@dataclass(frozen=True)
class Undo:
    """How one cause is undone.

    names
        old `db_table` -> new one, in models and migrations.
    aimed
        guards made to ask for, and to change, the relation that exists.
    loud
        guards given an ELSE that raises.
    """

    cause: str
    what: str
    names: Mapping[str, str] = field(default_factory=dict)
    aimed: Mapping[Guard, Relation] = field(default_factory=dict)
    loud: frozenset[Guard] = frozenset()


def undo_of(cause: Cause, accounts: Accounts) -> Undo | None:
    """The way to undo a cause; None when there is none that is sure to undo this and nothing else."""
    codes = set(cause.codes)
    if codes == {"RK101"}:
        return _names(cause, accounts)
    if codes == {"RK201"}:
        aimed = {
            verdict.guard: verdict.nearest
            for verdict in accounts.guards
            if verdict.nearest is not None
            and _is_about(cause, verdict.guard, verdict.nearest.qualified)
            and _rebuildable(accounts, verdict.guard)
        }
        what = "the guards ask for the relations that exist, and move them under their intended names"
        return Undo(cause.id, what, aimed=aimed) if len(aimed) == len(cause.findings) else None
    if codes == {"RK202"}:
        loud = frozenset(
            verdict.guard
            for verdict in accounts.guards
            if any(finding.migration == verdict.guard.migration for finding in cause.findings)
            and verdict.guard.kind == "if"
            and not verdict.guard.negated
            and _rebuildable(accounts, verdict.guard)
        )
        what = "the guards get an ELSE that raises"
        return Undo(cause.id, what, loud=loud) if len(loud) >= len(cause.findings) else None
    return None


def _names(cause: Cause, accounts: Accounts) -> Undo | None:
    accused = {finding.relation for finding in cause.findings}
    names = {
        model.db_table: read.meant.sql
        for model in accounts.declared.models
        if (read := spelling(model.db_table)).kind == "literal-dot"
        and read.relation is not None
        and (found := accounts.observed.find(read.relation)) is not None
        and found.qualified in accused
    }
    what = "the models and migrations name schema and table"
    return Undo(cause.id, what, names=names) if len(names) == len(cause.findings) else None


def _is_about(cause: Cause, guard: Guard, nearest: Name) -> bool:
    return guard.kind == "if" and any(
        finding.migration == guard.migration and finding.relation == nearest for finding in cause.findings
    )


# ------------------------------------------------------------------ a copy, edited


def copied(project: Path, to: Path) -> Path:
    """A copy of the project without histories, environments and caches."""
    shutil.copytree(project, to, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    return to


def apply(undos: Sequence[Undo], copy: Path, accounts: Accounts) -> None:
    """Edit a copy so that all these causes are undone in it."""
    names = {old: new for undo in undos for old, new in undo.names.items()}
    if names:
        for path in sorted(copy.rglob("*.py")):
            _rename(path, names)
    aimed = {guard: found for undo in undos for guard, found in undo.aimed.items()}
    loud = {guard for undo in undos for guard in undo.loud}
    files = {migration.label: migration for migration in accounts.declared.migrations}
    touched = {guard.migration for guard in {*aimed, *loud}}
    for label in sorted(touched):
        texts = {
            _text(files[label], guard): _block(guard, aimed.get(guard), guard in loud)
            for guard in {*aimed, *loud}
            if guard.migration == label
        }
        where = files[label].where
        if where is not None:
            path = copy / where.path
            path.write_text(path.read_text("utf-8") + _REPLACE.format(replaced=repr(texts)), "utf-8")


def _rename(path: Path, names: Mapping[str, str]) -> None:
    """Replace string constants that are exactly one of the names; everything else keeps its bytes."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # the reader of the declared account has reported it
    lines = source.splitlines(keepends=True)
    for node in sorted(
        _constants(tree, names), key=lambda each: (each.lineno, each.col_offset), reverse=True
    ):
        if node.end_lineno == node.lineno and node.end_col_offset is not None:
            line = lines[node.lineno - 1]
            new = repr(names[str(node.value)]).encode()
            lines[node.lineno - 1] = line[: node.col_offset] + new + line[node.end_col_offset :]
    if (edited := b"".join(lines)) != source:
        path.write_bytes(edited)


def _constants(tree: ast.AST, names: Mapping[str, str]) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
            yield node


# ------------------------------------------------------------------ a guard, rebuilt


def _rebuildable(accounts: Accounts, guard: Guard) -> bool:
    """The guard is all there is in its statement, and its statement is all there is in its text."""
    migration = next((each for each in accounts.declared.migrations if each.label == guard.migration), None)
    if migration is None or not migration.first_party or not _text(migration, guard):
        return False
    beside = [
        each.guard
        for each in accounts.guards
        if (each.guard.migration, each.guard.operation, each.guard.statement)
        == (guard.migration, guard.operation, guard.statement)
    ]
    try:
        return beside == [guard] and len(pgparse.parse(_text(migration, guard))) == 1
    except SqlError:
        return False


def _text(migration: Migration, guard: Guard) -> str:
    """The SQL text the guard was read from; "" when that is not certain."""
    texts = [each.sql[guard.statement] for each in _holders(migration.operations, guard)]
    return texts[0] if len(texts) == 1 else ""


def _holders(operations: Iterable[Operation], guard: Guard) -> Iterator[Operation]:
    return (each for each in operations if each.group == guard.operation and len(each.sql) > guard.statement)


def _block(guard: Guard, found: Relation | None, loud: bool) -> str:
    condition, statements = guard.condition, list(guard.guarded)
    if found is not None:
        condition = f"to_regclass({literal(found.qualified.sql).strip()}) IS NOT NULL"
        statements = [each for effect in guard.effects for each in _redone(effect, found.qualified)]
    body = "".join(f"        {statement.rstrip().rstrip(';')};\n" for statement in statements)
    message = literal(f"{guard.migration} did nothing: its condition is false").strip()
    otherwise = f"    ELSE\n        RAISE EXCEPTION USING MESSAGE = {message};\n" if loud else ""
    return f"DO $rcakit$\nBEGIN\n    IF {condition} THEN\n{body}{otherwise}    END IF;\nEND\n$rcakit$"


def _redone(effect: Effect, found: Name) -> Iterator[str]:
    """The statements that bring the existing relation to where the guard wanted its own."""
    result = effect.result
    if effect.kind not in ("move", "rename") or effect.object != "table" or result is None:
        return
    schema = result.schema or found.schema
    if schema is not None and schema != found.schema:
        yield f"ALTER TABLE {found.sql} SET SCHEMA {quote(schema)}"
    if result.name != found.name:
        yield f"ALTER TABLE {Name(schema, found.name).sql} RENAME TO {quote(result.name)}"
