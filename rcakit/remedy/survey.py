"""What a repair must know beyond the accounts, read by OID in one read-only session; and what it refuses to touch.

https://www.postgresql.org/docs/current/ddl-alter.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rcakit import evidence
from rcakit.case import Case
from rcakit.database import running
from rcakit.errors import Refused
from rcakit.facts import Catalog, Model, Relation
from rcakit.names import Name
from rcakit.placement import Placement
from rcakit.remedy.bodies import rewritten
from rcakit.remedy.carried import Carrier, refuse_collisions, refuse_occupied, renames
from rcakit.remedy.parts import Body, Move, Rename

_OIDS = "select set_config('rcakit.oids', %s::oid[]::text, true)"
_THERE = """
select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = any (nullif(current_setting('rcakit.oids', true), '')::oid[])"""
_USABLE = "select has_schema_privilege(%s::name, oid, 'USAGE') from pg_namespace where nspname = %s"
_DEFINITION = """
select pg_get_functiondef(p.oid), p.prosrc, l.lanname
from pg_proc p join pg_language l on l.oid = p.prolang where p.oid = to_regprocedure(%s)"""


_CRON = """
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'cron' and c.relname = 'job')"""
_TYPES = """
select n.nspname, t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace
where n.nspname = any (%s::name[]) and not exists (select from pg_type e where e.typarray = t.oid)
    and not exists (select from pg_class c where c.oid = t.typrelid and c.relkind <> 'c')"""


class Entitled(NamedTuple):
    """A role that may use a schema, or needs to: one row of `sql/entitled.sql`."""

    schema: str
    role: str
    everyone: bool


class DefaultPrivilege(NamedTuple):
    """One row of `sql/default_privileges.sql`."""

    maker: str
    schema: str
    kind: str
    grantee: str
    everyone: bool
    privileges: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """The misplaced tables and all that moves with them.

    referring
        other tables with a foreign key whose name changes.
    created
        target schemas that do not exist yet.
    shut
        who will need USAGE on a target schema and does not hold it.
    defaults
        default privileges of the old schemas that the new ones lack.
    jobs
        entries of pg_cron that name a table, one line each.
    """

    moves: tuple[Move, ...]
    renames: tuple[Rename, ...]
    referring: tuple[Name, ...]
    created: tuple[str, ...]
    shut: tuple[Entitled, ...]
    defaults: tuple[DefaultPrivilege, ...]
    bodies: tuple[Body, ...]
    jobs: tuple[str, ...]
    owners: tuple[str, ...]


def survey(case: Case) -> Survey:
    """Read it. Raises Refused for a state this kit does not understand, and where there is nothing to move."""
    moves = _moves(case)
    _refuse_odd(case.observed, moves)
    with running(case.target) as conninfo, evidence.session(conninfo, run=case.run_id) as recorder:
        recorder.rows("relations to repair", _OIDS, [[move.oid for move in moves]])
        carriers = recorder.rows("carried names", evidence.query("carried"), make=Carrier)
        entitled = recorder.rows("entitled roles", evidence.query("entitled"), make=Entitled)
        granted = recorder.rows("defaults", evidence.query("default_privileges"), make=DefaultPrivilege)
        _refuse_stale(recorder, moves)
        shut = tuple(_shut(recorder, moves, entitled))
        bodies = tuple(_bodies(case, recorder, moves))
        jobs = tuple(_jobs(recorder, moves))
        types = recorder.rows("types in the way", _TYPES, [sorted({move.schema for move in moves})])
    changing = tuple(renames(carriers, moves))
    refuse_occupied(case.observed, moves, {Name(*row) for row in types})
    refuse_collisions(case.observed, moves, changing)
    own = {move.now for move in moves}
    return Survey(
        moves=moves,
        renames=changing,
        referring=tuple(sorted({each.table for each in changing} - own, key=str)),
        created=tuple(sorted({move.schema for move in moves} - case.observed.schema_names)),
        shut=shut,
        defaults=tuple(_defaults(granted, moves, {each.role for each in entitled})),
        bodies=bodies,
        jobs=jobs,
        owners=tuple(sorted({case.observed.by_oid[move.oid].owner for move in moves})),
    )


# ------------------------------------------------------------------ which tables go where


def _moves(case: Case) -> tuple[Move, ...]:
    models = {model.label: model for model in case.declared.models}
    found = [
        move for row in case.placement if (model := models.get(row.model)) and (move := _move(row, model))
    ]
    if not any(move.pending for move in found):
        raise Refused(
            "there is no misplaced table to repair",
            hint="`rcakit check` lists what else is wrong, if anything",
        )
    home = next(str(move.old.schema) for move in found if move.pending)
    return tuple(move if move.pending else move.at_home(home) for move in found)


def _move(row: Placement, model: Model) -> Move | None:
    """The move of one table; of one that somebody moved by hand already, only what is left of it."""
    if row.verdict == "missing" and row.spelling.kind == "literal-dot":
        meant = row.spelling.meant
        moved = next((each for each in row.elsewhere if each.qualified == meant), None)
        if moved is None or row.spelling.relation is None:
            return None
        return Move(moved.oid, model, row.spelling.relation, meant, pending=False)
    if row.verdict != "wrong schema" or row.found is None or row.intended is None:
        return None
    if row.spelling.kind != "literal-dot":
        raise Refused(
            f"{row.model} is misplaced, but its db_table {model.db_table!r} holds no literal dot: "
            "how that came about is not known here",
            hint="move it by hand, after a rehearsal on a copy",
        )
    target = row.intended.target
    return Move(
        row.found.oid, model, row.found.qualified, Name(target.schema or row.found.schema, target.name)
    )


def _refuse_odd(observed: Catalog, moves: Sequence[Move]) -> None:
    wanted: dict[Name, Move] = {}
    for move in moves:
        if move.pending and observed.find(move.new) is not None:
            raise Refused(
                f"{move.old} and {move.new} are both there: which rows are right is not for a program to decide",
                hint="compare their rows and keep one, then ask again",
            )
        if move.new in wanted:
            raise Refused(
                f"{move.old} and {wanted[move.new].old} were both meant to be {move.new}",
                hint="say in [expected_schemas] which of them is",
            )
        wanted[move.new] = move
        if _odd(observed, observed.by_oid[move.oid]):
            raise Refused(
                f"{move.now} is not an ordinary table (partitioned, inherited, foreign or a view)",
                hint="its parts would have to move with it: do that by hand, after a rehearsal on a copy",
            )


def _odd(observed: Catalog, relation: Relation) -> bool:
    has_children = any(each.parent == relation.oid for each in observed.relations)
    return relation.kind != "r" or bool(relation.parent) or has_children


def _refuse_stale(recorder: evidence.Recorder, moves: Iterable[Move]) -> None:
    found = {row[0]: Name(row[1], row[2]) for row in recorder.rows("still there", _THERE)}
    for move in moves:
        if found.get(move.oid) != move.now:
            raise Refused(f"{move.now} was changed while it was looked at", hint="ask again")


# ------------------------------------------------------------------ rights


def _ways(moves: Iterable[Move]) -> list[tuple[str, str]]:
    """(old schema, new schema), each once."""
    return sorted(
        {(str(move.old.schema), move.schema) for move in moves if move.old.schema != move.new.schema}
    )


def _shut(
    recorder: evidence.Recorder, moves: Sequence[Move], entitled: Iterable[Entitled]
) -> Iterator[Entitled]:
    """Who may use the old schema and something in it, and would stand before the closed door of the new one."""
    rows = list(entitled)
    for old, new in _ways(moves):
        for each in rows:
            if each.schema == old:
                usable = recorder.rows(f"usage of {new}", _USABLE, [each.role, new])
                if not usable or not usable[0][0]:
                    yield Entitled(new, each.role, each.everyone)


def _defaults(
    rows: Sequence[DefaultPrivilege], moves: Sequence[Move], roles: set[str]
) -> Iterator[DefaultPrivilege]:
    there = {(row.maker, row.schema, row.kind, row.grantee): set(row.privileges) for row in rows}
    for old, new in _ways(moves):
        for row in rows:
            missing = set(row.privileges) - there.get((row.maker, new, row.kind, row.grantee), set())
            if row.schema == old and row.grantee in roles and missing:
                yield row._replace(schema=new, privileges=tuple(sorted(missing)))


# ------------------------------------------------------------------ functions and scheduled jobs


def _bodies(case: Case, recorder: evidence.Recorder, moves: Sequence[Move]) -> Iterator[Body]:
    named = {row.dependant for row in case.dependants if row.kind == "function" and row.bound == "text"}
    for signature in sorted(named):
        answer = recorder.attempt(f"definition of {signature}", _DEFINITION, [signature])
        if isinstance(answer, list) and answer:
            definition, source, language = answer[0]
            yield rewritten(signature, definition, source, language, moves)
        else:
            yield Body(signature, "", why="its definition could not be read")


def _jobs(recorder: evidence.Recorder, moves: Sequence[Move]) -> Iterator[str]:
    """Entries of pg_cron: https://github.com/citusdata/pg_cron"""
    if recorder.rows("pg_cron", _CRON) != [(True,)]:
        return
    found = recorder.attempt("cron entries", "select jobid, command from cron.job order by jobid")
    if not isinstance(found, list):
        yield f"the entries of cron.job could not be read: {found.reason}"
        return
    for number, command in found:
        for move in moves:
            if move.old.name in command:
                yield f"the cron entry {number} names {move.old.name}: change it with cron.alter_job"
