import pytest

from config.test_runner import adapt_to_sqlite


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """pytest-django does not use TEST_RUNNER: do here what SQLiteSchemaTestRunner does."""
    adapt_to_sqlite()
