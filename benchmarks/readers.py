"""One reading of a catalog, as a process of its own: `python readers.py NAME CONNINFO [PG_DUMP]`.

Imports are not counted: they are done before the clock starts. Prints {"seconds", "cpu", "mb", ..} as JSON. The
standard library aside, each reader imports what it is about, in whatever interpreter has it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Act = Callable[[], dict[str, Any]]
SCHEMAS = [f"s{n}" for n in range(20)]


def rcakit(conninfo: str) -> Act:
    from rcakit import catalog, evidence

    def act() -> dict[str, Any]:
        with evidence.session(conninfo, run="benchmark", timeout_s=600) as recorder:
            found = catalog.read(recorder)
            queries = {kept.name: round(kept.seconds, 3) for kept in recorder.evidence}
        return {"relations": len(found.relations), "columns": len(found.columns), "queries": queries}

    return act


def floor(conninfo: str) -> Act:
    """The same queries with nothing of the kit around them: psycopg's binary cursors, rows only."""
    import psycopg

    from rcakit.evidence import query

    names = (
        "schemas",
        "relations",
        "columns",
        "defaults",
        "constraints",
        "indexes",
        "sequences",
        "functions",
    )
    texts = [query(name).encode() for name in (*names, "triggers", "views", "grants", "types")]
    settings = "set search_path = ''; set jit = off; set work_mem = '32MB'; set statement_timeout = '600s'"

    def act() -> dict[str, Any]:
        with psycopg.connect(conninfo) as connection:
            connection.execute(settings)
            kept = []
            for text in texts:
                with connection.cursor(binary=True) as cursor:
                    kept.append(cursor.execute(text).fetchall())
        return {"rows": sum(map(len, kept))}

    return act


def pg_dump(conninfo: str) -> Act:
    def act() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            target = str(Path(folder) / "dump.sql")
            subprocess.run([sys.argv[3], "-s", "-f", target, conninfo], check=True)
            return {"bytes": os.path.getsize(target)}

    return act


def _engine(conninfo: str) -> Any:
    import psycopg
    import sqlalchemy as sa

    return sa.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=sa.NullPool
    )


def get_multi(conninfo: str) -> Act:
    import sqlalchemy as sa

    engine = _engine(conninfo)
    what = ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints")

    def act() -> dict[str, Any]:
        inspector = sa.inspect(engine)
        kept = [getattr(inspector, f"get_multi_{each}")(schema=schema) for schema in SCHEMAS for each in what]
        return {"parts": sum(map(len, kept))}

    return act


def reflect(conninfo: str) -> Act:
    import sqlalchemy as sa

    engine = _engine(conninfo)

    def act() -> dict[str, Any]:
        metadata = sa.MetaData()
        for schema in SCHEMAS:
            metadata.reflect(engine, schema=schema)
        return {"tables": len(metadata.tables)}

    return act


def alembic(conninfo: str) -> Act:
    import sqlalchemy as sa
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = _engine(conninfo)

    def act() -> dict[str, Any]:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_schemas": True})
            return {"differences": len(compare_metadata(context, sa.MetaData()))}

    return act


def schemainspect(conninfo: str) -> Act:
    import psycopg2
    from psycopg2.extras import NamedTupleCursor
    from schemainspect import get_inspector

    def act() -> dict[str, Any]:
        with psycopg2.connect(conninfo) as session, session.cursor(cursor_factory=NamedTupleCursor) as cursor:
            return {"tables": len(get_inspector(cursor).tables)}

    return act


def migra(conninfo: str) -> Act:
    """A database compared with itself: both sides are read, and nothing is to be done."""
    import psycopg2
    from migra import Migration
    from psycopg2.extras import NamedTupleCursor

    def act() -> dict[str, Any]:
        with psycopg2.connect(conninfo) as session, session.cursor(cursor_factory=NamedTupleCursor) as cursor:
            migration = Migration(cursor, cursor)
            migration.set_safety(False)
            migration.add_all_changes()
            return {"statements": len(migration.statements)}

    return act


def inspectdb(conninfo: str) -> Act:
    import io

    import django
    from django.conf import settings
    from django.core.management import call_command
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(conninfo)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": given["dbname"],
        "HOST": given["host"],
        "PORT": given["port"],
        "USER": given["user"],
        "OPTIONS": {"options": "-c search_path=" + ",".join(SCHEMAS)},
    }
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=[])
    django.setup()

    def act() -> dict[str, Any]:
        out = io.StringIO()
        call_command("inspectdb", stdout=out)
        return {"models": out.getvalue().count("class Meta")}

    return act


READERS: dict[str, Callable[[str], Act]] = {
    "rcakit": rcakit,
    "floor": floor,
    "pg_dump -s": pg_dump,
    "SQLAlchemy get_multi_*": get_multi,
    "SQLAlchemy reflect": reflect,
    "schemainspect": schemainspect,
    "migra": migra,
    "Django inspectdb": inspectdb,
    "alembic compare": alembic,
}


def _cpu() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def _peak(child: bool) -> float:
    """MB. Of this process since it began, not what it was forked from (which `ru_maxrss` counts on Linux)."""
    status = Path("/proc/self/status")
    if child or not status.exists():
        return (
            resource.getrusage(resource.RUSAGE_CHILDREN if child else resource.RUSAGE_SELF).ru_maxrss / 1024
        )
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    act = READERS[sys.argv[1]](sys.argv[2])
    began, busy = time.perf_counter(), _cpu()
    said = act()
    seconds, cpu = time.perf_counter() - began, _cpu() - busy
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mb": _peak(sys.argv[1] == "pg_dump -s"), **said}))


if __name__ == "__main__":
    main()
