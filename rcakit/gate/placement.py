"""Each declared table of a database alias: where it should be, where it is, and whether these agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, Error, connections, router

from rcakit.gate import catalog
from rcakit.gate.catalog import Catalog
from rcakit.gate.expectations import Declared, Expected, Said, agreed, claimed
from rcakit.names import Name, Spelling, visible

OK, MISPLACED, MISSING = "ok", "misplaced", "missing"


class Placement(NamedTuple):
    """One expected table.

    `found` is the relation that queries of the model reach; `nearest`, where that is not the right one, what most
    probably is. `verdict` is "ok", "misplaced" or "missing".
    """

    database: str
    expected: Expected
    found: Name | None
    nearest: Name | None
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """The row of the command's document; names are as PostgreSQL writes them."""
        wanted, found, nearest = self.expected.target, self.found, self.nearest
        return {
            "database": self.database,
            "model": self.expected.model or None,
            "db_table": self.expected.db_table or None,
            "table": wanted.name,
            "expected_schema": wanted.schema,
            "expected_by": self.expected.source,
            "found": str(found) if found else None,
            "nearest": str(nearest) if nearest else None,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        """One line for people; a name cannot break it, nor write to their terminal."""
        wanted = self.expected.target
        who = f" ({self.expected.model})" if self.expected.model else ""
        place = f"{wanted}" if wanted.schema else f"{wanted}, anywhere on search_path"
        text = f"{self.database}: {place}{who}: "
        if self.verdict == OK:
            return visible(f"{text}is {self.found}")
        at = f"it is {self.found}" if self.found else "there is none"
        near = f"; nearest is {self.nearest}" if self.nearest and self.nearest != self.found else ""
        return visible(f"{text}{self.verdict}, {at}{near} (expected by {self.expected.source})")


class Unread(NamedTuple):
    """A database that could not be checked, and why."""

    database: str
    reason: str


class Result(NamedTuple):
    """What was looked at, and what could not be."""

    placements: list[Placement]
    unread: list[Unread]

    @property
    def wrong(self) -> list[Placement]:
        return [each for each in self.placements if each.verdict != OK]


def verify(aliases: Any, said: Said) -> Result:
    """Compare every table that belongs to these database aliases; nothing is written."""
    result = Result([], [])
    for alias in aliases:
        connection = connections[alias]
        tables = declared(alias)
        if not tables and not (said.tables and alias == DEFAULT_DB_ALIAS):
            continue
        if connection.vendor != "postgresql":
            reason = f"its engine is {connection.vendor}, and only PostgreSQL has schemas to check"
            result.unread.append(Unread(alias, reason))
            continue
        try:
            with catalog.read_only(connection):
                observed = catalog.read(connection)
        except Error as error:
            result.unread.append(Unread(alias, str(error).strip().partition("\n")[0]))
            continue
        result.placements.extend(compare(alias, tables, said, observed))
    return result


def declared(alias: str) -> list[Declared]:
    """The tables that models declare and routers allow in this database; a proxy or swapped model has none."""
    found: dict[str, Declared] = {}
    for model in apps.get_models(include_auto_created=True):
        options = model._meta
        if not options.proxy and not options.swapped and router.allow_migrate_model(alias, model):
            found.setdefault(options.db_table, Declared(options.label, options.db_table, options.managed))
    return list(found.values())


def compare(alias: str, tables: list[Declared], said: Said, observed: Catalog) -> Iterator[Placement]:
    """One row for each managed table, for each unmanaged one that is spoken of, and for each that has no model.

    A table without a model is looked for in the default database.
    """
    told = agreed(said, tables)
    for table in tables:
        expected = _expected(table, told.get(table), said, observed)
        if expected is not None:
            yield _placement(alias, expected, table.spelled, observed)
    if alias == DEFAULT_DB_ALIAS:
        everywhere = [each for other in connections for each in declared(other)]
        for target, claims in claimed(said, everywhere):
            if not claims:
                yield _placement(alias, Expected("", "", target, said.source), None, observed)


def _expected(table: Declared, told: Name | None, said: Said, observed: Catalog) -> Expected | None:
    if told is not None:
        return Expected(table.model, table.db_table, told, said.source)
    if not table.managed:
        return None
    spelled = table.spelled
    implied = spelled.kind == "literal-dot" and spelled.meant.schema in observed.schemas
    source = "the prefix of db_table, a schema of that name exists" if implied else "db_table"
    target = spelled.meant if implied or spelled.relation is None else spelled.relation
    return Expected(table.model, table.db_table, target, source)


def _placement(alias: str, expected: Expected, spelled: Spelling | None, observed: Catalog) -> Placement:
    """`spelled` None: no model says how the table is reached, so it is looked for where it should be."""
    asked = spelled.relation if spelled else expected.target
    found = observed.find(asked) if asked else None
    wanted = observed.find(expected.target)
    if found is not None and found == wanted:
        return Placement(alias, expected, found, None, OK)
    nearest = wanted or observed.nearest(expected.target)
    return Placement(alias, expected, found, nearest, MISPLACED if found or nearest else MISSING)
