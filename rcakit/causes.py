"""From findings to a causal chain: what went wrong first, what let it happen, what kept it quiet.

A *symptom* is a finding about the database as it is now (a table in the wrong schema, a missing column). A
*cause* is a set of findings of one rule that can be tied, relation by relation, to a symptom. Findings that
cannot be tied to one stay findings: they are faults, but nothing here shows that they caused anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain as joined
from typing import Literal, NamedTuple

from rcakit import intent
from rcakit.facts import Accounts, Finding
from rcakit.names import Name, spelling

Confidence = Literal["proved", "likely", "hypothesis", "refuted"]
Role = Literal["root", "contributing", "silencing"]


@dataclass(frozen=True, slots=True)
class Cause:
    """One link of the chain.

    explains
        ids of the causes it brought about, or "symptom".
    confidence
        "likely" when all accounts agree with it, "proved" when a replay with it undone lost the symptom.
    """

    id: str
    title: str
    role: Role
    claim: str
    findings: tuple[Finding, ...]
    explains: tuple[str, ...]
    confidence: Confidence
    proof: str
    falsified_by: str
    evidence: tuple[str, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.code for finding in self.findings))


@dataclass(frozen=True, slots=True)
class Pattern:
    """How the findings of one rule take part in a chain."""

    code: str
    role: Role
    title: str
    claim: Callable[[Sequence[Finding], str], str]
    """Of the findings, and of the symptoms they are tied to in words: "7 of 7 misplaced tables"."""
    falsified_by: str


PATTERNS = (
    Pattern(
        "RK101",
        "root",
        "The declared name is one identifier with a dot in it",
        lambda found, tied: (
            f"{tied} are declared as 'schema.table' without inner quotes; Django "
            "quotes that as one identifier, so PostgreSQL makes a table with a dot in its name, in the first schema "
            "of search_path."
        ),
        "a misplaced table whose declared name is schema-qualified, or a literal-dot name that landed where it was meant to",
    ),
    Pattern(
        "RK103",
        "root",
        "The declared name is not the name PostgreSQL uses",
        lambda found, tied: f"{_number(found, 'declared name')} unusable, or cut to 63 bytes.",
        "a relation of exactly the declared name",
    ),
    Pattern(
        "RK305",
        "root",
        "The history was stamped, the migrations never ran",
        lambda found, tied: "The history table lists migrations none of whose tables exist.",
        "any table of these migrations in any schema",
    ),
    Pattern(
        "RK304",
        "contributing",
        "More than one history table",
        lambda found, tied: "Which migrations count as applied depends on search_path.",
        "equal rows in all history tables",
    ),
    Pattern(
        "RK303",
        "contributing",
        "A migration was edited after it was applied",
        lambda found, tied: (
            f"{_number(found, 'applied migration')} edited after the fact: the new text does not run again."
        ),
        "an edit that leaves the operations as they were",
    ),
    Pattern(
        "RK201",
        "contributing",
        "The migration's guard asks for a name that never existed",
        lambda found, tied: (
            f"{_number(found, 'guard')} in {_migrations(found)} asked for relations that no migration ever made and no "
            f"model declares: the condition was false, and what it guards did not run ({tied})."
        ),
        "a state of the database, reachable by the project's own migrations, in which a guard is true",
    ),
    Pattern(
        "RK205",
        "contributing",
        "State and database were told different things",
        lambda found, tied: (
            f"{_number(found, 'operation')} changed Django's idea of a table, and not the table itself."
        ),
        "the table found where the state says",
    ),
    Pattern(
        "RK202",
        "silencing",
        "Nothing was said when nothing was done",
        lambda found, tied: (
            f"{_number(found, 'guard')} in {_migrations(found)} without an ELSE that raises: the migration succeeds, "
            "and the history records it as applied."
        ),
        "an error, or a row in the history, that tells a skipped branch from a taken one",
    ),
    Pattern(
        "RK203",
        "silencing",
        "An exception handler swallowed the error",
        lambda found, tied: (
            f"{_number(found, 'handler')} in {_migrations(found)} turning every error into success."
        ),
        "a handler that re-raises",
    ),
    Pattern(
        "RK204",
        "silencing",
        "A data migration returned early",
        lambda found, tied: (
            f"{_number(found, 'function')} in {_migrations(found)} returning before the work is done."
        ),
        "the work's effect found in the database",
    ),
)

SYMPTOMS = frozenset(
    {"RK401", "RK402", "RK411", "RK412", "RK413", "RK414", "RK415", "RK416", "RK417", "RK418"}
)
AGREED = "All accounts agree with it."
_UNPROVED = f"{AGREED} It was not tried by undoing it and running the migrations again (--replay)."


def symptoms(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, notes apart, that say what is wrong with the database as it is now.

    An effect that is absent (RK301) is one where nothing else shows it, say an index that no model declares.
    """
    found = [finding for finding in findings if finding.severity != "note"]
    told = tuple(finding for finding in found if finding.code in SYMPTOMS)
    return told or tuple(finding for finding in found if finding.code == "RK301")


def chain(accounts: Accounts, findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """The causes of the symptoms among `findings`, root first; empty when nothing is wrong with the database."""
    found = symptoms(findings)
    told = _Told.of(accounts, found)
    causes: list[Cause] = []
    ties: dict[str, frozenset[Finding]] = {}
    for pattern in PATTERNS:
        mine = [each for each in findings if each.code == pattern.code and each.severity != "note"]
        tied = {each: about for each in mine if (about := _tied(accounts, each, told))}
        if tied:
            id_ = f"C{len(causes) + 1}"
            ties[id_] = frozenset(each for group in tied.values() for each in group)
            causes.append(_cause(pattern, tuple(tied), _counted(ties[id_], found), id_))
    return _linked(causes, ties)


class _Told(NamedTuple):
    """The symptoms by what they are about, so that thousands of findings find theirs without going through all."""

    relations: dict[Name, list[Finding]]
    migrations: dict[str, list[Finding]]

    @classmethod
    def of(cls, accounts: Accounts, found: Iterable[Finding]) -> _Told:
        """A misplaced table also by where it was meant to be."""
        told, meant = cls(defaultdict(list), defaultdict(list)), accounts.once(_meant)
        for symptom in found:
            if symptom.relation is not None:
                for name in {symptom.relation, meant.get(symptom.relation, symptom.relation)}:
                    told.relations[name].append(symptom)
            elif symptom.migration:
                told.migrations[symptom.migration].append(symptom)
        return told


def _tied(accounts: Accounts, finding: Finding, told: _Told) -> tuple[Finding, ...]:
    """The symptoms that are about a relation, or else the migration, that this finding is about too."""
    by_relation = (told.relations.get(name, ()) for name in _relations(accounts, finding))
    return (*joined.from_iterable(by_relation), *told.migrations.get(finding.migration or "", ()))


def _cause(pattern: Pattern, findings: tuple[Finding, ...], tied: str, id_: str) -> Cause:
    return Cause(
        id=id_,
        title=pattern.title,
        role=pattern.role,
        claim=pattern.claim(findings, tied),
        findings=findings,
        explains=("symptom",),
        confidence="likely",
        proof=_UNPROVED,
        falsified_by=pattern.falsified_by,
        evidence=tuple(dict.fromkeys(each for finding in findings for each in finding.evidence)),
    )


def _counted(tied: Iterable[Finding], found: Iterable[Finding]) -> str:
    """ "7 of 7 misplaced tables", by the kind of symptom that is tied most often."""
    codes = Counter(symptom.code for symptom in tied)
    code = max(sorted(codes), key=codes.__getitem__)
    every = sum(symptom.code == code for symptom in found)
    noun = _NOUNS.get(code, "differences in structure")
    return f"{codes[code]:,} of {every:,} {noun}"


_NOUNS = {"RK301": "migrations without effect", "RK401": "misplaced tables", "RK402": "missing tables"}


def _number(found: Sequence[Finding], noun: str) -> str:
    return f"{len(found):,} {noun}{'s' * (len(found) != 1)}"


def _linked(causes: Sequence[Cause], ties: Mapping[str, frozenset[Finding]]) -> tuple[Cause, ...]:
    """A root leads to what failed to correct it, a silencing cause hides it: where they share a symptom."""

    def explains(cause: Cause) -> tuple[str, ...]:
        shared = tuple(
            each.id for each in causes if each.role == "contributing" and ties[each.id] & ties[cause.id]
        )
        if cause.role == "silencing":
            return shared or ("symptom",)
        return (*shared, "symptom") if cause.role == "root" else ("symptom",)

    return tuple(replace(cause, explains=explains(cause)) for cause in causes)


def _relations(accounts: Accounts, finding: Finding) -> set[Name]:
    """Every name a finding is about: its own, and for a whole migration what its guards test and make."""
    if finding.relation is not None:
        return {finding.relation} | accounts.once(_ends).get(
            (finding.migration, finding.relation.name), set()
        )
    about: set[Name] = set()
    if finding.code == "RK305":  # about all tables of an application
        tables = (each for each in accounts.declared.models if each.app == finding.object)
        return {name for each in tables if (name := spelling(each.db_table).relation) is not None}
    for verdict in accounts.guards:
        if finding.migration and verdict.guard.migration == finding.migration:
            about |= {*verdict.guard.relations, *(e.result for e in verdict.guard.effects if e.result)}
            if verdict.nearest:
                about.add(verdict.nearest.qualified)
    return about


def _ends(accounts: Accounts) -> dict[tuple[str, str], set[Name]]:
    """(migration, bare name) -> where the guards of that migration would have brought a relation of that name."""
    found: dict[tuple[str, str], set[Name]] = defaultdict(set)
    for verdict in accounts.guards:
        for effect in verdict.guard.effects:
            if effect.subject is not None and effect.result is not None:
                found[verdict.guard.migration, effect.subject.name].add(effect.result)
    return found


def _meant(accounts: Accounts) -> dict[Name, Name]:
    """A table that a model uses -> where it was meant to be."""
    found: dict[Name, Name] = {}
    for model in accounts.declared.models:
        relation = spelling(model.db_table).relation
        there = accounts.observed.find(relation) if relation else None
        intended = intent.meant(accounts, model.db_table)
        if there is not None and intended is not None:
            found[there.qualified] = intended.target
    return found


def _migrations(findings: Sequence[Finding]) -> str:
    """Up to three by name; of more, the first two and how many others."""
    names = list(dict.fromkeys(finding.migration for finding in findings if finding.migration))
    more = len(names) - 2
    return f"{', '.join(names[:2])} and {more} other migrations" if more > 1 else ", ".join(names)
