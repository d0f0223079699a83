"""Two states of one database, judged: what a repair must keep, object by object, and what it must not leave behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from rcakit.facts import Catalog, Constraint, Declared, Relation
from rcakit.ledger import structure
from rcakit.names import Name, spelling
from rcakit.rehearsal.parts import Proof
from rcakit.rehearsal.states import NOT_CALLED, State


def proofs(before: State, after: State, by_hand: Collection[Name] = ()) -> Iterator[Proof]:
    """One proof for each thing that was there before. Tables moved `by_hand` may be opened again to whom they were shut."""
    yield from _tables(before, after)
    yield from _counters(before, after)
    yield from _foreign_keys(before, after)
    yield from _rights(before, after, by_hand)
    yield from _calls(before, after)
    yield from _beside(before, after)


def _name(before: Name, after: Name | None) -> str:
    return str(before) if after in (None, before) else f"{before} -> {after}"


def _tables(before: State, after: State) -> Iterator[Proof]:
    for oid, old in before.tables.items():
        new = after.tables.get(oid)
        name = _name(old.name, new.name if new else None)
        if new is None:
            yield Proof(name, "table", "there", "gone", False)
            continue
        yield Proof(name, "rows", str(old.rows), str(new.rows), old.rows == new.rows)
        yield Proof(name, "content", old.content, new.content, old.content == new.content)
        kept = old.file == new.file
        yield Proof(name, "rewritten", "no", "no" if kept else "yes", kept)


def _counters(before: State, after: State) -> Iterator[Proof]:
    for oid, old in before.counters.items():
        new = after.counters.get(oid)
        name = _name(old.name, new.name if new else None)
        stood = f"{old.last_value}{'' if old.is_called else ', not called'}"
        stands = f"{new.last_value}{'' if new.is_called else ', not called'}" if new else "gone"
        yield Proof(name, "last value", stood, stands, stood == stands)
        owned = new is not None and new.owner == old.owner
        yield Proof(name, "owned by its column", "yes", "yes" if owned else "no", owned)


def _foreign_keys(before: State, after: State) -> Iterator[Proof]:
    now = {each.oid: each for each in after.catalog.constraints}
    for old in before.catalog.constraints:
        if old.kind == "f" and {old.relation, old.foreign_relation} & set(before.tables):
            new = now.get(old.oid)
            was, is_ = _validity(old), _validity(new)
            name = f"{old.name} -> {new.name}" if new and new.name != old.name else old.name
            yield Proof(name, "foreign key", was, is_, was == is_)


def _validity(constraint: Constraint | None) -> str:
    if constraint is None:
        return "gone"
    return "validated" if constraint.validated else "not validated"


def _rights(before: State, after: State, by_hand: Collection[Name]) -> Iterator[Proof]:
    """A role that could do nothing and can do nothing is no row."""
    shut = {oid for oid, each in before.tables.items() if each.name in by_hand}
    shut |= {oid for oid, each in before.counters.items() if each.owner[0] in shut}
    names = {oid: each.name for oid, each in after.tables.items()}
    names |= {oid: each.name for oid, each in after.counters.items()}
    for oid, roles in before.rights.items():
        for role, old in roles.items():
            new = after.rights.get(oid, {}).get(role, frozenset())
            if old or new:
                was, is_ = (", ".join(sorted(each)) or "nothing" for each in (old, new))
                good = old == new or (oid in shut and old < new)
                yield Proof(f"{names.get(oid, oid)}", f"rights of {role}", was, is_, good)


def _calls(before: State, after: State) -> Iterator[Proof]:
    for name, old in before.calls.items():
        new = after.calls.get(name, "gone")
        yield Proof(name, "works", old or "works", new or "works", new == old or not new)


def _beside(before: State, after: State) -> Iterator[Proof]:
    """Comments and owners of everything that is still there."""
    now = after.catalog.by_oid
    for old in before.catalog.relations:
        new = now.get(old.oid)
        if new is not None and (new.owner, new.comment) != (old.owner, old.comment):
            was, is_ = f"{old.owner}, {old.comment}", f"{new.owner}, {new.comment}"
            yield Proof(str(new.qualified), "owner and comment", was, is_, False)


def residue(after: State, old_names: Iterable[str], prefixes: Iterable[str]) -> Iterator[str]:
    """What still carries an old name, or still asks for one."""
    starts = tuple(prefixes)
    for carried in after.carried:
        kind, _, name = carried.partition(" ")
        if name.startswith(starts) or any(f"_fk_{start}" in name for start in starts):
            yield f"the {kind} {name} still carries the old name"
    wanted = [f'"{name}"' for name in old_names]
    for function in after.catalog.functions:
        if any(name in function.source for name in wanted):
            yield f"the function {function.schema}.{function.name}({function.arguments}) still names a table that is gone"


def uncalled(after: State) -> tuple[str, ...]:
    """Views and functions that could not be tried."""
    return tuple(name for name, said in after.calls.items() if said == NOT_CALLED)


# ------------------------------------------------------------------ a fresh database, and the repaired one


def same_end(before: Catalog, repaired: Catalog, fresh: Catalog, declared: Declared) -> tuple[str, ...]:
    """The differences in the declared tables and their sequences. What no migration makes is not compared.

    So a trigger that was there before the repair, and that a fresh database has not got, is somebody's own.
    """
    names = {name for model in declared.models if (name := spelling(model.db_table).relation)}
    made = {each.name for each in fresh.triggers}
    own = {each.oid for each in before.triggers}
    triggers = tuple(each for each in repaired.triggers if each.name in made or each.oid not in own)
    return structure.differences(
        _declared(fresh, names), _declared(replace(repaired, triggers=triggers), names)
    )


def _declared(observed: Catalog, names: Iterable[Name]) -> Catalog:
    tables = {found.oid for name in names if (found := observed.find(name))}
    tables |= {each.relation for each in observed.sequences if each.owner_relation in tables}

    def kept(relation: Relation) -> Relation:
        return relation._replace(owner="")

    return replace(
        observed,
        schemas=(),
        relations=tuple(kept(each) for each in observed.relations if each.oid in tables),
        functions=(),
        triggers=tuple(each for each in observed.triggers if each.relation in tables),
        views=(),
        grants=(),
    )
