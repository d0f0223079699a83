"""Option B: the tables keep their place and their names; what changes is what everybody expects.

The guarded migration stays as it is, since it was applied. A new migration without operations says that its intent was
given up, the settings say where the tables are, and every finding that is accepted by this is waived until a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.facts import Finding
from rcakit.remedy import migration, move
from rcakit.remedy.parts import File, Repair
from rcakit.remedy.survey import Survey
from rcakit.target import Waiver

DAYS = 180
"""How long the findings stay waived before somebody has to look again."""
ACCEPTED = ("RK101", "RK102", "RK201", "RK202", "RK301")
"""What stays true when the names stay: the placement itself (RK401) is settled by the expectation."""
TRADE_OFFS = (
    "The database is not touched, and no deploy depends on it.",
    "The names stay unlike those of the sibling applications: every person and tool that reads 'schema.table' is misled.",
    "The privileges, backups and dumps of the schema do not cover these tables.",
    f"The waivers end after {DAYS} days; then the findings come back.",
)
_NOTHING = '''"""The tables of {app} stay where they are: {tables}.

An earlier migration ({earlier}) was meant to move them to {schemas}, and did not. That intent is given up: the dot is part of
their names. This migration does nothing on purpose; it is here so that the history says so.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {dependencies}

    operations = []
'''


def repair(case: Case, found: Survey) -> Repair:
    """Raises Refused where the place of the new migration is not certain, and where a table has left its name already."""
    for each in found.moves:
        if not each.pending:
            raise Refused(
                f"{each.new} was moved by hand: were the names kept, {each.model.label} would go on without its table",
                hint="take Option A or C, or move it back first",
            )
    expected = _expected(case.target.expected_schemas, found)
    reason = "the literal names are kept on purpose: see docs/schema-names.md"
    until = (case.started + timedelta(days=DAYS)).date()
    wanted = _accepted(case, found)
    waivers = tuple(Waiver(code=code, object=glob, reason=reason, expires=until) for code, glob in wanted)
    changed = {"docs/schema-names.md": _page(found)}
    labels = []
    for app in dict.fromkeys(each.model.app for each in found.moves):
        name = migration.new_name(app, case.declared, "keep_literal_names")
        labels.append(f"{app}.{name}")
        changed[str(migration.folder_of(app, case.declared) / f"{name}.py")] = _nothing(app, case, found)
    result = Repair(
        option="B",
        title=f"Keep {migration.count(len(found.moves), 'table')} where they are, and say so",
        dependants=("Nothing that hangs on these tables is affected.",),
        trade_offs=TRADE_OFFS,
        changed=changed,
        migrations=tuple(labels),
        expected=expected,
        waivers=waivers,
        keeps=True,
        moves=found.moves,
    )
    return move.with_files(case, result, (File("rcakit.toml.add", _settings(expected, waivers)),))


def _expected(now: Mapping[str, tuple[str, ...]], found: Survey) -> dict[str, tuple[str, ...]]:
    """What was expected, with these tables where they are instead of where they were meant to be."""
    gone = {(each.schema, each.new.name) for each in found.moves}
    expected = {
        schema: tuple(table for table in tables if (schema, table) not in gone)
        for schema, tables in now.items()
    }
    for each in found.moves:
        schema = str(each.now.schema)
        expected[schema] = (*expected.get(schema, ()), each.now.name)
    return {schema: tables for schema, tables in expected.items() if tables}


def _accepted(case: Case, found: Survey) -> list[tuple[str, str]]:
    """(code, glob over the object) of the findings that follow from the names, each once."""
    names = {name for each in found.moves for name in (each.old, each.new, each.now)}
    models = {each.model.label for each in found.moves}

    def follows(finding: Finding) -> bool:
        return finding.code in ACCEPTED and (
            finding.relation in names or finding.code in ("RK102", "RK301") or finding.object in models
        )

    rows: Iterable[Finding] = filter(follows, case.findings)
    return sorted({(finding.code, _escaped(finding.object)) for finding in rows})


def _escaped(text: str) -> str:
    """A glob that matches exactly this text."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def _nothing(app: str, case: Case, found: Survey) -> str:
    own = [each for each in found.moves if each.model.app == app]
    guarded = {finding.migration for finding in case.findings if finding.code in ("RK201", "RK301")}
    return _NOTHING.format(
        app=app,
        tables=migration.plain(", ".join(str(each.now) for each in own)),
        earlier=", ".join(sorted(label for label in guarded if label.startswith(f"{app}."))) or "none",
        schemas=migration.plain(", ".join(sorted({each.schema for each in own}))),
        dependencies=[(app, migration.leaf_of(app, case.declared).name)],
    )


def _page(found: Survey) -> str:
    rows = [f"| `{each.model.label}` | `{each.model.db_table}` | `{each.now}` |" for each in found.moves]
    return "\n".join(
        [
            "# Tables with a dot in their names",
            "",
            "These tables are not in the schema that their names begin with. The dot is part of the name, and they stay",
            'where they are. In SQL the whole name is quoted as one: `"schema.table"`, never `schema.table`.',
            "",
            "| model | db_table | in the database |",
            "|---|---|---|",
            *rows,
            "",
            'New tables are named with schema and table apart: `db_table = \'"schema"."table"\'`.',
            "",
        ]
    )


def _settings(expected: Mapping[str, Sequence[str]], waivers: Iterable[Waiver]) -> str:
    lines = [
        "# Add this to rcakit.toml; [expected_schemas] replaces the one that is there.",
        "[expected_schemas]",
    ]
    for schema, tables in expected.items():
        lines.append(f"{toml_string(schema)} = [{', '.join(toml_string(table) for table in tables)}]")
    for waiver in waivers:
        lines += [
            "",
            "[[waiver]]",
            f"code = {toml_string(waiver.code)}",
            f"object = {toml_string(waiver.object)}",
        ]
        lines += [f"reason = {toml_string(waiver.reason)}", f"expires = {waiver.expires.isoformat()}"]
    return "\n".join([*lines, ""])


def toml_string(text: str) -> str:
    """A basic string of TOML: https://toml.io/en/v1.0.0#string"""
    safe = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 0x20 or ord(char) == 0x7F else char
        for char in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{safe}"'
