"""Evaluates the constant part of Python modules without running them.

Settings, models and migrations are mostly constants put together by pure code: f-strings, comprehensions over a list
of names, a function that returns SQL. This reads such modules as syntax trees and computes what they would hold. What
it does not compute is an `Unknown` with its reason, never a guess; a call of a class from outside the project is kept
as `Built`, which is how fields and operations come out. Nothing of the project is imported or executed, and every loop,
call and text is bounded.
"""

from __future__ import annotations

import ast
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import cleandoc
from io import BytesIO
from itertools import islice
from pathlib import Path
from textwrap import dedent
from tokenize import detect_encoding
from typing import Any

from rcakit.facts import Unread, Where

Value = Any
Names = dict[str, Value]

MAX_STEPS = 400_000
MAX_DEPTH = 40
MAX_TEXT = 1_000_000

FAILURES = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    StopIteration,
    TypeError,
    ValueError,
)
"""What a pure operation on constants can raise; the project's own code would raise it too."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that cannot be told without running code."""

    reason: str
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A name from outside the project: "django.db.models.CharField"."""

    dotted: str


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the project, its body evaluated into `names`."""

    module: Module
    name: str
    line: int
    bases: tuple[Value, ...]
    names: Names = field(hash=False, compare=False, repr=False)

    @property
    def dotted(self) -> str:
        return f"{self.module.dotted}.{self.name}"

    @property
    def where(self) -> Where:
        return Where(self.module.path, self.line)


@dataclass(frozen=True, slots=True)
class Function:
    """A function or lambda of the project with the names around it."""

    module: Module
    node: ast.FunctionDef | ast.Lambda
    scope: tuple[Names, ...] = field(hash=False, compare=False, repr=False)

    @property
    def callable(self) -> bool:
        """It is what it says: no decorator may put something else in its place, and it is no generator."""
        yields = any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(self.node))
        return not yields and not getattr(self.node, "decorator_list", ())

    @property
    def source(self) -> str:
        """Its source text, decorators included, without the indentation it stands in."""
        first = min([self.node.lineno, *(each.lineno for each in getattr(self.node, "decorator_list", ()))])
        lines = self.module.text.split("\n")[first - 1 : self.node.end_lineno]
        return dedent("\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Built:
    """The result of calling a class or an unknown function: what was called and with what."""

    callee: Ref | Class
    args: tuple[Value, ...] = field(hash=False)
    kwargs: Mapping[str, Value] = field(hash=False)
    where: Where

    @property
    def dotted(self) -> str:
        return self.callee.dotted

    def get(self, name: str, position: int | None = None, default: Value = None) -> Value:
        """An argument by keyword, or by position where it can be given so."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if position is not None and position < len(self.args) else default


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of a constant: "adm".join."""

    owner: Value
    name: str


@dataclass(eq=False, slots=True)
class Module:
    """One file of the project: its tree and the names it holds."""

    dotted: str
    path: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    package: str
    names: Names = field(default_factory=dict, repr=False)
    imports: set[str] = field(default_factory=set)


class _Return(Exception):  # noqa: N818  control flow
    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class Files:
    """The project's modules, each read and evaluated once, when it is first asked for."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.unread: dict[str, Unread] = {}
        self.settings: Module | None = None
        self._modules: dict[str, Module | None] = {}
        self._steps = 0
        self._depth = 0

    def module(self, dotted: str, *, needed: bool = True) -> Module | None:
        """The module of that name; None when the project has none or it cannot be parsed, which `unread` then tells.

        `needed` False: the row about an unreadable file blocks no verdict.
        """
        if dotted not in self._modules:
            self._modules[dotted] = None
            path = self.path_of(dotted)
            module = self._parse(dotted, path, needed) if path else None
            self._modules[dotted] = module
            if module is not None:
                self._steps = 0
                _Run(self, module, ()).module_body()
        return self._modules[dotted]

    def path_of(self, dotted: str) -> Path | None:
        """The file of a module below the project; a package's is its `__init__.py`."""
        base = self.project.joinpath(*dotted.split("."))
        return next(
            (path for path in (base / "__init__.py", base.with_name(base.name + ".py")) if path.is_file()),
            None,
        )

    def is_package(self, dotted: str) -> bool:
        return self.project.joinpath(*dotted.split(".")).is_dir()

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One call of a project's function. Raises RecursionError beyond MAX_DEPTH of them."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise RecursionError("too many calls within calls")
            yield
        finally:
            self._depth -= 1

    def step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise RecursionError("too many steps")

    def _parse(self, dotted: str, path: Path, needed: bool) -> Module | None:
        name = path.relative_to(self.project).as_posix()
        package = dotted if path.name == "__init__.py" else dotted.rpartition(".")[0]
        where, reason = Where(name), ""
        try:
            raw = path.read_bytes()
            text = _decoded(raw).replace("\r\n", "\n")
            tree = ast.parse(text)
        except UnicodeDecodeError as error:
            where = Where(name, error.object.count(b"\n", 0, error.start) + 1)
            reason = f"the file is not in the encoding it says ({error.encoding})"
        except SyntaxError as error:
            where, reason = Where(name, error.lineno), f"not valid Python: {error.msg}"
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            reason = f"the file cannot be read: {type(error).__name__}"
        else:
            return Module(dotted, name, text, tree, package)
        self.unread[name] = Unread("declared", reason, where, needed)
        return None


class _Run:
    """Evaluates the statements and expressions of one scope; `outer` are the scopes around it, the nearest first."""

    def __init__(
        self, files: Files, module: Module, outer: tuple[Names, ...], names: Names | None = None
    ) -> None:
        self.files, self.module = files, module
        self.names = module.names if names is None else names
        self.scope = (self.names, *outer)

    def unknown(self, node: ast.AST, reason: str) -> Unknown:
        return Unknown(reason, Where(self.module.path, getattr(node, "lineno", None)))

    # -------------------------------------------------------------- statements

    def module_body(self) -> None:
        try:
            self.body(self.module.tree.body)
        except _Return:
            return  # `return` outside a function does not parse; a nested one ends here
        except RecursionError:
            reason = "the file takes too many steps to evaluate"
            self.files.unread.setdefault(
                self.module.path, Unread("declared", reason, Where(self.module.path))
            )

    def body(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.files.step()
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901  one case a kind of node, none nested
        match node:
            case ast.Assign(targets=targets, value=value):
                result = self.eval(value)
                for target in targets:
                    self.assign(target, result)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.eval(value))
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                self.names[name] = self.binary(node, op, self.lookup(name, node), self.eval(value))
            case ast.Expr(value=ast.Call() as call):
                self.eval(call)
            case ast.Return(value=value):
                raise _Return(None if value is None else self.eval(value))
            case ast.FunctionDef(name=name):
                self.names[name] = Function(self.module, node, self.scope)
            case ast.ClassDef(name=name):
                self.names[name] = self.klass(node)
            case ast.Import() | ast.ImportFrom():
                self.imported(node)
            case ast.If():
                self.condition(node)
            case ast.For():
                self.loop(node)
            case ast.Try(body=body, orelse=orelse, finalbody=final):
                self.body([*body, *orelse, *final])
            case ast.With(body=body):
                self.body(body)
            case ast.Delete() | ast.While() | ast.AugAssign() | ast.Match() | ast.AsyncFunctionDef():
                self.blur(node, "it is set by a statement that is not evaluated")

    def klass(self, node: ast.ClassDef) -> Class:
        names: Names = {}
        bases = tuple(self.eval(base) for base in node.bases)
        made = Class(self.module, node.name, node.lineno, bases, names)
        _Run(self.files, self.module, self.scope, names).body(node.body)
        return made

    def assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = list(value) if isinstance(value, list | tuple | str) else []
                starred = any(isinstance(part, ast.Starred) for part in parts)
                fits = len(values) == len(parts) and not starred
                for at, part in enumerate(parts):
                    self.assign(part, values[at] if fits else self.unknown(target, "it is unpacked"))
            case ast.Starred(value=inner):
                self.assign(inner, value)
            case ast.Subscript(value=ast.Name(id=name), slice=key):
                owner, at = self.lookup(name, target), self.eval(key)
                if isinstance(owner, dict) and isinstance(at, str | int):
                    owner[at] = value
            case ast.Attribute(value=owner_node, attr=attr):
                owner = self.eval(owner_node)
                if isinstance(owner, Class):
                    owner.names[attr] = value

    def condition(self, node: ast.If) -> None:
        test = self.truth(self.eval(node.test))
        if test is None:
            self.blur(node, "it depends on a condition that cannot be told")
        else:
            self.body(node.body if test else node.orelse)

    def loop(self, node: ast.For) -> None:
        items = self.items(self.eval(node.iter))
        if items is None or any(isinstance(x, ast.Break | ast.Continue) for x in ast.walk(node)):
            self.blur(node, "it is set in a loop that is not evaluated")
            return
        for item in items:
            self.assign(node.target, item)
            self.body(node.body)
        self.body(node.orelse)

    def blur(self, node: ast.stmt, reason: str) -> None:
        """Make every name the statement may set unknown; a list it only adds to keeps what it had."""
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store | ast.Del):
                if not (isinstance(self.names.get(each.id), list) and _only_added(node, each.id)):
                    self.names[each.id] = self.unknown(each, f"{each.id}: {reason}")
                elif each.id == "INSTALLED_APPS":
                    where = Where(self.module.path, node.lineno)
                    told = Unread(
                        "declared", f"INSTALLED_APPS may be longer: {reason}", where, blocking=False
                    )
                    self.files.unread.setdefault(str(where), told)
            elif isinstance(each, ast.ClassDef | ast.FunctionDef):
                self.names.setdefault(each.name, self.unknown(each, f"{each.name}: {reason}"))
            elif isinstance(each, ast.Import | ast.ImportFrom):
                self.imported(each)
            elif isinstance(each, ast.Return):
                raise _Return(self.unknown(each, reason))

    # -------------------------------------------------------------- imports

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                shown = alias.name if alias.asname else alias.name.partition(".")[0]
                self.names[alias.asname or shown] = self.outside(shown)
                self.module.imports.add(alias.name)
            return
        base = self.absolute(node)
        self.module.imports.add(base)
        source = self.files.module(base)
        for alias in node.names:
            if alias.name == "*":
                public = {k: v for k, v in (source.names if source else {}).items() if not k.startswith("_")}
                self.names.update(public)
                continue
            self.module.imports.add(f"{base}.{alias.name}")
            self.names[alias.asname or alias.name] = self.member(base, source, alias.name)

    def absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.module.package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def member(self, base: str, source: Module | None, name: str) -> Value:
        if source is not None and name in source.names:
            return source.names[name]
        return self.outside(f"{base}.{name}")

    def outside(self, dotted: str) -> Value:
        inside = self.files.path_of(dotted) or self.files.is_package(dotted)
        return (self.files.module(dotted) or Ref(dotted)) if inside else Ref(dotted)

    # -------------------------------------------------------------- expressions

    def eval(self, node: ast.expr) -> Value:
        self.files.step()
        try:
            return self.expression(node)
        except FAILURES as error:
            if isinstance(error, RecursionError):
                raise
            return self.unknown(node, f"it cannot be computed ({type(error).__name__})")

    def expression(self, node: ast.expr) -> Value:  # noqa: C901  one case a kind of node, none nested
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.lookup(name, node)
            case ast.Attribute(value=owner, attr=attr):
                return self.attribute(node, self.eval(owner), attr)
            case ast.JoinedStr(values=parts):
                return self.text(node, [self.piece(part) for part in parts])
            case ast.List(elts=parts):
                return list(self.elements(parts))
            case ast.Tuple(elts=parts):
                return tuple(self.elements(parts))
            case ast.Set(elts=parts):
                return list(dict.fromkeys(self.elements(parts)))
            case ast.Dict(keys=keys, values=values):
                return self.mapping(keys, values)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(node, op, self.eval(left), self.eval(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = self.truth(self.eval(operand))
                return self.unknown(node, "it depends on what is unknown") if truth is None else not truth
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.eval(operand)
            case ast.BoolOp(op=op, values=values):
                return self.either(node, isinstance(op, ast.Or), values)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self.compare(node, left, ops, others)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                truth = self.truth(self.eval(test))
                if truth is None:
                    return self.unknown(node, "it depends on a condition that cannot be told")
                return self.eval(body if truth else orelse)
            case ast.Subscript(value=owner, slice=key):
                return self.subscript(node, self.eval(owner), key)
            case ast.Call():
                return self.call(node)
            case ast.ListComp(elt=elt) | ast.SetComp(elt=elt) | ast.GeneratorExp(elt=elt):
                return self.comprehension(node, node.generators, lambda run: run.eval(elt))
            case ast.DictComp(key=key, value=value):
                pairs = self.comprehension(
                    node, node.generators, lambda run: (run.eval(key), run.eval(value))
                )
                return pairs if isinstance(pairs, Unknown) else dict(pairs)
            case ast.Lambda():
                return Function(self.module, node, self.scope)
        return self.unknown(node, f"{type(node).__name__} is not evaluated")

    def lookup(self, name: str, node: ast.AST) -> Value:
        for names in self.scope:
            if name in names:
                return names[name]
        if name == "__name__":
            return self.module.dotted
        return (
            Ref(f"builtins.{name}")
            if name in _BUILTINS
            else self.unknown(node, f"the name {name} is not known here")
        )

    def attribute(self, node: ast.AST, owner: Value, attr: str) -> Value:
        if isinstance(owner, Unknown):
            return owner
        if isinstance(owner, Ref):
            settings = self.files.settings
            if owner.dotted == "django.conf.settings" and settings is not None and attr in settings.names:
                return settings.names[attr]
            return Ref(f"{owner.dotted}.{attr}")
        if isinstance(owner, Module):
            return owner.names[attr] if attr in owner.names else self.outside(f"{owner.dotted}.{attr}")
        if isinstance(owner, Class):
            found = inherited(owner, attr)
            return self.unknown(node, f"{owner.name}.{attr} is not known") if found is None else found
        if type(owner) in _METHODS and attr in _METHODS[type(owner)]:
            return _Method(owner, attr)
        return self.unknown(node, f".{attr} is not evaluated")

    def piece(self, node: ast.expr) -> Value:
        if not isinstance(node, ast.FormattedValue):
            return self.eval(node)
        value = self.eval(node.value)
        if not plain(value):
            return (
                value
                if isinstance(value, Unknown)
                else self.unknown(node, "a part of the text is not a constant")
            )
        convert = _CONVERSIONS.get(node.conversion)
        layout = self.eval(node.format_spec) if node.format_spec else ""
        return format(convert(value) if convert else value, layout) if isinstance(layout, str) else layout

    def text(self, node: ast.AST, parts: list[Value]) -> Value:
        unknown = next((part for part in parts if not isinstance(part, str)), None)
        return self.short(node, "".join(parts)) if unknown is None else unknown

    def short(self, node: ast.AST, value: Value) -> Value:
        too_long = isinstance(value, str | list | tuple) and len(value) > MAX_TEXT
        return self.unknown(node, "it is too long") if too_long else value

    def elements(self, nodes: Iterable[ast.expr]) -> Iterator[Value]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                value = self.eval(node.value)
                items = self.items(value)
                yield from (
                    [self.unknown(node, "the list is not known") if items is None else None]
                    if items is None
                    else items
                )
            else:
                yield self.eval(node)

    def mapping(self, keys: Iterable[ast.expr | None], values: Iterable[ast.expr]) -> Value:
        made: dict[Any, Value] = {}
        for key, node in zip(keys, values, strict=True):
            value = self.eval(node)
            if key is not None:
                made[self.eval(key)] = value
            elif isinstance(value, dict):
                made |= value
        return made

    def binary(self, node: ast.AST, op: ast.operator, left: Value, right: Value) -> Value:
        for side in (left, right):
            if isinstance(side, Unknown):
                return side
        if isinstance(op, ast.Add) and isinstance(left, list) and isinstance(right, list | tuple):
            return self.short(node, [*left, *right])  # `+=` takes any iterable
        if isinstance(op, ast.Mod) and isinstance(left, str) and not plain(right):
            return self.unknown(node, "a part of the text is not a constant")
        work = _BINARY.get(type(op))
        if work is None or not isinstance(left, _SIMPLE) or not isinstance(right, _SIMPLE):
            return self.unknown(node, "the operation is not evaluated")
        if isinstance(op, ast.Mult) and _size(left) * _size(right) > MAX_TEXT:
            return self.unknown(node, "it is too long")
        return self.short(node, work(left, right))

    def either(self, node: ast.AST, is_or: bool, values: Iterable[ast.expr]) -> Value:
        value: Value = None
        for each in values:
            value = self.eval(each)
            truth = self.truth(value)
            if truth is None:
                return (
                    value
                    if isinstance(value, Unknown)
                    else self.unknown(node, "it depends on what is unknown")
                )
            if truth is is_or:
                return value
        return value

    def compare(self, node: ast.AST, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> Value:
        value = self.eval(left)
        for op, other_node in zip(ops, others, strict=True):
            other = self.eval(other_node)
            work = _COMPARE.get(type(op))
            if work is None or not plain(value) or not plain(other):
                return self.unknown(node, "it compares what is unknown")
            if not work(value, other):
                return False
            value = other
        return True

    def truth(self, value: Value) -> bool | None:
        if isinstance(value, Unknown | Ref | Built | _Method):
            return None
        return bool(value) if isinstance(value, _SIMPLE) or value is None else True

    def subscript(self, node: ast.AST, owner: Value, key: ast.expr) -> Value:
        if isinstance(owner, Unknown):
            return owner
        if not isinstance(owner, str | list | tuple | dict):
            return self.unknown(node, "it is looked up in what is unknown")
        if isinstance(key, ast.Slice):
            bounds = [None if part is None else self.eval(part) for part in (key.lower, key.upper, key.step)]
            return owner[slice(*bounds)]  # a dict raises TypeError, as it does in Python
        at = self.eval(key)
        return at if isinstance(at, Unknown) else owner[at]

    def comprehension(
        self, node: ast.AST, generators: list[ast.comprehension], element: Callable[[_Run], Value]
    ) -> Value:
        made: list[Value] = []
        run = _Run(self.files, self.module, self.scope, {})
        failed = run.generate(generators, element, made)
        return failed or self.short(node, made)

    def generate(
        self, generators: list[ast.comprehension], element: Callable[[_Run], Value], made: list[Value]
    ) -> Unknown | None:
        if not generators:
            made.append(element(self))
            return None
        first, *rest = generators
        items = self.items(self.eval(first.iter))
        if items is None:
            return self.unknown(first.iter, "the list it goes over is not known")
        for item in items:
            self.assign(first.target, item)
            truths = [self.truth(self.eval(test)) for test in first.ifs]
            if None in truths:
                return self.unknown(first.iter, "it depends on a condition that cannot be told")
            failed = self.generate(rest, element, made) if all(truths) else None
            if failed:
                return failed
        return None

    def items(self, value: Value) -> list[Value] | None:
        return list(value) if isinstance(value, str | list | tuple | dict) else None

    # -------------------------------------------------------------- calls

    def call(self, node: ast.Call) -> Value:
        callee = self.eval(node.func)
        args = tuple(self.elements(node.args))
        kwargs: dict[str, Value] = {}
        for word in node.keywords:
            value = self.eval(word.value)
            if word.arg is not None:
                kwargs[word.arg] = value
            elif isinstance(value, dict):
                kwargs |= value
        where = Where(self.module.path, node.lineno)
        match callee:
            case Unknown():
                return callee
            case Function():
                return self.apply(node, callee, args, kwargs)
            case Class():
                return Built(callee, args, kwargs, where)
            case _Method(owner=owner, name=name):
                return self.method(node, owner, name, args, kwargs)
            case Ref(dotted=dotted):
                pure = _PURE.get(dotted)
                if pure is None:
                    return Built(callee, args, kwargs, where)
                return self.pure(node, pure, args, kwargs)
        return self.unknown(node, "what is called is not known")

    def pure(
        self, node: ast.AST, work: Callable[..., Value], args: tuple[Value, ...], kwargs: Names
    ) -> Value:
        unknown = next((x for x in (*args, *kwargs.values()) if isinstance(x, Unknown)), None)
        if unknown is not None:
            return unknown
        return self.short(node, work(*args, **kwargs))

    def method(self, node: ast.AST, owner: Value, name: str, args: tuple[Value, ...], kwargs: Names) -> Value:
        if isinstance(owner, list):
            return getattr(owner, name)(*args)
        if name == "join":
            return self.text(
                node, _between(owner, self.items(args[0]), self.unknown(node, "the list is not known"))
            )
        if not all(plain(value) for value in (*args, *kwargs.values())) and not isinstance(owner, dict):
            unknown = next((value for value in args if isinstance(value, Unknown)), None)
            return unknown or self.unknown(node, "a part of the text is not a constant")
        result = getattr(owner, name)(*args, **kwargs)
        return self.short(node, list(result) if isinstance(owner, dict) and name != "get" else result)

    def apply(self, node: ast.AST, function: Function, args: tuple[Value, ...], kwargs: Names) -> Value:
        if not function.callable:
            return self.unknown(node, "a decorated function or a generator is not evaluated")
        run = _Run(self.files, function.module, function.scope, self.bind(function, args, kwargs))
        with self.files.deeper():
            if isinstance(function.node, ast.Lambda):
                return run.eval(function.node.body)
            try:
                run.body(function.node.body)
            except _Return as result:
                return result.value
        return None

    def bind(self, function: Function, args: tuple[Value, ...], kwargs: Names) -> Names:
        """Parameters to values, by Python's own rules as far as they matter. Raises TypeError as Python would."""
        spec = function.node.args
        around = _Run(
            self.files, function.module, function.scope[1:], function.scope[0] if function.scope else {}
        )
        places = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
        names = dict(zip(places, args, strict=False))
        for name, default in zip(reversed(places), reversed(spec.defaults), strict=False):
            if name not in names and name not in kwargs:
                names[name] = around.eval(default)
        for arg, standard in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
            if arg.arg not in kwargs and standard is not None:
                names[arg.arg] = around.eval(standard)
        known = {*places, *(arg.arg for arg in spec.kwonlyargs)}
        names |= {name: value for name, value in kwargs.items() if name in known}
        if spec.vararg:
            names[spec.vararg.arg] = args[len(places) :]
        if spec.kwarg:
            names[spec.kwarg.arg] = {name: value for name, value in kwargs.items() if name not in known}
        missing = [name for name in known if name not in names]
        if missing or (len(args) > len(places) and not spec.vararg):
            raise TypeError(missing)
        return names


# ------------------------------------------------------------------ values


def _decoded(raw: bytes) -> str:
    """Source text, by its byte order mark or coding line. Raises UnicodeDecodeError."""
    try:
        encoding, _ = detect_encoding(BytesIO(raw).readline)
    except SyntaxError:
        encoding = "utf-8"  # it looked at the first two lines, and this decoding says where they are wrong
    return raw.decode(encoding)


def plain(value: Value) -> bool:
    """A constant all the way down."""
    if isinstance(value, list | tuple):
        return all(plain(item) for item in value)
    if isinstance(value, dict):
        return all(plain(item) for item in (*value.keys(), *value.values()))
    return value is None or isinstance(value, str | bytes | int | float)


def inherited(klass: Class, name: str) -> Value:
    """An attribute of a class or of its bases in the project, depth first; None when none has it."""
    if name in klass.names:
        return klass.names[name]
    for base in klass.bases:
        if isinstance(base, Class) and (found := inherited(base, name)) is not None:
            return found
    return None


def _between(separator: str, items: list[Value] | None, unknown: Unknown) -> list[Value]:
    if items is None:
        return [unknown]
    return [part for at, item in enumerate(items) for part in ((separator, item) if at else (item,))]


def _only_added(node: ast.stmt, name: str) -> bool:
    """Every place in the statement that sets the name is `name += ...`."""
    stores = [
        x for x in ast.walk(node) if isinstance(x, ast.Name) and x.id == name and isinstance(x.ctx, ast.Store)
    ]
    added = [x.target for x in ast.walk(node) if isinstance(x, ast.AugAssign)]
    return all(store in added for store in stores)


def _size(value: Value) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else abs(int(value))


def _range(*bounds: int) -> list[int]:
    return list(islice(range(*bounds), MAX_TEXT))


_SIMPLE = (str, bytes, int, float, list, tuple, dict)
_CONVERSIONS: dict[int, Callable[[Any], str]] = {ord("r"): repr, ord("s"): str, ord("a"): ascii}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, group: item in group,
    ast.NotIn: lambda item, group: item not in group,
    ast.Is: lambda one, other: one is other,
    ast.IsNot: lambda one, other: one is not other,
}
_TEXT = "format join upper lower strip lstrip rstrip replace split splitlines title capitalize removeprefix removesuffix startswith endswith partition rpartition"
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT.split()),
    dict: frozenset({"items", "keys", "values", "get"}),
    list: frozenset({"append", "extend", "insert", "remove", "copy", "index", "count"}),
}
_PURE: dict[str, Callable[..., Value]] = {
    "builtins.dict": dict,
    "builtins.enumerate": lambda items, start=0: list(enumerate(items, start)),
    "builtins.len": len,
    "builtins.list": list,
    "builtins.range": _range,
    "builtins.reversed": lambda items: list(reversed(items)),
    "builtins.set": lambda items=(): list(dict.fromkeys(items)),
    "builtins.sorted": lambda items: sorted(items),
    "builtins.str": lambda value="": str(value) if plain(value) else Unknown("not a constant"),
    "builtins.tuple": tuple,
    "builtins.zip": lambda *groups, strict=False: list(zip(*groups, strict=strict)),
    "inspect.cleandoc": cleandoc,
    "os.path.join": lambda *parts: os.path.join(*parts),
    "textwrap.dedent": dedent,
}
_BUILTINS = frozenset(name.partition(".")[2] for name in _PURE if name.startswith("builtins.")) | {
    "open", "int", "float", "bool", "map", "filter", "super", "property", "staticmethod", "classmethod", "type",
    "isinstance", "getattr", "hasattr", "print", "object", "Exception", "max", "min", "any", "all", "abs", "sum",
    "repr", "next", "iter", "callable", "ValueError", "RuntimeError", "TypeError", "KeyError",
}  # fmt: skip
