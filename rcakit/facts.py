"""The facts the five accounts are made of. Immutable values, no behaviour beyond look-ups.

Catalog rows are `NamedTuple`s: their field names are the column names of `sql/*.sql`, and making one costs
a fraction of a frozen dataclass, which matters at half a million columns. All else is a frozen dataclass.
Objects of one database are matched by OID (and attnum), never by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeVar

from rcakit.names import Name

T = TypeVar("T")
K = TypeVar("K")

Severity = Literal["error", "warning", "note"]
Account = Literal["intended", "declared", "recorded", "replayed", "observed"]


# ------------------------------------------------------------------ shared by all accounts


class Rows(tuple[T, ...]):
    """Facts of one kind in their order: a tuple that shows itself as a table in a notebook (`rcakit.display`)."""


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in the project's files; `path` is relative to the project directory, POSIX style."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read or evaluated. Never the same as "clean".

    `account` says whose reading suffered, `reason` is one sentence without secrets. `blocking` is False for
    what a verdict does not rest on (a row count, say): such rows are listed, but do not turn an exit code into 2.
    """

    account: str
    reason: str
    where: Where | None = None
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `message` is the fact, `hint` the act, `evidence` ids like "E3"."""

    code: str
    rule: str
    severity: Severity
    object: str
    message: str
    hint: str
    where: Where | None = None
    evidence: tuple[str, ...] = ()
    migration: str = ""
    """Label of the migration the finding is about, "administrate.0003_migrate_to_adm_schema"; "" for none."""
    relation: Name | None = None
    """The relation the finding is about, as it is observed or expected; None for none."""


# ------------------------------------------------------------------ observed: pg_catalog


class Server(NamedTuple):
    """The session the observed account was read in."""

    version: str
    version_num: int
    database: str
    role: str
    superuser: bool
    search_path: str
    """The role's own search_path, as a fresh session has it (rcakit empties it for its queries)."""
    schemas_in_path: tuple[str, ...]
    """The existing schemas that path leads to, in order, `pg_catalog` left out."""
    encoding: str
    in_recovery: bool
    snapshot: str
    taken_at: datetime


class Schema(NamedTuple):
    oid: int
    name: str
    owner: str
    usable: bool
    """The session's role holds USAGE."""
    comment: str | None


class Relation(NamedTuple):
    """kind: r table, p partitioned, v view, m materialized view, f foreign, S sequence."""

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    persistence: str
    parent: int
    """OID of the partitioned or inherited parent, 0 for none."""
    row_security: bool
    readable: bool
    """The session's role holds some privilege, so `information_schema` shows it."""
    rows_estimate: int
    """`reltuples`; -1 when never analysed."""
    bytes_estimate: int
    """`relpages` times the block size, in bytes."""
    comment: str | None

    @property
    def qualified(self) -> Name:
        return Name(self.schema, self.name)


class Column(NamedTuple):
    relation: int
    attnum: int
    name: str
    type_oid: int
    typmod: int
    not_null: bool
    has_default: bool
    identity: str
    """"" none, "a" always, "d" by default."""
    generated: str
    """"" none, "s" stored, "v" virtual."""


class Default(NamedTuple):
    relation: int
    attnum: int
    expression: str
    digest: str = ""
    """MD5 of the stored tree, which names objects by OID: a rename changes the text, but not this."""


class Constraint(NamedTuple):
    """kind: p primary key, u unique, f foreign key, c check, x exclusion."""

    oid: int
    relation: int
    name: str
    kind: str
    columns: tuple[int, ...]
    foreign_relation: int
    foreign_columns: tuple[int, ...]
    validated: bool
    deferrable: bool
    deferred: bool
    on_delete: str
    on_update: str
    index_oid: int
    definition: str | None
    """Only for check and exclusion constraints."""


class Index(NamedTuple):
    oid: int
    relation: int
    name: str
    unique: bool
    primary: bool
    valid: bool
    columns: tuple[int, ...]
    """Key attnums in order, 0 for an expression; INCLUDE columns are left out."""
    definition: str | None
    """Only for expression and partial indexes."""


class Sequence(NamedTuple):
    relation: int
    """OID of the sequence itself, which is also a `Relation`."""
    owner_relation: int
    owner_attnum: int
    """The column it feeds (serial or identity), 0 and 0 for none."""
    identity: bool
    type: str
    start: int
    increment: int


class Function(NamedTuple):
    """kind: f function, p procedure, a aggregate, w window."""

    oid: int
    schema: str
    name: str
    arguments: str
    kind: str
    language: str
    owner: str
    source: str


class View(NamedTuple):
    """The query of a view or materialized view: `digest` is the MD5 of its stored tree, as in `Default`."""

    relation: int
    digest: str


class Trigger(NamedTuple):
    oid: int
    relation: int
    name: str
    function: int
    enabled: str
    definition: str


class Grant(NamedTuple):
    """object_kind: relation, schema or function."""

    object_kind: str
    object: int
    grantee: str
    privileges: tuple[str, ...]


class Dependant(NamedTuple):
    """A view, rule, constraint, trigger or default that PostgreSQL itself knows to hang on a relation."""

    relation: int
    kind: str
    dependant: str
    bound: str
    """"oid" survives a rename; "text" (a function body naming the table) does not."""


class HistoryTable(NamedTuple):
    """A relation called `django_migrations`; `read` marks the one `search_path` leads the project to."""

    oid: int
    schema: str
    rows: int | None
    """None when the role may not read it."""
    read: bool


@dataclass(frozen=True)
class Catalog:
    """The observed account: one snapshot of one database, system and extension objects left out."""

    server: Server
    schemas: tuple[Schema, ...] = ()
    relations: tuple[Relation, ...] = ()
    columns: tuple[Column, ...] = ()
    defaults: tuple[Default, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Function, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    views: tuple[View, ...] = ()
    grants: tuple[Grant, ...] = ()
    types: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """(type_oid, typmod) -> `format_type`, e.g. "character varying(100)"."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was read ("relations", "columns", ..) -> the evidence id of its query."""
    unread: tuple[Unread, ...] = ()
    """Objects whose names are not valid text in the database's encoding."""

    @cached_property
    def by_oid(self) -> dict[int, Relation]:
        return {relation.oid: relation for relation in self.relations}

    @cached_property
    def by_name(self) -> dict[tuple[str, str], Relation]:
        return {(relation.schema, relation.name): relation for relation in self.relations}

    @cached_property
    def named(self) -> dict[str, list[Relation]]:
        """Bare name -> every relation of that name, in any schema."""
        return _grouped(self.relations, attrgetter("name"))

    @cached_property
    def ending(self) -> dict[str, list[Relation]]:
        """A name, or what follows a dot in one, in small letters -> every relation it is of: "venues" -> "adm.venues"."""
        found: dict[str, list[Relation]] = defaultdict(list)
        for relation in self.relations:
            parts = relation.name.split(".")
            for key in {".".join(parts[n:]).lower() for n in range(len(parts))}:
                found[key].append(relation)
        return dict(found)

    @cached_property
    def columns_of(self) -> dict[int, list[Column]]:
        return _grouped(self.columns, attrgetter("relation"))

    @cached_property
    def constraints_of(self) -> dict[int, list[Constraint]]:
        return _grouped(self.constraints, attrgetter("relation"))

    @cached_property
    def indexes_of(self) -> dict[int, list[Index]]:
        return _grouped(self.indexes, attrgetter("relation"))

    @cached_property
    def schema_names(self) -> frozenset[str]:
        return frozenset(schema.name for schema in self.schemas)

    def find(self, name: Name) -> Relation | None:
        """What PostgreSQL would find: the exact relation, or for a bare name the first along search_path."""
        if name.schema is not None:
            return self.by_name.get((name.schema, name.name))
        return next(
            (
                found
                for schema in self.server.schemas_in_path
                if (found := self.by_name.get((schema, name.name)))
            ),
            None,
        )

    def tables(self) -> Iterator[Relation]:
        return (relation for relation in self.relations if relation.kind in "rpf")

    def type_name(self, column: Column) -> str:
        return self.types.get((column.type_oid, column.typmod), f"oid {column.type_oid}")


def _grouped(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for value, together in groupby(rows, key):
        groups.setdefault(value, []).extend(together)
    return groups


# ------------------------------------------------------------------ declared: the models


@dataclass(frozen=True, slots=True)
class Field:
    """A concrete column of a model. None means "this reader could not tell"."""

    name: str
    column: str
    type: str | None
    """As PostgreSQL's `format_type` prints it: "character varying(100)", "jsonb", "bigint"."""
    null: bool
    primary_key: bool = False
    unique: bool = False
    index: bool = False
    references: tuple[str, str] | None = None
    """(db_table, column) of the target of a foreign key, as declared."""
    constrained: bool = True
    """False for a foreign key with db_constraint=False."""
    db_default: bool = False
    generated: bool = False
    identity: bool = False
    """Fed by the database: serial or identity."""


@dataclass(frozen=True, slots=True)
class ModelIndex:
    """An index or constraint of `Meta`, or of unique_together; kind: index, unique, check or exclude."""

    kind: str
    name: str
    columns: tuple[str, ...]
    """Empty for an expression."""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One database table the project declares; proxies and abstract models have none and are not here."""

    app: str
    name: str
    db_table: str
    explicit: bool
    """`db_table` is written in Meta; False when Django derives it."""
    where: Where | None
    fields: tuple[Field, ...] = ()
    indexes: tuple[ModelIndex, ...] = ()
    managed: bool = True
    auto_created: bool = False
    """The automatic table of a many-to-many field."""
    swapped: bool = False
    installed: bool = True
    """False: a model class was found, but its app is not in INSTALLED_APPS or its module is never imported."""
    alias: str = "default"
    """The database alias the routers send its migrations to."""
    tablespace: str = ""
    complete: bool = True
    """False: the model may have more columns than `fields` tells (a base or a field from outside the project)."""
    sure: bool = True
    """False: whether the model exists at all depends on a condition that could not be told."""

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a migration, SeparateDatabaseAndState unfolded into its parts.

    `side` is "both", "database" (inside database_operations) or "state" (inside state_operations).
    """

    kind: str
    """Class name: CreateModel, AlterModelTable, RunSQL, RunPython, ..."""
    side: str = "both"
    group: int = 0
    """Position of the top-level operation in the migration, from 0."""
    sql: tuple[str, ...] = ()
    """Statements of a RunSQL, forward. Empty for other kinds."""
    reverse_sql: tuple[str, ...] | None = None
    """None when it cannot be reversed."""
    model: str = ""
    """Lower-case model name for model and field operations."""
    db_table: str | None = None
    """The table name a CreateModel (as written or derived) or an AlterModelTable sets."""
    source: str = ""
    """Source text of a RunPython's forward function, "" when there is none."""
    description: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Migration:
    app: str
    name: str
    where: Where | None
    operations: tuple[Operation, ...] = ()
    dependencies: tuple[tuple[str, str], ...] = ()
    replaces: tuple[tuple[str, str], ...] = ()
    atomic: bool = True
    first_party: bool = True
    """The file lies in the project directory, not in an installed package."""

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True)
class Declared:
    """The declared account. `how` is "live" or "static"."""

    how: str
    models: tuple[Model, ...] = ()
    migrations: tuple[Migration, ...] = ()
    """In the order Django would apply them on an empty database when read live; by app and name else."""
    unread: tuple[Unread, ...] = ()
    framework: str = ""
    """"Django 5.2.19"."""
    python: str = ""
    """Version of the interpreter that read it, "" when static."""
    apps: tuple[str, ...] = ()
    """Labels of the installed apps."""
    search_path: str | None = None
    """`-c search_path=..` of the project's own database settings, None when it sets none."""
    engine: str = ""

    @cached_property
    def table_names(self) -> dict[tuple[str, str], frozenset[str]]:
        """(app, model in lower case) -> every `db_table` it ever had, in the migrations and now."""
        given: dict[tuple[str, str], set[str]] = defaultdict(set)
        for model in self.models:
            given[model.app, model.name.lower()].add(model.db_table)
        for migration in self.migrations:
            for operation in migration.operations:
                if operation.db_table:
                    given[migration.app, operation.model].add(operation.db_table)
        return {key: frozenset(names) for key, names in given.items()}


# ------------------------------------------------------------------ recorded: the history


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the history table; `schema` is where that table lies."""

    app: str
    name: str
    at: datetime
    schema: str = "public"
    id: int = 0

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded account: what the history table the project reads says."""

    applied: tuple[Applied, ...] = ()
    tables: tuple[HistoryTable, ...] = ()
    elsewhere: tuple[Applied, ...] = ()
    """Rows of history tables in other schemas than the one the project reads."""
    edits: tuple[Edit, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(row.label for row in self.applied)


@dataclass(frozen=True, slots=True)
class Edit:
    """A commit that changed a migration file; `at` is its committer date, None when not committed yet."""

    label: str
    where: Where
    at: datetime | None
    commit: str
    subject: str
    operations_changed: bool
    """False when only comments, docstrings or layout changed."""


# ------------------------------------------------------------------ guards: SQL that may do nothing

Else = Literal["none", "raise", "notice", "warning", "statements"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement would leave behind: `subject` becomes `result` (None when it is dropped).

    kind: move (schema changed), rename, create, drop, alter.
    """

    kind: str
    object: str
    """table, column, index, schema, sequence, view, function, type, constraint, .."""
    subject: Name | None
    result: Name | None
    relation: Name | None = None
    """The table that a column, constraint, index, trigger, policy or rule belongs to; its own names are bare then."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition in SQL and what it guards.

    kind
        `if` a PL/pgSQL IF · `clause` IF EXISTS / IF NOT EXISTS of a plain statement · `loop` FOR over a query ·
        `return` an early RETURN under a condition · `exception` a handler that swallows errors.
    """

    migration: str
    kind: str
    condition: str
    """SQL expression; "" for an exception handler."""
    guarded: tuple[str, ...]
    """The statements that run when it is true."""
    effects: tuple[Effect, ...]
    otherwise: Else
    relations: tuple[Name, ...] = ()
    """Relations whose presence the condition tests, as far as they can be read from it."""
    negated: bool = False
    """True when it runs on absence (IF NOT EXISTS): an idempotent create."""
    operation: int = 0
    statement: int = 0
    line: int | None = None
    """Line in the SQL text, from 1."""
    where: Where | None = None
    swallows: tuple[str, ...] = ()
    """Conditions an exception block silently eats: ("others",)."""
    sql: str | None = None
    """For a condition that is not SQL (Python's): the same question as an SQL expression, "" when it cannot be put."""
    function: str = ""
    """The function whose body it stands in, when nothing in the same text calls it: defined, not run. "" else."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A guard's condition evaluated read-only against the investigated database. None: could not tell.

    as_role
        as the session's role sees it, `information_schema` privileges and all.
    as_catalog
        the same question put to `pg_catalog`, which hides nothing.
    """

    guard: Guard
    as_role: bool | None
    as_catalog: bool | None
    nearest: Relation | None = None
    """The existing relation that the condition most probably meant."""
    evidence: tuple[str, ...] = ()
    unread: Unread | None = None


# ------------------------------------------------------------------ intended


@dataclass(frozen=True, slots=True)
class Intent:
    """Where a table was meant to be, according to one source.

    strength: 3 said outright (expected_schemas), 2 acted upon (a guard's THEN branch, the prefix of a literal-dot
    name that is an existing schema), 1 implied (convention of sibling apps, task text).
    """

    db_table: str
    target: Name
    source: str
    strength: int
    where: Where | None = None
    evidence: tuple[str, ...] = ()


# ------------------------------------------------------------------ what the project checks, and claims

LooksAt = Literal[
    "source-text",
    "declared-name",
    "orm-round-trip",
    "mocked-cursor",
    "framework-introspection",
    "catalog",
    "other",
]
"""What an assertion really looks at: a file's text · `_meta.db_table` · rows through the models · a stand-in for a
cursor · what the framework finds by search_path · `pg_catalog` or `information_schema` with a schema in the predicate."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A line of the project and what is to be said about it."""

    where: Where
    what: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion of a test: its line, its text, and the line that decided what it looks at."""

    looks_at: LooksAt
    where: Where
    text: str
    decided: Remark


@dataclass(frozen=True, slots=True)
class ProjectTest:
    """One test function of the project; `id` is a pytest node id: "shop/tests.py::ShopTests::test_it"."""

    id: str
    where: Where
    assertions: tuple[Assertion, ...] = ()
    tasks: tuple[str, ...] = ()
    """Ids of tasks in its name, its docstrings and comments, or else its module's."""
    models: tuple[str, ...] = ()
    """Labels of the models it names, set-up and helpers of its file included."""
    migrations: tuple[str, ...] = ()
    """Labels of the migrations it imports or names."""

    @property
    def looks_at(self) -> LooksAt:
        """What its most telling assertion looks at."""
        order: tuple[LooksAt, ...] = (
            "catalog",
            "orm-round-trip",
            "framework-introspection",
            "declared-name",
            "source-text",
            "mocked-cursor",
        )
        seen = {assertion.looks_at for assertion in self.assertions}
        return next((kind for kind in order if kind in seen), "other")


@dataclass(frozen=True, slots=True)
class Suite:
    """One way the project's tests are run, and what they run on. Empty texts: it could not be told."""

    command: str
    """"pytest" or "manage.py test"."""
    settings: str
    """Dotted name of the settings module."""
    chain: tuple[Remark, ...] = ()
    """How that module was arrived at, step by step."""
    engine: str = ""
    """Last part of Django's backend: "sqlite3", "postgresql"."""
    engine_set: Where | None = None
    otherwise: tuple[tuple[str, str], ...] = ()
    """(environment variable with its value, the engine it leads to), where that is another one."""
    strips: tuple[Remark, ...] = ()
    """Lines that change the models' `db_table` while the tests run."""
    unmigrated: tuple[Remark, ...] = ()
    """Lines that keep migrations from running in tests."""

    @property
    def on_postgresql(self) -> bool:
        return self.engine in ("postgresql", "postgis", "psycopg", "")

    @property
    def switch(self) -> tuple[str, str] | None:
        """The environment variable and value that point the suite at PostgreSQL; None when there is none."""
        found = (name for name, engine in self.otherwise if engine in ("postgresql", "postgis"))
        name, equals, value = next(found, "").partition("=")
        return (name, value) if equals else None


@dataclass(frozen=True, slots=True)
class Call:
    """A command of `manage.py` ("verify_placement") or of rcakit ("rcakit check") that a pipeline runs.

    `skipped` is the setting that keeps it from running or from failing anything: "if: false"; "" for none.
    """

    name: str
    where: Where
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class CiJob:
    """One job of a CI pipeline, or one target of a local runner (Makefile, tox, nox), and what it does where.

    Each `Where` is the line that shows it; None: the job does not do that.
    """

    system: str
    """"GitHub Actions", "GitLab CI", "CircleCI", "Jenkins", "Makefile", "tox", "nox"."""
    name: str
    where: Where
    local: bool = False
    """Run by people, or by another job; not a pipeline by itself."""
    postgresql: Where | None = None
    tests: Where | None = None
    migrates: Where | None = None
    restores: Where | None = None
    """A dump is loaded before: the database is not a fresh one."""
    catalog: Where | None = None
    may_fail: Where | None = None
    settings: str = ""
    """DJANGO_SETTINGS_MODULE as the job sets it."""
    calls: tuple[Call, ...] = ()


State = Literal["there", "runs", "skipped", "removed"]
"""Of a gate: in the project's files, run by a pipeline, run so that it cannot fail, taken out by a commit."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A check of where tables are: rcakit's own, or a management command of the project's own."""

    name: str
    state: State
    where: Where
    """The line that runs it, or its file; of a removed one the file it was in."""
    how: str = ""
    """What skips it: "continue-on-error: true"; what became of a removed one: "its file was deleted"."""
    at: datetime | None = None
    commit: str = ""
    subject: str = ""
    """Of the commit that removed it."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """One task of a list. `id` is its own ("T005", "ADM-12"), "" without one; `text` is what follows it."""

    id: str
    text: str
    ticked: bool
    where: Where


@dataclass(frozen=True, slots=True)
class WayBack:
    """A migration that was undone and done again on scratch, and what that showed.

    `changes` is what the way back left different from before, as "- was" and "+ is"; `error` what it failed with.
    """

    migration: str
    where: Where | None
    changes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Accounts:
    """All a rule may look at. Built by `case.py` from a live target, by hand in the rules' tests."""

    observed: Catalog
    declared: Declared = Declared("static")
    recorded: Recorded = Recorded()
    intended: tuple[Intent, ...] = ()
    guards: tuple[Verdict, ...] = ()
    unread: tuple[Unread, ...] = ()
    replayed: Catalog | None = None
    """What the migrations leave behind on an empty database; None when they were not run, or did not all run."""
    ways_back: tuple[WayBack, ...] = ()
    """The migrations whose way back was tried; empty without a replay that reverses."""
    tests: tuple[ProjectTest, ...] = ()
    suites: tuple[Suite, ...] = ()
    ci: tuple[CiJob, ...] = ()
    claims: tuple[Claim, ...] = ()
    _made: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, work: Callable[[Accounts], T]) -> T:
        """What a function makes of these accounts, worked out when it is first asked for, and kept with them.

        For look-ups that many models share: a rule that goes through all of them for each of them is quadratic.
        """
        if work not in self._made:
            self._made[work] = work(self)
        found: T = self._made[work]
        return found

    gates: tuple[Gate, ...] = ()
