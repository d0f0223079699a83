"""What a condition asks: which relations must be there, or must be absent, for it to be true.

Read from comparisons with constants in queries on the catalog views people guard migrations with
(https://www.postgresql.org/docs/current/information-schema.html,
https://www.postgresql.org/docs/current/catalogs.html) and from `to_regclass` and `::regclass`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from rcakit import names
from rcakit.errors import SqlError
from rcakit.names import Name
from rcakit.parsing.pgparse import Node, expression, strings, tag, walk
from rcakit.parsing.sqlfold import Unknown, Value, fold

SCHEMA_COLUMNS = frozenset({"table_schema", "schemaname", "nspname", "relnamespace", "sequence_schema"})
NAME_COLUMNS = frozenset(
    {
        "table_name",
        "tablename",
        "viewname",
        "matviewname",
        "sequencename",
        "sequence_name",
        "relname",
        "indexname",
    }
)
_OID_COLUMNS = frozenset({"oid", "attrelid", "conrelid", "tgrelid", "indexrelid", "indrelid"})
_CATALOGS = frozenset({"information_schema", "pg_catalog"})
_TO_OID = frozenset({"to_regclass"})
_PRIVILEGE = frozenset({"has_table_privilege", "has_any_column_privilege", "has_sequence_privilege"})
_FLIPPED = {"=": 1, ">": 1, ">=": 1, "<>": -1, "<": -1, "<=": -1}


def asked(condition: str) -> tuple[tuple[Name, ...], bool]:
    """(relations tested, negated): negated when the condition is true because something is absent.

    Of a mixed condition (`the old table exists and the new one does not`) the relations that must exist count.
    Never raises: nothing can be told from text that does not parse.
    """
    try:
        tree = expression(condition)
    except SqlError:
        return (), False
    found = list(_tested(_as_condition(tree), 1))
    wanted = -1 if found and all(sign < 0 for sign, _ in found) else 1
    relations = dict.fromkeys(name for sign, some in found if sign == wanted for name in some)
    return tuple(relations), wanted < 0


def _as_condition(tree: Node) -> Node:
    """PL/pgSQL's `IF count(*) > 0 FROM t` is the sub-select that it runs."""
    if "fromClause" in tree or len(tree.get("targetList", ())) != 1:
        return {"SubLink": {"subLinkType": "EXPR_SUBLINK", "subselect": {"SelectStmt": tree}}}
    value: Node = tree["targetList"][0]["ResTarget"].get("val", {})
    return value


def _tested(node: object, sign: int) -> Iterator[tuple[int, list[Name]]]:
    """(sign, relations) of each question a condition asks; sign -1 where absence makes it true."""
    kind, fields = tag(node)
    if kind == "BoolExpr":
        inner = -sign if fields["boolop"] == "NOT_EXPR" else sign
        for each in fields["args"]:
            yield from _tested(each, inner)
    elif kind == "NullTest":
        yield from _tested(fields["arg"], -sign if fields["nulltesttype"] == "IS_NULL" else sign)
    elif kind == "BooleanTest":
        yes = fields["booltesttype"] in ("IS_TRUE", "IS_NOT_FALSE", "IS_NOT_UNKNOWN")
        yield from _tested(fields["arg"], sign if yes else -sign)
    elif kind == "CoalesceExpr":
        yield from _tested(fields["args"][0], sign)
    elif kind == "A_Expr":
        yield from _compared(fields, sign)
    elif kind == "SubLink":
        yield from _sublink(fields, sign)
    elif kind in ("TypeCast", "FuncCall"):
        yield from _named(node, sign)


def _compared(fields: Node, sign: int) -> Iterator[tuple[int, list[Name]]]:
    """`count = 0`, `exists = false`, `7 <= count`: the side with the question, and what the constant makes of it."""
    operator = (strings(fields.get("name")) or ("",))[-1]
    if fields["kind"] not in ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT") or operator not in _FLIPPED:
        return
    left, right = fields.get("lexpr"), fields.get("rexpr")
    for question, constant, way in ((left, right, operator), (right, left, _MIRROR.get(operator, operator))):
        try:
            yield from _tested(question, sign * _polarity(way, fold(constant)))
        except Unknown:
            continue


_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _polarity(operator: str, value: Value) -> int:
    """1 when the comparison is true for something present (a count, true), -1 when for something absent."""
    if isinstance(value, bool):
        return 1 if value == (operator != "<>") else -1
    if value in (0, "") or (value == 1 and operator == "<"):
        return {"<>": 1, ">": 1, ">=": 1}.get(operator, -1)
    return _FLIPPED["=" if operator == "<>" and value is None else operator]


def _sublink(fields: Node, sign: int) -> Iterator[tuple[int, list[Name]]]:
    select = fields["subselect"].get("SelectStmt", {})
    if fields["subLinkType"] == "ANY_SUBLINK":
        yield sign, _any(fields, select)
        return
    single = "fromClause" not in select and len(select.get("targetList", ())) == 1
    if fields["subLinkType"] == "EXPR_SUBLINK" and single:
        yield from _tested(_as_condition(select), sign)
        return
    if fields["subLinkType"] == "EXPR_SUBLINK":
        sign *= _target_sign(select)
    names_found = relations(select)
    if names_found or _is_catalog(select):
        yield sign, names_found


def _target_sign(select: Node) -> int:
    """-1 for `SELECT count(*) = 0 FROM ..`: the answer itself is turned round."""
    kind, fields = (
        tag(select["targetList"][0]["ResTarget"].get("val", {})) if "targetList" in select else ("", {})
    )
    if kind == "A_Expr" and "rexpr" in fields:
        try:
            return _polarity((strings(fields["name"]) or ("=",))[-1], fold(fields["rexpr"]))
        except (Unknown, KeyError):
            return 1
    return 1


def _any(fields: Node, select: Node) -> list[Name]:
    """`'x' IN (SELECT table_name FROM ..)`."""
    schemas, _, _ = _predicates(select)
    try:
        value = fold(fields.get("testexpr"))
    except Unknown:
        return []
    return _qualified(schemas, [str(value)]) if _is_catalog(select) else []


def _named(node: object, sign: int) -> Iterator[tuple[int, list[Name]]]:
    """to_regclass('x'), 'x'::regclass, has_table_privilege('x', ..)."""
    found = list(_oid_names(node))
    if found:
        yield sign, found
    kind, fields = tag(node)
    if kind == "TypeCast" and not found:
        yield from _tested(fields["arg"], sign)


def _oid_names(node: object) -> Iterator[Name]:
    kind, fields = tag(node)
    if kind == "TypeCast" and strings(fields["typeName"].get("names"))[-1:] == ("regclass",):
        yield from _spelled(fields["arg"])
    elif kind == "TypeCast":
        yield from _oid_names(fields["arg"])
    elif kind == "FuncCall":
        name = strings(fields["funcname"])[-1]
        arguments = fields.get("args", [])
        if name in _TO_OID:
            yield from (each for argument in arguments[:1] for each in _spelled(argument))
        elif name in _PRIVILEGE:
            yield from (each for argument in arguments[-2:-1] for each in _spelled(argument))


def _spelled(node: Node) -> Iterator[Name]:
    """The relation a constant text spells, by PostgreSQL's rules for identifiers."""
    try:
        parts = names.parse(str(fold(node)))
    except (Unknown, ValueError):
        return
    if len(parts) in (1, 2):
        yield Name(parts[0] if len(parts) == 2 else None, parts[-1])


# ------------------------------------------------------------------ queries on catalogs


def relations(select: Node) -> list[Name]:
    """The relations that a query on the catalogs picks out by name."""
    schemas, bare, whole = _predicates(select)
    if not _is_catalog(select):
        return []
    return [*whole, *_qualified(schemas, bare)]


def _qualified(schemas: list[str], bare: list[str]) -> list[Name]:
    return (
        [Name(schema, name) for schema, name in product(schemas, bare)]
        if schemas
        else [Name(None, each) for each in bare]
    )


def _is_catalog(select: Node) -> bool:
    """Every relation the query reads is a catalog, qualified or by the pg_ prefix that no user relation should have."""
    ranges = [fields for kind, fields in walk(select) if kind == "RangeVar"]
    return bool(ranges) and all(
        each.get("schemaname") in _CATALOGS
        or ("schemaname" not in each and each["relname"].startswith("pg_"))
        for each in ranges
    )


def _predicates(select: Node) -> tuple[list[str], list[str], list[Name]]:
    """(schemas, bare names, whole names) that WHERE and ON compare with."""
    schemas: list[str] = []
    bare: list[str] = []
    whole: list[Name] = []
    for kind, fields in walk(select):
        equality = fields.get("kind") in ("AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY")
        if kind == "A_Expr" and equality and strings(fields.get("name"))[-1:] == ("=",):
            right = fields.get("rexpr", {})
            if fields["kind"] == "AEXPR_OP_ANY":
                right = _as_array(right)
            _compare(fields.get("lexpr", {}), right, schemas, bare, whole)
    return list(dict.fromkeys(schemas)), list(dict.fromkeys(bare)), whole


def _as_array(node: Node) -> Node:
    """`ANY ('{a,b}')`: PostgreSQL gives the bare text the type of an array."""
    bare = {"TypeName": {"names": [{"String": {"sval": "text"}}], "arrayBounds": [{"Integer": {"ival": -1}}]}}
    return {"TypeCast": {"arg": node, "typeName": bare["TypeName"]}} if tag(node)[0] == "A_Const" else node


def _compare(left: object, right: object, schemas: list[str], bare: list[str], whole: list[Name]) -> None:
    column = _column(left) or _column(right)
    other = right if _column(left) else left
    if column in SCHEMA_COLUMNS:
        schemas.extend(_texts(other))
    elif column in NAME_COLUMNS:
        bare.extend(_texts(other))
    elif column in _OID_COLUMNS:
        whole.extend(_oid_names(other))
    elif tag(left)[0] == "RowExpr":
        whole.extend(_rows(tag(left)[1], right))


def _column(node: object) -> str:
    """The column an expression is, casts and lower() looked through; "" for none."""
    kind, fields = tag(node)
    if kind == "ColumnRef":
        return (strings(fields["fields"]) or ("",))[-1]
    if kind == "TypeCast":
        return _column(fields["arg"])
    if kind == "FuncCall" and strings(fields["funcname"])[-1] == "lower":
        return _column(fields["args"][0])
    return ""


def _texts(node: object) -> list[str]:
    kind, fields = tag(node)
    if kind == "List":
        return [text for item in fields["items"] for text in _texts(item)]
    try:
        value = fold(node)
    except Unknown:
        return []
    return [str(each) for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str)]


def _rows(columns: Node, right: object) -> Iterator[Name]:
    """`(table_schema, table_name) = ('public', 'x')`, and IN a list of such rows."""
    order = [_column(each) for each in columns["args"]]
    kind, fields = tag(right)
    for row in fields.get("items", ()) if kind == "List" else (right,):
        values = [_texts(each) for each in tag(row)[1].get("args", ())]
        schema = [
            value[0] for name, value in zip(order, values, strict=False) if name in SCHEMA_COLUMNS and value
        ]
        name = [
            value[0] for name, value in zip(order, values, strict=False) if name in NAME_COLUMNS and value
        ]
        if name:
            yield Name(schema[0] if schema else None, name[0])
