"""The roles of an observed database, made on a scratch server for as long as something runs there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from rcakit.facts import Catalog
from rcakit.scratch import Server


def roles_of(observed: Catalog) -> tuple[str, ...]:
    """The roles that own or may use something in the observed database, but for PostgreSQL's own.

    https://www.postgresql.org/docs/current/predefined-roles.html: their names cannot be given to others.
    """
    owners = {each.owner for each in observed.relations} | {each.owner for each in observed.schemas}
    named = owners | {grant.grantee for grant in observed.grants}
    return tuple(sorted(role for role in named - {"PUBLIC", "public", ""} if not role.startswith("pg_")))


@contextmanager
def made(server: Server, wanted: Iterable[str]) -> Iterator[None]:
    """Make the missing roles, without any right; whatever role is new afterwards goes, those that migrations made too.

    One that owns or may use something in a database that is kept stays: leave the databases before.
    """
    had = names(server)
    with server.connect() as connection:
        for role in {*wanted} - had:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError), server.connect() as connection:
            for role in names(server) - had:
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def names(server: Server) -> frozenset[str]:
    """All roles of a server."""
    with server.connect() as connection:
        return frozenset(str(name) for (name,) in connection.execute("SELECT rolname FROM pg_roles"))
