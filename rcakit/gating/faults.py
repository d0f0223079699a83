"""What is put into a copy of a project to see whether its gate goes red: each fault small, alone, and of a kind of its own.

Those of placement are the audit's (`blindness.mutants`). The others are here: what a migration can hide, and what happens to a
database and a history without any migration.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rcakit.blindness import mutants
from rcakit.blindness.mutants import Mutant, leaf_of, leaves_of
from rcakit.errors import ProjectError
from rcakit.facts import Accounts, Column, Migration, Relation
from rcakit.names import Name, literal, quote, spelling
from rcakit.placement import Placement
from rcakit.undo.copies import write

KINDS = (
    "wrong-schema", "literal-dot", "missing-table", "missing-constraint", "migration-without-effect", "guard-never-true",
    "missing-right", "swallowed-exception", "missing-column", "shadowed-name", "stamped-never-run", "edited-migration",
)  # fmt: skip
"""Every class of fault, in the order they are told."""
_MIGRATION = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {leaves!r}
    operations = [migrations.RunSQL(sql, migrations.RunSQL.noop) for sql in {statements!r}]
"""
_GUARDED = """DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = {never}) THEN
        ALTER TABLE {here} SET SCHEMA {schema};
    END IF;
END $$"""
_UNRIGHTED = """DO $$
BEGIN
    SET LOCAL ROLE pg_read_all_settings;
    IF EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = {table}) THEN
        ALTER TABLE {here} SET SCHEMA {schema};
    END IF;
    RESET ROLE;
END $$"""
"""The name is right, and `information_schema` shows nothing of a table to a role without a right on it."""
_SWALLOWED = """DO $$
BEGIN
    ALTER TABLE public.rcakit_never_was SET SCHEMA {schema};
EXCEPTION WHEN OTHERS THEN
    NULL;
END $$"""
_HIDDEN = {"guard-never-true": _GUARDED, "missing-right": _UNRIGHTED, "swallowed-exception": _SWALLOWED}
_EDIT = """

Migration.operations = [*Migration.operations, migrations.RunSQL("SELECT 1", migrations.RunSQL.noop)]
"""
_STATE_ONLY = """

Migration.operations = [migrations.SeparateDatabaseAndState(state_operations=Migration.operations)]
"""
NOTHING = "migration-without-effect"
_AGO = timedelta(days=1)


@dataclass(frozen=True)
class Fault:
    """One fault: how it gets into a copy of the project, and into the copy's database.

    files
        path -> text of files that are written.
    statements
        run in the database after its migrations, by its owner.
    appended
        path -> text that is put at the end of a file, after a commit where it is `committed`.
    fresh
        it is about migrations that ran already, so they are run from the beginning.
    """

    kind: str
    object: str
    mutant: Mutant | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    appended: Mapping[str, str] = field(default_factory=dict)
    committed: bool = False
    fresh: bool = False

    def inject(self, copy: Path, accounts: Accounts) -> None:
        """Put the fault into a copy of the project. Raises ProjectError when git is needed and fails."""
        if self.mutant is not None:
            self.mutant.inject(copy, accounts)
        for path, text in self.files.items():
            write(copy, path, text)
        if self.committed:
            _commit(copy)
        for path, text in self.appended.items():
            write(copy, path, (copy / path).read_bytes() + text.encode())


def of(accounts: Accounts, rows: Sequence[Placement], moved_by: str = "") -> Iterator[Fault]:
    """One fault of each kind that this project can have; `rows` are the tables of the project without a fault.

    `moved_by` is the label of the migration that brings them to their place, where that is known.
    """
    for mutant in mutants.of(accounts, rows):
        if not (mutant.empties and moved_by):
            yield Fault(mutant.kind, mutant.object, mutant, fresh=bool(mutant.empties))
    for migration in accounts.declared.migrations:
        if migration.label == moved_by and migration.where:
            yield Fault(NOTHING, moved_by, appended={migration.where.path: _STATE_ONLY}, fresh=True)
    tables = mutants.placed(accounts, rows)
    for number, kind in enumerate(_HIDDEN):
        if tables:
            yield _hidden(kind, tables[number % len(tables)], accounts)
    yield from _database(accounts, [row for row in tables if row.found])
    yield from _edited(accounts)


def _hidden(kind: str, row: Placement, accounts: Accounts) -> Fault:
    """One more migration that takes the table away, and whose way to bring it back does nothing in silence."""
    name = row.found.qualified if row.found else Name(None, row.spelling.db_table)
    words = {
        "here": Name("public", name.name).sql,
        "schema": quote(str(name.schema)),
        "table": literal(name.name).strip(),
        "never": literal(f"{name.name}_that_never_was").strip(),
    }
    migrations = accounts.declared.migrations
    leaf = leaf_of(migrations, row.model.partition(".")[0])
    place = Path(leaf.where.path).with_name(f"{mutants.NAME}.py") if leaf and leaf.where else Path()
    statements = [f"ALTER TABLE {name.sql} SET SCHEMA public", _HIDDEN[kind].format(**words)]
    text = _MIGRATION.format(leaves=leaves_of(migrations), statements=statements)
    return Fault(kind, str(name), files={place.as_posix(): text})


def _database(accounts: Accounts, tables: Sequence[Placement]) -> Iterator[Fault]:
    """What is done to a database by hand, or by a dump that was restored."""
    found = [row.found for row in tables if row.found]
    column = next((each for table in found if (each := _spare(accounts, table))), None)
    if column is not None:
        table = accounts.observed.by_oid[column.relation].qualified
        drop = f"ALTER TABLE {table.sql} DROP COLUMN {quote(column.name)} CASCADE"
        yield Fault("missing-column", f"{table}.{column.name}", statements=(drop,))
    bare = next(_bare(accounts), None)
    if bare is not None:
        like = f"CREATE TABLE rcakit_shadow.{quote(bare.name)} (LIKE {bare.qualified.sql} INCLUDING ALL)"
        path = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = rcakit_shadow, public', current_database()); END $$"
        yield Fault(
            "shadowed-name", str(bare.qualified), statements=("CREATE SCHEMA rcakit_shadow", like, path)
        )
    if tables:
        app = tables[-1].model.partition(".")[0]
        own = [row.found.qualified.sql for row in tables if row.found and row.model.startswith(f"{app}.")]
        drops = tuple(f"DROP TABLE {each} CASCADE" for each in own)
        yield Fault("stamped-never-run", app, statements=drops)


def _spare(accounts: Accounts, table: Relation) -> Column | None:
    """A column that no constraint needs."""
    needed = {
        number for each in accounts.observed.constraints_of.get(table.oid, ()) for number in each.columns
    }
    columns = accounts.observed.columns_of.get(table.oid, ())
    return next((each for each in columns if each.attnum not in needed), None)


def _bare(accounts: Accounts) -> Iterator[Relation]:
    """Tables that models name without a schema, and that lie in public."""
    for model in accounts.declared.models:
        name = spelling(model.db_table).relation
        found = accounts.observed.find(name) if name and name.schema is None else None
        if found is not None and found.schema == "public" and found.kind == "r" and model.installed:
            yield found


def _edited(accounts: Accounts) -> Iterator[Fault]:
    own: list[Migration] = [each for each in accounts.declared.migrations if each.first_party and each.where]
    if own and own[0].where:
        yield Fault("edited-migration", own[0].label, appended={own[0].where.path: _EDIT}, committed=True)


def _commit(copy: Path) -> None:
    """A repository whose only commit is older than the database's history."""
    at = (datetime.now(UTC) - _AGO).isoformat()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {f"GIT_{kind}_{part}": "rcakit" for kind in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    env = clean | who | dates | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    off = ["-c", f"core.hooksPath={os.devnull}", "-c", "commit.gpgSign=false"]
    for words in (["init", "-q"], ["add", "-A", "."], ["commit", "-q", "-m", "Before the edit"]):
        try:
            subprocess.run(["git", *off, *words], cwd=copy, env=env, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ProjectError(
                f"git could not commit a copy of the project: {error}", hint="is git installed?"
            ) from None
