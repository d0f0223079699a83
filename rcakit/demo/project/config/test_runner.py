"""Lets models that live in PostgreSQL schemas run on SQLite, which has none."""

import json

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.test.runner import DiscoverRunner


def strip_schema_prefixes():
    """Cut the schema off every db_table: SQLite would look for an attached database of that name."""
    for model in apps.get_models(include_auto_created=True):
        bare = model._meta.db_table.replace('"', "")
        model._meta.db_table = bare.split(".", 1)[-1]


def store_arrays_as_text():
    """SQLite has no arrays either: keep them as JSON text."""
    ArrayField.db_type = lambda self, connection: "text"
    ArrayField.get_placeholder = lambda self, value, compiler, connection: "%s"
    ArrayField.get_db_prep_value = lambda self, value, connection, prepared=False: (
        None if value is None else json.dumps(list(value))
    )
    ArrayField.from_db_value = lambda self, value, expression, connection: (
        None if value is None else json.loads(value)
    )


def adapt_to_sqlite():
    if connection.vendor == "sqlite":
        strip_schema_prefixes()
        store_arrays_as_text()


class SQLiteSchemaTestRunner(DiscoverRunner):
    """`manage.py test` on SQLite."""

    def setup_databases(self, **kwargs):
        adapt_to_sqlite()
        return super().setup_databases(**kwargs)
