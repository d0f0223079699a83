"""A look at the result of every `manage.py migrate`, once for each run and database alias.

Django sends post_migrate once for every application, and after a partial `migrate app 0001` too. The look is therefore
taken when the last application is told, and only when no migration is left to apply; before that, it is said that it was
not taken. https://docs.djangoproject.com/en/stable/ref/signals/#post-migrate
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from rcakit.gate.errors import GateError
from rcakit.gate.expectations import configured, said
from rcakit.gate.journal import logger
from rcakit.gate.placement import verify


def look(sender: Any, using: str, **kwargs: Any) -> None:
    """Receives post_migrate. Raises GateError when a table is not where it should be."""
    if "plan" not in kwargs or sender is not _last():  # `flush` sends the signal too, without a plan
        return
    try:
        if not configured().get("VERIFY_AFTER_MIGRATE", True):
            return
        expected = said()
    except ImproperlyConfigured as error:
        raise GateError(str(error), returncode=2) from None
    executor = MigrationExecutor(connections[using])
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        logger.warning("%s: placement not verified, migrations yet to be applied: %d", using, len(pending))
        return
    result = verify([using], expected)
    for each in result.unread:
        logger.warning("%s: placement could not be verified: %s", using, each.reason)
    bare = executor.loader.unmigrated_apps  # whose tables only --run-syncdb makes
    wrong = [each for each in result.wrong if each.found or each.expected.model.partition(".")[0] not in bare]
    if wrong:
        lines = "\n".join(f"  {each}" for each in wrong)
        raise GateError(
            f"the migrations ran and are recorded, and {len(wrong)} of {len(result.placements)} tables are not where they "
            f"should be:\n{lines}"
        )
    if not result.unread:
        logger.info("%s: placement verified, %d tables", using, len(result.placements))


def _last() -> Any:
    return [config for config in apps.get_app_configs() if config.models_module is not None][-1]
