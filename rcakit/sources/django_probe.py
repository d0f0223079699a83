"""Tells what a Django project declares, from inside the project's own interpreter.

One file, the standard library and the project's Django (3.2 to 6.x), Python 3.8 syntax; nothing of rcakit is
imported. `django_live.py` starts it as ``PYTHON django_probe.py MODULE`` in the project directory and reads JSON
lines from its standard output::

    {"kind": "project", ...}  {"kind": "model", ...}  {"kind": "migration", ...}  {"kind": "unread", ...}
    {"kind": "error", "stage": "settings", ...}       last line: {"kind": "end"}

The keys of each line are the field names of `rcakit.facts`. What the project prints goes to standard error.
No database is ever connected to: every way Django has to do so raises `OperationalError` here, which is what code
that asks too early has to expect anyway (https://docs.djangoproject.com/en/stable/ref/applications/#django.apps.AppConfig.ready).

The helpers that need no Django (`canonical_type`, `BUILTIN_TYPES`, `operation_nodes`) are shared with the static reader.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import platform
import re
import shlex
import site
import sys
import sysconfig
import textwrap
import traceback
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Callable, Dict, Iterable, Iterator  # noqa: UP035  Python 3.8

Emit = Callable[..., None]
Fact = Dict[str, Any]  # noqa: UP006  evaluated by Python 3.8

OLDEST, NEWEST = (3, 2), (6, 99)


class Stop(Exception):  # noqa: N818  it ends the run, it is not shown
    """The project cannot be read: a stage and the facts of the failure."""

    def __init__(self, stage: str, **facts: Any) -> None:
        super().__init__(stage)
        self.facts = {"stage": stage, **facts}


# ------------------------------------------------------------------ types, as format_type prints them

ALIASES = {
    "bigserial": "bigint",
    "bool": "boolean",
    "bpchar": "character",
    "char": "character",
    "decimal": "numeric",
    "double": "double precision",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "serial": "integer",
    "serial2": "smallint",
    "serial4": "integer",
    "serial8": "bigint",
    "smallserial": "smallint",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
    "varchar": "character varying",
}
SHAPES = (
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
)
SPELLED = {
    (shape + tail).upper(): shape + tail for shape in (*SHAPES, "Geometry") for tail in ("", "Z", "M", "ZM")
}


def canonical_type(text: str) -> str:
    """A column type the way PostgreSQL's `format_type` prints it: "varchar(9)[]" is "character varying(9)[]".

    https://www.postgresql.org/docs/current/datatype.html lists the aliases. A text it does not know is only
    stripped and lower-cased; a quoted name is kept.
    """
    text = text.strip()
    array = ""
    while text.endswith("]"):
        text, array = text[: text.rindex("[")].rstrip(), "[]"
    if '"' in text:
        return text + array
    head, _, rest = text.lower().partition("(")
    arguments, _, tail = rest.partition(")")
    base = " ".join((head + " " + tail).split())
    base = ALIASES.get(base, base)
    given = [part.strip() for part in arguments.split(",")] if arguments.strip() else []
    return _with_arguments(base, [SPELLED.get(part.upper(), part) for part in given]) + array


def _with_arguments(base: str, given: list[str]) -> str:
    if not given:
        return base + "(1)" if base in ("character", "bit") else base
    if base == "double precision":  # float(n): the bits of the mantissa
        return "real" if int(given[0]) < 25 else base
    if base == "numeric" and len(given) == 1:
        given = [given[0], "0"]
    inside = "(" + ",".join(given) + ")"
    if base.startswith("time"):
        first, _, zone = base.partition(" ")
        return first + inside + " " + zone
    return base + inside


def _varchar(data: Any) -> str:
    length = data["max_length"]
    return "character varying" if length is None else f"character varying({length})"


def _numeric(data: Any) -> str:
    digits, places = data["max_digits"], data["decimal_places"]
    return "numeric" if digits is None else f"numeric({digits},{places or 0})"


BUILTIN_TYPES: Dict[str, Any] = {  # noqa: UP006  the same
    "AutoField": "integer",
    "BigAutoField": "bigint",
    "BigIntegerField": "bigint",
    "BinaryField": "bytea",
    "BooleanField": "boolean",
    "CharField": _varchar,
    "DateField": "date",
    "DateTimeField": "timestamp with time zone",
    "DecimalField": _numeric,
    "DurationField": "interval",
    "FileField": _varchar,
    "FilePathField": _varchar,
    "FloatField": "double precision",
    "GenericIPAddressField": "inet",
    "IPAddressField": "inet",
    "IntegerField": "integer",
    "JSONField": "jsonb",
    "NullBooleanField": "boolean",
    "PositiveBigIntegerField": "bigint",
    "PositiveIntegerField": "integer",
    "PositiveSmallIntegerField": "smallint",
    "SlugField": _varchar,
    "SmallAutoField": "smallint",
    "SmallIntegerField": "smallint",
    "TextField": "text",
    "TimeField": "time without time zone",
    "UUIDField": "uuid",
}
"""Django's own PostgreSQL types by internal type (django/db/backends/postgresql/base.py), for when it has no driver."""


class Undriven:
    """Stands in for a PostgreSQL connection where no driver is installed: enough for `Field.db_type`."""

    vendor = "postgresql"
    alias = "default"
    data_types = BUILTIN_TYPES

    class features:  # noqa: N801  Django's name
        related_fields_match_type = False

    class ops:  # noqa: N801  Django's name
        @staticmethod
        def quote_name(name: str) -> str:
            return f'"{name}"'


# ------------------------------------------------------------------ places in files


class Places:
    """Turns files into paths that mean something outside this machine, and finds classes in them."""

    def __init__(self, project: str) -> None:
        self.project = os.path.realpath(project)
        found = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("platlib")]
        self.installed = [os.path.realpath(path) for path in found]
        self.standard = os.path.realpath(sysconfig.get_path("stdlib"))
        self.trees: dict[str, Any] = {}

    def first_party(self, path: str) -> bool:
        path = os.path.realpath(path)
        return _below(path, self.project) and not any(
            _below(path, top) for top in (*self.installed, self.standard)
        )

    def relative(self, path: str) -> str:
        path = os.path.realpath(path)
        for top in self.installed:
            if _below(path, top):
                return "<site-packages>/" + os.path.relpath(path, top).replace(os.sep, "/")
        return os.path.relpath(path, self.project).replace(os.sep, "/")

    def tree(self, path: str) -> Any:
        if path not in self.trees:
            try:
                with open(path, "rb") as file:
                    self.trees[path] = ast.parse(file.read())
            except (OSError, SyntaxError, ValueError):
                self.trees[path] = ast.Module(body=[], type_ignores=[])
        return self.trees[path]

    def of_class(self, klass: type) -> Fact | None:
        """Path and line of a class statement; no line for a class made by a call."""
        module = getattr(sys.modules.get(klass.__module__), "__file__", None)
        if module is None:
            return None
        bodies = [each.__code__.co_filename for each in vars(klass).values() if inspect.isfunction(each)]
        for path in (module, *bodies):  # some packages set __module__ to another file than the class is in
            node = _class(self.tree(path), klass.__qualname__.split("."))
            if node is not None:
                return {"path": self.relative(path), "line": node.lineno}
        return {"path": self.relative(module), "line": None}


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


BLOCKS = ("body", "cases", "handlers", "orelse", "finalbody")


def _class(node: Any, names: list[str]) -> Any:
    """The last class statement of that dotted name, those under `if` and `try` included."""
    found = None
    for name in names:
        inside = [x for x in _statements(node) if isinstance(x, ast.ClassDef) and x.name == name]
        found = node = inside[-1] if inside else None
    return found


def _statements(node: Any) -> Iterator[Any]:
    """The node and the blocks of statements below it, level by level."""
    level = [node] if node else []
    while level:
        yield from level
        level = [x for y in level for block in BLOCKS for x in getattr(y, block, ())]


def operation_nodes(node: Any, count: int) -> list[Any]:
    """The expression of each of `count` operations in the list expression `node`, None where it cannot be told.

    A comprehension gives its element to every operation it makes, as long as the list has only one.
    """
    segments = _segments(node)
    rest = count - sum(fixed for fixed, _ in segments)
    many = len(segments) - (count - rest)
    if many > 1 or rest < 0 or (rest and not many):
        return [None] * count
    return [part for fixed, part in segments for _ in range(1 if fixed else rest)]


def _segments(node: Any) -> list[tuple[bool, Any]]:
    """(exactly one operation?, its expression) for each part of a list expression."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _segments(node.left) + _segments(node.right)
    if isinstance(node, (ast.List, ast.Tuple)):
        parts: list[tuple[bool, Any]] = []
        for item in node.elts:
            parts += _segments(item.value) if isinstance(item, ast.Starred) else [(True, item)]
        return parts
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return [(False, node.elt)]
    return [(False, None)]


def operations_node(tree: Any) -> Any:
    """The expression assigned to `operations` in the `Migration` class of a parsed file, None without one."""
    migration = _class(tree, ["Migration"])
    for statement in migration.body if migration else []:
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        if any(isinstance(target, ast.Name) and target.id == "operations" for target in targets):
            return statement.value
    return None


# ------------------------------------------------------------------ failures, without secrets

SENSITIVE = re.compile("API|TOKEN|KEY|SECRET|PASS|SIGNATURE|CREDENTIAL|DSN|URL", re.IGNORECASE)
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


def describe(error: BaseException, places: Places) -> Fact:
    """The last line of the traceback and the innermost place in the project; values of settings are blanked."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, SyntaxError):
        text = error.msg
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        text = QUOTED.sub("'***'", text)  # int('..') and its like quote the value they were given
    for secret in sorted(_secrets(error), key=len, reverse=True):
        text = text.replace(secret, "***")
    kind = type(error).__name__
    return {"error": f"{kind}: {text}" if text else kind, "where": _place(error, places)}


def _place(error: BaseException, places: Places) -> Fact | None:
    if isinstance(error, SyntaxError) and error.filename and os.path.exists(error.filename):
        return {"path": places.relative(error.filename), "line": error.lineno}
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    inside = [frame for frame in frames if os.path.exists(frame[0]) and places.first_party(frame[0])]
    inside = [frame for frame in inside if os.path.realpath(frame[0]) != os.path.realpath(__file__)]
    return {"path": places.relative(inside[-1][0]), "line": inside[-1][1]} if inside else None


def _secrets(error: BaseException) -> set[str]:
    """Values that must not be repeated: of the environment and of every variable the traceback passes."""
    found = set(_sensitive(os.environ.items()))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found.update(_sensitive(frame.f_globals.items()), _sensitive(frame.f_locals.items()))
    return {text for text in found if len(text) >= 3}


def _sensitive(items: Iterable[Any], depth: int = 4) -> Iterator[str]:
    for name, value in list(items):
        kind = type(value)  # isinstance() would wake Django's lazy objects
        if issubclass(kind, dict) and depth:
            yield from _sensitive(value.items(), depth - 1)
        elif issubclass(kind, str):
            if "://" in value and "@" in value:
                yield value.split("://", 1)[1].rsplit("@", 1)[0].partition(":")[2]
            if issubclass(type(name), str) and SENSITIVE.search(name):
                yield value


def settings_secrets(settings: Any) -> list[Any]:
    """[name, value] of the settings that hold a password or a key, or may: the parent blanks them in all it is told."""
    given = vars(getattr(settings, "_wrapped", settings))  # asked by name, Django refuses an empty SECRET_KEY
    return [pair for name, value in given.items() if name.isupper() for pair in _texts(name, value)]


def _texts(name: str, value: Any, depth: int = 4) -> Iterator[Any]:
    kind = type(value)
    if depth and issubclass(kind, dict):
        for key, part in value.items():
            yield from _texts(str(key), part, depth - 1)
    elif depth and issubclass(kind, (list, tuple)):
        for part in value:
            yield from _texts(name, part, depth - 1)
    elif issubclass(kind, str) and (SENSITIVE.search(name) or "://" in value or "password" in value):
        yield [name, value]


@contextmanager
def stage(name: str, places: Places) -> Iterator[None]:
    """Project code runs inside, and may raise anything at all: every failure becomes a `Stop`."""
    try:
        yield
    except Stop:
        raise
    except (Exception, SystemExit) as error:
        raise Stop(name, **describe(error, places)) from error


# ------------------------------------------------------------------ the project


def refuse_connections(emit: Emit, places: Places) -> None:
    """Make Django's and the drivers' connect functions raise; each attempt is told, the reading goes on."""
    failure = import_module("django.db.utils").OperationalError

    def refuse(*args: Any, **options: Any) -> None:
        frames = [frame for frame in traceback.extract_stack() if places.first_party(frame.filename)]
        frames = [frame for frame in frames if os.path.realpath(frame.filename) != os.path.realpath(__file__)]
        where = {"path": places.relative(frames[-1].filename), "line": frames[-1].lineno} if frames else None
        reason = "the project asks a database for something while it is loaded; the connection was refused"
        emit("unread", account="declared", reason=reason, where=where, blocking=False)
        raise failure("no database is connected to while the project is read")

    import_module("django.db.backends.base.base").BaseDatabaseWrapper.connect = refuse
    for name in ("psycopg", "psycopg2"):
        try:
            driver = import_module(name)
        except ImportError:
            continue
        setattr(driver, "connect", refuse)  # noqa: B010  an attribute of a module only known at run time
        if hasattr(driver, "Connection"):
            driver.Connection.connect = refuse


def postgres() -> Any:
    """A connection object that is never connected, to ask fields for their PostgreSQL type."""
    connections = import_module("django.db").connections
    for alias in connections:
        if connections[alias].vendor == "postgresql":
            return connections[alias]
    try:
        wrapper = import_module("django.db.backends.postgresql.base").DatabaseWrapper
    except (ImportError, import_module("django.core.exceptions").ImproperlyConfigured):
        return Undriven()
    return wrapper({"NAME": "none", "OPTIONS": {}, "TIME_ZONE": None, "CONN_MAX_AGE": 0}, "default")


def project_facts(settings: Any, labels: list[str]) -> Fact:
    django = import_module("django")
    default = settings.DATABASES.get("default") or {}
    options = default.get("OPTIONS") or {}
    return {
        "framework": "Django " + django.get_version(),
        "python": platform.python_version(),
        "apps": labels,
        "engine": default.get("ENGINE", ""),
        "search_path": search_path(options.get("options")),
    }


def search_path(options: Any) -> str | None:
    """The search_path in libpq's `options` ("-c search_path=adm,public"), None when it sets none.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
    """
    if not isinstance(options, str):
        return None
    found = None
    for word in shlex.split(options):
        text = word[2:] if word.startswith(("-c", "--")) else word
        name, equals, value = text.partition("=")
        if equals and name.strip().replace("-", "_") == "search_path":
            found = value.strip()
    return found


def explicit(model: Any) -> bool:
    """The table name is written down: in Meta, or in the many-to-many field that made the model."""
    owner = model._meta.auto_created
    if not owner:
        return "db_table" in model._meta.original_attrs
    return any(
        field.db_table for field in owner._meta.local_many_to_many if field.remote_field.through is model
    )


class Models:
    """Reads `Model` facts from loaded model classes."""

    def __init__(self, emit: Emit, places: Places) -> None:
        self.emit, self.places, self.connection = emit, places, postgres()
        self.shorten = import_module("django.db.backends.utils").truncate_name
        self.no_default = import_module("django.db.models.fields").NOT_PROVIDED
        self.models = import_module("django.db.models")

    def fact(self, model: Any) -> Fact:
        meta = model._meta
        owner = meta.auto_created or model
        return {
            "app": meta.app_label,
            "name": meta.object_name,
            "db_table": self.table(model),
            "explicit": explicit(model),
            "where": self.places.of_class(owner),
            "fields": [self.field(field) for field in meta.local_concrete_fields if self.stored(field)],
            "indexes": list(self.indexes(model)),
            "managed": bool(meta.managed),
            "auto_created": bool(meta.auto_created),
            "swapped": bool(meta.swapped),
            "alias": self.alias(model),
            "tablespace": meta.db_tablespace or "",
        }

    def table(self, model: Any) -> str:
        """A derived name is cut as Django does on PostgreSQL, whatever engine the settings name."""
        meta = model._meta
        return str(meta.db_table if explicit(model) else self.shorten(meta.db_table, 63))

    def alias(self, model: Any) -> str:
        django_db = import_module("django.db")
        try:
            allowed = [a for a in django_db.connections if django_db.router.allow_migrate_model(a, model)]
        except Exception as error:  # a router is the project's code
            self.unread(model, "a database router failed: " + describe(error, self.places)["error"])
            return "default"
        return "default" if "default" in allowed or not allowed else str(allowed[0])

    def unread(self, model: Any, reason: str) -> None:
        reason = f"{model._meta.label}: {reason}"
        where = self.places.of_class(model)
        self.emit("unread", account="declared", reason=reason, where=where, blocking=False)

    def stored(self, field: Any) -> bool:
        """False for a field that answers None as its type: Django makes no column for it."""
        return field.column is not None and self.type(field) != ""

    def type(self, field: Any) -> str | None:
        """The column's type; "" for no column, None when the field's own code cannot tell."""
        try:
            text = field.db_type(self.connection)
        except Exception:  # custom fields are the project's code; `field` reports it
            return None
        return "" if text is None else canonical_type(str(text))

    def field(self, field: Any) -> Fact:
        kind = self.type(field)
        if kind is None:
            self.unread(field.model, f"the field {field.name} does not tell its PostgreSQL type")
        own_keys = [part.name for part in getattr(field.model._meta, "pk_fields", [])]
        primary = bool(field.primary_key) or field.name in own_keys
        unique = bool(field.unique)
        return {
            "name": field.name,
            "column": field.column,
            "type": kind,
            "null": bool(field.null) and not primary,
            "primary_key": primary,
            "unique": unique,
            "index": unique or primary or bool(field.db_index),
            "references": self.references(field),
            "constrained": bool(getattr(field, "db_constraint", True)),
            "db_default": getattr(field, "db_default", self.no_default) is not self.no_default,
            "generated": bool(getattr(field, "generated", False)),
            "identity": field.get_internal_type() in ("AutoField", "BigAutoField", "SmallAutoField"),
        }

    def references(self, field: Any) -> list[str] | None:
        target = getattr(field.remote_field, "model", None) if field.remote_field else None
        if target is None or isinstance(target, str):
            return None
        return [self.table(target), field.target_field.column]

    def indexes(self, model: Any) -> Iterator[Fact]:
        meta = model._meta
        for index in meta.indexes:
            columns = self.columns(model, index.fields_orders and [name for name, _ in index.fields_orders])
            yield _index("index", index.name, columns, getattr(index, "condition", None) is not None)
        for kind, groups in (
            ("unique", meta.unique_together),
            ("index", getattr(meta, "index_together", ())),
        ):
            for names in groups:
                yield _index(kind, "", self.columns(model, names), False)
        for constraint in meta.constraints:
            columns = self.columns(model, getattr(constraint, "fields", ()))
            partial = getattr(constraint, "condition", None) is not None
            kind = self.kind(constraint)
            yield _index(kind, constraint.name, columns, partial and kind != "check")

    def kind(self, constraint: Any) -> str:
        if isinstance(constraint, self.models.CheckConstraint):
            return "check"
        return "unique" if isinstance(constraint, self.models.UniqueConstraint) else "exclude"

    @staticmethod
    def columns(model: Any, names: Any) -> list[str]:
        return [model._meta.get_field(name).column for name in names or ()]


def _index(kind: str, name: str, columns: list[str], partial: bool) -> Fact:
    return {"kind": kind, "name": name, "columns": columns, "partial": partial}


# ------------------------------------------------------------------ migrations


class Migrations:
    """Reads `Migration` facts from the files, in the order of an empty database; no history is consulted."""

    def __init__(self, emit: Emit, places: Places) -> None:
        self.emit, self.places = emit, places
        module = import_module("django.db.migrations.loader")
        self.loader = module.MigrationLoader(None, load=False, ignore_no_migrations=True)
        self.operations = import_module("django.db.migrations.operations")
        self.model_operation = import_module("django.db.migrations.operations.models").ModelOperation
        self.shorten = import_module("django.db.backends.utils").truncate_name

    def load(self) -> list[Any]:
        """Every migration on disk, a replaced one right before the squashed one that replaces it."""
        exceptions = import_module("django.db.migrations.exceptions")
        broken = (
            exceptions.NodeNotFoundError,
            exceptions.CircularDependencyError,
            exceptions.InvalidBasesError,
            KeyError,
        )
        try:
            self.loader.build_graph()
            plan = self.loader.graph._generate_plan(self.loader.graph.leaf_nodes(), at_end=True)
        except broken as error:
            told = describe(error, self.places)
            reason = "the order of the migrations cannot be told: " + told["error"]
            self.emit("unread", account="declared", reason=reason, where=told["where"], blocking=True)
            plan = sorted(self.loader.disk_migrations)
        return [self.loader.disk_migrations[key] for key in self.with_replaced(plan)]

    def with_replaced(self, plan: list[Any]) -> list[Any]:
        disk, ordered = self.loader.disk_migrations, []
        for key in [*plan, *sorted(disk)]:
            for name in [*disk[key].replaces, key] if key in disk else []:
                if tuple(name) in disk and tuple(name) not in ordered:
                    ordered.append(tuple(name))
        return ordered

    def fact(self, migration: Any) -> Fact:
        path = getattr(sys.modules.get(type(migration).__module__), "__file__", None)
        node = operations_node(self.places.tree(path)) if path else None
        where = {"path": self.places.relative(path), "line": None} if path else None
        return {
            "app": migration.app_label,
            "name": migration.name,
            "where": where,
            "operations": list(self.unfold(migration, migration.operations, node, where)),
            "dependencies": sorted([str(app), str(name)] for app, name in migration.dependencies),
            "replaces": [[str(app), str(name)] for app, name in migration.replaces],
            "atomic": bool(migration.atomic),
            "first_party": path is not None and self.places.first_party(path),
        }

    def unfold(
        self,
        migration: Any,
        operations: Any,
        node: Any,
        where: Any,
        side: str = "both",
        group: int | None = None,
    ) -> Iterator[Fact]:
        """One fact an operation; SeparateDatabaseAndState gives way to its parts."""
        nodes = operation_nodes(node, len(operations))
        for position, operation in enumerate(operations):
            at = position if group is None else group
            if isinstance(operation, self.operations.SeparateDatabaseAndState):
                yield from self.separate(migration, operation, nodes[position], where, side, at)
            else:
                line = getattr(nodes[position], "lineno", None)
                place = where and {"path": where["path"], "line": line}
                yield self.operation(migration, operation, side, at, place)
                yield from self.unfold(
                    migration, getattr(operation, "state_operations", ()), None, where, "state", at
                )

    def separate(
        self, migration: Any, operation: Any, call: Any, where: Any, side: str, at: int
    ) -> Iterator[Fact]:
        database, state = separate_arguments(call)
        if side != "state":  # inside state_operations the database part never runs
            yield from self.unfold(migration, operation.database_operations, database, where, "database", at)
        yield from self.unfold(migration, operation.state_operations, state, where, "state", at)

    def operation(self, migration: Any, operation: Any, side: str, group: int, where: Any) -> Fact:
        fact = {
            "kind": type(operation).__name__,
            "side": side,
            "group": group,
            "model": self.model(operation),
            "db_table": self.table(migration, operation),
            "description": self.description(operation, where),
            "where": where,
        }
        if isinstance(operation, self.operations.RunSQL):
            fact["sql"] = statements(operation.sql)
            fact["reverse_sql"] = None if operation.reverse_sql is None else statements(operation.reverse_sql)
        if isinstance(operation, self.operations.RunPython):
            fact["source"] = source_of(operation.code)
        return fact

    def description(self, operation: Any, where: Any) -> str:
        try:
            return str(operation.describe())
        except Exception as error:  # a custom operation is the project's code
            reason = "an operation cannot describe itself: " + describe(error, self.places)["error"]
            self.emit("unread", account="declared", reason=reason, where=where, blocking=False)
            return ""

    def model(self, operation: Any) -> str:
        for name in ("model_name_lower", "old_name_lower", "name_lower"):
            if hasattr(operation, name) and (name[0] == "m" or isinstance(operation, self.model_operation)):
                return str(getattr(operation, name))
        return ""

    def table(self, migration: Any, operation: Any) -> str | None:
        if isinstance(operation, self.operations.CreateModel):
            written = operation.options.get("db_table")
        elif isinstance(operation, self.operations.AlterModelTable):
            written = operation.table
        else:
            return None
        derived = f"{migration.app_label}_{operation.name_lower}"
        return str(written or self.shorten(derived, 63))


def separate_arguments(call: Any) -> tuple[Any, Any]:
    """The expressions of database_operations and state_operations in a parsed SeparateDatabaseAndState(...)."""
    given = dict(zip(("database_operations", "state_operations"), getattr(call, "args", ())))  # noqa: B905  3.8
    given.update({word.arg: word.value for word in getattr(call, "keywords", ()) if word.arg})
    return given.get("database_operations"), given.get("state_operations")


def statements(sql: Any) -> list[str]:
    """The statements of a RunSQL argument: a text, or a list of texts and (text, parameters) pairs."""
    if isinstance(sql, str):
        return [sql] if sql.strip() else []
    if not isinstance(sql, (list, tuple)):
        return [str(sql)]
    return [_filled(*part) if isinstance(part, (list, tuple)) else str(part) for part in sql]


def _filled(text: str, parameters: Any = None) -> str:
    """Parameters put in as SQL literals; the text as it is when they do not fit."""
    if parameters is None:
        return str(text)
    try:
        if isinstance(parameters, dict):
            return str(text) % {key: sql_literal(value) for key, value in parameters.items()}
        return str(text) % tuple(sql_literal(value) for value in parameters)
    except (TypeError, ValueError, KeyError):
        return str(text)


def sql_literal(value: Any) -> str:
    """A Python value as an SQL literal: safe whatever the text holds."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "ARRAY[" + ", ".join(sql_literal(item) for item in value) + "]"
    text = str(value).replace("'", "''")
    return "E'" + text.replace("\\", "\\\\") + "'" if "\\" in text else "'" + text + "'"


def source_of(code: Any) -> str:
    """Source text of a function or of the one inside `functools.partial`; "" when there is none."""
    while hasattr(code, "func"):
        code = code.func
    try:
        return textwrap.dedent(inspect.getsource(inspect.unwrap(code)))
    except (OSError, TypeError, ValueError, SyntaxError):
        return ""


# ------------------------------------------------------------------ the run


def run(emit: Emit, module: str) -> None:
    """Load the project's settings, models and migrations and emit a line for each fact."""
    places = Places(os.getcwd())
    try:
        django = import_module("django")
    except ImportError:
        raise Stop("no-django", python=platform.python_version()) from None
    if not OLDEST <= django.VERSION[:2] <= NEWEST:
        raise Stop("version", framework="Django " + django.get_version())
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    with stage("settings", places):
        settings = import_module("django.conf").settings
        settings.INSTALLED_APPS  # noqa: B018  loads the module
    emit("secrets", settings=settings_secrets(settings))
    with stage("setup", places):
        refuse_connections(emit, places)
        django.setup()
    registry = import_module("django.apps").apps
    emit("project", **project_facts(settings, [config.label for config in registry.get_app_configs()]))
    with stage("models", places):
        models = Models(emit, places)
        for model in registry.get_models(include_auto_created=True, include_swapped=True):
            if not model._meta.proxy:
                emit("model", **models.fact(model))
    with stage("migrations", places):
        migrations = Migrations(emit, places)
        for migration in migrations.load():
            emit("migration", **migrations.fact(migration))


def main(arguments: list[str]) -> None:
    """Keep standard output for the protocol, give the project standard error in its place, and run."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.path[0] = os.getcwd()

    def emit(kind: str, **facts: Any) -> None:
        channel.write(json.dumps({"kind": kind, **facts}) + "\n")

    try:
        if sys.version_info < (3, 8):  # noqa: UP036  the project's interpreter, not ours
            raise Stop("python", python=platform.python_version())
        run(emit, arguments[0])
    except Stop as stop:
        emit("error", **stop.facts)
    emit("end")
    channel.close()


if __name__ == "__main__":
    main(sys.argv[1:])
