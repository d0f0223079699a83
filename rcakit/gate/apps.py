"""What Django starts when ``"rcakit.gate"`` is in INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from rcakit.gate.checks import table_names


class GateConfig(AppConfig):
    """Registers the system checks. https://docs.djangoproject.com/en/stable/ref/applications/#configuring-applications"""

    name = "rcakit.gate"
    label = "rcakit_gate"
    verbose_name = "rcakit gate"

    def ready(self) -> None:
        checks.register(table_names, checks.Tags.models)
