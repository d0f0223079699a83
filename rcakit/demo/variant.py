"""Exact text replacements: how one copy of the demo project gives its healthy twin and its earlier selves.

The files below `project/` are those of the incident as it was found. Nothing in them hints at a template, so a
replacement that no longer fits would go unnoticed; each therefore says how often its text must occur, and fails
when it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from rcakit.errors import ProjectError

Files = Mapping[str, str]
"""Path relative to the demo's directory, POSIX style -> text."""


class Change(Protocol):
    """A pure function of one file's text."""

    @property
    def path(self) -> str: ...

    def apply(self, text: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` becomes `new`, exactly `times` times, else ProjectError."""

    path: str
    old: str
    new: str
    times: int = 1

    def apply(self, text: str) -> str:
        _demand(self.path, self.old, text.count(self.old), self.times)
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Cut:
    """The text ends before the only place where `start` occurs, else ProjectError."""

    path: str
    start: str

    def apply(self, text: str) -> str:
        _demand(self.path, self.start, text.count(self.start), 1)
        return text.partition(self.start)[0].rstrip("\n") + "\n"


def _demand(path: str, sought: str, found: int, times: int) -> None:
    if found != times:
        raise ProjectError(
            f"the demo's {path} holds the text {sought[:60]!r} {found} times, not {times}",
            hint="the demo project and rcakit/demo no longer fit each other: reinstall rcakit, or apply an edit once only",
        )


def changed(files: Files, changes: Iterable[Change]) -> dict[str, str]:
    """`files` with every change applied in order. Raises ProjectError when one does not fit exactly."""
    result = dict(files)
    for change in changes:
        result[change.path] = change.apply(result.get(change.path, ""))
    return result


_ADMINISTRATE = "project/administrate/"
_MOVE = _ADMINISTRATE + "migrations/0003_migrate_to_adm_schema.py"
_TESTS = _ADMINISTRATE + "tests/test_adm_schema.py"
_TABLES = {
    "course_templates": "CourseTemplate",
    "custom_fields": "CustomField",
    "instructors": "Instructor",
    "locations": "Location",
    "pricelevels": "PriceLevel",
    "venues": "Venue",
    "course_template_price_levels": "CourseTemplatePriceLevel",
}

HEALTHY: tuple[Edit, ...] = (
    # The tables are created under plain names in public, moved by 0003, and the models say where they are.
    *(Edit(_ADMINISTRATE + "models.py", f'"adm.{table}"', f"""'"adm"."{table}"'""") for table in _TABLES),
    Edit(_ADMINISTRATE + "migrations/0001_initial.py", '"db_table": "adm.', '"db_table": "', times=7),
    *(Edit(_MOVE, f'    "{table}",\n', f'    ("{model}", "{table}"),\n') for table, model in _TABLES.items()),
    Edit(
        _MOVE,
        "Safe to run more than once: a table that is not in public any more is left alone.",
        "A table that is not where it should be stops the migration.",
    ),
    Edit(
        _MOVE,
        "SET SCHEMA adm;\n            END IF;",
        "SET SCHEMA adm;\n            ELSE\n"
        "                RAISE EXCEPTION 'table public.{table_name} does not exist';\n            END IF;",
    ),
    Edit(
        _MOVE,
        "SET SCHEMA public;\n            END IF;",
        "SET SCHEMA public;\n            ELSE\n"
        "                RAISE EXCEPTION 'table adm.{table_name} does not exist';\n            END IF;",
    ),
    Edit(
        _MOVE,
        "        migrations.RunSQL(make_forward_sql(table_name), make_reverse_sql(table_name))"
        " for table_name in TABLES\n",
        "        migrations.SeparateDatabaseAndState(\n"
        "            database_operations=[\n"
        "                migrations.RunSQL(make_forward_sql(table_name), make_reverse_sql(table_name))\n"
        "            ],\n"
        "            state_operations=[\n"
        """                migrations.AlterModelTable(name=model, table=f'"adm"."{table_name}"')\n"""
        "            ],\n"
        "        )\n"
        "        for model, table_name in TABLES\n",
    ),
    Edit(_TESTS, '"adm.course_templates"', """'"adm"."course_templates"'"""),
    Edit(
        _TESTS, '"course_templates", migration.TABLES', '"course_templates", dict(migration.TABLES).values()'
    ),
    Edit(
        "project/ops/20260202_grants.sql", "SCHEMA public, acted TO", "SCHEMA public, acted, adm TO", times=3
    ),
    Edit("project/ops/20260205_reporting.sql", '"adm.', '"adm"."', times=4),
    Edit("project/ops/development_data.sql", '"adm.', '"adm"."', times=7),
    Edit("rcakit.toml", 'id = "2026-02-05-adm-schema"', 'id = "2026-02-05-adm-schema-healthy"'),
    Edit(
        "rcakit.toml",
        'title = "Every migration is applied, every task is ticked, and schema adm holds no table"',
        'title = "The healthy twin: every table is where it was meant to be"',
    ),
)
"""The incident as it was found -> the same project without the fault."""
