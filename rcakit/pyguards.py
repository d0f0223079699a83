"""Guards in the Python of a RunPython: early returns, conditions on the engine or on tables, swallowed errors, SQL.

Only conditions that decide *whether the database work happens at all* are guards here: the vendor of the connection,
`connection.introspection.table_names()`, and what a query just fetched. A condition on rows (`if not Model.objects..`)
is ordinary data migration. `Guard.condition` is the Python that must hold for the work to be done, `Guard.sql` the same
question in SQL: a vendor check becomes a comparison of constants, so `if vendor != "postgresql": return` is answered
"true: the body runs on PostgreSQL", and a rule can tell it from a return that really happened.
https://docs.djangoproject.com/en/stable/ref/migration-operations/#runpython
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rcakit import plpgsql, presence
from rcakit.errors import SqlError
from rcakit.facts import Effect, Else, Guard, Unread, Where
from rcakit.names import literal
from rcakit.pgparse import expression, shorten
from rcakit.pyfold import Constant, Unknown, fold, query

_DATABASE_ERRORS = frozenset(
    {"BaseException", "DataError", "DatabaseError", "Error", "Exception", "IntegrityError", "InternalError",
     "NotSupportedError", "OperationalError", "ProgrammingError", "UndefinedTable", "UndefinedColumn"}
)  # fmt: skip
_LOUD: dict[str, Else] = {
    "warning": "warning",
    "warn": "warning",
    "error": "warning",
    "critical": "warning",
    "exception": "warning",
}
_SPOKEN: dict[str, Else] = {**_LOUD, "print": "notice", "info": "notice", "write": "notice"}
_LEAVING = (ast.Return, ast.Continue, ast.Break)


def python_guards(
    source: str, *, migration: str, operation: int = 0, where: Where | None = None
) -> tuple[tuple[Guard, ...], tuple[Unread, ...]]:
    """The guards in the source text of a RunPython function, in the order of its lines. Never raises.

    `line` counts from the first line of the text for Python, and within the SQL text for embedded SQL.
    """
    reading = _Reading(migration, operation, where)
    try:
        tree = ast.parse(textwrap.dedent(source))
        _read_module(tree, reading)
    except (SyntaxError, ValueError) as error:
        reading.tell(f"the source of a RunPython cannot be read: {error}")
    except RecursionError:
        reading.tell("the source of a RunPython is nested too deeply")
    return tuple(reading.guards), tuple(reading.unread)


@dataclass
class _Reading:
    migration: str
    operation: int
    where: Where | None
    guards: list[Guard] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    cursors: set[str] = field(default_factory=set)

    def tell(self, reason: str, *, blocking: bool = True) -> None:
        self.unread.append(Unread("declared", f"{self.migration}: {reason}", self.where, blocking))

    def add(self, guard: Guard) -> None:
        self.guards.append(
            replace(guard, migration=self.migration, operation=self.operation, where=self.where)
        )


@dataclass
class _Scope:
    """Constants by name, and the SQL question that the last execute() put ("" when it is not known)."""

    constants: dict[str, Constant] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    """Variable -> SQL expression of what it holds."""
    fetched: str = ""

    def copy(self) -> _Scope:
        return _Scope(dict(self.constants), dict(self.answers), self.fetched)


@dataclass
class _Work:
    texts: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    leaves: bool = False
    raises: bool = False
    says: Else = "none"

    def add(self, other: _Work) -> None:
        self.texts += other.texts
        self.effects += other.effects
        self.leaves = self.leaves or other.leaves
        self.raises = self.raises or other.raises
        self.says = max(self.says, other.says, key=_LEVELS.index)

    @property
    def otherwise(self) -> Else:
        return "raise" if self.raises else "statements" if self.texts else self.says


_LEVELS: list[Else] = ["none", "notice", "warning", "statements", "raise"]


def _read_module(tree: ast.Module, reading: _Reading) -> None:
    """The last function of the text is the forward function; what stands before it are constants it may use."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    scope = _Scope()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            _assign(node, scope)
    if functions:
        _forget(functions[-1], scope)
        _run(functions[-1].body, scope, reading)


def _forget(function: ast.FunctionDef, scope: _Scope) -> None:
    arguments = function.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        scope.constants.pop(each.arg, None)


# ------------------------------------------------------------------ statements


def _run(body: Sequence[ast.stmt], scope: _Scope, reading: _Reading) -> _Work:
    work = _Work()
    for position, node in enumerate(body):
        if isinstance(node, ast.If):
            inner, gate = _if(node, scope, reading)
            if gate is not None:
                rest = _run(body[position + 1 :], scope, reading)
                _guard(reading, "return", node, gate, rest, inner.otherwise)
                work.add(rest)
                return work
            work.add(inner)
        else:
            work.add(_statement(node, scope, reading))
        if work.leaves or work.raises:
            break
    return work


def _if(node: ast.If, scope: _Scope, reading: _Reading) -> tuple[_Work, _Condition | None]:
    """What the branches do, and the condition for the rest to run when one of them leaves."""
    asked = _condition(node.test, scope)
    done, other = _run(node.body, scope.copy(), reading), _run(node.orelse, scope.copy(), reading)
    _drop_assigned(node, scope)
    work = _Work(done.texts + other.texts, done.effects + other.effects, done.leaves and other.leaves,
                 done.raises and other.raises)  # fmt: skip
    if asked is None:
        return work, None
    if done.leaves != other.leaves and not (done.raises or other.raises):
        leaver, gate = (done, asked.opposite()) if done.leaves else (other, asked)
        return leaver, gate
    _guard(reading, "if", node, asked, done, other.otherwise)
    _guard(reading, "if", node, asked.opposite(), other, done.otherwise)
    return work, None


def _statement(node: ast.stmt, scope: _Scope, reading: _Reading) -> _Work:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        work = _calls(node, scope=scope, reading=reading)
        _assign(node, scope)
        return work
    if isinstance(node, ast.With):
        work = _calls(*(item.context_expr for item in node.items), scope=scope, reading=reading)
        work.add(_run(node.body, scope, reading))
        return work
    if isinstance(node, ast.For):
        return _for(node, scope, reading)
    if isinstance(node, ast.While):
        _drop_assigned(node, scope)
        return _unleft(_run(node.body, scope.copy(), reading))
    if isinstance(node, ast.Try):
        return _try(node, scope, reading)
    if isinstance(node, ast.Raise):
        return _Work(raises=True, leaves=True)
    if isinstance(node, _LEAVING):
        work = _calls(node, scope=scope, reading=reading)
        work.leaves = True
        return work
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return _Work()
    return _calls(node, scope=scope, reading=reading)


def _for(node: ast.For, scope: _Scope, reading: _Reading) -> _Work:
    """The body once for each constant item, or once with the variable unknown."""
    try:
        items = fold(node.iter, scope.constants)
    except Unknown:
        items = ()
    turns = items if isinstance(items, tuple) and 0 < len(items) <= 200 else (None,)
    work = _Work()
    _drop_assigned(node, scope)
    for item in turns:
        turn = scope.copy()
        if item is not None:
            _bind(node.target, item, turn)
        work.add(_unleft(_run(node.body, turn, reading)))
    work.add(_run(node.orelse, scope, reading))
    return work


def _unleft(work: _Work) -> _Work:
    work.leaves = False
    return work


def _try(node: ast.Try, scope: _Scope, reading: _Reading) -> _Work:
    work = _run(node.body, scope, reading)
    swallowed: list[str] = []
    for handler in node.handlers:
        action = _run(handler.body, scope.copy(), reading)
        names = _caught(handler)
        if not action.raises and (work.texts or _DATABASE_ERRORS.intersection(names)):
            swallowed += names
            quiet = action.otherwise
            guarded = tuple(work.texts) or tuple(shorten(ast.unparse(each)) for each in node.body)
            reading.add(
                Guard(
                    "",
                    "exception",
                    "",
                    guarded,
                    tuple(work.effects),
                    quiet,
                    line=handler.lineno,
                    swallows=tuple(names),
                )
            )
    for block in (node.orelse, node.finalbody):
        work.add(_run(block, scope, reading))
    if swallowed:
        work.leaves = work.raises = False
    return work


def _caught(handler: ast.ExceptHandler) -> list[str]:
    """The bare names of the exceptions; a bare `except:` is BaseException."""
    if handler.type is None:
        return ["BaseException"]
    items = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [ast.unparse(each).rpartition(".")[2] for each in items]


# ------------------------------------------------------------------ names


def _assign(node: ast.Assign | ast.AnnAssign, scope: _Scope) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    _drop_assigned(node, scope)
    if len(targets) != 1 or node.value is None or not isinstance(targets[0], ast.Name):
        return
    name = targets[0].id
    try:
        scope.constants[name] = fold(node.value, scope.constants)
    except Unknown:
        answer = _condition(node.value, scope)
        if answer is not None:
            scope.answers[name] = answer.sql


def _bind(target: ast.expr, value: Constant, scope: _Scope) -> None:
    if isinstance(target, ast.Name):
        scope.constants[target.id] = value
    elif (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, tuple)
        and len(value) == len(target.elts)
    ):
        for each, item in zip(target.elts, value, strict=True):
            _bind(each, item, scope)


def _drop_assigned(node: ast.AST, scope: _Scope) -> None:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store | ast.Del):
            scope.constants.pop(each.id, None)
            scope.answers.pop(each.id, None)


# ------------------------------------------------------------------ SQL in calls


def _calls(*nodes: ast.AST, scope: _Scope, reading: _Reading) -> _Work:
    work = _Work()
    for node in nodes:
        for call in _in_order(node):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name == "execute" and isinstance(call.func, ast.Attribute):
                work.add(_execute(call, scope, reading))
            elif name in _SPOKEN:
                work.says = max(work.says, _SPOKEN[name], key=_LEVELS.index)
    return work


def _in_order(node: ast.AST) -> Iterator[ast.Call]:
    """The calls of a statement, inner ones first, lambdas and comprehensions included."""
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)
    if isinstance(node, ast.Call):
        yield node


def _execute(call: ast.Call, scope: _Scope, reading: _Reading) -> _Work:
    scope.fetched = ""
    try:
        sql = query(call, scope.constants)
    except Unknown:
        shown = shorten(ast.unparse(call))
        reading.tell(f"line {call.lineno}: SQL that is only known at run time: {shown}")
        return _Work(texts=[shown])
    found, unread = plpgsql.guards(
        sql, migration=reading.migration, operation=reading.operation, where=reading.where
    )
    reading.guards.extend(found)
    reading.unread.extend(unread)
    if unread:
        return _Work(texts=[sql])
    if _reads(sql):
        scope.fetched = sql.strip().rstrip(";")
        return _Work()
    return _Work([sql], list(plpgsql.effects(sql)))


def _reads(sql: str) -> bool:
    """A SELECT that makes nothing: its answer may be what a condition looks at."""
    try:
        expression(f"({sql.strip().rstrip(';')})")
    except SqlError:
        return False
    return True


# ------------------------------------------------------------------ conditions


@dataclass(frozen=True)
class _Condition:
    python: str
    sql: str

    def opposite(self) -> _Condition:
        tree = ast.parse(self.python, mode="eval").body
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            python = ast.unparse(tree.operand)
        elif isinstance(tree, ast.Compare) and type(tree.ops[0]) in _OPPOSITE and len(tree.ops) == 1:
            python = ast.unparse(ast.Compare(tree.left, [_OPPOSITE[type(tree.ops[0])]()], tree.comparators))
        else:
            python = f"not ({self.python})"
        return _Condition(python, f"({self.sql}) IS NOT TRUE" if self.sql else "")


_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def _condition(node: ast.expr, scope: _Scope) -> _Condition | None:
    """A condition on engine, tables or a fetched row; None for every other one."""
    marks = [each for each in ast.walk(node) if _decides(each, scope)]
    if not marks:
        return None
    try:
        sql = _to_sql(node, scope)
    except Unknown:
        sql = ""
    return _Condition(ast.unparse(node), sql)


def _decides(node: ast.AST, scope: _Scope) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in ("vendor", "table_names", "fetchone", "fetchall", "get_table_list")
    return isinstance(node, ast.Name) and node.id in scope.answers


def _to_sql(node: ast.expr, scope: _Scope) -> str:
    if isinstance(node, ast.BoolOp):
        word = " AND " if isinstance(node.op, ast.And) else " OR "
        return word.join(f"({_to_sql(each, scope)})" for each in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return f"({_to_sql(node.operand, scope)}) IS NOT TRUE"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node.left, node.ops[0], node.comparators[0], scope)
    if isinstance(node, ast.Name) and scope.answers.get(node.id):
        return scope.answers[node.id]
    return _truth(node, scope)


def _truth(node: ast.expr, scope: _Scope) -> str:
    """`cursor.fetchone()` is true when there is a row, `cursor.fetchone()[0]` when its value is."""
    value = isinstance(node, ast.Subscript)
    inner = node.value if isinstance(node, ast.Subscript) else node
    name = inner.func.attr if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) else ""
    if name not in ("fetchone", "fetchall") or not scope.fetched:
        raise Unknown
    return f"({scope.fetched})" if value and name == "fetchone" else f"EXISTS ({scope.fetched})"


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr, scope: _Scope) -> str:
    negated = isinstance(operator, ast.NotEq | ast.NotIn | ast.IsNot)
    if isinstance(left, ast.Attribute) and left.attr == "vendor":
        asked = _vendor(fold(right, scope.constants))
    elif isinstance(right, ast.Attribute) and right.attr == "vendor":
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


def _guard(reading: _Reading, kind: str, node: ast.If, asked: _Condition, work: _Work, how: Else) -> None:
    if not work.texts:
        return
    relations, negated = presence.asked(asked.sql) if asked.sql else ((), False)
    done = tuple(work.texts), tuple(work.effects)
    guard = Guard(
        "", kind, asked.python, *done, how, relations, negated and bool(relations), line=node.lineno
    )
    reading.add(replace(guard, sql=asked.sql))
