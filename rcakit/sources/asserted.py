"""What an assertion really looks at: followed backwards from the assertion to where its values come from.

The values of an assertion are traced through the assignments, loops and `with` statements of the test, its set-up methods,
fixtures and helpers of the same file. What turns up on the way decides the class: a test that reads a model's source text and
then compares it says nothing about the database, whatever else it touches. Nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rcakit.errors import SqlError
from rcakit.facts import Assertion, LooksAt, Remark, Where
from rcakit.names import parse as parse_name
from rcakit.parsing.pgparse import Node, parse, shorten, strings, walk
from rcakit.parsing.presence import SCHEMA_COLUMNS
from rcakit.parsing.pyfold import Unknown, filled

Function = ast.FunctionDef | ast.AsyncFunctionDef
SETUPS = frozenset({"setUp", "setUpTestData", "setUpClass", "setup_method", "setup_class", "asyncSetUp"})

_SOURCE = frozenset({"getsource", "getsourcelines", "getsourcefile", "getfile"})
_FILES = frozenset({"open", "read_text", "read_bytes", "readlines"})
_ROWS = frozenset({"objects", "_default_manager", "_base_manager", "refresh_from_db", "save", "full_clean"})
_INTROSPECTION = frozenset(
    {"introspection", "get_table_names", "has_table", "get_columns", "get_schema_names"}
)
_MOCKS = frozenset({"Mock", "MagicMock", "AsyncMock", "patch", "create_autospec"})
_CATALOGS = frozenset({"information_schema", "pg_catalog"})
_CATALOG_TABLES = frozenset({"pg_class", "pg_tables", "pg_namespace", "pg_constraint", "pg_indexes"})
_TO_OID = frozenset({"to_regclass", "regclass"})

_SAYS: dict[LooksAt, str] = {
    "source-text": "source code is read",
    "declared-name": "the name the model declares is read",
    "orm-round-trip": "rows go through the model, which finds its table by the name it declares",
    "mocked-cursor": "a stand-in answers in place of the database",
    "framework-introspection": "the framework lists what search_path leads to",
    "catalog": "the catalog is asked, with a schema in the predicate",
    "other": "nothing of the database is asked",
}
_ORDER: tuple[LooksAt, ...] = (
    "mocked-cursor",
    "catalog",
    "framework-introspection",
    "source-text",
    "declared-name",
    "orm-round-trip",
)


@dataclass
class Scope:
    """Where names of a test come from: its module, its class, itself; `path` is the file's."""

    path: str
    module: Mapping[str, Sequence[ast.AST]]
    """Name -> the expressions assigned to it at module level, or the function of that name."""
    klass: Mapping[str, Sequence[ast.AST]] = field(default_factory=dict)
    """Attribute of `self` -> what it is set to in set-up methods, or the method of that name."""


def assertions(test: Function, scope: Scope) -> Iterator[Assertion]:
    """The assertions of a test, in order, those of helpers it calls included."""
    names = bindings([test])
    for arg in test.args.args:
        names.setdefault(arg.arg, list(scope.module.get(arg.arg, ())))
    decorators = [each for each in test.decorator_list if _is_mock(each)]
    for node in _asserting(test, scope):
        yield _judge(node, [*_values(node), *decorators], names, scope)


def reached(roots: Iterable[ast.AST], names: Mapping[str, Sequence[ast.AST]], scope: Scope) -> list[ast.AST]:
    """Every node that the roots' values come from, nearest first; each binding is followed once."""
    found: list[ast.AST] = []
    followed: set[int] = set()
    todo = list(roots)
    while todo:
        root = todo.pop(0)
        for node in ast.walk(root):
            found.append(node)
            more: Sequence[ast.AST] = ()
            if isinstance(node, ast.Name):
                more = (*names.get(node.id, ()), *scope.module.get(node.id, ()))
            elif isinstance(node, ast.Attribute) and _is_self(node.value):
                more = (*names.get(f"self.{node.attr}", ()), *scope.klass.get(node.attr, ()))
            for each in more:
                if id(each) not in followed:
                    followed.add(id(each))
                    todo.append(each)
    return found


def bindings(bodies: Iterable[ast.AST]) -> dict[str, list[ast.AST]]:
    """Name (or "self.x") -> what it is assigned, loops over, or is opened by, and what is called on it."""
    names: dict[str, list[ast.AST]] = {}
    for body in bodies:
        for node in ast.walk(body):
            for target, value in _bound(node):
                for each in ast.walk(target):
                    if isinstance(each, ast.Name):
                        names.setdefault(each.id, []).append(value)
                    elif isinstance(each, ast.Attribute) and _is_self(each.value):
                        names.setdefault(f"self.{each.attr}", []).append(value)
    return names


def _bound(node: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return [(target, value) for target in targets]
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.NamedExpr(target=target, value=value)
        ):
            return [(target, value)]
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            return [(target, value)]
        case ast.comprehension(target=target, iter=value):
            return [(target, value)]
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            return [(target, value)]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name() as owner)) as call) if not _is_self(
            owner
        ):
            return [(owner, call)]  # cursor.execute("...") decides what cursor.fetchone() gives
    return []


# ------------------------------------------------------------------ the assertions of a function


def _asserting(test: Function, scope: Scope, depth: int = 2) -> Iterator[ast.AST]:
    for node in ast.walk(test):
        match node:
            case ast.Assert():
                yield node
            case ast.With(items=items) | ast.AsyncWith(items=items) if any(_expects(each) for each in items):
                yield node
            case ast.Call(func=func) if _is_assertion(func) and not _opens(test, node):
                yield node
            case ast.Call(func=func) if depth:
                for helper in _named(func, scope):
                    if isinstance(helper, Function) and helper is not test:
                        yield from _asserting(helper, scope, depth - 1)


def _named(func: ast.expr, scope: Scope) -> Sequence[ast.AST]:
    if isinstance(func, ast.Name):
        return scope.module.get(func.id, ())
    if isinstance(func, ast.Attribute) and _is_self(func.value):
        return scope.klass.get(func.attr, ())
    return ()


def _is_assertion(func: ast.expr) -> bool:
    """`self.assertX(..)`, `self.fail(..)`, `mock.assert_called(..)`."""
    return isinstance(func, ast.Attribute) and (func.attr.startswith("assert") or func.attr == "fail")


def _expects(item: ast.withitem) -> bool:
    """`with self.assertRaises(..)` and `with pytest.raises(..)`: the block is what is asserted."""
    call = item.context_expr
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr.startswith(("assert", "raises", "warns"))
    )


def _opens(test: ast.AST, call: ast.Call) -> bool:
    return any(
        item.context_expr is call
        for node in ast.walk(test)
        if isinstance(node, ast.With | ast.AsyncWith)
        for item in node.items
    )


def _values(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.Assert(test=test):
            return [test]
        case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
            return [*body, *(item.context_expr for item in items)]
        case ast.Call(func=ast.Attribute(value=owner), args=args, keywords=words):
            return [*args, *(word.value for word in words), owner]
    return [node]


# ------------------------------------------------------------------ what decides


def _judge(
    node: ast.AST, values: Sequence[ast.AST], names: Mapping[str, Sequence[ast.AST]], scope: Scope
) -> Assertion:
    nodes = reached(values, names, scope)
    decided: dict[LooksAt, ast.AST] = {}
    weak: ast.AST | None = None
    for each in nodes:
        kind = _kind(each)
        if kind:
            decided.setdefault(kind, each)
        elif weak is None and _called(each) in _FILES:
            weak = each
    kind = next((kind for kind in _ORDER if kind in decided), None)
    by = decided[kind] if kind else weak
    looks_at: LooksAt = kind or ("source-text" if weak is not None else "other")
    line = getattr(node, "lineno", None)
    text = ast.unparse(node).partition("\n")[0]
    where = Where(scope.path, getattr(by, "lineno", line))
    said = f"{_SAYS[looks_at]}: {shorten(ast.unparse(by), 100)}" if by is not None else _SAYS["other"]
    return Assertion(looks_at, Where(scope.path, line), shorten(text, 120), Remark(where, said))


def _kind(node: ast.AST) -> LooksAt | None:
    match node:
        case ast.Constant(value=str(text)) if "." in text or "_" in text:
            return "catalog" if asks_catalog(text) else "source-text" if ".migrations." in text else None
        case ast.Attribute(attr="db_table", value=ast.Attribute(attr="_meta")):
            return "declared-name"
        case ast.Attribute(attr=attr) if attr in _INTROSPECTION:
            return "framework-introspection"
        case ast.Attribute(attr=attr) if attr in _ROWS:
            return "orm-round-trip"
        case ast.Name(id="__file__"):
            return "source-text"
        case ast.Call() if _is_mock(node):
            return "mocked-cursor"
        case ast.Call() if _called(node) in _SOURCE:
            return "source-text"
        case ast.Call(func=ast.Attribute(attr="delete"), args=[]):
            return "orm-round-trip"
    return None


def _called(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name
    return ""


def _is_mock(node: ast.AST) -> bool:
    """A stand-in that is put where a cursor or a connection belongs."""
    if not isinstance(node, ast.Call):
        return False
    called = {each.attr for each in ast.walk(node.func) if isinstance(each, ast.Attribute)}
    called |= {each.id for each in ast.walk(node.func) if isinstance(each, ast.Name)}
    if not called & _MOCKS:
        return False
    texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    words = [str(text) for text in texts] + [word.arg or "" for word in node.keywords]
    words += [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    return any("cursor" in word or "connection" in word for word in words)


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


# ------------------------------------------------------------------ catalog queries


def asks_catalog(text: str) -> bool:
    """A query on PostgreSQL's catalog that names a schema in its predicate; placeholders may stand for values."""
    words = text.lower()
    if not any(word in words for word in (*_CATALOGS, *_CATALOG_TABLES, *_TO_OID)):
        return False
    try:
        statements = parse(_filled(text))
    except SqlError:
        return False
    return any(_is_catalog_query(statement.node) for statement in statements)


def _filled(text: str) -> str:
    """The query with its DB-API placeholders replaced by what PostgreSQL's grammar knows."""
    try:
        return filled(text)
    except Unknown:
        return text


def _is_catalog_query(node: Node) -> bool:
    tables = {
        (fields.get("schemaname", ""), fields.get("relname", ""))
        for kind, fields in walk(node)
        if kind == "RangeVar"
    }
    in_catalog = any(schema in _CATALOGS or name in _CATALOG_TABLES for schema, name in tables)
    for kind, fields in walk(node):
        if kind == "ColumnRef" and in_catalog and set(strings(fields.get("fields"))) & SCHEMA_COLUMNS:
            return True
        if kind == "FuncCall" and strings(fields.get("funcname"))[-1:] == ("to_regclass",):
            return _qualified(fields.get("args", ()))
        if kind == "TypeCast" and strings(fields.get("typeName", {}).get("names"))[-1:] == ("regclass",):
            return _qualified(fields.get("arg"))
    return False


def _qualified(argument: object) -> bool:
    """A name that is looked up with its schema; one that is not known is given the benefit of the doubt."""
    for kind, fields in walk(argument):
        if kind == "A_Const" and "sval" in fields:
            try:
                return len(parse_name(str(fields["sval"].get("sval", "")))) > 1
            except ValueError:
                return False
    return True
