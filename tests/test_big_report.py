"""A bad day in a big database: the page stays small, says how much it leaves out, and where that is."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import casefixture
import pytest
from casefixture import NOW, Event, make_case
from django_projects import write
from links import dead, dead_in
from psycopg import Connection, sql
from test_figures import texts
from test_render import page_of, read

from rcakit import save
from rcakit.names import Name
from rcakit.placement import Placement
from rcakit.report import figures, runs, sections
from rcakit.report.figures import Figure
from rcakit.target import Target

TABLES = 220


@pytest.fixture(scope="module")
def bad_day() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(casefixture, "TABLES", tuple(f"table_{n:04}" for n in range(TABLES)))
        yield make_case()


def test_the_page_of_a_bad_day_is_small(bad_day: Any) -> None:
    page = page_of(bad_day)
    assert len(page) < 400_000
    text = read(page).text
    assert f"50 of {TABLES} findings, all in evidence/findings.csv" in text
    assert f"50 of {TABLES} tables, all in evidence/accounts.csv" in text
    assert f"50 of {TABLES} guards, all in evidence/guards.csv" in text


def test_no_code_is_hidden_behind_another(bad_day: Any) -> None:
    shown = Counter(found[:5] for found in re.findall(r" id=(RK\d{3}-\d+)", page_of(bad_day)))
    expected = {code: min(number, 50) for code, number in Counter(f.code for f in bad_day.findings).items()}
    assert shown == expected
    assert max(Counter(f.code for f in bad_day.findings).values()) == TABLES


def test_every_link_of_a_big_page_leads_somewhere(bad_day: Any) -> None:
    assert dead_in(page_of(bad_day)) == []


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_is_left_out_is_in_the_files(bad_day: Any, tmp_path: Path) -> None:
    bad_day.intended = bad_day.accounts.intended
    folder = save.write(bad_day, tmp_path) / "evidence"
    rows = {name: read_csv(folder / f"{name}.csv") for name in ("findings", "guards")}
    assert [row["message"] for row in rows["findings"]] == [found.message for found in bad_day.findings]
    assert len(rows["guards"]) == TABLES
    placed = read_csv(folder / "accounts.csv")
    assert Counter(row["verdict"] for row in placed) == {"wrong schema": TABLES, "agrees": 1}
    assert placed[0]["observed"] == 'public."adm.table_0000"'


def spread(schemas: int) -> list[Placement]:
    """A table for each schema where it was meant to be, and one of every third in public instead."""
    case = make_case()
    good = next(row for row in case.placement if row.verdict == "agrees")
    bad = next(row for row in case.placement if row.verdict == "wrong schema")
    rows = []
    for n in range(schemas):
        meant = replace(good.intended, target=Name(f"s{n:03}", "t"))
        found = good.found._replace(schema=f"s{n:03}")
        rows.append(replace(good, intended=meant, found=found))
        if n % 3 == 0:
            rows.append(replace(bad, intended=meant))
    return rows


def test_the_matrix_of_many_schemas_names_the_worst() -> None:
    figure = figures.placement(spread(60))
    assert isinstance(figure, Figure)
    assert len(figure.svg) < 20_000
    shown = texts(figure).split("\n")
    assert shown.count("✕ 1") == figures.MEANT - 1
    assert "53 others" in shown
    assert f"✕ {20 - (figures.MEANT - 1)}" in shown
    assert "✓ 53" in shown


def test_the_matrix_of_few_schemas_names_them_all() -> None:
    shown = texts(figures.placement(spread(3))).split("\n")
    assert {"s000", "s001", "s002", "public"} <= set(shown)
    assert "as meant" not in shown


def test_schemas_that_hold_what_was_meant_share_a_row() -> None:
    case = make_case()
    case.placement = tuple(spread(24))
    text = read(sections.symptom(case)).text
    assert "16 other schemas" in text
    assert text.count("exists, holds 1") + text.count("does not exist, holds 1") == 8


def test_a_long_timeline_shows_both_ends() -> None:
    case = make_case()
    applied = [
        Event(NOW - timedelta(days=400 - n), f"app.{n:04} applied", "history table") for n in range(300)
    ]
    case.timeline = (*applied, *casefixture.make_case().timeline[-2:])
    reader = read(sections.timeline(case))
    for said in ("app.0000 applied", "… and 298 more", "app.0299 applied", "T005 ticked", "investigated"):
        assert said in reader.text
    assert "5 of 302 events" in reader.text


# ------------------------------------------------------------------ for real: a database, a project, a run

MODEL = """
class T{n}(models.Model):
    class Meta:
        db_table = {table!r}
"""
CREATE = """        migrations.CreateModel("T{n}", [("id", models.BigAutoField(primary_key=True))], options={{"db_table": {table!r}}}),
"""
MOVE = """from django.db import migrations


def move(table):
    return f'''DO $$ BEGIN
        IF EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = '{{table}}')
        THEN ALTER TABLE public.{{table}} SET SCHEMA {schema}; END IF; END $$'''


class Migration(migrations.Migration):
    dependencies = [({schema!r}, "0001_initial")]
    operations = [migrations.RunSQL(move(f"t{{n}}"), "") for n in range({first}, {last})]
"""


def project(place: Path, schemas: dict[str, range], spelling: str) -> Path:
    """An app for each schema: its tables, spelled in one way, then a migration that would move them there."""
    files = {
        "settings.py": f"INSTALLED_APPS = {list(schemas)}\nDEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n"
    }
    for schema, numbers in schemas.items():
        tables = [{"n": n, "table": spelling.format(schema=schema, n=n)} for n in numbers]
        made = "".join(CREATE.format(**table) for table in tables)
        files |= {
            f"{schema}/__init__.py": "",
            f"{schema}/models.py": "from django.db import models\n"
            + "".join(MODEL.format(**table) for table in tables),
            f"{schema}/migrations/__init__.py": "",
            f"{schema}/migrations/0001_initial.py": "from django.db import migrations, models\n\n\n"
            f"class Migration(migrations.Migration):\n    operations = [\n{made}    ]\n",
            f"{schema}/migrations/0002_move.py": MOVE.format(
                schema=schema, first=numbers[0], last=numbers[-1] + 1
            ),
        }
    return write(place, files)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [True, False], ids=["incident", "healthy"])
def test_a_real_big_database(wrong: bool, connection: Connection, conninfo: str, tmp_path: Path) -> None:
    schemas = {f"s{k}": range(60 * k, 60 * k + 60) for k in range(5)}
    spelling = "{schema}.t{n}" if wrong else '"{schema}"."t{n}"'
    for schema, numbers in schemas.items():
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        for n in numbers:
            name = ("public", f"{schema}.t{n}") if wrong else (schema, f"t{n}")
            connection.execute(
                sql.SQL("create table {} (id bigint generated by default as identity primary key)").format(
                    sql.Identifier(*name)
                )
            )
    connection.execute(
        "create table django_migrations (id serial, app text, name text, applied timestamptz default now())"
    )
    for schema in schemas:
        connection.execute(
            "insert into django_migrations (app, name) values (%s, '0001_initial'), (%s, '0002_move')",
            [schema] * 2,
        )
    target = Target(
        root=tmp_path,
        name="big",
        project=str(project(tmp_path / "project", schemas, spelling)),
        settings="settings",
    )
    run = runs.investigate(target, tmp_path / "reports", conninfo=conninfo)
    assert (run.status, run.reason) == ("findings" if wrong else "ok", "")
    page = run.report.read_text(encoding="utf-8")
    assert len(page) < 300_000
    assert dead(run.report) == []
    text = read(page).text
    if wrong:
        assert "300 tables that were meant for schemas s0, s1, s2 and 2 more are in public" in text
        assert "300 guards in s0.0002_move, s1.0002_move and 3 other migrations" in text
        assert "Other migrations with guards that are false 2 migrations" in text
    else:
        assert (
            "No incident was found: all of 300 declared tables where they were meant, 10 migrations applied."
            in text
        )
