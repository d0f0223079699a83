"""Evaluates the constant part of Python modules without running them.

Settings, models and migrations are mostly constants put together by pure code: f-strings, comprehensions over a list
of names, a function that returns SQL. This reads such modules as syntax trees and computes what they would hold. What
it does not compute is an `Unknown` with its reason, never a guess; a call of a class from outside the project is kept
as `Built`, which is how fields and operations come out. Nothing of the project is imported or executed, and every loop,
call and text is bounded.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tokenize import detect_encoding

from rcakit.facts import Unread, Where
from rcakit.sources.expressions import Expressions, Returned
from rcakit.sources.pure import ASSUMED
from rcakit.sources.values import Class, Function, Module, Names, Unknown, Value

MAX_STEPS = 400_000
"""Statements and expressions evaluated in one file."""
MAX_DEPTH = 40
"""Calls of the project's functions within each other."""


class Files:
    """The project's modules, each read and evaluated once, when it is first asked for."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.unread: dict[str, Unread] = {}
        self.settings: Module | None = None
        self._modules: dict[str, Module | None] = {}
        self._paths: dict[str, Path | None] = {}
        self._packages: dict[str, bool] = {}
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
                Run(self, module, ()).module_body()
        return self._modules[dotted]

    def path_of(self, dotted: str) -> Path | None:
        """The file of a module below the project; a package's is its `__init__.py`."""
        if dotted not in self._paths:
            base = self.project.joinpath(*dotted.split("."))
            files = (base / "__init__.py", base.with_name(base.name + ".py"))
            self._paths[dotted] = next((path for path in files if path.is_file()), None)
        return self._paths[dotted]

    @property
    def constants(self) -> Names:
        """What `django.conf.settings` holds, as far as it is known."""
        return {"AUTH_USER_MODEL": "auth.User"} | (self.settings.names if self.settings else {})

    def find(self, dotted: str) -> Value:
        """A name of one of the project's modules, after all imports: None when there is none."""
        owner, _, name = dotted.rpartition(".")
        module = self.module(owner) if owner and self.path_of(owner) else None
        return module.names.get(name) if module else None

    def is_package(self, dotted: str) -> bool:
        if dotted not in self._packages:
            self._packages[dotted] = self.project.joinpath(*dotted.split(".")).is_dir()
        return self._packages[dotted]

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


class Run(Expressions):
    """Evaluates the statements of one scope."""

    def module_body(self) -> None:
        try:
            self.body(self.module.tree.body)
        except Returned:
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
                raise Returned(None if value is None else self.eval(value))
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
                self.attempt(node, [*body, *orelse, *final])
            case ast.With(body=body):
                self.body(body)
            case ast.Delete() | ast.While() | ast.AugAssign() | ast.Match() | ast.AsyncFunctionDef():
                self.blur(node, "it is set by a statement that is not evaluated")

    def klass(self, node: ast.ClassDef, *, sure: bool = True) -> Class:
        names: Names = {}
        bases = tuple(self.eval(base) for base in node.bases)
        made = Class(self.module, node.name, node.lineno, bases, names, sure)
        Run(self.files, self.module, self.scope, names).body(node.body)
        return made

    def condition(self, node: ast.If) -> None:
        test = self.truth(self.eval(node.test))
        if test is None:
            self.blur(node, "it depends on a condition that cannot be told")
        else:
            self.body(node.body if test else node.orelse)

    def attempt(self, node: ast.Try, statements: list[ast.stmt]) -> None:
        """As if nothing were raised; a function that answers by what is raised cannot be told."""
        if any(isinstance(each, ast.Return) for each in ast.walk(node)):
            self.blur(node, "it depends on what is raised")
        else:
            self.body(statements)

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
            elif isinstance(each, ast.ClassDef) and not isinstance(self.names.get(each.name), Class):
                self.names[each.name] = self.klass(each, sure=False)
            elif isinstance(each, ast.FunctionDef):
                self.names.setdefault(each.name, self.unknown(each, f"{each.name}: {reason}"))
            elif isinstance(each, ast.Import | ast.ImportFrom):
                self.imported(each)
            elif isinstance(each, ast.Return):
                raise Returned(self.unknown(each, reason))

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
                known = {k: v for k, v in public.items() if k not in self.names or not isinstance(v, Unknown)}
                self.names |= known
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
        dotted = f"{base}.{name}"
        return ASSUMED.get(dotted, self.outside(dotted))


def _decoded(raw: bytes) -> str:
    """Source text, by its byte order mark or coding line. Raises UnicodeDecodeError."""
    try:
        encoding, _ = detect_encoding(BytesIO(raw).readline)
    except SyntaxError:
        encoding = "utf-8"  # it looked at the first two lines, and this decoding says where they are wrong
    return raw.decode(encoding)


def _only_added(node: ast.stmt, name: str) -> bool:
    """Every place in the statement that sets the name is `name += ...`."""
    stores = [
        x for x in ast.walk(node) if isinstance(x, ast.Name) and x.id == name and isinstance(x.ctx, ast.Store)
    ]
    added = [x.target for x in ast.walk(node) if isinstance(x, ast.AugAssign)]
    return all(store in added for store in stores)
