"""The two words of every rule test: `finds` fails when a rule is silent, `silent` when it speaks."""

from __future__ import annotations

import pytest
from rule_facts import Finds, Silent

from rcakit import rules
from rcakit.facts import Accounts, Finding


def _found(accounts: Accounts, code: str) -> list[Finding]:
    rule = rules.find(code)
    found = [finding for finding in rules.run(accounts) if finding.code == code]
    for finding in found:
        assert finding.rule == rule.name
        assert finding.object
        assert finding.message
        assert finding.hint
    return found


@pytest.fixture
def finds() -> Finds:
    """finds(accounts, code, *objects, severity=..) -> the findings; with objects, exactly those."""

    def word(accounts: Accounts, code: str, *objects: str, severity: str | None = None) -> list[Finding]:
        found = _found(accounts, code)
        assert found, f"{code} is silent"
        if objects:
            assert sorted(finding.object for finding in found) == sorted(objects)
        if severity:
            assert {finding.severity for finding in found} == {severity}
        return found

    return word


@pytest.fixture
def silent() -> Silent:
    """silent(accounts, code) ; notes count as noise too, unless `notes=True` lets them pass."""

    def word(accounts: Accounts, *codes: str, notes: bool = False) -> None:
        for code in codes:
            found = [each for each in _found(accounts, code) if not (notes and each.severity == "note")]
            assert not found, f"{code} says: {found[0].message}"

    return word
