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

from rcakit.errors import SqlError
from rcakit.facts import Effect, Else, Guard, Unread, Where
from rcakit.parsing import plpgsql, presence
from rcakit.parsing.blocks import MAX_TURNS
from rcakit.parsing.pgparse import expression, shorten
from rcakit.parsing.pyasked import Condition, Scope, condition
from rcakit.parsing.pyfold import Constant, Unknown, fold, query, sketch
from rcakit.parsing.scope import TURNS

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
    turns: int = TURNS

    def tell(self, reason: str, *, blocking: bool = True) -> None:
        self.unread.append(Unread("declared", f"{self.migration}: {reason}", self.where, blocking))

    def add(self, guard: Guard) -> None:
        self.guards.append(
            replace(guard, migration=self.migration, operation=self.operation, where=self.where)
        )


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
    scope = Scope()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            _assign(node, scope)
    if functions:
        _forget(functions[-1], scope)
        _run(functions[-1].body, scope, reading)


def _forget(function: ast.FunctionDef, scope: Scope) -> None:
    arguments = function.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        scope.constants.pop(each.arg, None)


# ------------------------------------------------------------------ statements


def _run(body: Sequence[ast.stmt], scope: Scope, reading: _Reading) -> _Work:
    work = _Work()
    for position, node in enumerate(body):
        if isinstance(node, ast.If):
            inner, gate = _if(node, scope, reading)
            if gate is not None:
                rest = _branch(body[position + 1 :], scope, reading, dead=gate.always is False)
                _guard(reading, "return", node, gate, rest, inner.otherwise)
                work.add(rest)
                return work
            work.add(inner)
        else:
            work.add(_statement(node, scope, reading))
        if work.leaves or work.raises:
            break
    return work


def _if(node: ast.If, scope: Scope, reading: _Reading) -> tuple[_Work, Condition | None]:
    """What the branches do, and the condition for the rest to run when one of them leaves."""
    asked = condition(node.test, scope)
    always = asked.always if asked else None
    done = _branch(node.body, scope.copy(), reading, dead=always is False)
    other = _branch(node.orelse, scope.copy(), reading, dead=always is True)
    _drop_assigned(node, scope)
    work = _Work(done.texts + other.texts, done.effects + other.effects, done.leaves and other.leaves,
                 done.raises and other.raises)  # fmt: skip
    if asked is None or (always is False and not (done.leaves or done.raises)):
        return work, None
    if done.leaves != other.leaves and not (done.raises or other.raises):
        leaver, gate = (done, asked.opposite()) if done.leaves else (other, asked)
        return leaver, gate
    _guard(reading, "if", node, asked, done, other.otherwise)
    _guard(reading, "if", node, asked.opposite(), other, done.otherwise)
    return work, None


def _branch(body: Sequence[ast.stmt], scope: Scope, reading: _Reading, *, dead: bool) -> _Work:
    """`_run`; a branch for another engine is another dialect, and does nothing here but leave."""
    if not dead:
        return _run(body, scope, reading)
    aside = _Reading(reading.migration, reading.operation, reading.where, turns=reading.turns)
    work = _run(body, scope, aside)
    reading.turns = aside.turns
    return _Work(leaves=work.leaves, raises=work.raises, says=work.says)


def _statement(node: ast.stmt, scope: Scope, reading: _Reading) -> _Work:
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


def _for(node: ast.For, scope: Scope, reading: _Reading) -> _Work:
    """The body once for each constant item, or once with the variable unknown."""
    try:
        items = fold(node.iter, scope.constants)
    except Unknown:
        items = ()
    most = min(MAX_TURNS, reading.turns)
    turns = items if isinstance(items, tuple) and 0 < len(items) <= most else (None,)
    reading.turns -= len(turns) if turns != (None,) else 0
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


def _try(node: ast.Try, scope: Scope, reading: _Reading) -> _Work:
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


def _assign(node: ast.Assign | ast.AnnAssign, scope: Scope) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    _drop_assigned(node, scope)
    if len(targets) != 1 or node.value is None or not isinstance(targets[0], ast.Name):
        return
    name = targets[0].id
    try:
        scope.constants[name] = fold(node.value, scope.constants)
    except Unknown:
        answer = condition(node.value, scope)
        if answer is not None:
            scope.answers[name] = answer.sql


def _bind(target: ast.expr, value: Constant, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        scope.constants[target.id] = value
    elif (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, tuple)
        and len(value) == len(target.elts)
    ):
        for each, item in zip(target.elts, value, strict=True):
            _bind(each, item, scope)


def _drop_assigned(node: ast.AST, scope: Scope) -> None:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store | ast.Del):
            scope.constants.pop(each.id, None)
            scope.answers.pop(each.id, None)


# ------------------------------------------------------------------ SQL in calls


def _calls(*nodes: ast.AST, scope: Scope, reading: _Reading) -> _Work:
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


def _execute(call: ast.Call, scope: Scope, reading: _Reading) -> _Work:
    scope.fetched = ""
    try:
        sql = query(call, scope.constants)
    except Unknown:
        shown = shorten(ast.unparse(call))
        reason = f"line {call.lineno}: SQL that is only known at run time: {shown}"
        reading.tell(reason, blocking=not _plain(call, scope))
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


def _plain(call: ast.Call, scope: Scope) -> bool:
    """Whatever the unknown parts are, the statement is one that does its work or fails: nothing in it is a guard."""
    try:
        found, unread = plpgsql.guards(sketch(call, scope.constants), migration="")
    except Unknown:
        return False
    return not found and not unread


def _reads(sql: str) -> bool:
    """A SELECT that makes nothing: its answer may be what a condition looks at."""
    try:
        expression(f"({sql.strip().rstrip(';')})")
    except SqlError:
        return False
    return True


def _guard(reading: _Reading, kind: str, node: ast.If, asked: Condition, work: _Work, how: Else) -> None:
    if not work.texts:
        return
    relations, negated = presence.asked(asked.sql) if asked.sql else ((), False)
    done = tuple(work.texts), tuple(work.effects)
    guard = Guard(
        "", kind, asked.python, *done, how, relations, negated and bool(relations), line=node.lineno
    )
    reading.add(replace(guard, sql=asked.sql))
