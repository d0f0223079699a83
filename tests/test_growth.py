"""Twice as many tables cost twice as much: nothing goes through all models for each model.

What is counted are the instructions of Python that run, which are the same on every machine, however busy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from casefixture import NOW, make_case
from django_projects import write

from rcakit import causes, intent, nearest, placement, rules
from rcakit.facts import (
    Accounts,
    Applied,
    Catalog,
    Column,
    Constraint,
    Declared,
    Effect,
    Field,
    Guard,
    Index,
    Migration,
    Model,
    ModelIndex,
    Operation,
    Recorded,
    Relation,
    Schema,
    Verdict,
    Where,
)
from rcakit.names import Name
from rcakit.rules import Rule
from rcakit.sources import django_static
from rcakit.sources.claims import Claim

SERVER = make_case(empty=True).observed.server
WORLDS = ("healthy", "in another schema", "gone", "about to change")


def instructions(act: Callable[[], Any]) -> int:
    """How many instructions of the kit's own code run."""
    count = 0

    def one(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return one

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        if "rcakit" not in frame.f_code.co_filename and frame.f_code.co_name != "__eq__":
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return one

    before = sys.gettrace()
    sys.settrace(call)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def growth(cost: Callable[[int], int]) -> float:
    """What the second doubling adds over what the first adds: 2 when linear, 4 when quadratic."""
    small, middle, large = cost(25), cost(50), cost(100)
    return (large - middle) / max(middle - small, 1)


def estate(world: str, tables: int) -> Accounts:
    """Models of one app with their tables, in the state that the world's name says.

    Beside each a migration, and a guard that was false.
    """
    models = tuple(_model(n) for n in range(tables))
    migrations = tuple(_migration(n) for n in range(tables))
    guards = tuple(_guard(n) for n in range(tables))
    relations, columns, indexes, keys = [], [], [], []
    for n in range(0 if world == "gone" else tables):
        schema = "old" if world == "in another schema" else "adm"
        relations.append(Relation(n + 1, schema, f"t{n}", "r", "app", "p", 0, False, True, -1, 0, None))
        columns += [
            Column(n + 1, 1, "id", 20, -1, True, False, "d", ""),
            Column(n + 1, 2, "more", 25, -1, False, False, "", ""),
        ]
        key = (n + 200_000, n + 1, f"t{n}_pkey", "p", (1,), 0, (), True, False, False, "", "", 0, None)
        keys.append(Constraint(*key))
        indexes.append(Index(n + 100_000, n + 1, f"t{n}_more", False, False, True, (2,), None))
    done = tables // 2 if world == "about to change" else tables
    return Accounts(
        observed=Catalog(
            SERVER,
            tuple(Schema(n, name, "app", True, None) for n, name in enumerate(("public", "adm", "old"), 1)),
            tuple(relations),
            tuple(columns),
            constraints=tuple(keys),
            indexes=tuple(indexes),
            types={(20, -1): "bigint", (25, -1): "text"},
        ),
        declared=Declared("live", models, migrations, apps=("shop",)),
        recorded=Recorded(tuple(Applied("shop", each.name, NOW) for each in migrations[:done])),
        guards=guards,
    )


def _model(n: int) -> Model:
    fields = (
        Field("id", "id", "bigint", False, True, True, True, identity=True),
        Field("more", "more", "text", True),
    )
    where, indexes = Where("shop/models.py", n), (ModelIndex("index", f"t{n}_more", ("more",)),)
    return Model("shop", f"T{n}", f'"adm"."t{n}"', True, where, fields, indexes)


def _migration(n: int) -> Migration:
    return Migration(
        "shop",
        f"{n:05}",
        Where(f"shop/migrations/{n:05}.py"),
        (
            Operation("CreateModel", model=f"t{n}", db_table=f'"adm"."t{n}"'),
            Operation("RunPython", source=f"def move(apps, editor): editor.execute('alter table x{n}')"),
        ),
    )


def _guard(n: int) -> Verdict:
    subject, result = Name("public", f"lost{n}"), Name("adm", f"lost{n}")
    effect = Effect("move", "table", subject, result)
    condition = f"EXISTS (SELECT FROM pg_tables WHERE tablename = 'lost{n}')"
    guard = Guard(f"shop.{n:05}", "if", condition, ("ALTER TABLE ..",), (effect,), "none", (subject,))
    return Verdict(guard, False, False)


def intended(accounts: Accounts) -> Accounts:
    tables = [f"t{n}" for n in range(len(accounts.declared.models))]
    claims = [Claim(f"T{n}", f"Move t{n} to the adm schema", True, Where("tasks.md", n)) for n in range(5)]
    found = intent.infer(accounts.observed, accounts.declared, accounts.guards, {"adm": tables}, claims)
    return replace(accounts, intended=found)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.name)
def test_no_rule_is_quadratic(rule: Rule, world: str) -> None:
    def cost(tables: int) -> int:
        accounts = intended(estate(world, tables))
        return instructions(lambda: list(rule.check(accounts)))

    assert growth(cost) < 2.5


def _in_one(verdict: Verdict, number: int) -> Verdict:
    return replace(verdict, guard=replace(verdict.guard, migration="shop.00000", operation=number))


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.name)
def test_many_guards_in_one_migration_are_not_compared_with_each_other(rule: Rule) -> None:
    def cost(tables: int) -> int:
        accounts = intended(estate("healthy", tables))
        guards = tuple(_in_one(verdict, n) for n, verdict in enumerate(accounts.guards))
        accounts = replace(accounts, guards=guards)
        return instructions(lambda: list(rule.check(accounts)))

    assert growth(cost) < 2.5


@pytest.mark.parametrize("world", WORLDS)
def test_intent_placements_and_causes_are_not_quadratic(world: str) -> None:
    accounts = {tables: estate(world, tables) for tables in (25, 50, 100)}

    def chain(tables: int) -> None:
        found = intended(accounts[tables])
        placement.placements(found)
        causes.chain(found, rules.run(found))

    assert growth(lambda tables: instructions(lambda: chain(tables))) < 2.5


def test_what_a_guard_meant_is_found_without_going_through_all_relations() -> None:
    def cost(tables: int) -> int:
        relations = tuple(
            Relation(n, "public", f"adm.T{n}", "r", "app", "p", 0, False, True, -1, 0, None)
            for n in range(tables)
        )
        catalog, found = Catalog(SERVER, relations=relations), []
        wanted = [Name("public", f"t{n}") for n in range(tables)]
        number = instructions(lambda: found.extend(nearest.nearest([name], catalog) for name in wanted))
        assert found == list(relations)
        return number

    assert growth(cost) < 2.5


def test_the_worlds_are_what_they_are_called() -> None:
    """Or the rules would be measured at doing nothing."""
    codes = {world: {finding.code for finding in rules.run(intended(estate(world, 25)))} for world in WORLDS}
    of_guards = {"RK201", "RK202", "RK301"}
    assert codes == {
        "healthy": of_guards,
        "in another schema": {"RK401"} | of_guards,
        "gone": {"RK305", "RK402"} | of_guards,
        "about to change": of_guards,
    }


# ------------------------------------------------------------------ reading the project's files


def test_keys_that_lead_to_keys_are_followed_once(tmp_path: Path) -> None:
    """Each model points to the two before it: followed to the end each time, forty of them are a hundred million ways."""
    models = "from django.db import models\n" + "".join(
        f"class M{n}(models.Model):\n"
        f"    one = models.ForeignKey('M{max(n - 1, 0)}', models.CASCADE, related_name='+')\n"
        f"    two = models.ForeignKey('M{max(n - 2, 0)}', models.CASCADE, related_name='+')\n"
        for n in range(40)
    )
    settings = 'INSTALLED_APPS = ["app"]\nDEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"\n'
    project = write(tmp_path, {"settings.py": settings, "app/__init__.py": "", "app/models.py": models})
    declared = django_static.read(project, settings="settings")
    last = declared.models[-1]
    assert [(field.column, field.type, field.references) for field in last.fields[1:]] == [
        ("one_id", "bigint", ("app_m38", "id")),
        ("two_id", "bigint", ("app_m37", "id")),
    ]


def test_reading_files_is_not_quadratic(tmp_path: Path) -> None:
    def cost(count: int) -> int:
        body = "from django.db import models\n" + "".join(
            f"class M{n}(models.Model):\n"
            f"    up = models.ForeignKey('M{max(n - 1, 0)}', models.CASCADE)\n"
            f"    odd = thing({n})\n"
            for n in range(count)
        )
        settings = 'INSTALLED_APPS = ["app"]\n'
        files = {"settings.py": settings, "app/__init__.py": "", "app/models.py": body}
        project = write(tmp_path / str(count), files)
        return instructions(lambda: django_static.read(project, settings="settings"))

    assert growth(cost) < 2.5
