"""Reads and writes rows through the project's own models on a scratch database, and asks Django what it would migrate.

The standard library, the project's Django and the two files beside it, Python 3.8 syntax. `rehearsal.py` starts it as
``PYTHON django_round_trip.py MODULE ORDER`` in the project directory, ORDER being JSON: host, port, user, database and the
labels of the models. It answers in JSON lines: one `model` each, one `pending`, and `end`. Every write is rolled back.
https://docs.djangoproject.com/en/stable/topics/db/transactions/
"""

from __future__ import annotations

import io
import json
import os
import platform
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcakit.sources.django_probe import Places, Stop, describe, settings_secrets, stage
    from rcakit.sources.django_replayer import databases, only_scratch, point, refuse_elsewhere
else:  # the script's own directory leads sys.path
    from django_probe import Places, Stop, describe, settings_secrets, stage
    from django_replayer import databases, only_scratch, point, refuse_elsewhere


class Undo(Exception):  # noqa: N818  it ends a transaction, it is not shown
    """Rolls a transaction back."""


def round_trip(model: Any) -> str:
    """Read a row, change it, delete it and insert it again, all rolled back; what was done, in words."""
    transaction = import_module("django.db").transaction
    connection = import_module("django.db").connection
    manager = model._base_manager
    first = manager.order_by("pk").first()
    if first is None:
        return "read (no row)"
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            if (
                manager.filter(pk=first.pk).update(
                    **{each.attname: getattr(first, each.attname) for each in fields}
                )
                != 1
            ):
                return "update reached no row"
            manager.filter(pk=first.pk)._raw_delete(using=connection.alias)
            manager.bulk_create([first])
            if not manager.filter(pk=first.pk).exists():
                return "the inserted row was not found"
            connection.check_constraints()
            raise Undo
    except Undo:
        return "read, updated, deleted, inserted"


def tell(channel: Any, kind: str, **facts: Any) -> None:
    channel.write(json.dumps({"kind": kind, **facts}) + "\n")


def models(channel: Any, labels: Any, places: Any) -> None:
    apps = import_module("django.apps").apps
    for label in labels:
        try:
            model = next(
                each for each in apps.get_models(include_auto_created=True) if each._meta.label == label
            )
            tell(
                channel,
                "model",
                label=label,
                rows=model._base_manager.count(),
                done=round_trip(model),
                error="",
            )
        except (
            Exception
        ) as error:  # the project's models and fields are its own code: they may raise anything
            tell(channel, "model", label=label, rows=None, done="", error=describe(error, places)["error"])


def pending(channel: Any, places: Any) -> None:
    """What `makemigrations --check` would say; empty text: nothing."""
    said = io.StringIO()
    management = import_module("django.core.management")
    try:
        management.call_command(
            "makemigrations", check_changes=True, dry_run=True, verbosity=1, stdout=said, no_color=True
        )
        tell(channel, "pending", text="", error="")
    except SystemExit:
        tell(channel, "pending", text=said.getvalue(), error="")
    except Exception as error:  # whatever the project's migrations raise
        tell(channel, "pending", text="", error=describe(error, places)["error"])


def run(channel: Any, module: str, order: Any) -> None:
    places = Places(os.getcwd())
    try:
        django = import_module("django")
    except ImportError:
        raise Stop("no-django", python=platform.python_version()) from None
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    with stage("settings", places):
        settings = import_module("django.conf").settings
        order["names"] = {each["alias"]: order["database"] for each in databases(settings)}
    tell(channel, "secrets", settings=settings_secrets(settings))
    with stage("setup", places):
        only_scratch(order)
        point(settings, order)
        refuse_elsewhere(order)
        django.setup()
        refuse_elsewhere(order)
    models(channel, order["models"], places)
    pending(channel, places)


def main(arguments: list[str]) -> None:
    """Keep standard output for the answers, and give the project standard error instead."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.path[0] = os.getcwd()
    try:
        run(channel, arguments[0], json.loads(arguments[1]))
    except Stop as stop:
        tell(channel, "error", **stop.facts)
    tell(channel, "end")
    channel.close()


if __name__ == "__main__":
    main(sys.argv[1:])
