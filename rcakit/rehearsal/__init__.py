"""A repair tried on a copy of the investigated database, and everything measured that it must keep or change.

>>> with stage(case) as here:                       # doctest: +SKIP
...     rehearse(here, repair).verdict              # doctest: +SKIP
'passed'

The repair is applied by the project's own interpreter, from a patched copy of the project: its code runs. The
investigated database and the project itself are only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rcakit.case import Case
from rcakit.facts import Catalog, Declared, Finding
from rcakit.ledger import Step, diff, structure
from rcakit.rehearsal import kept, locks
from rcakit.rehearsal.parts import Proof, Rehearsal
from rcakit.rehearsal.project import Answer
from rcakit.rehearsal.stage import Stage, stage
from rcakit.rehearsal.states import State
from rcakit.remedy.parts import Repair

__all__ = ["Proof", "Rehearsal", "Stage", "rehearse", "stage"]

Say = Callable[[str], None]


def rehearse(here: Stage, repair: Repair, say: Say = lambda _: None) -> Rehearsal:
    """Apply, look, apply again, take back, apply once more; and a fresh database beside it.

    Raises ProjectError and ScratchError when it cannot be tried. That it fails is no error but the verdict.
    """
    began = time.monotonic()
    found: list[Proof] = []
    left: list[str] = list(repair.residue)
    with here.trial() as dbname, here.project(repair.changed) as copy:
        watched = here.watched(repair)
        before = here.look(dbname, watched)
        found.append(_extent(before, here.rows))
        say("applying it ...")
        applied = _apply(here, repair, copy, dbname)
        found += applied
        if all(proof.passed for proof in applied):
            say("measuring ...")
            after = here.look(dbname, watched)
            found += kept.proofs(before, after, [move.new for move in repair.moves if not move.pending])
            left += _left(repair, after)
            judged = here.investigate(copy, dbname, repair)
            found += _findings(here.case, judged, repair)
            found += _project(here, repair, copy, dbname)
            say("applying it a second time, and to a fresh database ...")
            found += _again(here, repair, copy, dbname)
            found += _fresh(here, judged.declared, copy, after.catalog)
            found += _script(here, repair, after.catalog)
            found += _in_two_steps(here, repair, dbname)
        else:
            left.append("it could not be applied")
    return Rehearsal(
        repair, tuple(found), tuple(dict.fromkeys(left)), time.monotonic() - began, here.server.version
    )


def _extent(before: State, limit: int | None) -> Proof:
    """How much of the database the proofs speak of."""
    rows = sum(table.rows for table in before.tables.values())
    chosen = "all there are" if limit is None else f"{limit} a table, and what they refer to"
    return Proof("the copy", "rows to try it on", "", f"{rows} in the tables to repair: {chosen}", True)


# ------------------------------------------------------------------ applying it


def _apply(here: Stage, repair: Repair, copy: Path, dbname: str) -> list[Proof]:
    """By migration where it has one, else by its statements."""
    if not repair.migrations:
        said = here.run(dbname, repair.statements).error
        return [Proof(repair.title, "applies", "", said or "yes", not said)]
    ledger = here.migrate(copy, dbname, reverse=True)
    wanted = set(repair.migrations)
    proofs = [_applied(step) for step in ledger.steps]
    missing = wanted - {step.migration for step in ledger.steps}
    proofs += [Proof(label, "applies", "", "it did not run", False) for label in sorted(missing)]
    for step in ledger.steps:
        if step.migration in wanted and step.reverse is not None:
            by_hand = [move.old.name for move in repair.moves if not move.pending]
            proofs.append(_reversed(step, ledger.catalog, by_hand))
    return proofs


def _applied(step: Step) -> Proof:
    failed = step.kind in ("failed", "cannot-reproduce", "silent-no-op")
    said = (
        f"{step.kind}: {step.error or step.why}" if failed else f"{step.kind}, {step.seconds * 1000:.0f} ms"
    )
    return Proof(step.migration, "applies", "", said, not failed)


def _reversed(step: Step, after: Catalog, by_hand: Sequence[str] = ()) -> Proof:
    """Restored, but for what an owner holds anyway, which PostgreSQL spells out at the first GRANT and never unsays.

    A table that somebody moved by hand before goes back with the others: there the code of before looks for it.
    """
    back = step.reverse
    if back is None or back.result in ("failed", "irreversible"):
        said = back.error or back.result if back else "not tried"
        return Proof(step.migration, "taken back, and applied again", "", said, False)
    spelled_out = _spelled_out(after)
    differs = [
        line for line in back.changes if line not in spelled_out and not any(name in line for name in by_hand)
    ]
    restored = ", and back too: ".join(["the first catalog", *([", ".join(by_hand)] if by_hand else [])])
    return Proof(
        step.migration,
        "taken back, and applied again",
        "",
        "; ".join(differs) or restored,
        not differs,
    )


def _spelled_out(after: Catalog) -> set[str]:
    owners = {("schema", each.oid): (each.name, each.owner) for each in after.schemas}
    owners |= {("relation", each.oid): (str(each.qualified), each.owner) for each in after.relations}
    return {
        f"+ {', '.join(grant.privileges)} on {grant.object_kind} {named[0]} to {grant.grantee}"
        for grant in after.grants
        if (named := owners.get((grant.object_kind, grant.object))) and named[1] == grant.grantee
    }


def _again(here: Stage, repair: Repair, copy: Path, dbname: str) -> Iterator[Proof]:
    """`migrate` once more has nothing to do; the migration itself, run once more, changes nothing either."""
    before = here.read(dbname)
    if not repair.migrations:
        if repair.statements:
            said = here.run(dbname, repair.statements).error
            yield _unchanged("applied again", before, here.read(dbname), f"refused: {said}" if said else "")
        return
    steps = here.migrate(copy, dbname).steps
    yield Proof("manage.py migrate", "a second time", "", f"{len(steps)} migrations ran", not steps)
    for label in repair.migrations:
        here.forget(dbname, label)
    ledger = here.migrate(copy, dbname)
    failed = ledger.failed
    yield _unchanged("applied again", before, here.read(dbname), failed.error if failed else "", bool(failed))


def _unchanged(check: str, before: Catalog, after: Catalog, said: str, failed: bool = False) -> Proof:
    changes = [str(change) for change in diff.diff(before, after)]
    text = "; ".join([*([said] if said else []), *changes]) or "nothing changed"
    return Proof("the database", check, "", text, not changes and not failed)


# ------------------------------------------------------------------ judging it


def _left(repair: Repair, after: State) -> Iterator[str]:
    moved = () if repair.keeps else repair.moves
    prefixes = sorted({f"{move.schema}." for move in moved})
    yield from kept.residue(after, [move.old.name for move in moved], prefixes)


def _findings(was: Case, now: Case, repair: Repair) -> Iterator[Proof]:
    """What the kit finds afterwards: nothing new, and nothing about these tables."""
    known = {_key(each) for each in was.findings}
    standing = [each for each in now.findings if each.severity != "note"]
    for finding in standing:
        if _key(finding) not in known or _concerns(finding, repair):
            yield Proof(finding.object, f"{finding.code} {finding.rule}", "", finding.message, False)
    old = sum(each.severity != "note" for each in was.findings)
    yield Proof("rcakit check", "errors and warnings", str(old), str(len(standing)), len(standing) < old)
    known_unread = {each.reason for each in was.unread}
    for each in now.unread:
        if each.blocking and each.reason not in known_unread:
            yield Proof(str(each.where or each.account), "can be checked", "yes", each.reason, False)


def _project(here: Stage, repair: Repair, copy: Path, dbname: str) -> Iterator[Proof]:
    """What the project itself says: its models read and write, and Django has nothing left to migrate."""
    labels = [move.model.label for move in repair.moves]
    now = here.ask(copy, dbname, labels)
    yield from _round_trips(here, now, labels, "ORM round trip")
    before = here.untouched[""][1]
    quiet = not now.pending or now.pending == before
    yield Proof("manage.py makemigrations", "--check", _first(before), _first(now.pending), quiet)


def _round_trips(here: Stage, now: Answer, labels: Iterable[str], check: str) -> Iterator[Proof]:
    for label in labels:
        old = here.untouched.get(label, (None, "not asked"))
        new = now.models.get(label, (None, "not asked"))
        good = new[0] is not None and old[0] in (None, new[0]) and new[1].startswith("read")
        yield Proof(label, check, _said(old), _said(new), good)


def _in_two_steps(here: Stage, repair: Repair, dbname: str) -> Iterator[Proof]:
    """The code of before works in between; the later step takes the bridge away, and leaves what Option A leaves."""
    if not repair.later:
        return
    labels = [move.model.label for move in repair.moves]
    names = [move.old.sql for move in repair.moves]
    lost = sorted(here.may(here.base, names) - here.may(dbname, names))
    said = "; ".join(f"{role} may not {privilege} {name}" for role, name, privilege in lost)
    yield Proof("the old names", "rights over the bridge", "", said or "as before", not lost)
    with here.project({}) as old_code:
        yield from _round_trips(here, here.ask(old_code, dbname, labels), labels, "old code, over the bridge")
    with here.project({**repair.changed, **repair.later}) as new_code:
        ledger = here.migrate(new_code, dbname, reverse=True)
        yield from (_applied(step) for step in ledger.steps)
        yield from (_reversed(step, ledger.catalog) for step in ledger.steps if step.reverse)
        yield from _round_trips(
            here, here.ask(new_code, dbname, labels), labels, "new code, without the bridge"
        )
    left = [str(move.old) for move in repair.moves if here.read(dbname).find(move.old)]
    yield Proof("the old names", "are gone after the later step", "", ", ".join(left) or "gone", not left)


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.object, finding.migration


def _concerns(finding: Finding, repair: Repair) -> bool:
    names = {name for move in repair.moves for name in (move.old, move.new)}
    return finding.relation in names


def _said(answer: tuple[int | None, str]) -> str:
    rows, what = answer
    return what if rows is None else f"{rows} rows, {what}"


def _first(text: str) -> str:
    return " ".join(text.split())[:200] or "no changes"


def _fresh(here: Stage, declared: Declared, copy: Path, after: Catalog) -> Iterator[Proof]:
    """All migrations on an empty database must end in the same declared tables."""
    ledger = here.fresh(copy)
    if ledger.failed is not None:
        said = f"{ledger.failed.migration}: {ledger.failed.error}"
        yield Proof("a fresh database", "ends in the same catalog", "", said, False)
        return
    different = kept.same_end(here.catalog, after, ledger.catalog, declared)
    said = "; ".join(different[:6]) + (f" and {len(different) - 6} more" if len(different) > 6 else "")
    yield Proof("a fresh database", "ends in the same catalog", "", said or "equal", not different)


def _script(here: Stage, repair: Repair, after: Catalog) -> Iterator[Proof]:
    """The plain SQL ends in the same catalog as the migration, and its way back where it began."""
    if not (repair.migrations and repair.statements):
        return
    with here.trial() as dbname:
        ran = here.run(dbname, repair.statements)
        said = ran.error
        held = f"ACCESS EXCLUSIVE on {ran.locked} tables for {ran.seconds * 1000:.0f} ms"
        yield Proof("repair.sql", "locks", "", said or held, not said)
        different = said or "; ".join(structure.differences(after, here.read(dbname)))
        yield Proof("repair.sql", "ends where the migration does", "", different or "equal", not different)
        said = said or here.run(dbname, repair.reverse).error
        different = said or "; ".join(str(change) for change in diff.diff(here.catalog, here.read(dbname)))
        yield Proof("reverse.sql", "restores the first catalog", "", different or "equal", not different)
        if not said:
            name = next(move.old for move in repair.moves if move.pending)
            bridged = bool(repair.later)
            yield from locks.under_traffic(here.server, dbname, repair.statements, name, bridged=bridged)
            here.run(dbname, repair.reverse)
            yield from locks.one_by_one(here.server, dbname, repair.statements)
