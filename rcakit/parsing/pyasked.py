"""What a Python condition asks of the database, put into SQL where it can be.

The engine (`connection.vendor`), the tables (`connection.introspection.table_names()`), the rows of the last query.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from rcakit.names import literal
from rcakit.parsing.pyfold import Constant, Unknown, fold


@dataclass
class Scope:
    """Constants by name, and the SQL question that the last execute() put ("" when it is not known)."""

    constants: dict[str, Constant] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    """Variable -> SQL expression of what it holds."""
    fetched: str = ""

    def copy(self) -> Scope:
        return Scope(dict(self.constants), dict(self.answers), self.fetched)


@dataclass(frozen=True)
class Condition:
    """`always` is its value on PostgreSQL, where the engine alone decides it; None where it does not."""

    python: str
    sql: str
    always: bool | None = None

    def opposite(self) -> Condition:
        tree = ast.parse(self.python, mode="eval").body
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            python = ast.unparse(tree.operand)
        elif isinstance(tree, ast.Compare) and type(tree.ops[0]) in _OPPOSITE and len(tree.ops) == 1:
            python = ast.unparse(ast.Compare(tree.left, [_OPPOSITE[type(tree.ops[0])]()], tree.comparators))
        else:
            python = f"not ({self.python})"
        always = None if self.always is None else not self.always
        return Condition(python, f"({self.sql}) IS NOT TRUE" if self.sql else "", always)


_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def condition(node: ast.expr, scope: Scope) -> Condition | None:
    """A condition on engine, tables or a fetched row; None for every other one."""
    marks = [each for each in ast.walk(node) if _decides(each, scope)]
    if not marks:
        return None
    try:
        sql = _to_sql(node, scope)
    except Unknown:
        sql = ""
    return Condition(ast.unparse(node), sql, _always(node, scope))


def _always(node: ast.expr, scope: Scope) -> bool | None:
    """What the condition is on PostgreSQL, whatever the database holds; None when that cannot be told."""
    match node:
        case ast.BoolOp(op=operator, values=values):
            parts = [_always(each, scope) for each in values]
            decisive = isinstance(operator, ast.Or)
            return decisive if decisive in parts else None if None in parts else not decisive
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _always(operand, scope)
            return None if inner is None else not inner
        case ast.Name(id="schema_editor"):
            return True
        case ast.Compare(
            left=ast.Name(id="schema_editor"), ops=[operator], comparators=[ast.Constant(value=None)]
        ):
            return isinstance(operator, ast.IsNot | ast.NotEq)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _engine(left, operator, right, scope)
    return None


def _engine(left: ast.expr, operator: ast.cmpop, right: ast.expr, scope: Scope) -> bool | None:
    """`vendor == "sqlite"` and its like."""
    other = right if _is_vendor(left) else left if _is_vendor(right) else None
    if other is None:
        return None
    try:
        value = fold(other, scope.constants)
    except Unknown:
        return None
    same = "postgresql" in value if isinstance(value, tuple) else value == "postgresql"
    return same != isinstance(operator, ast.NotEq | ast.NotIn | ast.IsNot)


def _is_vendor(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "vendor"


def _decides(node: ast.AST, scope: Scope) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in ("vendor", "table_names", "fetchone", "fetchall", "get_table_list")
    return isinstance(node, ast.Name) and node.id in scope.answers


def _to_sql(node: ast.expr, scope: Scope) -> str:
    if isinstance(node, ast.BoolOp):
        word = " AND " if isinstance(node.op, ast.And) else " OR "
        return word.join(f"({_to_sql(each, scope)})" for each in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return f"({_to_sql(node.operand, scope)}) IS NOT TRUE"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node.left, node.ops[0], node.comparators[0], scope)
    if isinstance(node, ast.Name) and scope.answers.get(node.id):
        return scope.answers[node.id]
    if isinstance(node, ast.Name) and node.id == "schema_editor":
        return "TRUE"  # Django always hands one in
    return _truth(node, scope)


def _truth(node: ast.expr, scope: Scope) -> str:
    """`cursor.fetchone()` is true when there is a row, `cursor.fetchone()[0]` when its value is."""
    value = isinstance(node, ast.Subscript)
    inner = node.value if isinstance(node, ast.Subscript) else node
    name = inner.func.attr if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) else ""
    if name not in ("fetchone", "fetchall") or not scope.fetched:
        raise Unknown
    return f"({scope.fetched})" if value and name == "fetchone" else f"EXISTS ({scope.fetched})"


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr, scope: Scope) -> str:
    negated = isinstance(operator, ast.NotEq | ast.NotIn | ast.IsNot)
    if _is_vendor(left):
        asked = _vendor(fold(right, scope.constants))
    elif _is_vendor(right):
        asked = _vendor(fold(left, scope.constants))
    elif isinstance(operator, ast.In | ast.NotIn) and _lists_tables(right):
        asked = _visible(fold(left, scope.constants))
    elif isinstance(right, ast.Constant) and right.value is None:
        asked, negated = _to_sql(left, scope), not negated
    else:
        raise Unknown
    return f"({asked}) IS NOT TRUE" if negated else asked


def _lists_tables(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == "table_names" for each in ast.walk(node))


def _vendor(value: Constant) -> str:
    """On PostgreSQL, the only engine rcakit asks, the vendor is a constant."""
    vendors = [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else []
    if not vendors or not all(isinstance(each, str) for each in vendors):
        raise Unknown
    return f"'postgresql' IN ({', '.join(literal(str(each)).strip() for each in vendors)})"


def _visible(name: Constant) -> str:
    """`name in connection.introspection.table_names()`: Django lists what the search path makes visible."""
    if not isinstance(name, str):
        raise Unknown
    return (
        "EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"  # noqa: S608 - quoted
        f" WHERE c.relname = {literal(name).strip()} AND c.relkind IN ('r', 'p')"
        " AND pg_catalog.pg_table_is_visible(c.oid))"
    )
