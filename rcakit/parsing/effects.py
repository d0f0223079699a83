"""What a plain SQL statement leaves behind in the catalog: tables moved, renamed, made, dropped, altered.

Rows are no effect here, and neither is what a function would do when somebody calls it later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rcakit.facts import Effect
from rcakit.names import Name
from rcakit.parsing.pgparse import Node, Statement, strings, tag

_OBJECTS = {
    "OBJECT_TABLE": "table",
    "OBJECT_FOREIGN_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "view",
    "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "type",
    "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "function",
    "OBJECT_ROUTINE": "function",
    "OBJECT_AGGREGATE": "function",
    "OBJECT_COLUMN": "column",
    "OBJECT_ATTRIBUTE": "column",
    "OBJECT_TABCONSTRAINT": "constraint",
    "OBJECT_DOMCONSTRAINT": "constraint",
    "OBJECT_TRIGGER": "trigger",
    "OBJECT_POLICY": "policy",
    "OBJECT_RULE": "rule",
    "OBJECT_EXTENSION": "extension",
}
_OF_A_TABLE = frozenset({"column", "constraint", "trigger", "policy", "rule"})


def of_statement(statement: Statement) -> tuple[Effect, ...]:
    """The effects of one statement, in the order they come about; none for a DO (see `plpgsql.effects`)."""
    return tuple(of_node(statement.kind, statement.node))


def of_node(kind: str, node: Node) -> Iterator[Effect]:
    """`of_statement` for a bare node."""
    reader = _READERS.get(kind)
    if reader is not None:
        yield from reader(node)


def relation_name(fields: Node) -> Name:
    """The name a RangeVar spells; the database part of a three-part name is dropped."""
    return Name(fields.get("schemaname"), fields["relname"])


def object_kind(kind: str) -> str:
    """libpg_query's OBJECT_TABLE as "table"; kinds without a word of their own in lower case."""
    return _OBJECTS.get(kind, kind.removeprefix("OBJECT_").lower().replace("_", " "))


def dropped(node: Node) -> Iterator[tuple[Name, Name | None]]:
    """(object, the table it belongs to) for each object a DropStmt names."""
    owned = object_kind(node["removeType"]) in _OF_A_TABLE
    for item in node["objects"]:
        parts = _parts(item)
        if owned:
            yield Name(None, parts[-1]), _named(parts[:-1])
        elif parts:
            yield _named(parts), None


def _parts(item: Node) -> tuple[str, ...]:
    """The words of a possibly qualified name, whatever kind of node spells it."""
    kind, fields = tag(item)
    if kind == "String":
        return (fields.get("sval", ""),)
    if kind == "List":
        return strings(fields["items"])
    return strings(fields.get("objname", fields.get("names")))


def _named(parts: tuple[str, ...]) -> Name:
    return Name(parts[-2] if len(parts) > 1 else None, parts[-1] if parts else "")


# ------------------------------------------------------------------ statement readers


def _set_schema(node: Node) -> Iterator[Effect]:
    kind = object_kind(node["objectType"])
    subject = relation_name(node["relation"]) if "relation" in node else _named(_parts(node["object"]))
    yield Effect("move", kind, subject, Name(node["newschema"], subject.name))


def _rename(node: Node) -> Iterator[Effect]:
    kind, new = object_kind(node["renameType"]), node["newname"]
    if kind in _OF_A_TABLE:
        old = node.get("subname", "")
        table = relation_name(node["relation"]) if "relation" in node else None
        yield Effect("rename", kind, Name(None, old), Name(None, new), table)
    elif kind == "schema":
        yield Effect("rename", kind, Name(None, node.get("subname", "")), Name(None, new))
    else:
        subject = (
            relation_name(node["relation"]) if "relation" in node else _named(_parts(node.get("object", {})))
        )
        yield Effect("rename", kind, subject, Name(subject.schema, new))


def _drop(node: Node) -> Iterator[Effect]:
    kind = object_kind(node["removeType"])
    for subject, table in dropped(node):
        yield Effect("drop", kind, subject, None, table)


def _create_table(node: Node) -> Iterator[Effect]:
    if node["relation"].get("relpersistence") != "t":
        yield Effect("create", "table", None, relation_name(node["relation"]))


def _create_foreign(node: Node) -> Iterator[Effect]:
    yield from _create_table(node["base"])


def _create_as(node: Node) -> Iterator[Effect]:
    into = node["into"]
    if into["rel"].get("relpersistence") != "t":
        yield Effect("create", object_kind(node["objtype"]), None, relation_name(into["rel"]))


def _select(node: Node) -> Iterator[Effect]:
    into = node.get("intoClause")
    if into and into["rel"].get("relpersistence") != "t":
        yield Effect("create", "table", None, relation_name(into["rel"]))


def _create_view(node: Node) -> Iterator[Effect]:
    yield Effect("create", "view", None, relation_name(node["view"]))


def _create_index(node: Node) -> Iterator[Effect]:
    table = relation_name(node["relation"])
    made = Name(table.schema, node["idxname"]) if "idxname" in node else None
    yield Effect("create", "index", None, made, table)


def _create_sequence(node: Node) -> Iterator[Effect]:
    yield Effect("create", "sequence", None, relation_name(node["sequence"]))


def _create_schema(node: Node) -> Iterator[Effect]:
    name = node.get("schemaname") or node.get("authrole", {}).get("rolename")
    yield Effect("create", "schema", None, Name(None, name) if name else None)
    for item in node.get("schemaElts", ()):
        yield from of_node(*tag(item))


def _create_type(node: Node) -> Iterator[Effect]:
    parts = strings(node.get("domainname", node.get("typeName", node.get("defnames"))))
    if parts and object_kind(node.get("kind", "OBJECT_TYPE")) == "type":
        yield Effect("create", "type", None, _named(parts))


def _create_composite(node: Node) -> Iterator[Effect]:
    yield Effect("create", "type", None, relation_name(node["typevar"]))


def _create_function(node: Node) -> Iterator[Effect]:
    yield Effect("create", "function", None, _named(strings(node["funcname"])))


def _create_trigger(node: Node) -> Iterator[Effect]:
    yield Effect("create", "trigger", None, Name(None, node["trigname"]), relation_name(node["relation"]))


def _create_extension(node: Node) -> Iterator[Effect]:
    yield Effect("create", "extension", None, Name(None, node["extname"]))


def _alter_table(node: Node) -> Iterator[Effect]:
    table = relation_name(node["relation"])
    kind = object_kind(node["objtype"])
    whole = Effect("alter", kind, table, table)
    for item in node["cmds"]:
        command = item["AlterTableCmd"]
        yield _altered(command, table) or whole


def _altered(command: Node, table: Name) -> Effect | None:
    subtype, name = command["subtype"], command.get("name", "")
    definition = command.get("def", {})
    if subtype == "AT_AddColumn":
        return Effect("alter", "column", None, Name(None, definition["ColumnDef"]["colname"]), table)
    if subtype == "AT_DropColumn":
        return Effect("alter", "column", Name(None, name), None, table)
    if subtype == "AT_AddConstraint":
        made = definition["Constraint"].get("conname")
        return Effect("alter", "constraint", None, Name(None, made) if made else None, table)
    if subtype == "AT_DropConstraint":
        return Effect("alter", "constraint", Name(None, name), None, table)
    if name and "Column" in subtype:
        return Effect("alter", "column", Name(None, name), Name(None, name), table)
    return None


def _alter_enum(node: Node) -> Iterator[Effect]:
    name = _named(strings(node["typeName"]))
    yield Effect("alter", "type", name, name)


_READERS: dict[str, Callable[[Node], Iterator[Effect]]] = {
    "AlterObjectSchemaStmt": _set_schema,
    "RenameStmt": _rename,
    "DropStmt": _drop,
    "CreateStmt": _create_table,
    "CreateForeignTableStmt": _create_foreign,
    "CreateTableAsStmt": _create_as,
    "SelectStmt": _select,
    "ViewStmt": _create_view,
    "IndexStmt": _create_index,
    "CreateSeqStmt": _create_sequence,
    "CreateSchemaStmt": _create_schema,
    "CreateEnumStmt": _create_type,
    "CreateDomainStmt": _create_type,
    "CreateRangeStmt": _create_type,
    "DefineStmt": _create_type,
    "CompositeTypeStmt": _create_composite,
    "CreateFunctionStmt": _create_function,
    "CreateTrigStmt": _create_trigger,
    "CreateExtensionStmt": _create_extension,
    "AlterTableStmt": _alter_table,
    "AlterEnumStmt": _alter_enum,
}
