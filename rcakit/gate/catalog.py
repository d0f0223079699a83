"""The relations of one database, read from `pg_catalog` alone.

Neither `information_schema` nor `pg_table_is_visible` is asked: both leave out what the role may not use, or what
search_path does not lead to, and what is out of sight is what a gate is for.
https://www.postgresql.org/docs/current/catalog-pg-class.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import transaction

from rcakit.names import Name

TABLE_KINDS = "rpfvm"
"""Relations that a model can stand on: tables, partitioned and foreign ones, views."""

RELATIONS = """
SELECT n.nspname, c.relname, c.oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']::pg_catalog."char"[])
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace"
PATH = "SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))"


class Catalog(NamedTuple):
    """Every table and view by its name, all schemas, and the schemas search_path leads to, in order."""

    oids: dict[Name, int]
    schemas: tuple[str, ...]
    path: tuple[str, ...]

    def find(self, name: Name) -> Name | None:
        """The relation that a query would reach under this name, with its schema."""
        schemas = self.path if name.schema is None else (name.schema,)
        places = (Name(schema, name.name) for schema in schemas)
        return next((place for place in places if place in self.oids), None)

    def nearest(self, target: Name) -> Name | None:
        """The relation that most probably is the one looked for, under another name or in another schema."""
        lower = target.name.lower()
        tests: tuple[Callable[[str], bool], ...] = (
            lambda other: other == target.name,
            lambda other: other == f"{target.schema}.{target.name}",
            lambda other: other.endswith(f".{target.name}"),
            lambda other: other.lower().split(".")[-1] == lower,
        )
        for test in tests:
            found = sorted(each for each in self.oids if each != target and test(each.name))
            if found:
                return found[0]
        return None


def read(connection: Any) -> Catalog:
    """Read the catalog over one of Django's connections."""
    with connection.cursor() as cursor:
        cursor.execute(RELATIONS)
        oids = {Name(schema, name): oid for schema, name, oid in cursor.fetchall()}
        cursor.execute(SCHEMAS)
        schemas = tuple(row[0] for row in cursor.fetchall())
        cursor.execute(PATH)
        return Catalog(oids, schemas, tuple(row[0] for row in cursor.fetchall()))


@contextmanager
def read_only(connection: Any) -> Iterator[None]:
    """A transaction that cannot write; inside another one, a savepoint that cannot.

    https://www.postgresql.org/docs/current/sql-set-transaction.html
    """
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield
