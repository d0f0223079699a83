"""May this SQL expression be run on somebody's database? Only what is listed here may.

A guard's condition is foreign code. It is run when its parse tree holds nothing but catalog relations, constants,
operators and built-in functions that read; everything else is refused with the reason. `pg_catalog` comes first on
the search path it runs with (https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-CATALOG), so a
table called `pg_tables` cannot get in between; functions and operators that a better match of argument types would
prefer to the built-in ones (`twins/hijackers.sql`) are handed in.
"""

from __future__ import annotations

from rcakit.errors import SqlError
from rcakit.parsing.pgparse import Node, expression, strings, walk

_CATALOGS = frozenset(
    {
        "pg_am", "pg_attrdef", "pg_attribute", "pg_class", "pg_collation", "pg_constraint", "pg_database",
        "pg_depend", "pg_description", "pg_enum", "pg_event_trigger", "pg_extension", "pg_index", "pg_indexes",
        "pg_inherits", "pg_language", "pg_matviews", "pg_namespace", "pg_opclass", "pg_partitioned_table",
        "pg_policies", "pg_policy", "pg_proc", "pg_publication", "pg_publication_tables", "pg_range",
        "pg_rewrite", "pg_roles", "pg_rules", "pg_sequence", "pg_sequences", "pg_statistic_ext", "pg_tables",
        "pg_tablespace", "pg_trigger", "pg_type", "pg_views",
    }
)  # fmt: skip
_INFORMATION = frozenset(
    {
        "check_constraints", "column_privileges", "columns", "constraint_column_usage",
        "constraint_table_usage", "domains", "information_schema_catalog_name", "key_column_usage",
        "parameters", "referential_constraints", "role_table_grants", "routines", "schemata", "sequences",
        "table_constraints", "table_privileges", "tables", "triggers", "view_table_usage", "views",
    }
)  # fmt: skip
_FUNCTIONS = frozenset(
    {
        "array_agg", "array_length", "array_position", "array_to_string", "bool_and", "bool_or", "btrim",
        "cardinality", "char_length", "character_length", "coalesce", "col_description", "concat", "concat_ws",
        "count", "current_database", "current_schema", "current_schemas", "current_setting", "every", "format",
        "format_type", "has_column_privilege", "has_database_privilege", "has_function_privilege",
        "has_schema_privilege", "has_sequence_privilege", "has_table_privilege", "left", "length", "lower",
        "ltrim", "max", "min", "now", "obj_description", "octet_length", "pg_function_is_visible",
        "pg_get_constraintdef", "pg_get_expr", "pg_get_function_identity_arguments", "pg_get_indexdef",
        "pg_get_userbyid", "pg_get_viewdef", "pg_has_role", "pg_is_in_recovery", "pg_table_is_visible",
        "pg_type_is_visible", "position", "quote_ident", "quote_literal", "replace", "right", "rtrim",
        "session_user", "split_part", "starts_with", "string_agg", "string_to_array", "strpos", "substr",
        "substring", "sum", "to_regclass", "to_regnamespace", "to_regproc", "to_regprocedure", "to_regrole",
        "to_regtype", "trim", "unnest", "upper", "version",
    }
)  # fmt: skip
_TYPES = frozenset(
    {
        "bool", "boolean", "bpchar", "char", "character_data", "date", "float8", "int2", "int4", "int8",
        "integer", "name", "numeric", "oid", "regclass", "regnamespace", "regproc", "regprocedure", "regrole",
        "regtype", "sql_identifier", "text", "timestamp", "timestamptz", "unknown", "varchar", "yes_or_no",
    }
)  # fmt: skip
_NODES = frozenset(
    {
        "A_ArrayExpr", "A_Const", "A_Expr", "A_Indices", "A_Indirection", "A_Star", "BoolExpr", "Boolean",
        "BooleanTest", "CaseExpr", "CaseWhen", "CoalesceExpr", "ColumnRef", "CommonTableExpr", "Float",
        "FuncCall", "Integer", "JoinExpr", "List", "MinMaxExpr", "NullTest", "RangeFunction", "RangeSubselect",
        "RangeVar", "ResTarget", "RowExpr", "SQLValueFunction", "SelectStmt", "SortBy", "String", "SubLink",
        "TypeCast",
    }
)  # fmt: skip
_FIELDS = frozenset(
    {
        "agg_distinct", "agg_filter", "agg_order", "agg_star", "agg_within_group", "alias", "aliascolnames",
        "aliasname", "all", "arg", "args", "arrayBounds", "boolop", "booltesttype", "boolval", "catalogname",
        "colnames", "ctematerialized", "ctename", "ctequery", "ctes", "defresult", "distinctClause", "elements",
        "expr", "fields", "fromClause", "fromsql_location", "func_variadic", "funcformat", "funcname",
        "functions", "fval", "groupClause", "groupDistinct", "havingClause", "indirection", "inh", "isNatural",
        "is_not_slice", "is_slice", "isnull", "items", "ival", "jointype", "kind", "larg", "lateral", "lexpr",
        "lidx", "limitCount", "limitOffset", "limitOption", "list_end", "list_start", "location", "name",
        "names", "node", "nulltesttype", "op", "operName", "ordinality", "quals", "rarg", "relname",
        "relpersistence", "result", "rexpr", "rexpr_list_end", "rexpr_list_start", "row_format", "rtindex",
        "schemaname", "sortClause", "sortby_dir", "sortby_nulls", "subLinkType", "subquery", "subselect",
        "sval", "targetList", "testexpr", "typeName", "typemod", "typmod", "typmod typmods", "uidx",
        "usingClause", "val", "valuesLists", "whereClause", "withClause",
    }
)  # fmt: skip

_IMPLICIT = frozenset({"=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*"})
"""Operators that work behind IN, CASE, BETWEEN, LIKE, ORDER BY and row comparisons."""


def objection(condition: str, hijackers: dict[str, str] | None = None) -> str:
    """Why the condition must not be run, one phrase; "" when it may.

    `hijackers`: name of a function or operator that shadows a built-in one -> its schema.
    """
    try:
        tree = expression(condition)
    except SqlError as error:
        return f"it is not an SQL expression ({error.what})"
    extra = tree.keys() - {"targetList", "limitOption", "op"}
    if extra or len(tree.get("targetList", ())) != 1:
        return "it is not a single expression"
    return (
        _unknown_field(tree)
        or next(filter(None, (_why(*each, tree) for each in walk(tree))), "")
        or _shadowed(tree, hijackers or {})
    )


def _unknown_field(tree: object) -> str:
    """A grammar feature nobody has looked at: INTO, FOR UPDATE, TABLESAMPLE, windows, recursion."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            for key, value in node.items():
                known = key in _NODES if key[:1].isupper() else key in _FIELDS
                if not known:
                    return f"it uses {key}"
                todo.append(value)
    return ""


def _why(kind: str, fields: Node, tree: Node) -> str:
    if kind == "RangeVar":
        return _relation(fields, tree)
    if kind == "FuncCall":
        return _qualified(strings(fields["funcname"]), _FUNCTIONS, "function")
    if kind == "A_Expr":
        return _qualified(strings(fields.get("name")), None, "operator")
    if kind == "SubLink" and "operName" in fields:
        return _qualified(strings(fields["operName"]), None, "operator")
    if kind == "SortBy" and fields.get("sortby_dir") == "SORTBY_USING":
        return "it sorts with USING"
    if kind == "TypeCast":
        return _type(fields["typeName"])
    return ""


def _relation(fields: Node, tree: Node) -> str:
    schema, name = fields.get("schemaname"), fields["relname"]
    common = {each["ctename"] for kind, each in walk(tree) if kind == "CommonTableExpr"}
    known = {None: _CATALOGS | common, "pg_catalog": _CATALOGS, "information_schema": _INFORMATION}
    if "catalogname" in fields or name not in known.get(schema, ()):
        shown = f"{schema}.{name}" if schema else name
        return f"it reads {shown}, which is no catalog relation rcakit knows"
    return ""


def _type(type_name: Node) -> str:
    parts = strings(type_name.get("names"))
    if parts[:1] == ("information_schema",) and parts[-1] in _TYPES:
        return ""
    return _qualified(parts, _TYPES, "type")


def _qualified(parts: tuple[str, ...], allowed: frozenset[str] | None, what: str) -> str:
    if (
        not parts
        or parts[:-1] not in ((), ("pg_catalog",))
        or (allowed is not None and parts[-1] not in allowed)
    ):
        return f"it uses the {what} {'.'.join(parts)}"
    return ""


def _shadowed(tree: Node, hijackers: dict[str, str]) -> str:
    used = set(_IMPLICIT)
    for kind, fields in walk(tree):
        if kind in ("FuncCall", "A_Expr"):
            used.update(strings(fields.get("funcname", fields.get("name")))[-1:])
    for name in sorted(used & hijackers.keys()):
        return f"the schema {hijackers[name]} on the search path has a {name} of its own"
    return ""
