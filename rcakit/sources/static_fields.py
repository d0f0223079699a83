"""Columns of Django's own fields, worked out from how a field is written.

https://docs.djangoproject.com/en/stable/ref/models/fields/ lists them; the types are those of Django's PostgreSQL
backend, shared with the probe. A field class from outside Django has no type here: only its own code knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from rcakit.sources.django_probe import BUILTIN_TYPES
from rcakit.sources.values import Built, Class, Ref, Value

HOMES = (
    "django.db.models.fields.files.",
    "django.db.models.fields.json.",
    "django.db.models.fields.related.",
    "django.db.models.fields.generated.",
    "django.db.models.fields.",
    "django.db.models.",
    "django.contrib.postgres.fields.",
    "django.contrib.postgres.search.",
)
LENGTHS = {
    "EmailField": 254,
    "FileField": 100,
    "FilePathField": 100,
    "ImageField": 100,
    "SlugField": 50,
    "URLField": 200,
}
INTERNAL = {"EmailField": "CharField", "URLField": "CharField", "ImageField": "FileField"}
ONLY_POSTGRES = {
    "BigIntegerRangeField": "int8range",
    "CICharField": "citext",
    "CIEmailField": "citext",
    "CITextField": "citext",
    "DateRangeField": "daterange",
    "DateTimeRangeField": "tstzrange",
    "DecimalRangeField": "numrange",
    "HStoreField": "hstore",
    "IntegerRangeField": "int4range",
    "SearchVectorField": "tsvector",
}
RELATIONS = frozenset({"ForeignKey", "OneToOneField", "ManyToManyField"})
AUTO = frozenset({"AutoField", "BigAutoField", "SmallAutoField"})
POSITIONS = ("verbose_name", "name", "primary_key", "max_length", "unique", "blank", "null", "db_index")
WITHOUT_COLUMN = frozenset({"GenericForeignKey", "GenericRelation", "CompositePrimaryKey"})
_DECIDES = frozenset(
    {"__init__", "db_type", "db_parameters", "get_internal_type", "rel_db_type", "data_type"}
)


def kind_of(built: Built) -> str | None:
    """The name of the Django field class it is, or is a plain subclass of; "" for a field of other making, None for none.

    A class of the project counts as its base as long as it overrides nothing that decides the column.
    """
    if isinstance(built.callee, Ref):
        return _kind_of_name(built.callee.dotted)
    return _kind_of_class(built.callee)


@lru_cache(maxsize=1024)
def _kind_of_name(dotted: str) -> str | None:
    for home in HOMES:
        name = dotted.removeprefix(home)
        if name != dotted and "." not in name:
            known = name in BUILTIN_TYPES or name in INTERNAL or name in ONLY_POSTGRES or name in RELATIONS
            return name if known or name in ("ArrayField", "GeneratedField") else _other(name)
    return _other(dotted.rpartition(".")[2])


def _other(name: str) -> str | None:
    if name in WITHOUT_COLUMN:
        return None
    if name.endswith("ManyToManyField"):
        return "ManyToManyField"
    if name.endswith(
        ("Key", "OneToOneField")
    ):  # ParentalKey, TreeForeignKey: by their names, they point to a model
        return "ForeignKey" if name.endswith("Key") else "OneToOneField"
    return "" if name.endswith("Field") else None


def _kind_of_class(klass: Class) -> str | None:
    kinds: list[str | None] = []
    for base in klass.bases:
        if isinstance(base, Class):
            kinds.append(_kind_of_class(base))
        elif isinstance(base, Ref):
            plain = base.dotted in ("django.db.models.Field", "django.db.models.fields.Field")
            kinds.append("" if plain else _kind_of_name(base.dotted))
    kind = next((kind for kind in kinds if kind is not None), None)
    return "" if kind and not _DECIDES.isdisjoint(klass.names) else kind


def may_add_columns(callee: Ref | Class) -> bool:
    """A class of the project that is no field by its looks, but may act as one: its base is not known, or it hooks in.

    https://docs.djangoproject.com/en/stable/howto/custom-model-fields/ tells of `contribute_to_class`.
    """
    if not isinstance(callee, Class):
        return False
    if "contribute_to_class" in callee.names:
        return True
    return any(not isinstance(base, Ref | Class) or may_add_columns(base) for base in callee.bases)


def argument(built: Built, name: str, default: Value = None) -> Value:
    """An argument every field takes, by keyword or by the position it has in `Field.__init__`."""
    if kind_of(built) in RELATIONS:
        return built.get(name, None, default)
    return built.get(name, POSITIONS.index(name) if name in POSITIONS else None, default)


def column_type(built: Built, kind: str) -> str | None:
    """The type of a field that is no relation, as `format_type` prints it; None when it cannot be told."""
    if kind == "ArrayField":
        base = built.get("base_field", 0)
        inner = column_type(base, kind_of(base) or "") if isinstance(base, Built) else None
        return inner and inner.removesuffix("[]") + "[]"
    if kind == "GeneratedField":
        output = built.get("output_field")
        return column_type(output, kind_of(output) or "") if isinstance(output, Built) else None
    if kind in ONLY_POSTGRES:
        return ONLY_POSTGRES[kind]
    written = BUILTIN_TYPES.get(INTERNAL.get(kind, kind))
    if written is None or isinstance(written, str):
        return written
    numbers = {
        "max_length": argument(built, "max_length", LENGTHS.get(kind)),
        "max_digits": built.get("max_digits", 2),
        "decimal_places": built.get("decimal_places", 3),
    }
    return written(numbers) if all(x is None or isinstance(x, int) for x in numbers.values()) else None


def is_true(built: Built, name: str, default: bool = False) -> bool:
    value = argument(built, name, default)
    return value is True if isinstance(value, bool) else default


def index_name(table: str, columns: Sequence[str], descending: Sequence[bool], suffix: str = "idx") -> str:
    """The name Django gives to an index of Meta that has none (`Index.set_name_with_model`)."""
    bare = table.split('"."')[-1].strip('"')
    ordered = [f"-{column}" if down else column for column, down in zip(columns, descending, strict=True)]
    digest = hashlib.md5("".join([bare, *ordered, suffix]).encode(), usedforsecurity=False).hexdigest()[:6]
    name = f"{bare[:11]}_{columns[0][:7]}_{digest}_{suffix}"
    return f"D{name[1:]}" if name[0] == "_" or name[0].isdigit() else name
