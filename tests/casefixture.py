"""An investigated incident without a database: the facts are written down, what follows from them is real.

`make_case()` is the incident, `make_case(healthy=True)` the same project without the fault, and
`make_case(hostile=True)` the incident with markup, control and direction characters wherever people write text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rcakit import causes, intent, placement, rules
from rcakit.baseline import Parted
from rcakit.evidence import Evidence
from rcakit.facts import (
    Accounts,
    Applied,
    Catalog,
    Declared,
    Dependant,
    Effect,
    Guard,
    HistoryTable,
    Migration,
    Model,
    Operation,
    Recorded,
    Relation,
    Schema,
    Server,
    Unread,
    Verdict,
    Where,
)
from rcakit.names import Name
from rcakit.target import Incident, Target

HOSTILE = (
    "<img src=x onerror=alert(1)>\"'&$x^2$\u202e\x1b[31m\n\U0001f600</td></details><script>alert(2)</script>"
)
TABLES = (
    "course_template_price_levels",
    "course_templates",
    "custom_fields",
    "instructors",
    "locations",
    "pricelevels",
    "venues",
)
NOW = datetime(2026, 2, 5, 9, 30, tzinfo=UTC)
GUARDED = "administrate.0003_migrate_to_adm_schema"


@dataclass(frozen=True)
class Claim:
    id: str
    text: str
    ticked: bool
    where: Where


@dataclass(frozen=True)
class Event:
    at: datetime
    what: str
    source: str


def make_case(*, healthy: bool = False, hostile: bool = False, empty: bool = False) -> Any:
    evil = HOSTILE if hostile else ""
    accounts = _empty() if empty else _accounts(healthy, evil)
    findings = rules.run(accounts)
    if evil:
        findings = tuple(replace(row, message=row.message + evil, hint=row.hint + evil) for row in findings)
    rows = placement.placements(accounts)
    wrong = [row.found for row in rows if row.found and row.verdict == "wrong schema"]
    unread = (
        () if healthy or empty else (Unread("declared", f"a syntax error {evil}", Where(f"a/{evil}.py", 3)),)
    )
    return SimpleNamespace(
        target=Target(name="demo", incident=Incident(id="INC-42", title=f"adm schema is empty {evil}")),
        accounts=accounts,
        checked=accounts,
        observed=accounts.observed,
        declared=accounts.declared,
        recorded=accounts.recorded,
        guards=accounts.guards,
        findings=findings,
        standing=findings,
        waived=(),
        causes=causes.chain(accounts, findings),
        unread=unread,
        broken=None,
        evidence=[] if empty else _evidence(evil),
        placement=rows,
        reading=SimpleNamespace(
            rows={relation.oid: 1204 for relation in wrong},
            dependants=tuple(Dependant(r.oid, "view", f"public.{evil}v", "oid") for r in wrong[:2]),
        ),
        claims=()
        if empty
        else (
            Claim("T005", f"tables in adm schema {evil}", True, Where("tasks.md", 12)),
            Claim("T012", "later", False, Where("tasks.md", 19)),
        ),
        timeline=() if empty else _timeline(evil),
        replayed=None,
        matrix=None,
        baseline=None,
        parted=Parted(findings),
        static=False,
        asked=rules.RULES,
        worlds=(),
        run_id="20260205T093000Z-3f9c",
        started=NOW,
        project=Path("no-project"),
        status="ok" if healthy or empty else "findings",
        provenance={"run": "20260205T093000Z-3f9c", "branch": f"main{evil}", "commit": "3f2a9c1d0e5b7a"},
    )


def _empty() -> Accounts:
    return Accounts(observed=Catalog(server=_server()))


def _server() -> Server:
    return Server(
        "15.18",
        150018,
        "adm_demo",
        "rca_reader",
        False,
        '"$user", public',
        ("public",),
        "UTF8",
        False,
        "4:4:",
        NOW,
    )


def _relation(oid: int, schema: str, name: str) -> Relation:
    return Relation(oid, schema, name, "r", "app", "p", 0, False, True, 1204, 8192, None)


def _accounts(healthy: bool, evil: str) -> Accounts:
    tables = [table + evil.replace('"', "") for table in TABLES]
    spelled = [f'"adm"."{t.replace(chr(34), chr(34) * 2)}"' if healthy else f"adm.{t}" for t in tables]
    models = [
        Model("administrate", f"M{n}{evil}", db_table, True, Where(f"administrate/models{evil}.py", 10 + n))
        for n, db_table in enumerate(spelled)
    ]
    models.append(
        Model("tutorials", "TutorialEvent", '"acted"."tutorial_events"', True, Where("tutorials/m.py", 5))
    )
    relations = [
        _relation(100 + n, "adm", table) if healthy else _relation(100 + n, "public", f"adm.{table}")
        for n, table in enumerate(tables)
    ]
    relations.append(_relation(200, "acted", "tutorial_events"))
    observed = Catalog(
        server=_server(),
        schemas=tuple(
            Schema(n, name, "app", True, None) for n, name in enumerate(("acted", "adm", "public"), 1)
        ),
        relations=tuple(relations),
        evidence={"relations": "E1", "schemas": "E2"},
    )
    verdicts = () if healthy else tuple(_verdict(t, relations[n], evil) for n, t in enumerate(tables))
    migrations = _migrations(models, verdicts)
    declared = Declared(
        "live", tuple(models), migrations, framework="Django 5.2.19", apps=("administrate", "tutorials")
    )
    applied = tuple(
        Applied(m.app, m.name, NOW - timedelta(days=30 - n), id=n) for n, m in enumerate(migrations, 1)
    )
    return Accounts(
        observed=observed,
        declared=declared,
        recorded=Recorded(applied, (HistoryTable(9, "public", 4, True),), evidence=("E3",)),
        intended=intent.infer(observed, declared, verdicts, {"acted": ["tutorial_events"]}),
        guards=verdicts,
    )


def _migrations(models: list[Model], verdicts: tuple[Verdict, ...]) -> tuple[Migration, ...]:
    def creates(app: str) -> Migration:
        operations = tuple(
            Operation("CreateModel", model=m.name.lower(), db_table=m.db_table)
            for m in models
            if m.app == app
        )
        return Migration(app, "0001_initial", Where(f"{app}/migrations/0001_initial.py"), operations)

    sql = tuple(f"DO $$ BEGIN IF {v.guard.condition} THEN NULL; END IF; END $$" for v in verdicts)
    app, name = GUARDED.split(".")
    guarded = Migration(app, name, Where(f"{app}/migrations/{name}.py"), (Operation("RunSQL", sql=sql),))
    return creates("administrate"), guarded, creates("tutorials")


def _verdict(table: str, nearest: Relation, evil: str) -> Verdict:
    subject, result = Name("public", table), Name("adm", table)
    literal = table.replace("'", "''")
    guard = Guard(
        GUARDED,
        "if",
        "EXISTS (SELECT 1 FROM information_schema.tables\n"
        f"        WHERE table_schema = 'public' AND table_name = '{literal}')",
        (f"ALTER TABLE public.{table} SET SCHEMA adm",),
        (Effect("move", "table", subject, result),),
        "none",
        (subject,),
        where=Where("administrate/migrations/0003_migrate_to_adm_schema.py", 22),
        line=3,
    )
    return Verdict(guard, False, False, nearest, ("E4",))


def _evidence(evil: str) -> list[Evidence]:
    def item(number: int, name: str, rows: list[tuple[object, ...]], error: str = "") -> Evidence:
        sql = f"select n.nspname as schema, c.relname as name -- {evil or 'a comment'}\nfrom pg_catalog.pg_class c"
        return Evidence(
            f"E{number}",
            name,
            sql,
            None,
            NOW,
            0.0123,
            f"rca_reader{evil}",
            ("schema", "name", "rows"),
            rows,
            error,
        )

    rows: list[tuple[object, ...]] = [("public", f"adm.{TABLES[n % 7]}{evil}", n) for n in range(1204)]
    return [
        item(1, f"relations{evil}", rows),
        item(2, "schemas", rows[:3]),
        item(3, "history", []),
        item(4, "guard", [], f"permission denied{evil}"),
    ]


def _timeline(evil: str) -> tuple[Event, ...]:
    return (
        Event(NOW - timedelta(days=34), f"Add the administrate app{evil}", "git 3f2a9c1"),
        Event(NOW - timedelta(days=29), "administrate.0001_initial applied", "history table"),
        Event(NOW - timedelta(days=28), f"{GUARDED} applied", "history table"),
        Event(NOW - timedelta(days=20), "T005 ticked", "task list"),
        Event(NOW, "investigated", "this run"),
    )
