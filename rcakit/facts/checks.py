"""What the project checks, and what it claims: its tests, pipelines, gates and task lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rcakit.facts.common import Where

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
