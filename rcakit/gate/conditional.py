"""The conditions of a ConditionalSQL: asked one by one, or as one statement for `sqlmigrate`.

https://www.postgresql.org/docs/current/plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN
"""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Any

from rcakit.gate.errors import GateError
from rcakit.names import literal

if TYPE_CHECKING:
    from rcakit.gate.operations import ConditionalSQL


def holds(cursor: Any, query: str) -> bool:
    """The one boolean a query gives. Raises GateError when it gives anything else."""
    cursor.execute(query)
    found = cursor.fetchmany(2)
    if len(found) != 1 or len(found[0]) != 1 or not isinstance(found[0][0], bool):
        raise GateError(
            f"a condition must give one row with one boolean that is not null, and this does not: {query}"
        )
    return bool(found[0][0])


def demand_effect(cursor: Any, operation: ConditionalSQL) -> None:
    """Raises GateError unless the SQL that ran has had its effect."""
    if operation.effect is not None and not holds(cursor, operation.effect):
        raise GateError(f"its SQL ran, and its effect is absent: {operation.effect}")
    if operation.effect is None and holds(cursor, operation.condition):
        raise GateError(
            f"its SQL ran, and its condition still holds as if it had not: {operation.condition}. "
            "If the condition is not what the SQL changes, say what is: ConditionalSQL(effect=...)"
        )


def demand_nothing_to_do(cursor: Any, operation: ConditionalSQL) -> None:
    """Raises GateError unless it was said that this is a case for doing nothing."""
    if operation.noop_ok_when is None:
        raise GateError(
            f"its condition is false, so it would have done nothing: {operation.condition}. "
            "Where that is right, say when: ConditionalSQL(noop_ok_when=...)"
        )
    if not holds(cursor, operation.noop_ok_when):
        raise GateError(
            f"its condition is false ({operation.condition}), and it is not true either that there is nothing to do: "
            f"{operation.noop_ok_when}"
        )


def guarded(operation: ConditionalSQL, schema_editor: Any) -> str:
    """The whole as one DO block that does the same, but for the journal."""
    run = "".join(f"EXECUTE {literal(each)};\n" for each in _statements(operation.sql, schema_editor))
    after = operation.effect if operation.effect is not None else operation.condition
    absent = "NOT holds" if operation.effect is not None else "holds"
    nothing = operation.noop_ok_when or "SELECT false"
    return block(
        f"EXECUTE {literal(operation.condition)} INTO STRICT holds;\n"
        "IF holds THEN\n"
        + indent(f"{run}EXECUTE {literal(after)} INTO STRICT holds;\n", "    ")
        + f"    IF {absent} THEN RAISE EXCEPTION 'its SQL ran, and its effect is absent'; END IF;\n"
        "ELSE\n"
        f"    EXECUTE {literal(nothing)} INTO STRICT holds;\n"
        "    IF NOT holds THEN RAISE EXCEPTION 'its condition is false, so it would have done nothing'; END IF;\n"
        "END IF;",
        declared="DECLARE\n    holds boolean;\n",
    )


def _statements(sql: Any, schema_editor: Any) -> list[str]:
    """RunSQL's text, or its list of texts and (text, params)."""
    if isinstance(sql, str):
        return [sql] if sql.strip() else []
    pairs = [(each, None) if isinstance(each, str) else tuple(each) for each in sql]
    return [
        text if params is None else text % tuple(map(schema_editor.quote_value, params))
        for text, params in pairs
    ]


def block(body: str, declared: str = "") -> str:
    """A DO block; its quoting is not what the body holds."""
    tag = "$gate$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"DO {tag}\n{declared}BEGIN\n{indent(body, '    ')}\nEND\n{tag}"
