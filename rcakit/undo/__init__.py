"""Undo one cause in a copy of a project: the fault taken back, all else left as it is.

A project is never changed where it lies; `copies.copied` makes a copy, an `Undo` edits it. What cannot be undone by a
change that is certain to mean just that is not undone at all, and its cause stays unproved: `why_not` says why.
"""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rcakit.causes import Cause
from rcakit.errors import SqlError
from rcakit.facts import Accounts, Declared, Effect, Guard, Migration, Operation, Relation, Where
from rcakit.names import Name, literal, quote, spelling
from rcakit.parsing import pgparse
from rcakit.undo import loud as louder
from rcakit.undo.copies import write

_REPLACE = """

# The statements below replace those of the same text above; nothing else of this migration is different.
_REPLACED = {replaced}
_MET = set()


def _replaced(text):
    _MET.add(text if isinstance(text, str) else "")
    return _REPLACED.get(text, text) if isinstance(text, str) else text


def _replace(operations):
    for operation in operations:
        _replace(getattr(operation, "database_operations", ()))
        sql = getattr(operation, "sql", None)
        if isinstance(sql, str):
            operation.sql = _replaced(sql)
        elif sql:
            operation.sql = [_replaced(each) for each in sql]


_replace(Migration.operations)
if not _MET.issuperset(_REPLACED):
    raise RuntimeError("a statement of this migration is not the one that was read, and cannot be replaced")
"""

_APPEND = """

# The database is told what the state was told; nothing else of this migration is different.
from django.db.migrations import RunSQL as _RunSQL

Migration.operations = [*Migration.operations, _RunSQL({statements})]
"""


@dataclass(frozen=True)
class Undo:
    """How one cause is undone.

    names
        old `db_table` -> new one, in models and migrations.
    aimed
        guards made to ask for, and to change, the relation that exists.
    loud
        guards given an ELSE that raises, handlers taken away, early returns that raise.
    told
        label of a migration -> statements it runs at its end.
    """

    cause: str
    what: str
    names: Mapping[str, str] = field(default_factory=dict)
    aimed: Mapping[Guard, Relation] = field(default_factory=dict)
    loud: frozenset[Guard] = frozenset()
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def undo_of(cause: Cause, accounts: Accounts) -> Undo | None:
    """The way to undo a cause; None when there is none that is sure to undo this and nothing else."""
    made = _UNDOING.get(_code(cause))
    return made(cause, accounts) if made else None


def why_not(cause: Cause) -> str:
    """Why a cause that has no undoing has none, in a sentence."""
    return _WHY_NOT.get(_code(cause), "No change of the project's files is sure to undo it and nothing else.")


_WHY_NOT = {
    "RK103": "Which name was meant instead is not known: a change of the name would be a guess.",
    "RK303": (
        "The file as it is now is what a replay runs, the file as it was ran once; that one came after the other is no "
        "property of the files, and no change of them undoes it."
    ),
    "RK304": "Which history is read is a matter of search_path and roles, and not of the project's files.",
    "RK305": (
        "The history is a record in the database and not a file of the project; a replay begins without one, and runs "
        "every migration."
    ),
}
"""Code of a rule whose fault is not in the project's files -> why nothing there can be undone."""


def _code(cause: Cause) -> str:
    return cause.codes[0] if len(cause.codes) == 1 else ""


def _aimed(cause: Cause, accounts: Accounts) -> Undo | None:
    aimed = {
        verdict.guard: verdict.nearest
        for verdict in accounts.guards
        if verdict.nearest is not None
        and _is_about(cause, verdict.guard, verdict.nearest.qualified)
        and _rebuildable(accounts, verdict.guard)
    }
    what = "the guards ask for the relations that exist, and move them under their intended names"
    return Undo(cause.id, what, aimed=aimed) if len(aimed) == len(cause.findings) else None


def _else(cause: Cause, accounts: Accounts) -> Undo | None:
    def may(guard: Guard) -> bool:
        aside = guard.kind == "return" and louder.in_python(accounts, guard)
        return aside or (guard.kind == "if" and not guard.negated and _rebuildable(accounts, guard))

    return _aloud(cause, accounts, may, "the guards raise where they did nothing")


def _uncaught(cause: Cause, accounts: Accounts) -> Undo | None:
    def may(guard: Guard) -> bool:
        return guard.kind == "exception" and (
            _rebuildable(accounts, guard) or louder.in_python(accounts, guard)
        )

    return _aloud(cause, accounts, may, "the handlers let the error through")


def _raising(cause: Cause, accounts: Accounts) -> Undo | None:
    def may(guard: Guard) -> bool:
        return guard.kind == "return" and louder.in_python(accounts, guard)

    return _aloud(cause, accounts, may, "the functions raise where they returned early")


def _aloud(cause: Cause, accounts: Accounts, may: Callable[[Guard], bool], what: str) -> Undo | None:
    accused = {finding.migration for finding in cause.findings}
    guards = (verdict.guard for verdict in accounts.guards if verdict.guard.migration in accused)
    found = frozenset(guard for guard in guards if may(guard))
    return Undo(cause.id, what, loud=found) if len(found) >= len(cause.findings) else None


def _told(cause: Cause, accounts: Accounts) -> Undo | None:
    """The table moved, at the end of the migration that told the state alone."""
    own = {each.label for each in accounts.declared.migrations if each.first_party and each.where}
    wanted = {
        str(relation): relation
        for model in accounts.declared.models
        if (relation := spelling(model.db_table).relation) is not None
    }
    told: dict[str, tuple[str, ...]] = {}
    for finding in cause.findings:
        result = wanted.get(finding.object)
        if result is None or finding.relation is None or finding.migration not in own:
            return None
        moves = tuple(_moved(finding.relation, result))
        told[finding.migration] = (*told.get(finding.migration, ()), *moves)
    return Undo(cause.id, "the migration moves the table as well as telling the state", told=told)


def _names(cause: Cause, accounts: Accounts) -> Undo | None:
    accused = {finding.relation for finding in cause.findings}
    names = {
        model.db_table: read.meant.sql
        for model in accounts.declared.models
        if inside(model.where)
        and (read := spelling(model.db_table)).kind == "literal-dot"
        and read.relation is not None
        and (found := accounts.observed.find(read.relation)) is not None
        and found.qualified in accused
    }
    what = "the models and migrations name schema and table"
    return Undo(cause.id, what, names=names) if len(names) == len(cause.findings) else None


_UNDOING: Mapping[str, Callable[[Cause, Accounts], Undo | None]] = {
    "RK101": _names,
    "RK201": _aimed,
    "RK202": _else,
    "RK203": _uncaught,
    "RK204": _raising,
    "RK205": _told,
}


def _is_about(cause: Cause, guard: Guard, nearest: Name) -> bool:
    return guard.kind == "if" and any(
        finding.migration == guard.migration and finding.relation == nearest for finding in cause.findings
    )


# ------------------------------------------------------------------ a copy, edited


def apply(undos: Sequence[Undo], copy: Path, accounts: Accounts) -> None:
    """Edit a copy so that all these causes are undone in it."""
    names = {old: new for undo in undos for old, new in undo.names.items()}
    if names:
        for path in sorted(_files(copy, accounts.declared)):
            _rename(copy, path, names)
    aimed = {guard: found for undo in undos for guard, found in undo.aimed.items()}
    loud = {guard for undo in undos for guard in undo.loud}
    told = {label: statements for undo in undos for label, statements in undo.told.items()}
    files = {migration.label: migration for migration in accounts.declared.migrations}
    for label in sorted({*told, *(guard.migration for guard in {*aimed, *loud})}):
        where = files[label].where
        if where is not None:
            mine = {guard for guard in {*aimed, *loud} if guard.migration == label}
            python = {guard for guard in mine if not _text(files[label], guard)}
            texts = {
                _text(files[label], guard): _block(guard, aimed.get(guard), guard in loud)
                for guard in mine - python
            }
            source, encoding = _decoded(copy / where.path)
            source = louder.rewritten(source, files[label], python)
            source += _REPLACE.format(replaced=ascii(texts)) if texts else ""
            source += _APPEND.format(statements=ascii(list(told[label]))) if label in told else ""
            write(copy, where.path, source.encode(encoding))


def _files(copy: Path, declared: Declared) -> set[Path]:
    """Every Python file; those of models and migrations behind a linked folder too, which a walk passes by."""
    told = (*(each.where for each in declared.models), *(each.where for each in declared.migrations))
    linked = {copy / where.path for where in told if where is not None and inside(where)}
    return {path for path in {*copy.rglob("*.py"), *linked} if path.is_file()}


def inside(where: Where | None) -> bool:
    """Whether a file is the project's own: in its directory, and so in a copy of it."""
    return where is not None and not where.path.startswith(("<", "../", "/"))


def _decoded(path: Path) -> tuple[str, str]:
    """A Python file's text and its encoding. Raises SyntaxError and ValueError where it says or keeps none."""
    with path.open("rb") as file:
        encoding, _ = tokenize.detect_encoding(file.readline)
    return path.read_bytes().decode(encoding), encoding


def _rename(copy: Path, path: Path, names: Mapping[str, str]) -> None:
    """Replace string constants that are exactly one of the names; everything else keeps its bytes."""
    try:
        source, encoding = _decoded(path)
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # the reader of the declared account has reported it
    lines = source.encode().splitlines(keepends=True)
    for node in sorted(
        _constants(tree, names), key=lambda each: (each.lineno, each.col_offset), reverse=True
    ):
        if node.end_lineno == node.lineno and node.end_col_offset is not None:
            line = lines[node.lineno - 1]
            new = ascii(names[str(node.value)]).encode()
            lines[node.lineno - 1] = line[: node.col_offset] + new + line[node.end_col_offset :]
    if (edited := b"".join(lines).decode()) != source:
        write(copy, path.relative_to(copy), edited.encode(encoding))


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
    if guard.kind == "exception":
        condition = "true"  # without its handler
    if found is not None:
        condition = f"to_regclass({literal(found.qualified.sql).strip()}) IS NOT NULL"
        statements = [each for effect in guard.effects for each in _redone(effect, found.qualified)]
    body = "".join(f"        {statement.rstrip().rstrip(';')};\n" for statement in statements)
    message = literal(louder.said(guard)).strip()
    otherwise = f"    ELSE\n        RAISE EXCEPTION USING MESSAGE = {message};\n" if loud else ""
    return f"DO $rcakit$\nBEGIN\n    IF {condition} THEN\n{body}{otherwise}    END IF;\nEND\n$rcakit$"


def _redone(effect: Effect, found: Name) -> Iterator[str]:
    """The statements that bring the existing relation to where the guard wanted its own."""
    result = effect.result
    if effect.kind not in ("move", "rename") or effect.object != "table" or result is None:
        return
    yield from _moved(found, result)


def _moved(found: Name, result: Name) -> Iterator[str]:
    schema = result.schema or found.schema
    if schema is not None and schema != found.schema:
        yield f"ALTER TABLE {found.sql} SET SCHEMA {quote(schema)}"
    if result.name != found.name:
        yield f"ALTER TABLE {Name(schema, found.name).sql} RENAME TO {quote(result.name)}"
