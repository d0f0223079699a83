"""What people read of the gate: the convention, the template of a migration, what a task has to ask for, the expectations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rcakit.facts import Claim
from rcakit.names import Name
from rcakit.remedy.keep import toml_string
from rcakit.remedy.migration import count, plain
from rcakit.rules._concern import words

Expected = Mapping[str, Sequence[str]]
"""Schema -> its tables."""
DONE = "Done when, on PostgreSQL:"
_ABOUT = frozenset({"schema", "schemas", "table", "tables", "db_table"})
CONVENTION = """\
# Where tables live

Every table has one place, and `rcakit.toml` says which: `[expected_schemas]`.

- A table in a schema is declared with both pairs of quotes: `db_table = '{right}'`.
- Never `db_table = '{wrong}'`: PostgreSQL takes that as one name with a dot in it, in the first schema of `search_path`.
- A migration never asks `IF EXISTS` and then does nothing. It uses `MoveTable`, `AssertPlacement` or `ConditionalSQL` of
  `rcakit.gate.operations`, which fail where the result is not there: `docs/schema-migration-template.py.txt`.
- A task about schemas is done when the catalog says so: `python manage.py verify_schema_placement` exits 0 on PostgreSQL.
  Rows that come back, and names in the source, say nothing about where a table is; SQLite has no schemas.
- A new table in a schema is added to `rcakit.toml` in the same commit.

## Who looks

| when | what |
|---|---|
| every `migrate` | `rcakit.gate` verifies the placement afterwards |
| every change, in the pipeline | the migrations on an empty PostgreSQL, `verify_schema_placement`, `rcakit check` |
| by hand | `python manage.py verify_schema_placement`, `rcakit check` |

That it goes red when it should is proved with `rcakit gate --prove`.
"""
TEMPLATE = '''\
"""Move {table} to schema {schema}.

To be copied into the migrations of an app: set `dependencies` to its last migration, then the model and the names. It fails, and
nothing is recorded, when the table is not there or does not end where it was meant to.
"""

from django.db import migrations

from rcakit.gate.operations import AssertPlacement, MoveTable


class Migration(migrations.Migration):
    dependencies = [{dependency!r}]

    operations = [
        migrations.RunSQL({create!r}, migrations.RunSQL.noop),
        MoveTable({model!r}, {db_table!r}),
        AssertPlacement({bare!r}, [{name!r}]),
    ]
'''


def convention(name: Name) -> str:
    """docs/schema-placement.md, with a table of the project as the example."""
    return CONVENTION.format(right=name.sql, wrong=f"{name.schema}.{name.name}")


def template(name: Name, model: str, dependency: tuple[str, str]) -> str:
    """docs/schema-migration-template.py.txt, with names of the project."""
    schema = Name(None, str(name.schema)).sql
    return TEMPLATE.format(
        table=plain(name.name),
        schema=plain(str(name.schema)),
        dependency=dependency,
        create=f"CREATE SCHEMA IF NOT EXISTS {schema}",
        model=model,
        db_table=name.sql,
        bare=name.schema,
        name=name.name,
    )


def settings(expected: Expected, module: str) -> str:
    """A new rcakit.toml, in the project's directory."""
    return "\n".join(
        [
            "# Read by `manage.py verify_schema_placement`, by every migrate, and by `rcakit check`.",
            "[target]",
            'project = "."',
            f"settings = {toml_string(module)}",
            'python = "current"',
            "",
            *_expectations(expected),
            "",
        ]
    )


def added(text: str, expected: Expected) -> str:
    """An rcakit.toml that says nothing about schemas, with what is expected at its end."""
    return "\n".join([text.rstrip("\n"), "", *_expectations(expected), ""])


def _expectations(expected: Expected) -> Iterator[str]:
    yield "# Where every table has to be. A new table in a schema is added here in the same commit."
    yield "[expected_schemas]"
    for schema, tables in expected.items():
        key = schema if schema.isascii() and schema.isidentifier() else toml_string(schema)
        yield f"{key} = ["
        yield from (f"    {toml_string(table)}," for table in tables)
        yield "]"


def tasks(text: str, claims: Iterable[Claim], expected: Expected) -> str:
    """A task list with a done-test below each task that names one of the schemas; what was there stays as it is."""
    lines = text.split("\n")
    for claim in sorted(claims, key=lambda each: each.where.line or 0, reverse=True):
        at = claim.where.line or 0
        said = set(words(claim.text))
        named = [schema for schema in expected if schema in said]
        about = _ABOUT & {word.lower() for word in said}
        done = at < len(lines) and DONE in lines[at]
        if named and about and not done:
            indent = lines[at - 1][: len(lines[at - 1]) - len(lines[at - 1].lstrip())]
            lines[at:at] = [f"{indent}  - {_wording(schema, expected[schema])}" for schema in named]
    return "\n".join(lines)


def _wording(schema: str, tables: Sequence[str]) -> str:
    listed = ", ".join(f"`{table}`" for table in tables)
    return (
        f"{DONE} `python manage.py verify_schema_placement` exits 0; the catalog then holds {count(len(tables), 'table')} in schema "
        f"`{schema}`: {listed}. SQLite has no schemas and cannot show it."
    )
