"""Where the project's tests run: which settings they end up with, on which engine, and what is bent for them.

The settings module is evaluated as files are (`evaluate`), twice and more: once with no environment variable set, as on a fresh
checkout, and once for each value that the settings compare a variable with, to find the switch that leads to
another engine. Order of precedence of pytest-django:
https://pytest-django.readthedocs.io/en/latest/configuring_django.html
"""

from __future__ import annotations

import ast
import configparser
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from rcakit.errors import ProjectError
from rcakit.facts import Remark, Suite, Unread, Where
from rcakit.sources.evaluate import Files
from rcakit.sources.project import VARIABLE, settings_module
from rcakit.sources.values import Built, Class, Module, Value

_INI = (
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
_TRUTHS = ("1", "true", "postgres", "postgresql://host/db")
_SCHEMES = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "psql": "postgresql",
    "pgsql": "postgresql",
    "postgis": "postgis",
    "sqlite": "sqlite3",
    "mysql": "mysql",
}
_NO_MIGRATIONS = frozenset({"--nomigrations", "--no-migrations"})


def read(project: Path, settings: str | None) -> tuple[tuple[Suite, ...], tuple[Unread, ...]]:
    """The ways the tests are run, the project's own first: pytest where it is set up, then `manage.py test`."""
    unread: list[Unread] = []
    found = [
        suite for suite in (_pytest(project, settings, unread), _manage(project, settings, unread)) if suite
    ]
    return tuple(found), tuple(unread)


# ------------------------------------------------------------------ pytest and manage.py test


def _pytest(project: Path, settings: str | None, unread: list[Unread]) -> Suite | None:
    options = pytest_options(project)
    if options is None and not (project / "conftest.py").is_file():
        return None
    source, given = options or ("conftest.py", {})
    try:
        words = shlex.split(given.get("addopts", ""), comments=False)
    except ValueError:
        reason = "the options that pytest is given cannot be split into words: a quotation has no end"
        unread.append(Unread("tests", reason, _line(project, source, "addopts"), blocking=False))
        words = []
    where = _line(project, source, VARIABLE) if VARIABLE in given else Where(source)
    named = next((word.partition("=")[2] for word in words if word.startswith("--ds=")), "")
    module = named or given.get(VARIABLE, "")
    chain = [Remark(where, f"pytest uses {module}")] if module else []
    if not module:
        module, chain = _default(project, settings, unread)
    off = [word for word in words if word in _NO_MIGRATIONS]
    unmigrated = tuple(Remark(_line(project, source, word), f"pytest is given {word}") for word in off)
    return _suite(project, "pytest", module, tuple(chain), unmigrated, unread)


def _manage(project: Path, settings: str | None, unread: list[Unread]) -> Suite | None:
    if not (project / "manage.py").is_file():
        return None
    module, chain = _default(project, settings, unread)
    return _suite(project, "manage.py test", module, tuple(chain), (), unread)


def _default(project: Path, settings: str | None, unread: list[Unread]) -> tuple[str, list[Remark]]:
    try:
        module = settings_module(project, settings)
    except ProjectError as error:
        unread.append(
            Unread("tests", f"the settings of the tests are not known: {error.what}", blocking=False)
        )
        return "", []
    manage = (project / "manage.py").is_file() and not settings
    return module, [Remark(_line(project, "manage.py", module), f"manage.py uses {module}")] if manage else []


def pytest_options(project: Path) -> tuple[str, Mapping[str, str]] | None:
    """(file, its pytest options) of the first file that pytest would take; None when there is none.

    https://docs.pytest.org/en/stable/reference/customize.html#configuration-file-formats
    """
    for name, section in _INI[:2]:
        if (project / name).is_file():
            return name, _section(project / name, section) or {}
    table: object = _toml(project / "pyproject.toml")
    for name in ("tool", "pytest", "ini_options"):
        table = table.get(name) if isinstance(table, dict) else None
    if isinstance(table, dict):
        return "pyproject.toml", {key: _joined(value) for key, value in table.items()}
    for name, section in _INI[2:]:
        if (found := _section(project / name, section)) is not None:
            return name, found
    return None


def _joined(value: object) -> str:
    return shlex.join(map(str, value)) if isinstance(value, list) else str(value)


def _section(path: Path, section: str) -> Mapping[str, str] | None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text("utf-8-sig", "replace"))
    except (OSError, configparser.Error):
        return None
    return dict(parser[section]) if parser.has_section(section) else None


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


# ------------------------------------------------------------------ the settings, evaluated


class _SetAs(Files):
    """The project's files as they are evaluated with these environment variables and no others."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        super().__init__(project)
        self.environment = environment
        self.asked: dict[str, set[str]] = {}
        """Variable the settings read -> the texts it is compared with."""

    def _parse(self, dotted: str, path: Path, needed: bool) -> Module | None:
        module = super()._parse(dotted, path, needed)
        if module is not None:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Compare) and (name := _variable(node.left)):
                    words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
                    self.asked.setdefault(name, set()).update(map(str, words - {name}))
                elif name := _variable(node):
                    self.asked.setdefault(name, set())
            _Filled(self.environment).visit(module.tree)
            ast.fix_missing_locations(module.tree)
        return module


class _Filled(ast.NodeTransformer):
    """Look-ups of environment variables, replaced by what they give."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def visit(self, node: ast.AST) -> ast.AST:
        name = _variable(node)
        if not name or not isinstance(node, ast.expr):
            return self.generic_visit(node)
        default = node.args[1] if isinstance(node, ast.Call) and len(node.args) > 1 else ast.Constant(None)
        value = ast.Constant(self.environment[name]) if name in self.environment else default
        return ast.copy_location(value, node)


def _variable(node: ast.AST) -> str:
    """The variable that `os.environ.get("X", ..)`, `os.getenv("X")` or `os.environ["X"]` reads; "" for all else."""
    match node:
        case ast.Call(func=ast.Attribute(attr="get", value=owner), args=[ast.Constant(value=str(name)), *_]):
            return name if _is_environ(owner) else ""
        case ast.Call(
            func=ast.Attribute(attr="getenv") | ast.Name(id="getenv"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return name
        case ast.Subscript(value=owner, slice=ast.Constant(value=str(name))):
            return name if _is_environ(owner) else ""
    return ""


def _is_environ(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


def _suite(
    project: Path,
    command: str,
    module: str,
    chain: tuple[Remark, ...],
    unmigrated: tuple[Remark, ...],
    unread: list[Unread],
) -> Suite:
    files = _SetAs(project, {})
    settings = files.module(module) if module else None
    if settings is None:
        if module:
            reason = (
                f"the settings of the tests, {module}, are not among the project's files or cannot be read"
            )
            unread.append(Unread("tests", reason, blocking=False))
        return Suite(
            command, module, chain, unmigrated=unmigrated, strips=tuple(_strips(files, None, command))
        )
    engine = _engine(settings)
    if not engine:
        reason = f"which engine {module} gives the tests cannot be told from its text"
        unread.append(Unread("tests", reason, Where(settings.path), blocking=False))
    return Suite(
        command,
        module,
        chain,
        engine,
        _engine_line(files, settings, engine),
        tuple(_switches(project, module, engine, files.asked)),
        tuple(_strips(files, settings, command)),
        (*unmigrated, *_unmigrated(settings)),
    )


def _switches(
    project: Path, module: str, engine: str, asked: Mapping[str, set[str]]
) -> Iterator[tuple[str, str]]:
    """Each variable whose value leads to another engine, with the first such value."""
    for name, words in asked.items():
        for value in dict.fromkeys([*sorted(words - {"", "None"}), *_TRUTHS]):
            found = _SetAs(project, {name: value}).module(module)
            other = _engine(found) if found else ""
            if other and other != engine:
                yield f"{name}={value}", other
                break


def _engine(settings: Module) -> str:
    """The last part of the default database's backend; "" when it cannot be told."""
    databases = settings.names.get("DATABASES")
    default = databases.get("default") if isinstance(databases, dict) else None
    if isinstance(default, dict):
        engine = default.get("ENGINE")
        return engine.rpartition(".")[2] if isinstance(engine, str) else ""
    return _of_url(default) if isinstance(default, Built) else ""


def _of_url(made: Built) -> str:
    """`dj_database_url.config(default=..)`, `env.db(..)`: by the scheme of the address that is given."""
    for value in (made.get("default"), *made.args):
        if isinstance(value, str) and "://" in value:
            return _SCHEMES.get(value.partition("://")[0].lower(), "")
    return ""


def _engine_line(files: Files, settings: Module, engine: str) -> Where | None:
    """The line that names the engine: in the module itself, else in one it imports from."""
    modules = [settings, *(found for name in sorted(settings.imports) if (found := files._modules.get(name)))]
    for module in modules if engine else ():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value.endswith(f".{engine}")
            ):
                return Where(module.path, node.lineno)
    return Where(settings.path)


def _unmigrated(settings: Module) -> Iterator[Remark]:
    modules = settings.names.get("MIGRATION_MODULES")
    where = _assigned(settings, "MIGRATION_MODULES")
    if isinstance(modules, dict):
        off = sorted(str(app) for app, value in modules.items() if value is None)
        if off:
            yield Remark(where, f"MIGRATION_MODULES switches off the migrations of {', '.join(off)}")
    elif (
        isinstance(modules, Built)
        and isinstance(modules.callee, Class)
        and "__getitem__" in modules.callee.names
    ):
        yield Remark(where, f"MIGRATION_MODULES is {modules.callee.name}(): it answers for every app")
    if _migrate_off(settings.names.get("DATABASES")):
        yield Remark(
            _assigned(settings, "DATABASES"), 'TEST["MIGRATE"] is False: tables are made from the models'
        )


def _migrate_off(databases: Value) -> bool:
    default = databases.get("default") if isinstance(databases, dict) else None
    test = default.get("TEST") if isinstance(default, dict) else None
    return isinstance(test, dict) and test.get("MIGRATE") is False


def _assigned(module: Module, name: str) -> Where:
    lines = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    return Where(module.path, lines[-1] if lines else None)


# ------------------------------------------------------------------ what bends the models


def _strips(files: Files, settings: Module | None, command: str) -> Iterator[Remark]:
    """Lines that set a model's `_meta.db_table`, in the modules the run takes in: settings, runner, conftest, what they import."""
    runner = settings.names.get("TEST_RUNNER") if settings else None
    todo = [settings.dotted] if settings else []
    todo += [runner.rpartition(".")[0]] if isinstance(runner, str) else []
    todo += ["conftest"] if command == "pytest" else []
    seen: set[str] = set()
    while todo:
        dotted = todo.pop(0)
        if dotted in seen or not files.path_of(dotted):
            continue
        seen.add(dotted)
        module = files.module(dotted)
        if module is None or "models" in dotted.split("."):
            continue
        todo += sorted(module.imports)
        for node in ast.walk(module.tree):
            if _sets_db_table(node):
                yield Remark(Where(module.path, getattr(node, "lineno", None)), ast.unparse(node))


def _sets_db_table(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=[ast.Attribute(attr="db_table", value=ast.Attribute(attr="_meta"))]):
            return True
        case ast.Call(
            func=ast.Name(id="setattr"), args=[ast.Attribute(attr="_meta"), ast.Constant("db_table"), _]
        ):
            return True
    return False


def _line(project: Path, name: str, text: str) -> Where:
    """The first line of a file that holds a text."""
    try:
        lines = (project / name).read_text("utf-8-sig", "replace").split("\n")
    except OSError:
        return Where(name)
    return Where(name, next((number for number, line in enumerate(lines, 1) if text and text in line), None))
