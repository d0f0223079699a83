"""The values of modules that are read and not run: constants as they are, and six kinds of things that are none."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from rcakit.facts import Where

Value = Any
Names = dict[str, Value]


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
    bases: tuple[Value, ...] = field(repr=False)
    names: Names = field(hash=False, compare=False, repr=False)
    sure: bool = True
    """False: the class statement stands under a condition that cannot be told."""

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
class Method:
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
    imports: set[str] = field(default_factory=set, repr=False)


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
