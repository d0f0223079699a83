"""Ways out and how they fared: the options side by side, what each writes, and the proofs of a rehearsal.

Rehearsing runs the project's code on a throwaway server; a case is rehearsed once, whatever is shown of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rcakit import rehearsal as rehearsals
from rcakit import remedy
from rcakit.errors import Refused
from rcakit.report import tables
from rcakit.report.html import Html, between, breakable, chip, code, details, join, pre, source, spoken, tag
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.rehearsal import Proof, Rehearsal
    from rcakit.remedy import Repair, Statement

LONG = 160
"""Characters of what was found before or after that stand in a table."""
USUAL = "advised"
"""The repair people usually advise: rehearsed beside the chosen one."""
_LOUD = (
    "rows to try it on",
    "applies",
    "taken back, and applied again",
    "works",
    "errors and warnings",
    "ORM round trip",
    "--check",
)
_tried: WeakKeyDictionary[Case, dict[str, Rehearsal]] = WeakKeyDictionary()


def options(case: Case) -> Html:
    """A, B and C with their trade-offs, or why there is none."""
    rows = [(letter, _built(case, letter)) for letter in "ABC"]
    if not any(isinstance(found, remedy.Repair) for _, found in rows):
        return common.nothing(f"No repair is offered: {rows[0][1]}.")
    return tag("dl", *(part for letter, found in rows for part in _option(letter, found)))


def _built(case: Case, letter: str) -> Repair | str:
    try:
        return remedy.option(case, letter)
    except Refused as refused:
        return refused.what


def _option(letter: str, found: Repair | str) -> Iterable[Html]:
    if isinstance(found, str):
        yield tag("dt", f"Option {letter}: refused")
        yield tag("dd", spoken(found))
        return
    yield tag("dt", f"Option {letter}: {found.title}")
    yield tag("dd", tag("ul", *(tag("li", spoken(line)) for line in found.trade_offs)))


def files(case: Case, option: str = "A") -> Html:
    """What `rcakit repair` writes for one option: each file folded, the statements with their locks, and what hangs on it."""
    found = _built(case, option)
    if isinstance(found, str):
        return common.nothing(f"Option {option} is refused: {found}.")
    folded = [source(details(code(each.path), pre(each.text)), code(each.path)) for each in found.files]
    return join(_statements(found.statements), _dependants(found.dependants), *folded)


def _statements(rows: Sequence[Statement]) -> Html:
    if not rows:
        return common.nothing("The database is not touched.")
    columns = {"Statement": lambda row: code(row.sql), "Lock": lambda row: row.lock}
    style = tables.Style(
        "Statements, in one transaction", noun="statement", limit=30, cards=True, source="repair.sql"
    )
    number = common.plural(len(rows), "statement")
    return source(tables.records(rows, style, columns), tag("p", f"{number}, in one transaction."))


def _dependants(rows: Sequence[str]) -> Html:
    style = tables.Style("What hangs on these tables", noun="dependant", head=False)
    return tables.table(["What becomes of it"], [[spoken(row)] for row in rows], style)


def rehearsal(case: Case, option: str = "A") -> Html:
    """One option tried on a copy, and beside it what people usually advise: verdicts, what failed, and every proof."""
    try:
        tried = _rehearsed(case, option)
    except Refused as refused:
        return common.nothing(f"Nothing was rehearsed: {refused.what}.")
    return join(*(_one(each) for each in tried.values()))


def verdict(case: Case, option: str = "A") -> Html:
    """The answer to the question of the notebook, in one sentence."""
    try:
        tried = _rehearsed(case, option)
    except Refused as refused:
        return common.nothing(f"Nothing was rehearsed: {refused.what}.")
    who = {USUAL: "What people usually advise"}
    words = [f"{who.get(key, f'Option {key}')} {_counted(each)}." for key, each in tried.items()]
    return tag("p", " ".join(words), class_="answer")


def _rehearsed(case: Case, option: str) -> dict[str, Rehearsal]:
    tried = _tried.setdefault(case, {})
    wanted = [key for key in dict.fromkeys((option, USUAL)) if key not in tried]
    if wanted:
        repairs = {key: remedy.option(case, key) for key in wanted}
        with rehearsals.stage(case) as here:
            for key, repair in repairs.items():
                tried[key] = rehearsals.rehearse(here, repair)
    return {key: tried[key] for key in dict.fromkeys((option, USUAL))}


def _counted(each: Rehearsal) -> str:
    if each.verdict == "passed":
        return f"passes all of its {len(each.proofs)} proofs and leaves nothing behind"
    return f"fails {len(each.failed)} of its {len(each.proofs)}" if each.failed else "leaves something behind"


def _summary(each: Rehearsal) -> str:
    if each.verdict == "passed":
        return f"passes with {len(each.proofs)} proofs and nothing left"
    return f"fails on {', '.join(dict.fromkeys(proof.check for proof in each.failed)) or 'what it leaves'}"


def _one(each: Rehearsal) -> Html:
    good = each.verdict == "passed"
    head = tag(
        "h3",
        f"Option {each.repair.option}: {each.repair.title} ",
        chip("good" if good else "error", each.verdict),
    )
    loud = [proof for proof in each.proofs if not proof.passed or proof.check in _LOUD]
    rest = [proof for proof in each.proofs if proof not in loud]
    return join(
        head,
        tag("p", f"It {_summary(each)}, on PostgreSQL {each.server_version}."),
        _left(each.residue),
        _proofs("What happened", loud),
        details(f"{len(rest)} more proofs, object by object", _proofs("Kept as it was", rest))
        if rest
        else "",
    )


def _left(rows: Sequence[str]) -> Html:
    if not rows:
        return common.nothing("Nothing is left behind.")
    style = tables.Style("Left behind or broken", noun="thing", head=False, limit=20)
    return tables.table(["What"], [[spoken(row)] for row in rows], style)


def _proofs(caption: str, rows: Sequence[Proof]) -> Html:
    """One line for all objects of which a check says the same."""
    alike: dict[tuple[object, ...], list[Proof]] = defaultdict(list)
    for row in rows:
        alike[row.check, row.before, row.after, row.passed].append(row)
    columns = {
        "Object": lambda group: join(*between([code(row.object) for row in group], ", ")),
        "Check": lambda group: group[0].check,
        "Before": lambda group: _told(group[0].before),
        "After": lambda group: _told(group[0].after),
        "Result": lambda group: chip("good", "passed") if group[0].passed else chip("error", "failed"),
    }
    style = tables.Style(
        f"{caption}: {common.plural(len(rows), 'proof')}", noun="line", limit=None, cards=True
    )
    return tables.records(alike.values(), style, columns)


def _told(text: str) -> Html:
    """What was there; a long list is folded behind its beginning."""
    if len(text) <= LONG:
        return breakable(text or "–")
    return details(join(breakable(text[:LONG].rsplit(" ", 1)[0]), " …"), breakable(text))
