"""Option C: the move, with updatable views under the old names, so that old and new code both work while one is deployed.

A view of one table, all its columns and nothing else is updatable by itself:
https://www.postgresql.org/docs/current/sql-createview.html#SQL-CREATEVIEW-UPDATABLE-VIEWS
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rcakit.case import Case
from rcakit.errors import Refused
from rcakit.names import quote
from rcakit.remedy import migration, move
from rcakit.remedy.parts import EXCLUSIVE, NONE, SHARE, File, Move, Repair, Statement, script
from rcakit.remedy.survey import Survey

INVOKER_SINCE = 150000
"""`security_invoker` came with PostgreSQL 15."""
_THROUGH_VIEWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
TRADE_OFFS = (
    "Old code goes on working through the views, new code uses the tables: no moment in which either fails.",
    "COPY .. FROM, TRUNCATE and LOCK TABLE with an old name do not work on a view; neither does DDL.",
    "Privileges on single columns do not reach through the views; a rehearsal names whoever loses one.",
    "Two steps: the views have to go again (`later/`), or the old names live on.",
)


def repair(case: Case, found: Survey) -> Repair:
    """Raises Refused as Option A does, and where a view would go round row security."""
    for each in found.moves:
        relation = case.observed.by_oid[each.oid]
        if relation.row_security and case.observed.server.version_num < INVOKER_SINCE:
            raise Refused(
                f"{each.now} has row security, and a view before PostgreSQL 15 would go round it",
                hint="take Option A, in a moment without traffic",
            )
    base = move.build(case, found, bridge=True)
    later = {
        each.file.path: each.file.text for each in migration.removal(found, case.declared, base.migrations)
    }
    result = replace(
        base,
        option="C",
        title=f"{base.title}, with views under the old names",
        statements=(*base.statements, *_views(case, found)),
        reverse=_without_views(base.reverse, found),
        trade_offs=(*TRADE_OFFS, base.trade_offs[-1]),
        later=later,
    )
    files = [File(f"later/project/{path}", text) for path, text in later.items()]
    remove = script(tuple(_dropped(found.moves)))
    return move.with_files(case, result, (*files, File("later/remove.sql", remove)))


def _views(case: Case, found: Survey) -> Iterator[Statement]:
    modern = case.observed.server.version_num >= INVOKER_SINCE
    invoker = " WITH (security_invoker = true)" if modern else ""
    for each in found.moves:
        view = each.old.sql
        yield Statement(f"CREATE VIEW {view}{invoker} AS SELECT * FROM {each.new.sql}", SHARE, each.new.sql)  # noqa: S608
        owner = case.observed.by_oid[each.oid].owner
        yield Statement(f"ALTER VIEW {view} OWNER TO {quote(owner)}", EXCLUSIVE, view)
        for grant in case.observed.grants:
            held = [one for one in grant.privileges if one in _THROUGH_VIEWS]
            if (
                (grant.object_kind, grant.object) == ("relation", each.oid)
                and held
                and grant.grantee != owner
            ):
                role = "PUBLIC" if grant.grantee == "PUBLIC" else quote(grant.grantee)
                yield Statement(f"GRANT {', '.join(held)} ON {view} TO {role}", SHARE, view)


def _dropped(moves: tuple[Move, ...]) -> Iterator[Statement]:
    yield Statement("SET LOCAL lock_timeout = '5s'", NONE)
    for each in moves:
        yield Statement(f"DROP VIEW {each.old.sql}", EXCLUSIVE, each.old.sql)


def _without_views(reverse: tuple[Statement, ...], found: Survey) -> tuple[Statement, ...]:
    timeout, lock, *rest = reverse
    _, *drops = _dropped(found.moves)
    return (timeout, lock, *drops, *rest)
