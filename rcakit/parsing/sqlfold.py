"""Constant folding over parse trees: which text an EXECUTE runs, which names a condition compares with.

A scope maps a lower-case variable ("t", "r.tablename", "found") to the closed SQL expression that it stands for.
`format` follows https://www.postgresql.org/docs/current/functions-string.html#FUNCTIONS-STRING-FORMAT
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rcakit.errors import SqlError
from rcakit.names import display, literal
from rcakit.parsing.pgparse import Node, expression, parse, replace, spans, strings, tag, walk

Scope = Mapping[str, str]
Value = str | int | bool | None | tuple["Value", ...]

LONGEST = 1_000_000
"""Letters of a text that is put together: doubled forty times, ten letters fill any memory."""
_TEXTUAL = frozenset(
    {"text", "varchar", "name", "bpchar", "regclass", "regnamespace", "sql_identifier", "oid"}
)


class Unknown(Exception):  # noqa: N818 - an answer, not an error
    """The value is not a constant."""


def fold(node: object, scope: Scope | None = None) -> Value:
    """The constant an expression node is; None is SQL's NULL. Raises Unknown when it is none."""
    kind, fields = tag(node)
    reader = _READERS.get(kind)
    if reader is None:
        raise Unknown
    return bounded(reader(fields, scope or {}))


def bounded(value: Value) -> Value:
    """The value itself. Raises Unknown for a text of a length that is no statement's."""
    if isinstance(value, str) and len(value) > LONGEST:
        raise Unknown
    return value


def demand_small(values: Iterable[Value]) -> None:
    """Raises Unknown where one of these texts, put for each letter of another, would fill the memory."""
    first, second, *_ = [*sorted((len(str(value)) for value in values), reverse=True), 0, 0]
    if first * second > 100 * LONGEST:
        raise Unknown


def fold_text(text: str, scope: Scope | None = None) -> Value:
    """`fold` for the source text of one expression. Raises Unknown, also for text that does not parse."""
    try:
        tree = expression(text)
    except SqlError:
        raise Unknown from None
    targets = tree.get("targetList", ())
    if len(targets) != 1 or "fromClause" in tree:
        raise Unknown
    return fold(targets[0]["ResTarget"]["val"], scope)


def sql_literal(value: Value) -> str:
    """A constant as SQL that means the same wherever it is put."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return literal(value).strip()
    return f"ARRAY[{', '.join(sql_literal(each) for each in value)}]"


def substitute(text: str, scope: Scope, *, statement: bool = False) -> str:
    """The text with every variable of the scope replaced by what it stands for, in parentheses.

    `text` is one expression, or a whole SELECT with `statement`. Text that does not parse comes back unchanged.
    """
    prefix = "" if statement else "SELECT "
    try:
        used = _uses(prefix + text, scope)
    except SqlError:
        return text
    if not used:
        return text
    places = spans(prefix + text, {at: count for at, (count, _) in used.items()})
    edits = [(start, end, _wrapped(used[at][1])) for at, (start, end) in places.items()]
    return replace(prefix + text, edits)[len(prefix) :]


def _wrapped(value: str) -> str:
    plain = value[:1] in "'(" or value.isalnum()
    return value if plain else f"({value})"


def _uses(text: str, scope: Scope) -> dict[int, tuple[int, str]]:
    """Byte offset of each variable -> (number of tokens, what it stands for)."""
    found = {}
    for kind, fields in walk([each.node for each in parse(text)]):
        name = ".".join(strings(fields.get("fields"))) if kind == "ColumnRef" else ""
        if name in scope and len(fields["fields"]) == name.count(".") + 1:
            found[fields.get("location", 0)] = (2 * len(fields["fields"]) - 1, scope[name])
    return found


# ------------------------------------------------------------------ node readers


def _constant(fields: Node, scope: Scope) -> Value:
    if fields.get("isnull"):
        return None
    if "sval" in fields:
        return str(fields["sval"].get("sval", ""))
    if "ival" in fields:
        return int(fields["ival"].get("ival", 0))
    if "boolval" in fields:
        return bool(fields["boolval"].get("boolval", False))
    raise Unknown


def _cast(fields: Node, scope: Scope) -> Value:
    value = fold(fields["arg"], scope)
    type_name = fields["typeName"]
    name = strings(type_name.get("names"))[-1:]
    if "arrayBounds" in type_name:
        return _array_literal(value)
    if name and name[0] in _TEXTUAL:
        return value if value is None or isinstance(value, str) else _text(value)
    if name and name[0] in ("int4", "int8", "int2") and isinstance(value, str) and value.isdecimal():
        return int(value)
    if name and name[0] in ("bool", "int4", "int8", "int2") and not isinstance(value, str):
        return value
    raise Unknown


def _array_literal(value: Value) -> Value:
    """'{a,b}' as its items; quoted and nested items are left to PostgreSQL."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, str) or value[:1] + value[-1:] != "{}" or {'"', "\\"} & set(value):
        raise Unknown
    items = [item.strip() for item in value[1:-1].split(",")]
    if any("{" in item or "}" in item or item.upper() == "NULL" for item in items):
        raise Unknown
    return tuple(items) if items != [""] else ()


def _variable(fields: Node, scope: Scope) -> Value:
    name = ".".join(strings(fields["fields"]))
    if name not in scope or len(fields["fields"]) != name.count(".") + 1:
        raise Unknown
    return fold_text(scope[name])


def _operation(fields: Node, scope: Scope) -> Value:
    operator = strings(fields.get("name"))
    if fields.get("kind") != "AEXPR_OP" or operator != ("||",) or "lexpr" not in fields:
        raise Unknown
    left, right = fold(fields["lexpr"], scope), fold(fields["rexpr"], scope)
    if left is None or right is None:
        return None
    if isinstance(left, tuple) or isinstance(right, tuple):
        return _as_items(left) + _as_items(right)
    return _text(left) + _text(right)


def _as_items(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,)


def _array(fields: Node, scope: Scope) -> Value:
    return tuple(fold(each, scope) for each in fields.get("elements", ()))


def _coalesce(fields: Node, scope: Scope) -> Value:
    values = (fold(each, scope) for each in fields["args"])
    return next((value for value in values if value is not None), None)


def _call(fields: Node, scope: Scope) -> Value:
    name = strings(fields["funcname"])
    function = _FUNCTIONS.get(name[-1])
    if function is None or name[:-1] not in ((), ("pg_catalog",)) or fields.get("func_variadic"):
        raise Unknown
    values = [fold(each, scope) for each in fields.get("args", ())]
    demand_small(values)
    return function(values)


_READERS: dict[str, Callable[[Node, Scope], Value]] = {
    "A_Const": _constant,
    "TypeCast": _cast,
    "ColumnRef": _variable,
    "A_Expr": _operation,
    "A_ArrayExpr": _array,
    "CoalesceExpr": _coalesce,
    "FuncCall": _call,
}


# ------------------------------------------------------------------ functions


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        raise Unknown
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _strict(function: Callable[..., str]) -> Callable[[Sequence[Value]], Value]:
    """A function of texts that gives NULL for NULL; a call it does not know is Unknown."""

    def call(values: Sequence[Value]) -> Value:
        if None in values:
            return None
        try:
            return function(*(_text(value) for value in values))
        except TypeError:
            raise Unknown from None

    return call


def quote_ident(name: str) -> str:
    """An identifier for SQL text: bare only where no quotes can be needed, key words included."""
    if not name or "\0" in name:
        raise Unknown
    shown = display(name)
    if shown == name:
        try:
            fields = expression(name)["targetList"][0]["ResTarget"]["val"]
        except SqlError:
            return f'"{name}"'
        return name if "ColumnRef" in fields else f'"{name}"'
    return shown


def _format(values: Sequence[Value]) -> Value:
    if not values or values[0] is None:
        return None
    template, arguments = _text(values[0]), list(values[1:])
    pieces, at, taken = [], 0, 0
    while (mark := template.find("%", at)) != -1:
        pieces.append(template[at:mark])
        conversion, position, at = _specifier(template, mark + 1)
        if conversion == "%":
            pieces.append("%")
            continue
        taken = position if position is not None else taken + 1
        if not 1 <= taken <= len(arguments):
            raise Unknown
        pieces.append(_converted(conversion, arguments[taken - 1]))
    return "".join([*pieces, template[at:]])


def _specifier(template: str, at: int) -> tuple[str, int | None, int]:
    """(conversion, explicit position or None, where the text goes on); widths are not worth reading."""
    end = at
    while template[end : end + 1].isdecimal():
        end += 1
    position = None
    if end > at and template[end : end + 1] == "$":
        position, end = int(template[at:end]), end + 1
    elif end > at:
        raise Unknown
    return template[end : end + 1], position, end + 1


def _converted(conversion: str, value: Value) -> str:
    if conversion == "I" and value is not None:
        return quote_ident(_text(value))
    if conversion == "L":
        return "NULL" if value is None else literal(_text(value))
    if conversion == "s":
        return _text(value)
    raise Unknown


def _concat(values: Sequence[Value]) -> Value:
    return "".join(_text(value) for value in values)


def _concat_ws(values: Sequence[Value]) -> Value:
    if not values or values[0] is None:
        return None
    return _text(values[0]).join(_text(value) for value in values[1:] if value is not None)


_FUNCTIONS: dict[str, Callable[[Sequence[Value]], Value]] = {
    "format": _format,
    "concat": _concat,
    "concat_ws": _concat_ws,
    "quote_ident": _strict(quote_ident),
    "quote_literal": _strict(literal),
    "lower": _strict(lambda text: text.lower()),
    "upper": _strict(lambda text: text.upper()),
    "replace": _strict(lambda text, old, new: text.replace(old, new) if old else text),
    "btrim": _strict(lambda text: text.strip(" ")),
}
