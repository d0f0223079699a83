"""The assertion that would have seen it: a test of the place of tables, ready to paste, for pytest and `manage.py test` alike.

It asks `pg_catalog`, which hides nothing from a role, and names schema and table. It is skipped where there are no schemas.
https://www.postgresql.org/docs/current/catalog-pg-class.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rcakit.names import Name

_HEAD = '''"""Where the tables are, asked of PostgreSQL's own catalog."""

from unittest import skipUnless

from django.db import connection
from django.test import TestCase

PLACE = """
    SELECT coalesce(string_agg(k.contype::text, '' ORDER BY k.contype), '')
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
    GROUP BY c.oid
"""


def constraints(schema, table):
    """One letter for each constraint of schema.table (p primary key, u unique, f foreign key); None: no such table."""
    with connection.cursor() as cursor:
        cursor.execute(PLACE, [schema, table])
        row = cursor.fetchone()
    return row[0] if row else None
'''
_TEST = """

@skipUnless(connection.vendor == "postgresql", "only PostgreSQL has schemas")
class {klass}(TestCase):
    def test_tables_are_where_they_were_meant_to_be(self):
        for schema, table, expected in {tables}:
            found = constraints(schema, table)
            self.assertIsNotNone(found, f"{{schema}}.{{table}} is not there")
            if expected is not None:
                self.assertEqual(found, expected, f"the constraints of {{schema}}.{{table}}")
"""
METHOD = "test_tables_are_where_they_were_meant_to_be"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A test class that looks at the place of some tables."""

    klass: str
    tables: tuple[Name, ...]

    def text(self, constraints: Mapping[Name, str] | None = None) -> str:
        """The class alone; `constraints` (table -> its letters) are asserted where given."""
        known = constraints or {}
        rows = "".join(
            f"            ({name.schema!r}, {name.name!r}, {known.get(name)!r}),\n" for name in self.tables
        )
        return _TEST.format(klass=self.klass, tables=f"[\n{rows}        ]")

    def whole(self, constraints: Mapping[Name, str] | None = None) -> str:
        """A file of its own, ready to paste."""
        return _HEAD + self.text(constraints)


def module(proposals: Iterable[Proposal], constraints: Mapping[Name, str] | None = None) -> str:
    """All of them in one file."""
    return _HEAD + "".join(each.text(constraints) for each in proposals)


def klass_name(tasks: Iterable[str], fallback: str) -> str:
    """A class name that says which task it is for: "T005TablesArePlaced"."""
    words = "".join(re.sub(r"\W", "", task) for task in tasks) or "".join(
        part.capitalize() for part in re.split(r"\W|_", fallback) if part
    )
    return f"{words}TablesArePlaced" if words[:1].isalpha() else f"Test{words}TablesArePlaced"
