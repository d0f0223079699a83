"""What is different between two investigations of one target: findings that came and went, and the accounts.

A finding that is gone is not always mended: it may have been waived, or the later run may not have been able to see
it. Both are told apart from `resolved`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from rcakit.archive.content import Branch, Content, Found, Placed, Step, Unread
from rcakit.archive.kept import Kept
from rcakit.errors import ConfigError
from rcakit.rules import RULES, gate_removed, missing_table, wrong_schema

REPLAYED = frozenset(rule.code for rule in RULES if rule.needs == "replay")
"""Findings that only a replay can show."""
_ASKS = frozenset({gate_removed.CODE, missing_table.CODE, wrong_schema.CODE})
"""Findings beside which the project's tests and pipelines are looked at, families 5 and 6, and not otherwise."""
_ACCOUNTS = ("declared", "intended", "recorded", "replayed", "observed", "verdict")
_CIRCUMSTANCES = {"database": "database", "server_version": "server version", "role": "role"}
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was `was` and is `now`; None: it is not there."""

    object: str
    account: str
    was: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Two investigations, the later seen from the earlier."""

    new: tuple[Found, ...]
    resolved: tuple[Found, ...]
    unchanged: tuple[Found, ...]
    """As the later one words them."""
    waived: tuple[Found, ...]
    """Gone because somebody accepted them since."""
    untold: tuple[Found, ...]
    """Gone, but the later one could not have told."""
    moot: tuple[Found, ...]
    """On tests and pipelines, which are looked at only beside a misplaced table: none is any more, so nobody looked."""
    accounts: tuple[Change, ...]
    steps: tuple[Change, ...]
    guards: tuple[Change, ...]
    unread_new: tuple[Unread, ...]
    unread_gone: tuple[Unread, ...]
    notes: tuple[str, ...]
    """Circumstances that differ, a sentence each."""

    @property
    def blinder(self) -> bool:
        """Something could not be checked that could be before."""
        return any(row.blocking for row in self.unread_new)

    @property
    def exit_code(self) -> int:
        """1 new findings, 2 none but something could not be checked any more, 0 nothing new."""
        return 1 if self.new else 2 if self.blinder else 0

    def said(self) -> str:
        """ "2 new findings, 1 resolved, 14 unchanged"."""
        counts = {
            f"new finding{'s' * (len(self.new) != 1)}": self.new,
            "resolved": self.resolved,
            "waived": self.waived,
            "gone but not checked": self.untold,
            "not looked for any more": self.moot,
            "unchanged": self.unchanged,
        }
        said = [f"{len(rows)} {what}" for what, rows in counts.items() if rows]
        return ", ".join(said) or "nothing found in either"


def compare(earlier: Kept, later: Kept) -> Difference:
    """The later run seen from the earlier. Raises ConfigError for runs of two targets, or one that found nothing out."""
    for kept in (earlier, later):
        demand_finished(kept)
    if earlier.run.target != later.run.target:
        raise ConfigError(
            f"{earlier.id} is a run of {earlier.run.target}, {later.id} one of {later.run.target}",
            hint="what is new in one target says nothing about another: give two runs of the same",
        )
    found = difference(earlier.content, later.content)
    if earlier.run.started <= later.run.started:
        return found
    return replace(
        found,
        notes=(
            *found.notes,
            "the run named first is the later one: new and resolved are the wrong way round",
        ),
    )


def demand_finished(kept: Kept) -> None:
    """Raises ConfigError for a run that ended before it could judge anything."""
    if not kept.finished:
        reason = kept.run.reason or "it saved no case"
        raise ConfigError(
            f"{kept.id} cannot be compared, its status is {kept.run.status}: {reason}",
            hint="give a run that came to its end",
        )


def difference(earlier: Content, later: Content) -> Difference:
    """What changed between two findings.json."""
    pairs = list(_pairs(earlier.standing, later.standing))
    unread = list(_pairs(earlier.unread, later.unread))
    unread_new = tuple(now for was, now in unread if was is None and now)
    classes: dict[str, list[Found]] = {name: [] for name in ("waived", "untold", "moot", "resolved")}
    for row in (was for was, now in pairs if now is None and was):
        classes[_gone(row, earlier, later, blind=any(each.blocking for each in unread_new))].append(row)
    both = bool(earlier.steps) and bool(later.steps)
    return Difference(
        new=tuple(now for was, now in pairs if was is None and now),
        unchanged=tuple(now for was, now in pairs if was and now),
        **{name: tuple(rows) for name, rows in classes.items()},
        accounts=tuple(_placements(earlier, later, replayed=both)),
        steps=tuple(_steps(earlier.steps, later.steps)) if both else (),
        guards=tuple(_guards(earlier.steps, later.steps)) if both else (),
        unread_new=unread_new,
        unread_gone=tuple(was for was, now in unread if now is None and was),
        notes=tuple(_notes(earlier, later)),
    )


def _gone(row: Found, earlier: Content, later: Content, *, blind: bool) -> str:
    """Why a finding is not there any more."""
    accepted = [each.finding for each in later.waived]
    if row.key in {each.key for each in accepted}:
        return "waived"
    if blind or (row.code in REPLAYED and earlier.steps and not later.steps):
        return "untold"
    asked = any(each.code in _ASKS for each in (*later.standing, *accepted))
    return "moot" if row.code[:3] in ("RK5", "RK6") and not asked else "resolved"


def _pairs(earlier: Iterable[_Row], later: Iterable[_Row]) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Rows of the same key side by side, the first with the first; None where a partner is missing."""
    waiting: dict[Hashable, list[_Row]] = defaultdict(list)
    for row in earlier:
        waiting[_key(row)].append(row)
    for row in later:
        partners = waiting[_key(row)]
        yield (partners.pop(0) if partners else None), row
    for rows in waiting.values():
        yield from ((row, None) for row in rows)


def _key(row: Any) -> Hashable:
    key: Hashable = row.key
    return key


def _placements(earlier: Content, later: Content, *, replayed: bool) -> Iterator[Change]:
    """Each table, account by account; the replayed one counts only where both runs replayed."""
    for was, now in _pairs(earlier.accounts.placement, later.accounts.placement):
        row = now or was
        if was is None or now is None:
            yield Change(
                row.model if row else "",
                "declared",
                was.declared if was else None,
                now.declared if now else None,
            )
            continue
        for account in _ACCOUNTS:
            old, new = _value(was, account), _value(now, account)
            if old != new and (replayed or account != "replayed"):
                yield Change(now.model, account, old, new)


def _value(row: Placed, account: str) -> str | None:
    value: str | None = getattr(row, account)
    return value


def _steps(earlier: Iterable[Step], later: Iterable[Step]) -> Iterator[Change]:
    for was, now in _pairs(earlier, later):
        row = now or was
        if row and (was is None or now is None or was.kind != now.kind):
            yield Change(row.migration, row.alias, was.kind if was else None, now.kind if now else None)


def _guards(earlier: Iterable[Step], later: Iterable[Step]) -> Iterator[Change]:
    """Conditions that came out otherwise; those of a migration that is in one run alone are told with it."""
    for was, now in _pairs(earlier, later):
        if was and now:
            yield from _branches(now.migration, was.guards, now.guards)


def _branches(migration: str, earlier: Iterable[Branch], later: Iterable[Branch]) -> Iterator[Change]:
    for was, now in _pairs(earlier, later):
        row = now or was
        old, new = was.said if was else None, now.said if now else None
        if row and old != new:
            yield Change(migration, row.condition, old, new)


def _notes(earlier: Content, later: Content) -> Iterator[str]:
    for key, name in _CIRCUMSTANCES.items():
        yield from _differs(name, earlier.target, later.target, key)
    yield from _differs("declared account", earlier.provenance, later.provenance, "declared account")
    if bool(earlier.steps) != bool(later.steps):
        which = "earlier" if earlier.steps else "later"
        yield f"only the {which} run replayed the migrations: what a replay shows is not compared"


def _differs(name: str, earlier: Mapping[str, str], later: Mapping[str, str], key: str) -> Iterator[str]:
    was, now = earlier.get(key, ""), later.get(key, "")
    if was != now:
        yield f"the {name} was {was or 'not known'}, and is {now or 'not known'}"


# ------------------------------------------------------------------ closed?

Closing = Literal["closed", "not closed", "could not check"]
_CLOSING: dict[Closing, str] = {
    "closed": "What was found then is gone, nothing is new, and all was checked",
    "not closed": "Something that was found then is still there or only waived, or something is new",
    "could not check": "Nothing of it was found again, but not everything could be checked",
}
COUNTED = frozenset({"error", "warning"})
"""Severities that keep an incident open; notes do not."""


def closing(found: Difference, later: Content) -> Closing:
    """Whether an incident is over. What was waived is not mended, and what could not be checked is never closed."""
    if any(row.severity in COUNTED for row in (*found.new, *found.unchanged, *found.waived)):
        return "not closed"
    if any(row.blocking for row in later.unread) or any(row.severity in COUNTED for row in found.untold):
        return "could not check"
    return "closed"


def closing_said(verdict: Closing, found: Difference) -> str:
    """The verdict in a sentence or two, with what it does not cover."""
    moot = len(found.moot)
    tests = f" Tests and pipelines were not looked at again: {moot} of the findings are about them, and may still stand."
    return f"{_CLOSING[verdict]}.{tests if moot else ''}"
