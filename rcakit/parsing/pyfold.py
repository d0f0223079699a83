"""Constant folding over Python source: the SQL text that a call of `execute` runs. Nothing is imported or run."""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Mapping

from rcakit.parsing.sqlfold import Unknown, Value, bounded, demand_small, sql_literal

__all__ = ["Constant", "Unknown", "filled", "fold", "query", "sketch"]

Constant = Value
Names = Mapping[str, Constant]


def fold(node: ast.expr, names: Names) -> Constant:
    """The constant an expression is: text, number, truth value, None or a tuple (also for lists). Raises Unknown."""
    reader = _READERS.get(type(node))
    if reader is None:
        raise Unknown
    return bounded(reader(node, names))


def query(call: ast.Call, names: Names) -> str:
    """The SQL that `execute(sql, params)` sends, constants put in for the parameters. Raises Unknown.

    https://docs.djangoproject.com/en/stable/topics/db/sql/#executing-custom-sql-directly
    """
    keywords = {each.arg: each.value for each in call.keywords}
    arguments = [*call.args, *(keywords[name] for name in ("sql", "params") if name in keywords)]
    if not arguments or len(arguments) > 2 or None in keywords:
        raise Unknown
    sql = fold(arguments[0], names)
    params = fold(arguments[1], names) if len(arguments) == 2 else None
    if not isinstance(sql, str):
        raise Unknown
    return sql if params is None else _with_params(sql, params)


def sketch(call: ast.Call, names: Names) -> str:
    """The SQL of `execute` with a made-up name for every part that is not a constant. Raises Unknown when no part is."""
    keywords = {each.arg: each.value for each in call.keywords}
    arguments = [*call.args, *(keywords[name] for name in ("sql", "params") if name in keywords)]
    if not arguments:
        raise Unknown
    text = _outline(arguments[0], names)
    return text.replace("%s", "NULL") if len(arguments) > 1 else text


_MADE_UP = "made_up_name"


def _outline(node: ast.expr, names: Names) -> str:
    """The constant parts of a text; what is put together in another way than by f-string, +, % or format is Unknown."""
    try:
        return _text(fold(node, names))
    except Unknown:
        pass
    match node:
        case ast.JoinedStr(values=values):
            return "".join(_part(each, names) for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _part(left, names) + _part(right, names)
        case ast.BinOp(left=left, op=ast.Mod()):
            return filled(_outline(left, names))
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            parts = string.Formatter().parse(_outline(value, names))
            return "".join(text + (_MADE_UP if field is not None else "") for text, field, _, _ in parts)
        case ast.Call(func=ast.Attribute(value=value, attr="strip"), args=[]):
            return _outline(value, names)
    raise Unknown


def _part(node: ast.expr, names: Names) -> str:
    try:
        return _outline(node, names)
    except Unknown:
        return _MADE_UP


def filled(template: str) -> str:
    """A text whose %s, %d and %(name)s are replaced by a made-up name. Raises Unknown for any other use of %."""
    if not _simple(template):
        raise Unknown
    pieces, rest = [], template
    while "%" in rest:
        before, _, rest = rest.partition("%")
        rest = rest.partition(")")[2] if rest.startswith("(") else rest
        pieces += [before, {"%": "%", "d": "0"}.get(rest[:1], _MADE_UP)]
        rest = rest[1:]
    return "".join([*pieces, rest])


def _with_params(sql: str, params: Constant) -> str:
    if not isinstance(params, tuple):
        raise Unknown
    if not _simple(sql):
        raise Unknown
    try:
        return sql % tuple(sql_literal(each) for each in params)
    except (TypeError, ValueError, KeyError):
        raise Unknown from None


def _constant(node: ast.Constant, names: Names) -> Constant:
    if node.value is None or isinstance(node.value, str | int):
        return node.value
    raise Unknown


def _name(node: ast.Name, names: Names) -> Constant:
    if node.id not in names:
        raise Unknown
    return names[node.id]


def _items(node: ast.Tuple | ast.List, names: Names) -> Constant:
    return tuple(fold(each, names) for each in node.elts)


def _f_string(node: ast.JoinedStr, names: Names) -> Constant:
    return "".join(_shown(each, names) for each in node.values)


def _shown(node: ast.expr, names: Names) -> str:
    if isinstance(node, ast.FormattedValue):
        if node.format_spec is not None or node.conversion not in (-1, ord("s")):
            raise Unknown
        return _text(fold(node.value, names))
    return _text(fold(node, names))


def _operation(node: ast.BinOp, names: Names) -> Constant:
    left, right = fold(node.left, names), fold(node.right, names)
    if isinstance(node.op, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(node.op, ast.Add) and isinstance(left, tuple) and isinstance(right, tuple):
        return left + right
    if isinstance(node.op, ast.Mod) and isinstance(left, str) and _simple(left):
        try:
            return left % right
        except (TypeError, ValueError, KeyError):
            raise Unknown from None
    raise Unknown


def _call(node: ast.Call, names: Names) -> Constant:
    """str.format, join, strip, lower, upper, replace of constants; textwrap.dedent and quote_name are not guessed."""
    if not isinstance(node.func, ast.Attribute):
        raise Unknown
    text = fold(node.func.value, names)
    method = _METHODS.get(node.func.attr)
    if not isinstance(text, str) or (node.func.attr == "format" and not _simple_format(text)):
        raise Unknown
    if method is None or any(each.arg is None for each in node.keywords):
        raise Unknown
    arguments = [fold(each, names) for each in node.args]
    keywords = {str(each.arg): fold(each.value, names) for each in node.keywords}
    demand_small([text, *arguments, *keywords.values()])
    try:
        return method(text, *arguments, **keywords)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        raise Unknown from None


def _simple(template: str) -> bool:
    """Nothing but %s, %d, %% and %(name)s: a width would let a text of ten characters fill the memory."""
    rest = template.replace("%%", "")
    while "%" in rest:
        rest = rest.partition("%")[2]
        if rest.startswith("("):
            rest = rest.partition(")")[2]
        if rest[:1] not in ("s", "d"):
            return False
    return True


def _simple_format(template: str) -> bool:
    """Nothing but {}, {0} and {name}."""
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError:
        return False
    return all(
        name is None
        or ((name == "" or name.isalnum() or name.isidentifier()) and not spec and conversion in (None, "s"))
        for _, name, spec, conversion in fields
    )


def _text(value: Constant) -> str:
    if isinstance(value, tuple):
        raise Unknown
    return str(value)


_METHODS: dict[str, Callable[..., str]] = {
    "format": str.format,
    "join": str.join,
    "strip": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "replace": str.replace,
}
_READERS: dict[type[ast.expr], Callable[..., Constant]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Tuple: _items,
    ast.List: _items,
    ast.JoinedStr: _f_string,
    ast.BinOp: _operation,
    ast.Call: _call,
}
