"""IF EXISTS and IF NOT EXISTS of plain statements, as the conditions they are.

A statement with such a clause says no more than a NOTICE when it does nothing:
https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from rcakit.names import Name, literal
from rcakit.parsing.effects import dropped, object_kind, relation_name
from rcakit.parsing.pgparse import Node, Statement, strings

_RELATIONS = frozenset({"table", "view", "index", "sequence"})
Thing = tuple[str, Name, Name | None]
"""(object kind, its name, the table it belongs to)."""


class Clause(NamedTuple):
    """`condition` is SQL, "" for an object kind that rcakit cannot ask for; `negated` for IF NOT EXISTS."""

    condition: str
    negated: bool
    relations: tuple[Name, ...] = ()


def of_statement(statement: Statement) -> Clause | None:
    """What a plain statement makes its work depend on; None when it has no such clause."""
    reader = _READERS.get(statement.kind)
    return reader(statement.node) if reader else None


def _alter(node: Node) -> Clause | None:
    kind = object_kind(node.get("objectType") or node.get("renameType") or node.get("objtype") or "")
    if kind in ("column", "constraint"):  # a part is renamed, the clause asks for its relation
        kind = "table" if kind == "constraint" else object_kind(node["relationType"])
    if node.get("missing_ok") and "relation" in node:
        return _present([(kind, relation_name(node["relation"]), None)])
    if node.get("missing_ok"):
        return Clause("", False)
    return _commands(node)


def _commands(node: Node) -> Clause | None:
    """ADD COLUMN IF NOT EXISTS, DROP COLUMN IF EXISTS, DROP CONSTRAINT IF EXISTS inside an ALTER TABLE."""
    for item in node.get("cmds", ()):
        command = item["AlterTableCmd"]
        if command.get("missing_ok"):
            adding = command["subtype"] == "AT_AddColumn"
            name = command["def"]["ColumnDef"]["colname"] if adding else command.get("name", "")
            kind = "constraint" if command["subtype"] == "AT_DropConstraint" else "column"
            inner: list[Thing] = [(kind, Name(None, name), relation_name(node["relation"]))]
            return _absent(inner) if adding else _present(inner)
    return None


def _drop(node: Node) -> Clause | None:
    if not node.get("missing_ok"):
        return None
    kind = object_kind(node["removeType"])
    return _present([(kind, name, table) for name, table in dropped(node)])


def _create(node: Node) -> Clause | None:
    """CREATE TABLE, SEQUENCE, INDEX, TABLE AS .. IF NOT EXISTS."""
    inner = node.get("base", node)
    if not inner.get("if_not_exists"):
        return None
    relation = inner.get("relation") or inner.get("sequence") or inner.get("into", {}).get("rel")
    name = relation_name(relation)
    if "idxname" in inner:
        return _absent([("index", Name(name.schema, inner["idxname"]), None)])
    return _absent([("table", name, None)])


def _create_schema(node: Node) -> Clause | None:
    name = node.get("schemaname") or node.get("authrole", {}).get("rolename")
    return _absent([("schema", Name(None, name or ""), None)]) if node.get("if_not_exists") else None


def _create_extension(node: Node) -> Clause | None:
    return _absent([("extension", Name(None, node["extname"]), None)]) if node.get("if_not_exists") else None


def _add_value(node: Node) -> Clause | None:
    if not node.get("skipIfNewValExists"):
        return None
    label, parts = node.get("newVal", ""), strings(node["typeName"])
    kind = literal(Name(parts[0] if len(parts) > 1 else None, parts[-1]).sql)
    asked = _exists("pg_enum", f"enumtypid = to_regtype({kind}) AND enumlabel = {literal(label)}")
    return Clause(f"NOT {asked}", True)


_READERS: dict[str, Callable[[Node], Clause | None]] = {
    "AlterTableStmt": _alter,
    "AlterObjectSchemaStmt": _alter,
    "RenameStmt": _alter,
    "AlterSeqStmt": _alter,
    "DropStmt": _drop,
    "CreateStmt": _create,
    "CreateForeignTableStmt": _create,
    "CreateTableAsStmt": _create,
    "CreateSeqStmt": _create,
    "IndexStmt": _create,
    "CreateSchemaStmt": _create_schema,
    "CreateExtensionStmt": _create_extension,
    "AlterEnumStmt": _add_value,
}


# ------------------------------------------------------------------ the questions in SQL: all names quoted


def _present(things: list[Thing]) -> Clause:
    return Clause(_any(things), False, tuple(_relations(things)))


def _absent(things: list[Thing]) -> Clause:
    asked = _any(things)
    return Clause(f"NOT ({asked})" if asked else "", True, tuple(_relations(things)))


def _relations(things: list[Thing]) -> Iterator[Name]:
    for kind, name, table in things:
        if kind in _RELATIONS:
            yield name
        elif table is not None:
            yield table


def _any(things: list[Thing]) -> str:
    asked = [_ask(*thing) for thing in things]
    return " OR ".join(asked) if all(asked) else ""


def _ask(kind: str, name: Name, table: Name | None) -> str:
    """An expression that is true when the object exists, by the rules of the statement's own look-up."""
    if kind in _RELATIONS:
        return f"to_regclass({literal(name.sql)}) IS NOT NULL"
    if kind in _UNIQUE:
        catalog, column = _UNIQUE[kind]
        return _exists(catalog, f"{column} = {literal(name.name)}")
    if kind in _OWNED and table is not None:
        catalog, owner, column = _OWNED[kind]
        alive = " AND NOT attisdropped" if kind == "column" else ""
        owned = f"{owner} = to_regclass({literal(table.sql)})"
        return _exists(catalog, f"{owned} AND {column} = {literal(name.name)}{alive}")
    if kind == "type":
        return f"to_regtype({literal(name.sql)}) IS NOT NULL"
    return ""


def _exists(catalog: str, condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM pg_catalog.{catalog} WHERE {condition})"  # noqa: S608 - quoted by the callers


_UNIQUE = {"schema": ("pg_namespace", "nspname"), "extension": ("pg_extension", "extname")}
_OWNED = {
    "column": ("pg_attribute", "attrelid", "attname"),
    "constraint": ("pg_constraint", "conrelid", "conname"),
    "trigger": ("pg_trigger", "tgrelid", "tgname"),
    "policy": ("pg_policy", "polrelid", "polname"),
    "rule": ("pg_rewrite", "ev_class", "rulename"),
}
