"""One table moved by its OID: found, moved, looked at again, and told in the journal."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from rcakit.gate import journal
from rcakit.gate.carried import Place, Rename, carried, renames, shut_out
from rcakit.gate.errors import GateError
from rcakit.names import Name, quote, spelling, visible

FIND = """
SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'f')
"""
OPERATION = "MoveTable"


def move(
    schema_editor: Any, app: str, old_db_table: str, new_db_table: str, explicit: Container[str], back: bool
) -> None:
    """Move one table from what one `db_table` means to what another does. Raises GateError and changes nothing then.

    `explicit` are names of indexes and constraints that the model gives itself. `back`: the same move is undone, and
    what the journal tells about it counts for more than the shape of names.
    """
    _settle(schema_editor, old_db_table)
    with schema_editor.connection.cursor() as cursor:
        old, new = _place(cursor, old_db_table), _place(cursor, new_db_table)
        _, told = journal.latest(cursor, app, OPERATION, old.name.sql) if back else ("", {})
        if told:
            new = _at(cursor, Name(*told["from"]))
        if not schema_editor.collect_sql:  # where the operation that makes it was collected too
            _demand_schema(cursor, new.name)
        if schema_editor.collect_sql and old.oid is None:
            _sketch(schema_editor, old.name, new.name)
        elif _demand_one(old, new) is new:
            _leave(schema_editor, cursor, app, new.name)
        else:
            given = (
                _given_back(cursor, app, old, told) if back else renames(cursor, old, new.name.name, explicit)
            )
            _move(schema_editor, cursor, app, old, new.name, given, back)


def _move(
    schema_editor: Any, cursor: Any, app: str, old: Place, new: Name, given: list[Rename], back: bool
) -> None:
    _demand_access(schema_editor, cursor, old, new)
    for sql in _statements(old.name, new, given):
        schema_editor.execute(sql, params=None)
    if schema_editor.collect_sql:
        return
    if _at(cursor, new).oid != old.oid:
        raise GateError(f"{old.name} is not at {new} after it was moved there: nothing was kept of it")
    if back:
        journal.write(cursor, app, OPERATION, "moved back", old.name.sql, {})
    else:
        detail = {"from": list(old.name), "renames": [list(each) for each in given]}
        journal.write(cursor, app, OPERATION, "moved", new.sql, detail)
    journal.logger.info(
        "%s: MoveTable moved %s to %s, and renamed %d things with it", app, old.name, new, len(given)
    )


def _leave(schema_editor: Any, cursor: Any, app: str, new: Name) -> None:
    """Somebody moved it before."""
    if not schema_editor.collect_sql:
        journal.write(cursor, app, OPERATION, "already there", new.sql, {})
        journal.logger.warning("%s: MoveTable had nothing to move: the table is at %s already", app, new)


def _statements(old: Name, new: Name, planned: list[Rename]) -> list[str]:
    made = []
    if old.schema != new.schema:
        made.append(f"ALTER TABLE {old.sql} SET SCHEMA {quote(str(new.schema))}")
    if old.name != new.name:
        made.append(f"ALTER TABLE {Name(new.schema, old.name).sql} RENAME TO {quote(new.name)}")
    moved = [each._replace(schema=each.schema and new.schema) for each in planned]
    return made + [each.sql(new) for each in moved]


def _given_back(cursor: Any, app: str, old: Place, told: Any) -> list[Rename]:
    """Exactly what was renamed on the way there, as far as it still has that name."""
    if not told:
        journal.logger.warning(
            "%s: rcakit_gate_journal tells of no move to %s: its own name alone goes back", app, old.name
        )
    now = {(kind, name) for kind, name, _ in carried(cursor, old)}
    given = [Rename(*each) for each in told.get("renames", ())]
    return [
        Rename(each.kind, each.schema, each.new, each.old) for each in given if (each.kind, each.new) in now
    ]


def _demand_one(old: Place, new: Place) -> Place:
    """Which of the two holds the table. Raises GateError where both hold one, or neither does."""
    if old.oid is None and new.oid is None:
        raise GateError(
            f"MoveTable finds no table {old.name}, and none at {new.name}: nothing was moved. "
            "Look where it is with: manage.py verify_schema_placement"
        )
    if old.oid is not None and new.oid not in (None, old.oid):
        raise GateError(
            f"MoveTable finds a table at {old.name} and another at {new.name}: nothing was moved. "
            "Which of them holds the rows is for you to say; rename or drop the other one first"
        )
    return old if new.oid is None else new


def _demand_schema(cursor: Any, name: Name) -> None:
    cursor.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", [name.schema])
    if cursor.fetchone() is None:
        schema = quote(str(name.schema))
        raise GateError(
            f"MoveTable does not make schemas, and there is no schema {schema}. Make it in an operation before: "
            f"migrations.RunSQL('CREATE SCHEMA {schema}', 'DROP SCHEMA {schema}')"
        )


def _demand_access(schema_editor: Any, cursor: Any, old: Place, new: Name) -> None:
    schema = quote(str(new.schema))
    roles = ", ".join(shut_out(cursor, old, str(new.schema)))
    grant = f"GRANT USAGE ON SCHEMA {schema} TO {roles}"
    if roles and schema_editor.collect_sql:
        schema_editor.collected_sql.append(f"-- refused unless this was done before: {visible(grant)}")
    elif roles:
        raise GateError(
            visible(
                f"{roles} may use {old.name} now and could not enter schema {schema}: nothing was moved. "
                f"In an operation before: {grant}"
            )
        )


def _sketch(schema_editor: Any, old: Name, new: Name) -> None:
    """For `sqlmigrate` in a database that does not have the table yet."""
    schema_editor.collected_sql.append(
        f"-- {old} is not in this database: what is renamed with it is known when it is"
    )
    for sql in _statements(old, new, []):
        schema_editor.execute(sql, params=None)


def _settle(schema_editor: Any, db_table: str) -> None:
    """Add now what the same migration has yet to add to the table, so that it moves along.

    Django renames such statements when it renames a table, and for a name with quotes in it makes a syntax error of them.
    """
    for statement in list(schema_editor.deferred_sql):
        if hasattr(statement, "references_table") and statement.references_table(db_table):
            schema_editor.deferred_sql.remove(statement)
            schema_editor.execute(statement, params=None)


def _place(cursor: Any, db_table: str) -> Place:
    """Where queries of this `db_table` lead; where they would make it when there is no such table."""
    name = spelling(db_table).relation
    if name is None:
        raise GateError(f"db_table = {db_table!r} is no name that PostgreSQL can use")
    if name.schema is not None:
        return _at(cursor, name)
    cursor.execute("SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))")
    places = [_at(cursor, Name(schema, name.name)) for (schema,) in cursor.fetchall()]
    if not places:
        raise GateError(f"search_path names no schema that exists, so {name} is nowhere")
    return next((each for each in places if each.oid is not None), places[0])


def _at(cursor: Any, name: Name) -> Place:
    cursor.execute(FIND, list(name))
    row = cursor.fetchone()
    return Place(name, row[0] if row else None)
