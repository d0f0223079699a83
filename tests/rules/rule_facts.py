"""Facts made by hand, as short as a test can say them; SQL in migrations is read by the real parser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Never

from rcakit import intent
from rcakit.catalog import UNJUDGED
from rcakit.facts import (
    Accounts,
    Applied,
    Catalog,
    Declared,
    Finding,
    Guard,
    Migration,
    Model,
    Operation,
    Recorded,
    Relation,
    Schema,
    Server,
    Verdict,
    Where,
)
from rcakit.names import Name, spelling
from rcakit.parsing import plpgsql


class Unasked(tuple[Never, ...]):
    """What a check leaves out of its reading: no rule may look at it."""

    def __iter__(self) -> Iterator[Never]:
        raise AssertionError("a rule looks at what `rcakit check` does not read (catalog.UNJUDGED)")


Finds = Callable[..., list[Finding]]
Silent = Callable[..., None]

NOON = datetime(2026, 2, 5, 12, tzinfo=UTC)
SQL_FILE = Where("shop/migrations/0002_move.py", 7)


def server(path: Iterable[str] = ("public",)) -> Server:
    return Server("15.18", 150018, "shop", "shop", False, "public", tuple(path), "UTF8", False, "1:1:", NOON)


def catalog(
    *relations: Name, schemas: Iterable[str] = ("public",), path: Iterable[str] = ("public",), kind: str = "r"
) -> Catalog:
    """A database that holds these relations and schemas; every relation's schema exists too."""
    names = dict.fromkeys([*schemas, *(name.schema or "public" for name in relations)])
    return Catalog(
        server(path),
        schemas=tuple(Schema(number, name, "owner", True, None) for number, name in enumerate(names, 1)),
        relations=tuple(
            Relation(
                1000 + number,
                name.schema or "public",
                name.name,
                kind,
                "owner",
                "p",
                0,
                False,
                True,
                -1,
                0,
                None,
            )
            for number, name in enumerate(relations)
        ),
        evidence={"relations": "E2", "schemas": "E1", "columns": "E3"},
    )


def model(name: str, db_table: str = "", *, app: str = "shop", **more: object) -> Model:
    where = Where(f"{app}/models.py", 3)
    values: Mapping[str, object] = {"explicit": bool(db_table), **more}
    return Model(app, name, db_table or f"{app}_{name.lower()}", where=where, **values)  # type: ignore[arg-type]


def migration(name: str, *operations: Operation, app: str = "shop", **more: object) -> Migration:
    return Migration(app, name, Where(f"{app}/migrations/{name}.py"), operations, **more)  # type: ignore[arg-type]


def sql(*statements: str, group: int = 0) -> Operation:
    return Operation("RunSQL", group=group, sql=statements, where=SQL_FILE)


def python(source: str) -> Operation:
    return Operation("RunPython", source=source, where=SQL_FILE)


def create(name: str, db_table: str, *, side: str = "both") -> Operation:
    return Operation("CreateModel", side=side, model=name.lower(), db_table=db_table)


def repoint(name: str, db_table: str, *, side: str = "both") -> Operation:
    return Operation("AlterModelTable", side=side, model=name.lower(), db_table=db_table)


def guards(migrations: Iterable[Migration]) -> list[Guard]:
    return [
        guard
        for each in migrations
        for operation in each.operations
        for number, text in enumerate(operation.sql)
        for guard in plpgsql.guards(
            text, migration=each.label, operation=operation.group, statement=number, where=operation.where
        )[0]
    ]


def judge(guard: Guard, observed: Catalog) -> Verdict:
    """What the evaluator would say of a guard on plain relations: present or absent, for the role and in truth."""
    there = [
        any(found.schema == name.schema or name.schema is None for found in observed.named.get(name.name, ()))
        for name in guard.relations
    ]
    holds = (not any(there) if guard.negated else all(there)) if there else None
    nearest = next(
        (
            relation
            for relation in observed.relations
            for name in guard.relations
            if spelling(relation.name).kind == "literal-dot"
            and spelling(relation.name).meant.name == name.name
        ),
        None,
    )
    return Verdict(guard, holds, holds, nearest if holds is False else None, ("E9",))


def accounts(
    observed: Catalog,
    models: Iterable[Model] = (),
    migrations: Iterable[Migration] = (),
    *,
    applied: Iterable[str] | None = None,
    expected: Mapping[str, list[str]] | None = None,
    how: str = "live",
    verdicts: Iterable[Verdict] | None = None,
    more: Iterable[Applied] = (),
) -> Accounts:
    """All five accounts, observed as a check does; every migration counts as applied unless `applied` says which."""
    observed = replace(observed, **dict.fromkeys(UNJUDGED, Unasked()))
    files = tuple(migrations)
    declared = Declared(
        how,
        tuple(models),
        files,
        apps=tuple(dict.fromkeys([*(m.app for m in models), *(m.app for m in files), "shop"])),
    )
    labels = [each.label for each in files] if applied is None else list(applied)
    rows = [Applied(*label.split(".", 1), at=NOON, id=number) for number, label in enumerate(labels, 1)]
    judged = tuple(verdicts) if verdicts is not None else tuple(judge(g, observed) for g in guards(files))
    return Accounts(
        observed,
        declared,
        Recorded((*rows, *more), evidence=("E8",)),
        intent.infer(observed, declared, judged, expected or {}),
        judged,
    )


def move(table: str, *, schema: str = "adm", otherwise: str = "") -> str:
    """The guarded move of the incident, for one table."""
    return f"""
        DO $$
        BEGIN
            IF EXISTS (
                SELECT 1 FROM information_schema.tables
                WHERE table_schema = 'public' AND table_name = '{table}'
            ) THEN
                ALTER TABLE public.{table} SET SCHEMA {schema};
            {otherwise}
            END IF;
        END $$;
    """
