"""What a repair's statements lock, looked at from a second session, and what readers and writers see of it meanwhile.

https://www.postgresql.org/docs/current/view-pg-locks.html
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rcakit import evidence
from rcakit.names import Name
from rcakit.rehearsal.parts import Proof
from rcakit.remedy.parts import EXCLUSIVE, NONE, SHARE, SHARE_UPDATE, Statement
from rcakit.scratch import Server

_STRENGTH = {"": -1, NONE: 0, SHARE: 1, "ROW SHARE": 2, "ROW EXCLUSIVE": 3, SHARE_UPDATE: 4} | {
    "SHARE": 5,
    "SHARE ROW EXCLUSIVE": 6,
    "EXCLUSIVE": 7,
    EXCLUSIVE: 8,
}
_MODES = {f"{mode.title().replace(' ', '')}Lock": mode for mode in _STRENGTH}
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "view", "S": "sequence", "i": "index", "I": "index"}
_HELD = """
select l.mode, c.relkind::text, l.granted from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = %s and l.locktype = 'relation' and c.relkind::text = any (%s)
    and c.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
    and l.database = (select oid from pg_database where datname = current_database())"""
_WAITING = "select count(distinct pid) from pg_locks where not granted and pid = any (%s)"
_PATIENCE_S = 10.0


def one_by_one(server: Server, dbname: str, statements: Sequence[Statement]) -> Iterator[Proof]:
    """Each in a transaction of its own: it must take no stronger lock than is written beside it."""
    conninfo = server.conninfo(dbname)
    with psycopg.connect(conninfo) as worker, psycopg.connect(conninfo, autocommit=True) as watcher:
        for each in statements:
            words = " ".join(each.sql.split())
            try:
                worker.execute(each.sql.encode())
            except psycopg.Error as error:
                worker.rollback()
                yield Proof(words, "lock", each.lock, evidence.reason(error), False)
                return
            strongest, said = _held(watcher, worker.info.backend_pid)
            worker.commit()
            yield Proof(words, "lock", each.lock, said, _STRENGTH[strongest] <= _STRENGTH[each.lock])


def _held(watcher: psycopg.Connection[Any], process: int) -> tuple[str, str]:
    """The strongest lock of a session on anything a user made, and on what it is held; a new object is seen by nobody."""
    rows = watcher.execute(_HELD, [process, list(_KINDS)]).fetchall()
    strongest = max((_MODES[mode] for mode, _, _ in rows), key=_STRENGTH.__getitem__, default=NONE)
    kinds = Counter(_KINDS[kind] for mode, kind, _ in rows if _MODES[mode] == strongest)
    counted = ", ".join(f"{number} {_plural(kind, number)}" for kind, number in kinds.most_common())
    return strongest, f"{strongest} on {counted}" if counted else NONE


def _plural(kind: str, number: int) -> str:
    return kind if number == 1 else {"index": "indexes"}.get(kind, f"{kind}s")


# ------------------------------------------------------------------ a second session that reads and writes


@dataclass(frozen=True, slots=True)
class Waited:
    """One statement of a second session: how long it took (s), and PostgreSQL's words when it failed."""

    seconds: float
    error: str
    gone: bool
    """The name it used leads nowhere any more."""


def under_traffic(
    server: Server, dbname: str, statements: Sequence[Statement], name: Name, *, bridged: bool
) -> Iterator[Proof]:
    """One transaction, held until a reader and a writer of the old name stand behind its locks: what becomes of them.

    With a bridge they must go on; without one the old name may be gone, and nothing else may happen.
    """
    conninfo, table = server.conninfo(dbname), sql.Identifier(str(name.schema), name.name)
    actors = {
        "a reader": sql.SQL("SELECT count(*) FROM {}").format(table),
        "a writer": sql.SQL("DELETE FROM {} WHERE false").format(table),
    }
    lock = next(number for number, each in enumerate(statements, 1) if each.sql.startswith("LOCK TABLE"))
    with (
        psycopg.connect(conninfo) as worker,
        psycopg.connect(conninfo, autocommit=True) as watcher,
        ThreadPoolExecutor(len(actors)) as pool,
    ):
        with worker.transaction():
            _execute(worker, statements[:lock])
            sessions = [psycopg.connect(conninfo, autocommit=True) for _ in actors]
            asked = [
                pool.submit(_ask, session, words)
                for session, words in zip(sessions, actors.values(), strict=True)
            ]
            queued = _queued(watcher, [each.info.backend_pid for each in sessions])
            began = time.monotonic()
            _execute(worker, statements[lock:])
            _, said = _held(watcher, worker.info.backend_pid)
        seconds = time.monotonic() - began
        yield from _told(dict(zip(actors, asked, strict=True)), str(name), queued, bridged)
    held = f"{said}, {seconds * 1000:.0f} ms from the last lock to the commit"
    yield Proof("repair.sql", "locks while others read and write", "", held, queued == len(actors))


def _execute(worker: psycopg.Connection[Any], statements: Sequence[Statement]) -> None:
    for each in statements:
        worker.execute(each.sql.encode())


def _ask(session: psycopg.Connection[Any], words: sql.Composed) -> Waited:
    began = time.monotonic()
    with session:
        try:
            session.execute(words)
        except psycopg.Error as error:
            gone = isinstance(error, psycopg.errors.UndefinedTable)
            return Waited(time.monotonic() - began, evidence.reason(error), gone)
    return Waited(time.monotonic() - began, "", False)


def _queued(watcher: psycopg.Connection[Any], processes: list[int]) -> int:
    """How many of these sessions wait for a lock; asked until all do, or for some seconds."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        (number,) = watcher.execute(_WAITING, [processes]).fetchone() or (0,)
        if number == len(processes) or time.monotonic() > until:
            return int(number)
        watcher.execute("SELECT pg_sleep(0.002)")


def _told(asked: dict[str, Future[Waited]], name: str, queued: int, bridged: bool) -> Iterator[Proof]:
    for actor, future in asked.items():
        what = future.result()
        said = f"waited {what.seconds * 1000:.0f} ms, then {what.error or 'went on'}"
        fine = queued == len(asked) and (not what.error or (what.gone and not bridged))
        yield Proof(f"{actor} of {name}", "during repair.sql", "", said, fine)
