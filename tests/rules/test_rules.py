"""The folder of rules as a whole: codes, names, documentation, and the refusals."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from rule_facts import accounts, catalog

from rcakit import rules
from rcakit.errors import ConfigError

BRIEF = {
    "RK101": "error", "RK102": "warning", "RK103": "error", "RK104": "note",
    "RK201": "error", "RK202": "warning", "RK203": "warning", "RK204": "warning", "RK205": "error",
    "RK206": "warning",
    "RK301": "error", "RK302": "warning", "RK303": "warning", "RK304": "warning", "RK305": "error",
    "RK306": "warning",
    "RK401": "error", "RK402": "error", "RK403": "warning",
    "RK411": "error", "RK412": "error", "RK413": "warning", "RK414": "error",
    "RK415": "error", "RK416": "warning", "RK417": "error", "RK418": "warning",
    "RK501": "warning", "RK502": "warning", "RK503": "warning", "RK504": "warning", "RK505": "warning",
    "RK601": "warning", "RK602": "warning", "RK701": "warning",
    "RK801": "warning", "RK802": "warning",
}  # fmt: skip


def test_the_codes_and_their_severities_are_a_promise() -> None:
    assert {rule.code: rule.severity for rule in rules.RULES} == BRIEF


def test_one_file_is_one_rule() -> None:
    folder = Path(rules.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == {rule.name.replace("-", "_") for rule in rules.RULES}


def stand_in(name: str, code: str) -> ModuleType:
    module = ModuleType(f"rcakit.rules.{name}", f"{code} {name}: a stand-in.")
    vars(module).update(CODE=code, SEVERITY="note", check=lambda accounts: iter(()))
    return module


def test_a_code_used_twice_is_refused() -> None:
    with pytest.raises(ImportError, match="first and second both claim the code RK999"):
        rules.collect([stand_in("first", "RK999"), stand_in("second", "RK999")])


def test_rules_are_found_by_code_and_by_name() -> None:
    assert rules.find("rk101").name == "literal-dot-table"
    assert rules.find("literal-dot-table").code == "RK101"
    with pytest.raises(ConfigError, match="there is no rule 'RK999'"):
        rules.explain("RK999")


def test_nothing_in_nothing() -> None:
    assert rules.run(accounts(catalog())) == ()
