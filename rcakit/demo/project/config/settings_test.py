"""Test settings: SQLite in memory, unless TEST_ON_POSTGRES=1 asks for the real thing."""

import os

from config.settings import *  # noqa: F401,F403

if os.environ.get("TEST_ON_POSTGRES") != "1":
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    # The migrations hold PostgreSQL statements; on SQLite the tables are made from the models.
    MIGRATION_MODULES = {"administrate": None, "tutorials": None}
    TEST_RUNNER = "config.test_runner.SQLiteSchemaTestRunner"
