"""What may be computed while a project is only read: operators, methods and functions that are pure and end.

Whatever is not listed here is never called.
"""

from __future__ import annotations

import ast
import operator
import os
from collections.abc import Callable
from inspect import cleandoc
from itertools import islice
from textwrap import dedent
from typing import Any

from rcakit.sources.values import Unknown, Value, plain

MAX_TEXT = 1_000_000
"""Longest text or list that is made, in characters or items."""

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


def size(value: Value) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else abs(int(value))


def bounded_range(*bounds: int) -> list[int]:
    return list(islice(range(*bounds), MAX_TEXT))


ASSUMED: dict[str, Value] = {
    "django.db.connection.vendor": "postgresql",  # the database this kit investigates
    "typing.TYPE_CHECKING": False,
}
SIMPLE = (str, bytes, int, float, list, tuple, dict)
CONVERSIONS: dict[int, Callable[[Any], str]] = {ord("r"): repr, ord("s"): str, ord("a"): ascii}
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
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
METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT.split()),
    dict: frozenset({"items", "keys", "values", "get"}),
    list: frozenset({"append", "extend", "insert", "remove", "copy", "index", "count"}),
}
PURE: dict[str, Callable[..., Value]] = {
    "builtins.dict": dict,
    "builtins.enumerate": lambda items, start=0: list(enumerate(items, start)),
    "builtins.len": len,
    "builtins.list": list,
    "builtins.range": bounded_range,
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
BUILTINS = frozenset(name.partition(".")[2] for name in PURE if name.startswith("builtins.")) | {
    "open", "int", "float", "bool", "map", "filter", "super", "property", "staticmethod", "classmethod", "type",
    "isinstance", "getattr", "hasattr", "print", "object", "Exception", "max", "min", "any", "all", "abs", "sum",
    "repr", "next", "iter", "callable", "ValueError", "RuntimeError", "TypeError", "KeyError",
}  # fmt: skip
