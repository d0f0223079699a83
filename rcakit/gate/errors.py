"""The gate is shut."""

from __future__ import annotations

from django.core.management.base import CommandError


class GateError(CommandError):
    """Something is not where it should be, or a condition led nowhere; `manage.py` prints it without a traceback.

    Raised inside a migration it rolls that migration back, as any exception does.
    """
