"""Option A as plain SQL, statement by statement, with the lock each takes; and the way back.

Lock modes: https://www.postgresql.org/docs/current/sql-altertable.html, sql-alterindex.html, sql-altersequence.html
"""

from __future__ import annotations

from collections.abc import Iterator

from rcakit.names import Name, quote
from rcakit.remedy.parts import EXCLUSIVE, NONE, SHARE, SHARE_UPDATE, Move, Rename, Statement
from rcakit.remedy.survey import Survey

LOCK_TIMEOUT = "5s"
"""How long a repair may wait for a lock, while it makes everyone behind it wait."""


def forward(found: Survey) -> tuple[Statement, ...]:
    """Lock everything first, so that nothing is half done when somebody else holds a table."""
    return tuple(_forward(found))


def _forward(found: Survey) -> Iterator[Statement]:
    yield from _locks([move.now for move in found.moves], found.referring)
    for schema in found.created:
        yield Statement(f"CREATE SCHEMA {quote(schema)}", NONE)
    for move in found.moves:
        if move.pending:
            yield from _moved(move.old, move.new)
    goes_to = {move.old: move.new for move in found.moves}
    for each in found.renames:
        yield _renamed(each, goes_to.get(each.table, each.table), goes_to, back=False)
    for role in found.shut:
        yield Statement(
            f"GRANT USAGE ON SCHEMA {quote(role.schema)} TO {_role(role.role, role.everyone)}", NONE
        )
    for row in found.defaults:
        yield Statement(
            _default(
                row.maker, row.schema, "GRANT", row.privileges, row.kind, "TO", row.grantee, row.everyone
            ),
            NONE,
        )
    for body in found.bodies:
        if body.after:
            yield Statement(body.after.rstrip(), SHARE, "the tables it names")


def backward(found: Survey) -> tuple[Statement, ...]:
    """The way back to what was there before; a schema that was made is left, empty."""
    return tuple(_backward(found))


def _backward(found: Survey) -> Iterator[Statement]:
    yield from _locks([move.new for move in found.moves], found.referring)
    for row in found.defaults:
        yield Statement(
            _default(
                row.maker, row.schema, "REVOKE", row.privileges, row.kind, "FROM", row.grantee, row.everyone
            ),
            NONE,
        )
    for role in found.shut:
        yield Statement(
            f"REVOKE USAGE ON SCHEMA {quote(role.schema)} FROM {_role(role.role, role.everyone)}", NONE
        )
    goes_to = {move.old: move.new for move in found.moves}
    for each in reversed(found.renames):
        yield _renamed(each, goes_to.get(each.table, each.table), goes_to, back=True)
    for move in reversed(found.moves):
        if move.pending:
            yield from _moved_back(move.old, move.new)
    for body in found.bodies:
        if body.after:
            yield Statement(body.before.rstrip(), SHARE, "the tables it names")


def _locks(own: list[Name], referring: tuple[Name, ...]) -> Iterator[Statement]:
    yield Statement(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'", NONE)
    listed = ", ".join(name.sql for name in (*own, *referring))
    yield Statement(f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE", EXCLUSIVE, listed)


def _moved(old: Name, new: Name) -> Iterator[Statement]:
    if old.schema != new.schema:
        yield Statement(f"ALTER TABLE {old.sql} SET SCHEMA {quote(str(new.schema))}", EXCLUSIVE, old.sql)
    between = Name(new.schema, old.name)
    if old.name != new.name:
        yield Statement(f"ALTER TABLE {between.sql} RENAME TO {quote(new.name)}", EXCLUSIVE, between.sql)


def _moved_back(old: Name, new: Name) -> Iterator[Statement]:
    """The same steps in the opposite order, each undone: the name between the two is known to be free."""
    between = Name(new.schema, old.name)
    if old.name != new.name:
        yield Statement(f"ALTER TABLE {new.sql} RENAME TO {quote(old.name)}", EXCLUSIVE, new.sql)
    if old.schema != new.schema:
        yield Statement(
            f"ALTER TABLE {between.sql} SET SCHEMA {quote(str(old.schema))}", EXCLUSIVE, between.sql
        )


def _renamed(each: Rename, table: Name, goes_to: dict[Name, Name], *, back: bool) -> Statement:
    old, new = (each.new, each.old) if back else (each.old, each.new)
    schema = each.schema if each.kind == "statistics" or each.table not in goes_to else table.schema
    itself, to = Name(schema or table.schema, old).sql, quote(new)
    if each.kind == "constraint":
        return Statement(
            f"ALTER TABLE {table.sql} RENAME CONSTRAINT {quote(old)} TO {to}", EXCLUSIVE, table.sql
        )
    if each.kind == "index":
        return Statement(f"ALTER INDEX {itself} RENAME TO {to}", SHARE_UPDATE, itself)
    if each.kind == "sequence":
        return Statement(f"ALTER SEQUENCE {itself} RENAME TO {to}", EXCLUSIVE, itself)
    if each.kind == "statistics":
        return Statement(f"ALTER STATISTICS {itself} RENAME TO {to}", NONE)
    return Statement(
        f"ALTER {each.kind.upper()} {quote(old)} ON {table.sql} RENAME TO {to}", EXCLUSIVE, table.sql
    )


def _role(name: str, everyone: bool) -> str:
    return "PUBLIC" if everyone else quote(name)


def _default(
    maker: str,
    schema: str,
    verb: str,
    privileges: tuple[str, ...],
    kind: str,
    to: str,
    grantee: str,
    everyone: bool,
) -> str:
    return (
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(maker)} IN SCHEMA {quote(schema)} "
        f"{verb} {', '.join(privileges)} ON {kind} {to} {_role(grantee, everyone)}"
    )


def describe(move: Move) -> str:
    """One move in words."""
    return f"{move.old} to {move.new}" if move.pending else f"{move.new} (moved by hand already)"
