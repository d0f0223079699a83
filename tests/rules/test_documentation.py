"""A rule's documentation is its docstring: all parts are there, the Example is found, the Use-instead is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from example_project import PARTS, Example, blocks, parts
from rule_facts import Finds, Silent

from rcakit import rules
from rcakit.facts import Accounts
from rcakit.rules import Rule
from rcakit.sources import django_static

CODES = {rule.code: rule for rule in rules.RULES}
Made = Callable[[str], Accounts]


@pytest.fixture
def made(tmp_path: Path, conninfo: str) -> Made:
    """made(part) -> the accounts of one part of a documentation, read from real files and a real database."""
    return Example(
        tmp_path, conninfo, lambda project: django_static.read(project, settings="settings")
    ).accounts


@pytest.mark.parametrize("rule", CODES.values(), ids=CODES)
def test_every_part_is_there(rule: Rule) -> None:
    found = parts(rule.doc)
    assert tuple(found) == PARTS
    assert all(found.values())
    assert rule.summary.startswith(f"{rule.code} {rule.name}: ")
    assert blocks(found["Example"])
    assert blocks(found["Use instead"])
    assert rules.explain(rule.code) == rule.doc


@pytest.mark.parametrize("rule", CODES.values(), ids=CODES)
def test_the_example_is_found(rule: Rule, made: Made, finds: Finds) -> None:
    found = finds(made(parts(rule.doc)["Example"]), rule.code)
    assert rule.severity in {finding.severity for finding in found}


@pytest.mark.parametrize("rule", CODES.values(), ids=CODES)
def test_what_to_use_instead_is_silent(rule: Rule, made: Made, silent: Silent) -> None:
    silent(made(parts(rule.doc)["Use instead"]), rule.code)
