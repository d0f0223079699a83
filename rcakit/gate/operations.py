"""Migration operations that cannot do nothing in silence.

::

    from rcakit.gate.operations import AssertPlacement, ConditionalSQL, MoveTable

    operations = [
        migrations.RunSQL("CREATE SCHEMA adm", "DROP SCHEMA adm"),
        MoveTable("venue", '"adm"."venues"'),
        AssertPlacement("adm", ["venues"]),
        ConditionalSQL(
            condition="SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader')",
            sql="GRANT SELECT ON adm.venues TO reader",
            effect="SELECT has_table_privilege('reader', 'adm.venues', 'SELECT')",
            noop_ok_when="SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader')",
            reverse_sql="REVOKE SELECT ON adm.venues FROM reader",
        ),
    ]

Each runs in one transaction, also in a migration that is not atomic, and raises inside it when the result is not what it
should be: the migration is then neither kept nor recorded. What was done, or not, is told to the logger ``rcakit.gate``
and written to the table `rcakit_gate_journal` (see `rcakit.gate.journal`). On another engine than PostgreSQL nothing is
done, and a warning is logged. https://docs.djangoproject.com/en/stable/ref/migration-operations/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import router
from django.db.migrations.operations import AlterModelTable, RunSQL
from django.db.migrations.operations.base import Operation

from rcakit.gate import catalog, conditional, journal
from rcakit.gate.errors import GateError
from rcakit.gate.moving import move
from rcakit.names import Name, literal, spelling, visible

__all__ = ["AssertPlacement", "ConditionalSQL", "MoveTable"]


class MoveTable(AlterModelTable):
    """Moves a model's table to where a new `db_table` says, with everything that carries its old name.

    The old name is the one the migrations have led to; nothing is to be typed twice. Indexes, constraints, sequences,
    triggers and policies named after the table get names after the new one, except those that the model's Meta names
    itself; automatic many-to-many tables go along. No row is rewritten; the table is locked ACCESS EXCLUSIVE until the
    migration ends, so a `lock_timeout` in the connection's options is wise.

    It fails, and nothing is moved, when there is no such schema, when both places hold a table or neither does, and when
    a role that may use the table could not enter its new schema. A table that somebody moved by hand is accepted with a
    warning. The way back restores place and names as the journal has kept them. Text that names the table, in a
    function's body or elsewhere, is not touched: `rcakit repair --option A` lists it.

    `name` is the model, `table` its new `db_table`, such as ``'"adm"."venues"'``. Raises ValueError for a name with a
    literal dot, or none at all.
    """

    atomic = True

    def __init__(self, name: str, table: str | None) -> None:
        spelled = spelling(table) if table else None
        if spelled and (spelled.relation is None or spelled.kind == "literal-dot"):
            right = spelled.meant.sql if spelled.relation else '"schema"."table"'
            raise ValueError(
                f"MoveTable({name!r}, {table!r}): Django emits {spelled.emitted}, not a table in a schema; write '{right}'"
            )
        super().__init__(name, table)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._both(app_label, schema_editor, from_state, to_state, back=False)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._both(app_label, schema_editor, from_state, to_state, back=True)

    def describe(self) -> str:
        return f"Move table for {self.name} to {self.table or '(default)'}"

    @property
    def migration_name_fragment(self) -> str:
        return f"move_{self.name_lower}_table"

    def _both(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any, *, back: bool
    ) -> None:
        new = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, new):
            return
        if _elsewhere(schema_editor, self):
            return
        old = from_state.apps.get_model(app_label, self.name)
        explicit = {each.name for each in (*old._meta.indexes, *old._meta.constraints)}
        for before, after in _tables(old, new):
            move(schema_editor, app_label, before, after, explicit, back)


def _tables(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """The model's table and its automatic many-to-many tables, before and after; those that keep their name stay."""
    pairs = [(old._meta.db_table, new._meta.db_table)]
    through = {field.name: field.remote_field.through._meta for field in new._meta.local_many_to_many}
    for field in old._meta.local_many_to_many:
        options = field.remote_field.through._meta
        if options.auto_created:
            pairs.append((options.db_table, through[field.name].db_table))
    return ((before, after) for before, after in pairs if before != after)


class AssertPlacement(Operation):
    """Fails the migration unless these tables are in this schema, as the database sees it at this moment.

    `schema` and `tables` are bare names, as PostgreSQL keeps them. The way back asserts nothing.
    """

    reversible = True
    atomic = True

    def __init__(self, schema: str, tables: Sequence[str]) -> None:
        self.schema = schema
        self.tables = tables

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__qualname__, [], {"schema": self.schema, "tables": list(self.tables)}

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The state stays as it is."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not router.allow_migrate(schema_editor.connection.alias, app_label):
            return
        if _elsewhere(schema_editor, self):
            return
        wanted = [Name(self.schema, table) for table in self.tables]
        if schema_editor.collect_sql:
            schema_editor.execute(conditional.block("\n".join(map(_asserted, wanted))), params=None)
            return
        observed = catalog.read(schema_editor.connection)
        absent = [name for name in wanted if name not in observed.oids]
        if absent:
            raise GateError(
                "not where they should be: " + ", ".join(_told(name, observed) for name in absent)
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing to undo."""

    def describe(self) -> str:
        return f"Assert that schema {self.schema} holds {', '.join(self.tables)}"


def _told(name: Name, observed: catalog.Catalog) -> str:
    near = observed.nearest(name)
    return visible(f"{name} (nearest is {near})" if near else f"{name} (nothing is like it)")


def _asserted(name: Name) -> str:
    exists = (
        "SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {literal(str(name.schema))} AND c.relname = {literal(name.name)}"
    )
    missing = literal(f"{name} is not there")
    return f"IF NOT EXISTS ({exists}) THEN\n    RAISE EXCEPTION USING MESSAGE = {missing};\nEND IF;"


class ConditionalSQL(RunSQL):
    """SQL behind a condition that cannot lead nowhere unseen; takes the place of ``IF EXISTS (..) THEN .. END IF``.

    condition
        a query of one boolean. True: `sql` runs. False: the migration fails, unless `noop_ok_when` is true.
    sql, reverse_sql, state_operations, hints, elidable
        as in Django's RunSQL.
    noop_ok_when
        a query of one boolean that is true only where there is nothing to do. Left out, there is always something to do.
    effect
        a query of one boolean that is true once `sql` has done its work, else the migration fails. Left out, the effect is
        that the condition is no longer true, as with "the table is still in public".

    The way back runs `reverse_sql` only where `sql` ran, by the journal; where the journal knows nothing, it fails.
    """

    atomic = True

    def __init__(
        self,
        condition: str,
        sql: Any,
        reverse_sql: Any = None,
        noop_ok_when: str | None = None,
        effect: str | None = None,
        state_operations: Any = None,
        hints: Any = None,
        elidable: bool = False,
    ) -> None:
        self.condition = condition
        self.noop_ok_when = noop_ok_when
        self.effect = effect
        super().__init__(sql, reverse_sql, state_operations, hints, elidable)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        name, args, kwargs = super().deconstruct()
        own = {"condition": self.condition, "noop_ok_when": self.noop_ok_when, "effect": self.effect}
        return name, args, {**kwargs, **{key: value for key, value in own.items() if value is not None}}

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not router.allow_migrate(schema_editor.connection.alias, app_label, **self.hints):
            return
        if _elsewhere(schema_editor, self):
            return
        if schema_editor.collect_sql:
            schema_editor.execute(conditional.guarded(self, schema_editor), params=None)
            return
        with schema_editor.connection.cursor() as cursor:
            if conditional.holds(cursor, self.condition):
                self._run_sql(schema_editor, self.sql)
                conditional.demand_effect(cursor, self)
                self._tell(cursor, app_label, "taken")
                journal.logger.info(
                    "%s: ConditionalSQL ran, its condition holds: %s", app_label, self.condition
                )
            else:
                conditional.demand_nothing_to_do(cursor, self)
                self._tell(cursor, app_label, "not needed")
                journal.logger.warning(
                    "%s: ConditionalSQL did nothing: its condition is false (%s) and there is nothing to do (%s)",
                    app_label,
                    self.condition,
                    self.noop_ok_when,
                )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.collect_sql or schema_editor.connection.vendor != "postgresql":
            if not _elsewhere(schema_editor, self):
                schema_editor.collected_sql.append("-- only where the journal says that its sql ran:")
                super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        if not router.allow_migrate(schema_editor.connection.alias, app_label, **self.hints):
            return
        with schema_editor.connection.cursor() as cursor:
            branch, _ = journal.latest(cursor, app_label, "ConditionalSQL", self._about)
            if branch == "taken":
                super().database_backwards(app_label, schema_editor, from_state, to_state)
            elif branch != "not needed":
                raise GateError(
                    "rcakit_gate_journal does not say whether this ConditionalSQL ran, so it is not known whether it is "
                    f"to be undone: {self.condition}. Undo it by hand where it did, then: manage.py migrate --fake"
                )
            self._tell(cursor, app_label, "undone")
            done = "was undone" if branch == "taken" else "had done nothing, so nothing was undone"
            journal.logger.warning("%s: ConditionalSQL %s: %s", app_label, done, self.condition)

    def describe(self) -> str:
        return "Conditional SQL operation"

    @property
    def _about(self) -> str:
        return json.dumps([self.condition, self.sql], default=str)

    def _tell(self, cursor: Any, app_label: str, branch: str) -> None:
        detail = {"condition": self.condition, "noop_ok_when": self.noop_ok_when, "effect": self.effect}
        journal.write(cursor, app_label, "ConditionalSQL", branch, self._about, detail)


def _elsewhere(schema_editor: Any, operation: Operation) -> bool:
    """Whether this is no PostgreSQL, which is then said."""
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        return False
    said = f"{operation.describe()}: skipped, {vendor} has no schemas and nothing was checked"
    if schema_editor.collect_sql:
        schema_editor.collected_sql.append(f"-- {said}")
    else:
        journal.logger.warning(said)
    return True
