"""The gate, put into a project as a patch: `rcakit gate --write`.

>>> print(written(case).text)                       # doctest: +SKIP

The project itself is never changed: what comes out is a unified diff that `git apply` takes in the project's directory.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rcakit.blindness.mutants import leaf_of
from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.facts import Declared
from rcakit.gating import pipeline, texts
from rcakit.gating import settings as settings_file
from rcakit.intent import settled
from rcakit.names import Name, spelling
from rcakit.remedy import patch
from rcakit.rules.gate_removed import APP
from rcakit.sources.project import settings_module

CONFIG = "rcakit.toml"
CONVENTION = "docs/schema-placement.md"
TEMPLATE = "docs/schema-migration-template.py.txt"
NAME = "schema-gate.patch"
_PYTHON = "3.12"
"""Of the pipeline's step, where the project's own is not known."""


@dataclass(frozen=True)
class Gate:
    """A patch for a project. `changed` is path -> new text; `notes` say what is left to people, one line each."""

    changed: Mapping[str, str]
    text: str
    expected: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()


def written(case: Case) -> Gate:
    """What the project lacks of a gate; an empty patch where it lacks nothing.

    Raises Refused when no table was meant for a schema of its own, or the settings are not to be found.
    """
    project = case.project
    expected = expectations(case)
    if not expected:
        raise Refused(
            "no table of this project was meant for a schema of its own: there is nothing to guard",
            hint="say where tables belong in [expected_schemas] of rcakit.toml, then ask again",
        )
    example, model, dependency = _example(case.declared, expected)
    module = settings_module(project, case.target.settings)
    path = settings_file.path_of(project, module)
    wanted = {
        path: _settings(project / path, path, case.declared),
        **_config(project, expected, module),
        **pipeline.files(project, case.checked.ci, path, _major(case), _python(case.declared)),
        **_requirement(project),
        CONVENTION: texts.convention(example),
        TEMPLATE: texts.template(example, model, dependency),
        **_tasks(case, expected),
    }
    runs = any(gate.state == "runs" for gate in case.accounts.gates)
    changed = {path: text for path, text in wanted.items() if _is_new(project / path, text)}
    return Gate(changed, patch.diff(project, changed), expected, tuple(_notes(project, changed, runs=runs)))


def put(gate: Gate, place: Path) -> Path:
    """Write the patch to a file, or into a directory; whole or not at all. Raises Refused when another text is there."""
    target = place / NAME if place.is_dir() else place
    if target.exists() and target.read_bytes() != gate.text.encode():
        raise Refused(f"{target} exists already, with another text", hint="name another place with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=target.parent, delete=False) as file:
        file.write(gate.text.encode())
    os.chmod(file.name, 0o644)
    os.replace(file.name, target)
    return target


def expectations(case: Case) -> dict[str, tuple[str, ...]]:
    """Schema -> tables: what the settings say, and else what was meant by everything else the project says."""
    found: dict[str, list[str]] = {
        schema: list(names) for schema, names in case.target.expected_schemas.items()
    }
    named = {table for tables in found.values() for table in tables}
    for row in case.placement:
        meant = settled(case.accounts.intended, row.spelling.db_table)
        target = meant.target if meant else None
        if target and target.schema and target.schema != "public" and target.name not in named:
            found.setdefault(target.schema, []).append(target.name)
    return {schema: tuple(sorted(set(tables))) for schema, tables in sorted(found.items()) if tables}


def _is_new(place: Path, text: str) -> bool:
    """Documents that are there already stay as people have written them."""
    if place.suffix in (".md", ".txt") and place.parent.name == "docs":
        return not place.exists()
    return not place.is_file() or place.read_text("utf-8") != text


def _settings(place: Path, path: str, declared: Declared) -> str:
    text = place.read_text("utf-8")
    return text if APP in declared.apps else settings_file.edited(path, text)


def _config(project: Path, expected: texts.Expected, module: str) -> dict[str, str]:
    place = project / CONFIG
    if not place.is_file():
        return {CONFIG: texts.settings(expected, module)}
    text = place.read_text("utf-8")
    return {} if "expected_schemas" in tomllib.loads(text) else {CONFIG: texts.added(text, expected)}


def _requirement(project: Path) -> dict[str, str]:
    """The app is imported wherever the project runs."""
    place = project / "requirements.txt"
    if not place.is_file():
        return {}
    text = place.read_text("utf-8")
    there = any(line.strip().lower().startswith("rcakit") for line in text.split("\n"))
    return {} if there else {"requirements.txt": text.rstrip("\n") + "\nrcakit\n"}


def _tasks(case: Case, expected: texts.Expected) -> dict[str, str]:
    made = {}
    for path in dict.fromkeys(claim.where.path for claim in case.claims):
        text = (case.project / path).read_text("utf-8", "surrogateescape")
        own = [claim for claim in case.claims if claim.where.path == path]
        if not any("\udc80" <= char <= "\udcff" for char in text) and "\r" not in text:
            made[path] = texts.tasks(text, own, expected)
    return made


def _example(declared: Declared, expected: texts.Expected) -> tuple[Name, str, tuple[str, str]]:
    """One of the tables, its model, and the last migration of its app; stand-ins for a table that no model declares."""
    names = [Name(schema, table) for schema, tables in expected.items() for table in tables]
    for model in declared.models:
        read = spelling(model.db_table)
        meant = [name for name in names if read.relation and read.meant.name == name.name]
        leaf = leaf_of(declared.migrations, model.app)
        if meant and leaf and not model.auto_created:
            return meant[0], model.name.lower(), (leaf.app, leaf.name)
    return names[0], "venue", ("app", "0001_initial")


def _major(case: Case) -> int:
    return case.observed.server.version_num // 10000


def _python(declared: Declared) -> str:
    return ".".join(declared.python.split(".")[:2]) if declared.python else _PYTHON


def _notes(project: Path, changed: Mapping[str, str], *, runs: bool) -> list[str]:
    notes = []
    if changed and not (project / "requirements.txt").is_file():
        notes.append("add rcakit to what the project installs: its app is imported wherever the project runs")
    if pipeline.GITHUB in changed or pipeline.GITLAB in changed:
        notes.append(
            "see that the step's variables are those the settings read; they were taken from the settings file"
        )
    elif not runs:
        commands = "; ".join(pipeline.COMMANDS)
        notes.append(f"add to your pipeline, with a PostgreSQL of its own: {commands}")
    return notes
