"""Faults of placement, put into a copy of a healthy project, to see whether its tests notice.

Each is what goes wrong in practice, small and alone: a table in another schema, a name with a literal dot, a table or a
constraint that is not there, a migration that does nothing. Most are one more migration, so that the project's own files stay
as they are; all of them leave SQLite alone, where there are no schemas to be wrong in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcakit.facts import Accounts, Migration
from rcakit.history import sql_effects
from rcakit.intent import settled
from rcakit.names import Name, literal
from rcakit.placement import Placement
from rcakit.undo import Undo, apply
from rcakit.undo.copies import write

_FAULT = """from django.db import migrations


def inject(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [{there!r}])
        if cursor.fetchone()[0] is not None:
            for statement in {statements!r}:
                cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = {leaves!r}
    operations = [migrations.RunPython(inject, migrations.RunPython.noop)]
"""
_EMPTY = """

def _emptied(operations):
    for operation in operations:
        _emptied(getattr(operation, "database_operations", ()))
        if hasattr(operation, "sql"):
            operation.sql = "SELECT 1"


_emptied(Migration.operations)
"""
_DROP_ONE = """
DO $$
DECLARE found name;
BEGIN
    SELECT conname INTO STRICT found FROM pg_catalog.pg_constraint
    WHERE conrelid = to_regclass({table}) AND contype IN ('f', 'u', 'c')
    ORDER BY contype DESC, conname LIMIT 1;
    EXECUTE format('ALTER TABLE {sql} DROP CONSTRAINT %I CASCADE', found);
END $$
"""
NAME = "9999_rcakit_fault"


@dataclass(frozen=True)
class Mutant:
    """One fault: `kind` is its name, `object` the table or migration it is put into."""

    kind: str
    object: str
    app: str = ""
    there: str = ""
    statements: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    empties: str = ""
    """Path of the migration whose SQL is taken out."""

    def inject(self, copy: Path, accounts: Accounts) -> None:
        """Put the fault into a copy of the project."""
        if self.names:
            apply([Undo("", self.kind, names=dict(self.names))], copy, accounts)
        if self.empties:
            write(copy, self.empties, (copy / self.empties).read_bytes() + _EMPTY.encode())
        leaf = leaf_of(accounts.declared.migrations, self.app)
        if self.statements and leaf is not None and leaf.where is not None:
            text = _FAULT.format(
                there=self.there,
                statements=list(self.statements),
                leaves=leaves_of(accounts.declared.migrations),
            )
            write(copy, Path(leaf.where.path).with_name(f"{NAME}.py"), text)

    @property
    def on_postgresql_alone(self) -> bool:
        """Nothing is different on another engine."""
        return not self.names and not self.empties


def leaves_of(migrations: Sequence[Migration]) -> list[tuple[str, str]]:
    """The last migration of each app of the project: what depends on all of them comes after everything."""
    apps = dict.fromkeys(each.app for each in migrations if each.first_party)
    found = (leaf_of(migrations, app) for app in apps)
    return [(leaf.app, leaf.name) for leaf in found if leaf is not None]


def leaf_of(migrations: Sequence[Migration], app: str) -> Migration | None:
    """The last migration of an app in the project's own files."""
    own = [each for each in migrations if each.app == app and each.first_party]
    needed = {name for each in own for other, name in each.dependencies if other == app}
    return next((each for each in own if each.name not in needed), None)


def placed(accounts: Accounts, rows: Sequence[Placement]) -> list[Placement]:
    """The tables that are where somebody said they were to be, in a schema of their own."""
    return [
        row
        for row in rows
        if row.verdict == "agrees"
        and row.found is not None
        and (meant := settled(accounts.intended, row.spelling.db_table)) is not None
        and meant.target == row.found.qualified
        and row.found.schema != "public"
        and leaf_of(accounts.declared.migrations, row.model.partition(".")[0]) is not None
    ]


def of(accounts: Accounts, rows: Sequence[Placement]) -> Iterator[Mutant]:
    """One fault of each kind, each in another table where there are enough; none without a table that was meant somewhere."""
    tables = placed(accounts, rows)
    for number, kind in enumerate(("wrong-schema", "literal-dot", "missing-table")):
        if tables:
            yield _altered(kind, tables[number % len(tables)])
    constrained = [row for row in tables if row.found and _droppable(accounts, row.found.oid)]
    if constrained:
        row = constrained[-1]
        name = _name(row)
        text = _DROP_ONE.format(
            table=literal(name.sql).strip(), sql=name.sql.replace("'", "''").replace("%", "%%")
        )
        yield Mutant("missing-constraint", str(name), _app(row), name.sql, (text,))
    for migration in accounts.declared.migrations:
        if migration.first_party and migration.where is not None and _moves(accounts, migration, tables):
            yield Mutant("migration-without-effect", migration.label, empties=migration.where.path)
            return


def _altered(kind: str, row: Placement) -> Mutant:
    name = _name(row)
    moved = f"ALTER TABLE {name.sql} SET SCHEMA public"
    if kind == "missing-table":
        return Mutant(kind, str(name), _app(row), name.sql, (f"DROP TABLE {name.sql} CASCADE",))
    if kind == "wrong-schema":
        return Mutant(kind, str(name), _app(row), name.sql, (moved,))
    dotted = f"{name.schema}.{name.name}"
    renamed = f"ALTER TABLE {Name('public', name.name).sql} RENAME TO {Name(None, dotted).sql}"
    names = ((row.spelling.db_table, dotted),)
    return Mutant(kind, str(name), _app(row), name.sql, (moved, renamed), names)


def _name(row: Placement) -> Name:
    return row.found.qualified if row.found else Name(None, row.spelling.db_table)


def _app(row: Placement) -> str:
    return row.model.partition(".")[0]


def _droppable(accounts: Accounts, oid: int) -> bool:
    return any(each.relation == oid and each.kind in "fuc" for each in accounts.observed.constraints)


def _moves(accounts: Accounts, migration: Migration, tables: Sequence[Placement]) -> bool:
    """Its SQL, guarded or not, brings one of the tables to where it is."""
    wanted = {_name(row) for row in tables}
    plain = [effect for operation in migration.operations for effect in sql_effects(operation)]
    guards = [verdict.guard for verdict in accounts.guards if verdict.guard.migration == migration.label]
    effects = [*plain, *(effect for guard in guards for effect in guard.effects)]
    return any(each.result in wanted and each.kind in ("move", "create", "rename") for each in effects)
