"""The declared account: the models and migrations of a project."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from rcakit.facts.common import Unread, Where


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
