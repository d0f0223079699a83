"""What Django starts when ``"rcakit.gate"`` is in INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate

from rcakit.gate.after_migrate import look
from rcakit.gate.checks import table_names


class GateConfig(AppConfig):
    """Registers the system checks and the look after `migrate`.

    https://docs.djangoproject.com/en/stable/ref/applications/#configuring-applications"""

    name = "rcakit.gate"
    label = "rcakit_gate"
    verbose_name = "rcakit gate"

    def ready(self) -> None:
        """Django calls this once, when all models are there."""
        checks.register(table_names, checks.Tags.models)
        post_migrate.connect(look, dispatch_uid="rcakit.gate")
