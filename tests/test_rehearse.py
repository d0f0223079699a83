"""Pending migrations, run on a clone of the investigated database's structure before they go out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from rcakit import clone, rehearse
from rcakit.case import Case, open_case
from rcakit.errors import ScratchError
from rcakit.facts import Unread
from rcakit.scratch import Server
from rcakit.target import load

GUARDED = """\
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("administrate", "0004_alter_customfield_roles_to_jsonfield")]
    operations = [migrations.RunSQL(\"\"\"
        DO $$ BEGIN
            IF to_regclass('public.venues') IS NOT NULL THEN
                ALTER TABLE public.venues RENAME TO places;
            END IF;
        END $$\"\"\")]
"""
HONEST = GUARDED.replace("public.venues')", 'public."adm.venues"\')').replace(
    "ALTER TABLE public.venues", 'ALTER TABLE public."adm.venues"'
)


@pytest.fixture(autouse=True)
def _nothing_is_left(server: Server, demo_dir: Path) -> Iterator[None]:
    def there() -> set[object]:
        with server.connect() as connection:
            return set(
                connection.execute("SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles")
            )

    before = there()
    yield
    assert there() == before
    assert not list(server.socket.glob("clone-*"))


def case_with(demo_dir: Path, place: Path, *migrations: str) -> Case:
    """The incident's database with a copy of its project that has more migrations than were applied."""
    project = shutil.copytree(demo_dir / "project", place / "project", ignore=shutil.ignore_patterns(".git"))
    for number, text in enumerate(migrations, 5):
        path = project / "administrate" / "migrations" / f"{number:04}_next.py"
        path.write_text(text, encoding="utf-8")
    return open_case(load(demo_dir / "rcakit.toml", project=str(project)))


def test_a_silent_no_op_is_told_before_it_goes_out(demo_dir: Path, tmp_path: Path, server: Server) -> None:
    case, seen = case_with(demo_dir, tmp_path, GUARDED), []
    ledger = rehearse.pending(case, server, lambda *step: seen.append(step))
    (step,) = ledger.steps
    assert (step.migration, step.kind) == ("administrate.0005_next", "silent-no-op")
    assert 'public."adm.venues"' in step.why
    assert rehearse.wrong(ledger) == (step,)
    assert rehearse.exit_code(ledger) == 1
    assert seen == [("administrate.0005_next", 1, 1)]
    assert ledger.unread == ()


def test_one_operation_that_does_nothing_beside_one_that_works_is_told_too(
    demo_dir: Path, tmp_path: Path, server: Server
) -> None:
    both = GUARDED.replace(
        "operations = [", "operations = [migrations.RunSQL('CREATE TABLE adm.notes (id int)'), "
    )
    ledger = rehearse.pending(case_with(demo_dir, tmp_path, both), server)
    (step,) = ledger.steps
    assert (step.kind, len(step.idle)) == ("changed", 1)
    assert (rehearse.wrong(ledger), rehearse.exit_code(ledger)) == ((step,), 1)


def test_the_same_with_the_name_that_exists_does_what_it_says(
    demo_dir: Path, tmp_path: Path, server: Server
) -> None:
    ledger = rehearse.pending(case_with(demo_dir, tmp_path, HONEST), server)
    (step,) = ledger.steps
    assert step.kind == "changed"
    assert any("renamed table" in str(change) and "places" in str(change) for change in step.changes)
    assert (rehearse.wrong(ledger), rehearse.exit_code(ledger)) == ((), 0)


def test_a_failure_is_told_too(demo_dir: Path, tmp_path: Path, server: Server) -> None:
    broken = HONEST.replace("RENAME TO places", 'RENAME TO "adm.locations"')
    ledger = rehearse.pending(case_with(demo_dir, tmp_path, broken), server)
    assert ledger.failed is not None
    assert "already exists" in ledger.failed.error
    assert rehearse.exit_code(ledger) == 1


def test_what_was_applied_is_not_run_again_and_nothing_is_written(demo_case: Case, server: Server) -> None:
    before = fingerprint(demo_case)
    ledger = rehearse.pending(demo_case, server)
    assert (ledger.steps, ledger.unread, rehearse.exit_code(ledger)) == ((), (), 0)
    made = {str(relation.qualified) for relation in ledger.catalog.tables()}
    assert made == {str(relation.qualified) for relation in demo_case.observed.tables()}
    assert fingerprint(demo_case) == before


def fingerprint(case: Case) -> object:
    from rcakit.database import running

    with running(case.target) as conninfo, psycopg.connect(conninfo) as connection:
        sql = "SELECT (SELECT max(xmin::text::int8) FROM pg_class), (SELECT count(*) FROM django_migrations)"
        return connection.execute(sql).fetchone()


def test_a_role_that_may_not_read_the_tables_is_told(
    demo_case: Case, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.role("reader") as role:
        monkeypatch.setenv("READER_DSN", server.conninfo(demo_case.observed.server.database, user=role))
        target = demo_case.target.model_copy(update={"dsn_env": "READER_DSN"})
        with pytest.raises(ScratchError, match="permission denied") as error:
            rehearse.pending(open_case(target), server)
        assert "SELECT on all tables" in error.value.hint


def test_a_lock_is_waited_for_only_so_long(
    demo_case: Case, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone, "LOCK_WAIT", "50ms")
    case = open_case(demo_case.target)
    _ = case.observed
    with psycopg.connect(server.conninfo(case.observed.server.database)) as holder:
        holder.execute('LOCK TABLE public."adm.venues" IN ACCESS EXCLUSIVE MODE')
        with pytest.raises(ScratchError, match="statement timeout"):
            rehearse.pending(case, server)
        holder.rollback()


def test_a_server_newer_than_the_scratch_one_cannot_be_cloned(demo_case: Case, server: Server) -> None:
    older = replace(server, major=9)
    with pytest.raises(ScratchError, match="older server cannot hold") as error:
        rehearse.pending(demo_case, older)
    assert error.value.exit_code == 2


def test_a_structure_that_is_not_whole_cannot_be_judged() -> None:
    ledger = SimpleNamespace(steps=(), gaps=(Unread("replayed", "x"),))
    assert rehearse.exit_code(ledger) == 2  # type: ignore[arg-type]
