"""Migrations read from the project's files: `Migration` facts with their operations unfolded, nothing run.

https://docs.djangoproject.com/en/stable/ref/migration-operations/ lists the operations and their arguments.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rcakit.facts import Migration, Operation, Unread, Where
from rcakit.names import django_m2m_table
from rcakit.sources.django_probe import operation_nodes, operations_node, separate_arguments, statements
from rcakit.sources.evaluate import Files
from rcakit.sources.values import Built, Class, Function, Module, Ref, Unknown, Value, plain

FIRST_IS_MODEL = frozenset(
    {
        "AddConstraint",
        "AddField",
        "AddIndex",
        "AlterConstraint",
        "AlterField",
        "RemoveConstraint",
        "RemoveField",
        "RemoveIndex",
        "RenameField",
        "RenameIndex",
        "ValidateConstraint",
        "AddIndexConcurrently",
        "RemoveIndexConcurrently",
        "AddConstraintNotValid",
    }
)
NAME_IS_MODEL = frozenset(
    {
        "AlterIndexTogether",
        "AlterModelManagers",
        "AlterModelOptions",
        "AlterModelTable",
        "AlterModelTableComment",
        "AlterOrderWithRespectTo",
        "AlterUniqueTogether",
        "CreateModel",
        "DeleteModel",
    }
)


class Reader:
    """Reads the migration files of one app after the other; `unread` gathers what could not be evaluated."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.unread: list[Unread] = []

    def app(self, label: str, package: str) -> Iterator[Migration]:
        """The migrations in a package, by name. Files that cannot be parsed are in `files.unread`."""
        folder = self.files.project.joinpath(*package.split("."))
        for path in sorted(folder.glob("*.py")):
            if path.name[0] in "_~":
                continue
            module = self.files.module(f"{package}.{path.stem}")
            migration = module and self.migration(label, path, module)
            if migration:
                yield migration

    def migration(self, label: str, path: Path, module: Module) -> Migration | None:
        klass = module.names.get("Migration")
        where = Where(module.path)
        if not isinstance(klass, Class):
            self.tell("the file defines no class Migration that could be read", where)
            return None
        return Migration(
            label,
            path.stem,
            where,
            tuple(self.operations(label, module, klass)),
            tuple(sorted(self.pairs(klass, "dependencies"))),
            tuple(self.pairs(klass, "replaces")),
            atomic=klass.names.get("atomic", True) is not False,
        )

    def pairs(self, klass: Class, name: str) -> Iterator[tuple[str, str]]:
        value = klass.names.get(name, [])
        for item in value if isinstance(value, list | tuple) else [value]:
            match item:
                case (str(app), str(migration)):
                    yield app, migration
                case Built(args=(str(setting), *_)) if item.dotted.endswith("swappable_dependency"):
                    yield setting.split(".")[0], "__first__"
                case _:
                    reason, where = f"an entry of {name} cannot be told", Where(klass.module.path, klass.line)
                    self.tell(
                        reason, where, blocking=name != "dependencies"
                    )  # the order is known by name only

    # -------------------------------------------------------------- operations

    def operations(self, label: str, module: Module, klass: Class) -> Iterator[Operation]:
        value = klass.names.get("operations", [])
        if not isinstance(value, list | tuple):
            self.tell(f"the operations cannot be told: {_why(value)}", Where(module.path, klass.line))
            return
        yield from self.unfold(label, module, value, operations_node(module.tree), "both", None)

    def unfold(
        self,
        label: str,
        module: Module,
        operations: Iterable[Value],
        node: ast.expr | None,
        side: str,
        group: int | None,
    ) -> Iterator[Operation]:
        """One fact an operation, in the way of the probe: SeparateDatabaseAndState gives way to its parts."""
        values = list(operations)
        nodes = operation_nodes(node, len(values))
        for position, value in enumerate(values):
            at = position if group is None else group
            line = getattr(nodes[position], "lineno", None)
            where = Where(module.path, line)
            if not isinstance(value, Built):
                self.tell(f"an operation cannot be told: {_why(value)}", where)
                continue
            kind = _kind(value.callee)
            if kind == "SeparateDatabaseAndState":
                yield from self.separate(label, module, value, nodes[position], side, at)
                continue
            if _has_own_arguments(value):
                self.tell(
                    f"what {value.dotted.rpartition('.')[2]} makes of its arguments cannot be told", where
                )
            read = self.operation(label, value, kind, side, at, where)
            yield replace(read, kind=value.dotted.rpartition(".")[2])
            if kind == "RunSQL" and value.get("state_operations", 2):
                state = self.part(value, "state_operations", 2, where)
                yield from self.unfold(label, module, state, None, "state", at)

    def separate(
        self, label: str, module: Module, value: Built, call: ast.expr | None, side: str, at: int
    ) -> Iterator[Operation]:
        database, state = separate_arguments(call)
        if side != "state":
            inner = self.part(value, "database_operations", 0, value.where)
            yield from self.unfold(label, module, inner, database, "database", at)
        inner = self.part(value, "state_operations", 1, value.where)
        yield from self.unfold(label, module, inner, state, "state", at)

    def part(self, value: Built, name: str, position: int, where: Where) -> list[Value]:
        given = value.get(name, position, [])
        if isinstance(given, list | tuple):
            return list(given)
        if given is not None:
            self.tell(f"{name} cannot be told: {_why(given)}", where)
        return []

    def operation(
        self, label: str, value: Built, kind: str, side: str, group: int, where: Where
    ) -> Operation:
        sql: tuple[str, ...] = ()
        reverse: tuple[str, ...] | None = None
        source = ""
        if kind == "RunSQL" and not _has_own_arguments(value):
            sql = self.sql(value.get("sql", 0), where) or ()
            given = value.get("reverse_sql", 1)
            reverse = None if given is None else self.sql(given, where)
        elif kind == "RunPython":
            code = value.get("code", 0)
            source = code.source if isinstance(code, Function) else ""
            if not source and not _is_noop(code):
                self.tell("the function of a RunPython is not found in the project", where, blocking=False)
        model = _model(value, kind)
        return Operation(
            kind,
            side,
            group,
            sql,
            reverse,
            model,
            self.table(label, value, kind, model, where),
            source,
            where=where,
        )

    def sql(self, value: Value, where: Where) -> tuple[str, ...] | None:
        if _is_noop(value):
            return ()
        if plain(value):
            return tuple(statements(value))
        parts = value if isinstance(value, list | tuple) else [value]
        why = next((_why(part) for part in parts if not plain(part)), "")
        self.tell(f"an SQL statement cannot be told: {why}", where)
        return tuple(statements([part for part in parts if plain(part)]))

    def table(self, label: str, value: Built, kind: str, model: str, where: Where) -> str | None:
        if kind == "CreateModel":
            options = value.get("options", 2) or {}
            written = options.get("db_table") if isinstance(options, dict) else None
        elif kind == "AlterModelTable":
            written = value.get("table", 1)
        else:
            return None
        if isinstance(written, Unknown):
            self.tell(f"a table name cannot be told: {written.reason}", where)
            return None
        return written if isinstance(written, str) and written else django_m2m_table(label, model)

    def tell(self, reason: str, where: Where, *, blocking: bool = True) -> None:
        self.unread.append(Unread("declared", reason, where, blocking))


def _has_own_arguments(value: Built) -> bool:
    return isinstance(value.callee, Class) and "__init__" in value.callee.names


def _kind(callee: Ref | Class) -> str:
    """The class of Django's an operation is or descends from, else its own name."""
    if isinstance(callee, Ref):
        return callee.dotted.rpartition(".")[2]
    bases = [base for base in callee.bases if isinstance(base, Ref | Class)]
    return _kind(bases[0]) if bases else callee.name


def _model(value: Built, kind: str) -> str:
    if kind in FIRST_IS_MODEL:
        name = value.get("model_name", 0)
    elif kind in NAME_IS_MODEL:
        name = value.get("name", 0)
    else:
        name = value.get("old_name", 0) if kind == "RenameModel" else None
    return name.lower() if isinstance(name, str) else ""


def _is_noop(value: Value) -> bool:
    return isinstance(value, Ref) and value.dotted.endswith(".noop")


def _why(value: Value) -> str:
    if isinstance(value, Unknown):
        place = f" ({value.where})" if value.where else ""
        return value.reason + place
    if isinstance(value, Built):
        return f"{value.dotted.rpartition('.')[2]}() is not run"
    return "it is not a constant"
