"""Evaluates expressions of modules that are read and not run: see `evaluate`, which adds the statements."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rcakit.facts import Where
from rcakit.sources.pure import (
    ASSUMED,
    BINARY,
    BUILTINS,
    COMPARE,
    CONVERSIONS,
    FAILURES,
    MAX_TEXT,
    METHODS,
    PURE,
    SIMPLE,
    size,
)
from rcakit.sources.values import (
    Built,
    Class,
    Function,
    Method,
    Module,
    Names,
    Ref,
    Unknown,
    Value,
    inherited,
    plain,
)

if TYPE_CHECKING:
    from rcakit.sources.evaluate import Files


class Returned(Exception):  # noqa: N818  control flow
    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class Expressions:
    """Evaluates the expressions of one scope; `outer` are the scopes around it, the nearest first."""

    def __init__(
        self, files: Files, module: Module, outer: tuple[Names, ...], names: Names | None = None
    ) -> None:
        self.files, self.module = files, module
        self.names = module.names if names is None else names
        self.scope = (self.names, *outer)

    def unknown(self, node: ast.AST, reason: str) -> Unknown:
        return Unknown(reason, Where(self.module.path, getattr(node, "lineno", None)))

    def body(self, statements: Iterable[ast.stmt]) -> None:
        """Evaluate statements; `evaluate.Run` knows how."""
        raise NotImplementedError

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
            if name in BUILTINS
            else self.unknown(node, f"the name {name} is not known here")
        )

    def attribute(self, node: ast.AST, owner: Value, attr: str) -> Value:
        if isinstance(owner, Unknown):
            return owner
        if isinstance(owner, Ref):
            if owner.dotted == "django.conf.settings" and attr in self.files.constants:
                return self.files.constants[attr]
            dotted = f"{owner.dotted}.{attr}"
            return ASSUMED.get(dotted, Ref(dotted))
        if isinstance(owner, Module):
            return owner.names[attr] if attr in owner.names else self.outside(f"{owner.dotted}.{attr}")
        if isinstance(owner, Class):
            found = inherited(owner, attr)
            return self.unknown(node, f"{owner.name}.{attr} is not known") if found is None else found
        if type(owner) in METHODS and attr in METHODS[type(owner)]:
            return Method(owner, attr)
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
        convert = CONVERSIONS.get(node.conversion)
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
        work = BINARY.get(type(op))
        if work is None or not isinstance(left, SIMPLE) or not isinstance(right, SIMPLE):
            return self.unknown(node, "the operation is not evaluated")
        if isinstance(op, ast.Mult) and size(left) * size(right) > MAX_TEXT:
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
            work = COMPARE.get(type(op))
            if work is None or not plain(value) or not plain(other):
                return self.unknown(node, "it compares what is unknown")
            if not work(value, other):
                return False
            value = other
        return True

    def truth(self, value: Value) -> bool | None:
        if isinstance(value, Unknown | Ref | Built | Method):
            return None
        return bool(value) if isinstance(value, SIMPLE) or value is None else True

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
        self, node: ast.AST, generators: list[ast.comprehension], element: Callable[[Expressions], Value]
    ) -> Value:
        made: list[Value] = []
        run = type(self)(self.files, self.module, self.scope, {})
        failed = run.generate(generators, element, made)
        return failed or self.short(node, made)

    def generate(
        self, generators: list[ast.comprehension], element: Callable[[Expressions], Value], made: list[Value]
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
            case Method(owner=owner, name=name):
                return self.method(node, owner, name, args, kwargs)
            case Ref():
                return self.foreign(node, callee, args, kwargs)
        return self.unknown(node, "what is called is not known")

    def foreign(self, node: ast.Call, callee: Ref, args: tuple[Value, ...], kwargs: Names) -> Value:
        """A call of something from outside the project: computed where it is pure, else kept as it is written."""
        if callee.dotted == "builtins.getattr" and args[:1] == (Ref("django.conf.settings"),):
            return self.files.constants.get(*args[1:])
        if callee.dotted not in PURE:
            return Built(callee, args, kwargs, Where(self.module.path, node.lineno))
        return self.pure(node, PURE[callee.dotted], args, kwargs)

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
        run = type(self)(self.files, function.module, function.scope, self.bind(function, args, kwargs))
        with self.files.deeper():
            if isinstance(function.node, ast.Lambda):
                return run.eval(function.node.body)
            try:
                run.body(function.node.body)
            except Returned as result:
                return result.value
        return None

    def bind(self, function: Function, args: tuple[Value, ...], kwargs: Names) -> Names:
        """Parameters to values, by Python's own rules as far as they matter. Raises TypeError as Python would."""
        spec = function.node.args
        around = type(self)(
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

    # -------------------------------------------------------------- names

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

    def outside(self, dotted: str) -> Value:
        inside = self.files.path_of(dotted) or self.files.is_package(dotted)
        return (self.files.module(dotted) or Ref(dotted)) if inside else Ref(dotted)


def _between(separator: str, items: list[Value] | None, unknown: Unknown) -> list[Value]:
    if items is None:
        return [unknown]
    return [part for at, item in enumerate(items) for part in ((separator, item) if at else (item,))]
