"""Where the project's tables should be: said in the settings, in `rcakit.toml`, or by the models' own names.

A statement of the settings or the file wins over what a name implies. It is understood as the kit itself does: a table
of ``{"adm": ["venues"]}`` is that of the model whose `db_table` reads as adm.venues in any spelling, else of the one
that is called venues without a schema.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from rcakit.names import Name, Spelling, spelling

SETTING = "RCAKIT_GATE"
KEYS = ("EXPECTED", "CONFIG", "VERIFY_AFTER_MIGRATE")


class Declared(NamedTuple):
    """A table that a model declares."""

    model: str
    """Label of the model; that of an automatic many-to-many table is its own, "shop.Product_tags"."""
    db_table: str
    managed: bool

    @property
    def spelled(self) -> Spelling:
        return spelling(self.db_table)


class Expected(NamedTuple):
    """Where one table should be; schema None means "wherever search_path leads".

    `model` and `db_table` are "" for a table that was named and that no model declares.
    """

    model: str
    db_table: str
    target: Name
    source: str


class Said(NamedTuple):
    """The placement that somebody wrote down, and where; no tables when nobody did."""

    tables: Mapping[str, list[str]]
    source: str

    def targets(self) -> list[Name]:
        """Every table that is spoken of."""
        return [Name(schema, table) for schema, names in self.tables.items() for table in names]


def claimed(said: Said, tables: Iterable[Declared]) -> list[tuple[Name, list[Declared]]]:
    """Each expected table with the declared ones it speaks of.

    They are those of exactly its name, else of its bare name without a schema, else of its bare name in another schema
    when only one schema is said to have such a table.
    """
    exact: dict[Name, list[Declared]] = defaultdict(list)
    bare: dict[str, list[Declared]] = defaultdict(list)
    other: dict[str, list[Declared]] = defaultdict(list)
    for table in tables:
        spelled = table.spelled
        if spelled.relation is not None:
            for name in {spelled.relation, spelled.meant}:
                exact[name].append(table)
            (other if spelled.relation.schema else bare)[spelled.relation.name].append(table)
    uses = Counter(target.name for target in said.targets())
    return [
        (target, exact[target] or bare[target.name] or (other[target.name] if uses[target.name] == 1 else []))
        for target in said.targets()
    ]


def agreed(said: Said, tables: Iterable[Declared]) -> Mapping[Declared, Name]:
    """Where each declared table should be, as far as that was said, and not two things of one table."""
    targets: dict[Declared, set[Name]] = defaultdict(set)
    for target, claims in claimed(said, tables):
        for table in claims:
            targets[table].add(target)
    return {table: names.pop() for table, names in targets.items() if len(names) == 1}


def configured() -> Mapping[str, Any]:
    """The setting, its keys checked. Raises ImproperlyConfigured."""
    given = getattr(settings, SETTING, {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{SETTING} must be a dictionary, not {type(given).__name__}")
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise ImproperlyConfigured(
            f"{SETTING} has no key {', '.join(map(repr, unknown))}: there are {', '.join(KEYS)}"
        )
    return given


def said() -> Said:
    """What the settings say, else the configuration file. Raises ImproperlyConfigured."""
    given = configured()
    if "EXPECTED" in given:
        return Said(_checked(given["EXPECTED"], f'{SETTING}["EXPECTED"]'), f'{SETTING}["EXPECTED"]')
    path = Path(given["CONFIG"]) if "CONFIG" in given else _found()
    if path is None:
        return Said({}, "")
    source = f"[expected_schemas] of {path.name}"
    return Said(_checked(_document(path).get("expected_schemas", {}), source), source)


def _found() -> Path | None:
    here = Path.cwd()
    candidates = (folder / "rcakit.toml" for folder in (here, *here.parents))
    return next((each for each in candidates if each.is_file()), None)


def _document(path: Path) -> Mapping[str, Any]:
    if sys.version_info < (3, 11):  # noqa: UP036  a project may run an older one
        version = ".".join(map(str, sys.version_info[:2]))
        raise ImproperlyConfigured(
            f"{path} cannot be read: TOML needs Python 3.11, this is {version}. Put the tables into "
            f'{SETTING} = {{"EXPECTED": {{schema: [tables]}}}}'
        )
    import tomllib

    try:
        document: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImproperlyConfigured(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path} is not valid TOML: {error}") from None
    return document.get("tool", {}).get("rcakit", {}) if path.name == "pyproject.toml" else document


def _checked(tables: Any, source: str) -> Mapping[str, list[str]]:
    right = isinstance(tables, Mapping) and all(
        isinstance(names, (list, tuple)) and all(isinstance(each, str) and each for each in names)
        for names in tables.values()
    )
    if not right:
        raise ImproperlyConfigured(f"{source} must name lists of tables by schema: {{'adm': ['venues']}}")
    return {schema: list(names) for schema, names in tables.items()}
