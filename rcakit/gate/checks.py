"""System checks for table names that PostgreSQL does not read the way they look; no database is needed.

``rcakit.E001``  a literal dot: ``"adm.venues"`` is one name, and its table lands in the first schema of search_path
``rcakit.E002``  no name at all: every statement on the table is a syntax error
``rcakit.W003``  longer than the 63 bytes that PostgreSQL keeps
``rcakit.E004``  the setting RCAKIT_GATE, or the file it leads to, cannot be read

A literal name that the settings expect, ``{"public": ["adm.venues"]}``, was decided on and is left alone; so are
unmanaged models, whose tables somebody else has named. https://docs.djangoproject.com/en/stable/topics/checks/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from rcakit.gate.expectations import Said, said
from rcakit.names import spelling


def table_names(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every name that does not mean what it looks like."""
    configs = apps.get_app_configs() if app_configs is None else app_configs
    try:
        agreed = said()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="rcakit.E004"), *_all(configs, Said({}, ""))]
    return list(_all(configs, agreed))


def _all(configs: Any, agreed: Said) -> Iterator[CheckMessage]:
    kept = {table for tables in agreed.tables.values() for table in tables}
    for config in configs:
        for model in config.get_models():
            options = model._meta
            if options.managed and not options.proxy and not options.swapped:
                yield from _about(model, options.db_table, model._meta.label, kept)
                for field in options.local_many_to_many:
                    if field.db_table:
                        yield from _about(field, field.db_table, f"{model._meta.label}.{field.name}", kept)


def _about(obj: Any, db_table: str, label: str, kept: set[str]) -> Iterator[CheckMessage]:
    spelled = spelling(db_table)
    wrote = f"{label} declares db_table = {db_table!r}"
    if spelled.relation is None:
        yield Error(
            f"{wrote}: Django emits {spelled.emitted}, which is no SQL name",
            hint='write a bare name, or \'"schema"."table"\' with both pairs of quotes',
            obj=obj,
            id="rcakit.E002",
        )
    elif spelled.kind == "literal-dot" and spelled.relation.name not in kept:
        yield Error(
            f"{wrote}: Django emits {spelled.emitted}, one name with a dot in it, and not {spelled.meant.sql}",
            hint=f"write db_table = '{spelled.meant.sql}' and move the table in a new migration, with "
            "rcakit.gate.operations.MoveTable; to keep the name, say where it lies: "
            f'RCAKIT_GATE = {{"EXPECTED": {{"public": ["{spelled.relation.name}"]}}}}',
            obj=obj,
            id="rcakit.E001",
        )
    elif spelled.truncated:
        yield checks.Warning(
            f"{wrote}: PostgreSQL cuts it to 63 bytes, {spelled.relation}",
            hint="choose a name of at most 63 bytes",
            obj=obj,
            id="rcakit.W003",
        )
