"""The causal chain on facts made by hand: what is tied to a symptom takes part, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from casefixture import GUARDED, make_case

from rcakit import causes
from rcakit.causes import PATTERNS, SYMPTOMS, Cause
from rcakit.facts import Accounts, Catalog, Effect, Finding, Guard, Severity, Verdict
from rcakit.names import Name
from rcakit.rules import RULES

VENUES = Name("public", "adm.venues")
ITEMS = Name("public", "items")
EMPTY = Accounts(observed=Catalog(make_case(empty=True).observed.server))


def finding(
    code: str,
    relation: Name | None = VENUES,
    *,
    severity: Severity = "error",
    migration: str = "",
    evidence: tuple[str, ...] = ("E1",),
) -> Finding:
    name = str(relation) if relation else migration
    return Finding(code, "rule", severity, name, f"{code} {name}", "act", None, evidence, migration, relation)


def chain(*findings: Finding, accounts: Accounts = EMPTY) -> list[tuple[str, str, tuple[str, ...]]]:
    """(code, role, explains) of each link."""
    return [(cause.codes[0], cause.role, cause.explains) for cause in causes.chain(accounts, list(findings))]


def guarding(migration: str, relation: Name, nearest: Name | None = None) -> Accounts:
    """Accounts with one guard, which tests for one relation and would make it."""
    guard = Guard(
        migration,
        "if",
        "EXISTS (..)",
        (),
        (Effect("create", "table", None, relation),),
        "none",
        (relation,),
    )
    known = make_case().observed.relations[0]
    found = nearest and known._replace(schema=nearest.schema, name=nearest.name)
    return replace(EMPTY, guards=(Verdict(guard, False, False, found),))


# ------------------------------------------------------------------ the incident


def test_the_documents_chain() -> None:
    first, second, third = make_case().causes
    assert [first.id, second.id, third.id] == ["C1", "C2", "C3"]
    assert [first.codes, second.codes, third.codes] == [("RK101",), ("RK201",), ("RK202",)]
    assert (first.role, first.explains) == ("root", ("C2", "symptom"))
    assert (second.role, second.explains) == ("contributing", ("symptom",))
    assert (third.role, third.explains) == ("silencing", ("C2",))
    assert "7 of 7 misplaced tables" in first.claim
    assert "7 of 7 misplaced tables" in second.claim
    assert GUARDED in second.claim
    assert "7 guards" in third.claim


def test_every_link_says_how_it_could_be_wrong() -> None:
    causes = make_case().causes
    assert len(causes) > 1
    for cause in causes:
        assert all(
            (cause.title, cause.claim, cause.proof, cause.falsified_by, cause.findings, cause.evidence)
        )
        assert cause.confidence == "likely"  # proved takes a replay


def test_the_healthy_twin_has_no_chain() -> None:
    assert make_case(healthy=True).causes == ()


def test_nothing_at_all_has_no_chain() -> None:
    assert causes.chain(EMPTY, []) == ()


# ------------------------------------------------------------------ what is a symptom


def test_without_a_symptom_a_fault_caused_nothing() -> None:
    assert chain(finding("RK101"), finding("RK201"), finding("RK202", severity="warning")) == []


@pytest.mark.parametrize("code", sorted(SYMPTOMS))
@pytest.mark.parametrize("severity", ["error", "warning"])
def test_every_symptom_can_be_explained(code: str, severity: Severity) -> None:
    assert chain(finding("RK101"), finding(code, severity=severity)) == [("RK101", "root", ("symptom",))]


def test_a_note_is_no_symptom() -> None:
    assert chain(finding("RK101"), finding("RK412", severity="note")) == []


def test_a_note_is_no_cause() -> None:
    """A silent guard whose effect is there all the same is a note: it hid nothing."""
    assert chain(finding("RK202", severity="note"), finding("RK401")) == []


def test_an_absent_effect_is_the_symptom_where_no_table_shows_it() -> None:
    index = Name("public", "items_name_idx")
    found = [
        finding("RK201", None, migration="shop.0002_index"),
        finding("RK202", None, migration="shop.0002_index", severity="warning"),
        finding("RK301", None, migration="shop.0002_index"),
    ]
    accounts = guarding("shop.0002_index", index)
    assert chain(*found, accounts=accounts) == [
        ("RK201", "contributing", ("symptom",)),
        ("RK202", "silencing", ("C1",)),
    ]
    assert "1 of 1 migrations without effect" in causes.chain(accounts, found)[0].claim


def test_an_absent_effect_of_another_migration_is_not_tied() -> None:
    found = [finding("RK201", None, migration="shop.0002"), finding("RK301", None, migration="shop.0007")]
    assert chain(*found) == []


def test_an_absent_effect_is_counted_with_no_table() -> None:
    found = [
        finding("RK201", migration="shop.0002"),
        finding("RK301", None, migration="shop.0002"),
        finding("RK401"),
    ]
    (cause,) = causes.chain(EMPTY, found)
    assert "1 of 1 misplaced tables" in cause.claim


# ------------------------------------------------------------------ what is tied


def test_a_fault_of_another_table_is_not_tied() -> None:
    assert chain(finding("RK101", ITEMS), finding("RK401", VENUES)) == []


def test_only_the_tied_findings_are_counted() -> None:
    other = Name("public", "adm.rooms")
    found = [finding("RK101"), finding("RK101", ITEMS), finding("RK401"), finding("RK401", other)]
    (cause,) = causes.chain(EMPTY, found)
    assert cause.findings == (found[0],)
    assert "1 of 2 misplaced tables" in cause.claim


def test_a_finding_of_a_whole_migration_is_tied_by_what_its_guards_are_about() -> None:
    accounts = guarding("shop.0002", Name("public", "venues"), nearest=VENUES)
    swallowed = finding("RK203", None, migration="shop.0002", severity="warning")
    assert chain(swallowed, finding("RK401"), accounts=accounts) == [("RK203", "silencing", ("symptom",))]
    assert chain(swallowed, finding("RK401", ITEMS), accounts=accounts) == []
    elsewhere = replace(swallowed, migration="shop.0009")
    assert chain(elsewhere, finding("RK401"), accounts=accounts) == []


def test_a_finding_about_nothing_in_particular_is_not_tied() -> None:
    assert chain(finding("RK304", None), finding("RK401")) == []
    assert chain(finding("RK203", None), finding("RK401", None)) == []


def test_links_join_causes_of_one_symptom_alone() -> None:
    """Two unrelated incidents in one project: a name here, a guard and its silence there."""
    found = [
        finding("RK101", VENUES),
        finding("RK401", VENUES),
        finding("RK201", ITEMS, migration="shop.0002"),
        finding("RK202", ITEMS, migration="shop.0002", severity="warning"),
        finding("RK402", ITEMS),
    ]
    assert chain(*found) == [
        ("RK101", "root", ("symptom",)),
        ("RK201", "contributing", ("symptom",)),
        ("RK202", "silencing", ("C2",)),
    ]


def test_the_kind_of_symptom_tied_most_often_is_named() -> None:
    found = [
        finding("RK103"),
        finding("RK402"),
        finding("RK411"),
        finding("RK411", ITEMS),
        finding("RK103", ITEMS),
    ]
    (cause,) = causes.chain(EMPTY, found)
    assert cause.findings == (found[0], found[4])


def test_evidence_comes_from_the_tied_findings_each_id_once() -> None:
    found = [
        finding("RK101", evidence=("E2", "E1")),
        finding("RK101", Name("public", "adm.rooms"), evidence=("E3", "E2")),
        finding("RK101", ITEMS, evidence=("E9",)),
        finding("RK401"),
        finding("RK401", Name("public", "adm.rooms")),
    ]
    (cause,) = causes.chain(EMPTY, found)
    assert cause.evidence == ("E2", "E1", "E3")


# ------------------------------------------------------------------ the table of patterns


def test_patterns_speak_of_rules_that_exist() -> None:
    known = {rule.code for rule in RULES}
    codes = [pattern.code for pattern in PATTERNS]
    assert len(codes) == len(set(codes))
    assert {*codes, *SYMPTOMS} <= known
    assert not SYMPTOMS & set(codes)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.code)
def test_every_claim_reads(pattern: causes.Pattern) -> None:
    for count in (1, 2):
        claim = pattern.claim([finding(pattern.code, migration="shop.0002")] * count, "1 of 1 missing tables")
        assert claim.endswith(".")
        assert "  " not in claim


def test_a_cause_can_be_compared_and_hashed() -> None:
    one, other = make_case().causes[0], make_case().causes[0]
    assert isinstance(one, Cause)
    assert (one == other, len({one, other})) == (True, 1)
