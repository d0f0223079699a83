"""The project's tests, read without running them: what each one touches, and what its assertions look at.

Test files are found as pytest and Django's runner find them: `test*.py`, `*_test.py`, `tests.py`
(https://docs.pytest.org/en/stable/explanation/goodpractices.html#conventions-for-python-test-discovery,
https://docs.djangoproject.com/en/stable/topics/testing/overview/#running-tests).
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rcakit.facts import Declared, ProjectTest, Unread, Where
from rcakit.sources.asserted import SETUPS, Function, Scope, assertions, bindings, reached

SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "dist", "build", "migrations"})
_TASK = re.compile(r"(?<![A-Za-z0-9])([A-Z]{1,10}-?\d{2,6})(?!\d)")
_SNAKE = re.compile(r"(?:^|_)([a-z]{1,10}\d{3,6})(?=_|$)")


def read(
    project: Path, declared: Declared, tasks: Iterable[str] = ()
) -> tuple[tuple[ProjectTest, ...], tuple[Unread, ...]]:
    """Every test of the project by file and line, and the files that could not be read.

    `tasks` are the ids of the project's task lists: only they count as task ids; without any, "T005" and its like do.
    """
    known = frozenset(tasks)
    found: list[ProjectTest] = []
    unread: list[Unread] = []
    for path in files(project):
        name = path.relative_to(project).as_posix()
        try:
            raw = path.read_bytes()
            module = _Module.of(name, raw, ast.parse(raw))
        except (SyntaxError, ValueError, RecursionError, OSError) as error:
            line = getattr(error, "lineno", None)
            reason = f"a test file cannot be read: {type(error).__name__}"
            unread.append(Unread("tests", reason, Where(name, line), blocking=False))
            continue
        found += _tests(module, declared, known)
    return tuple(found), tuple(unread)


def files(project: Path) -> Iterator[Path]:
    """The project's test files, in order."""
    for folder, folders, names in os.walk(project):
        here = Path(folder)
        folders[:] = sorted(
            each
            for each in folders
            if each not in SKIPPED and not each.startswith(".") and not (here / each / "pyvenv.cfg").exists()
        )
        yield from (here / each for each in sorted(names) if is_test_file(each))


def is_test_file(name: str) -> bool:
    return name.endswith(".py") and (
        name.startswith("test") or name.endswith("_test.py") or name == "tests.py"
    )


@dataclass(frozen=True)
class _Module:
    path: str
    tree: ast.Module
    comments: Mapping[int, str]
    """Line -> comment."""
    names: Mapping[str, list[ast.AST]]

    @classmethod
    def of(cls, path: str, raw: bytes, tree: ast.Module) -> _Module:
        top = bindings(each for each in tree.body if isinstance(each, ast.Assign | ast.AnnAssign | ast.With))
        for node in tree.body:
            if isinstance(node, Function):
                top.setdefault(node.name, []).append(node)
        return cls(path, tree, dict(_comments(raw)), top)


def _comments(raw: bytes) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.tokenize(io.BytesIO(raw).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # what was read so far counts: the file as a whole did parse


def _tests(module: _Module, declared: Declared, known: frozenset[str]) -> Iterator[ProjectTest]:
    whole = _ids([ast.get_docstring(module.tree) or ""], known)
    for node in module.tree.body:
        if isinstance(node, Function) and node.name.startswith("test"):
            yield _test(module, None, node, declared, known, whole)
        elif isinstance(node, ast.ClassDef) and _is_test_class(node):
            for method in node.body:
                if isinstance(method, Function) and method.name.startswith("test"):
                    yield _test(module, node, method, declared, known, whole)


def _is_test_class(node: ast.ClassDef) -> bool:
    return node.name.startswith("Test") or any("Test" in ast.unparse(base) for base in node.bases)


def _test(
    module: _Module,
    klass: ast.ClassDef | None,
    test: Function,
    declared: Declared,
    known: frozenset[str],
    whole: tuple[str, ...],
) -> ProjectTest:
    scope = Scope(module.path, module.names, _attributes(klass) if klass else {})
    nodes = reached([test, *_setups(klass)], bindings([test]), scope)
    id_ = "::".join([module.path, *([klass.name] if klass else []), test.name])
    return ProjectTest(
        id_,
        Where(module.path, test.lineno),
        tuple(assertions(test, scope)),
        _tasks(module, klass, test, known) or whole,
        tuple(sorted(_models(nodes, declared))),
        tuple(sorted(_migrations(nodes, declared))),
    )


def _setups(klass: ast.ClassDef | None) -> list[ast.AST]:
    return (
        [each for each in klass.body if isinstance(each, Function) and each.name in SETUPS] if klass else []
    )


def _attributes(klass: ast.ClassDef) -> dict[str, list[ast.AST]]:
    """Attribute of `self` -> what set-up methods and the class body set it to, or the method of that name."""
    own = bindings([*_setups(klass), *(each for each in klass.body if isinstance(each, ast.Assign))])
    found = {name.removeprefix("self."): values for name, values in own.items()}
    for each in klass.body:
        if isinstance(each, Function):
            found.setdefault(each.name, []).append(each)
    return found


def _models(nodes: Iterable[ast.AST], declared: Declared) -> set[str]:
    used = {each.id for each in nodes if isinstance(each, ast.Name)}
    used |= {each.attr for each in nodes if isinstance(each, ast.Attribute)}
    return {model.label for model in declared.models if model.name in used and not model.auto_created}


def _migrations(nodes: Iterable[ast.AST], declared: Declared) -> set[str]:
    texts = [each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    named = [text for text in texts if any(char.isdigit() for char in text)]
    return {
        migration.label
        for migration in declared.migrations
        if any(migration.name == text.rpartition(".")[2].removesuffix(".py") for text in named)
    }


# ------------------------------------------------------------------ tasks


def _tasks(
    module: _Module, klass: ast.ClassDef | None, test: Function, known: frozenset[str]
) -> tuple[str, ...]:
    """The tasks a test names itself, else those its class does."""
    own = _ids([test.name, ast.get_docstring(test) or "", *_said(module, test)], known)
    if own or klass is None:
        return own
    return _ids(
        [klass.name, ast.get_docstring(klass) or "", module.comments.get(klass.lineno - 1, "")], known
    )


def _said(module: _Module, node: Function) -> Iterator[str]:
    """The comments in and right above a function."""
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1
    return (
        module.comments[line] for line in range(first, (node.end_lineno or 0) + 1) if line in module.comments
    )


def _ids(texts: Iterable[str], known: frozenset[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        words = [*_TASK.findall(text), *(word.upper() for word in _SNAKE.findall(text))]
        for word in words:
            if word in known or (not known and re.fullmatch(r"T\d{3,}", word)):
                found[word] = None
    return tuple(found)
