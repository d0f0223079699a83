"""The rules: one file each, found by walking this folder; names that begin with "_" are their shared vocabulary.

A rule is a pure function of the accounts. Its docstring is its documentation, in four parts: What it finds ·
Why it stays silent · Example · Use instead; the tests run the last two.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from rcakit.errors import ConfigError
from rcakit.facts import Accounts, Finding, Severity

Need = Literal["files", "database", "replay"]
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `name` is its file's name in kebab case, `severity` the highest it gives, `doc` Markdown."""

    code: str
    name: str
    severity: Severity
    doc: str
    check: Callable[[Accounts], Iterator[Finding]]
    needs: Need = "database"
    """What it cannot judge without, the module's own `NEEDS`: the project's files alone, a database, a replay too."""

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.partition("\n")[0]


def _walk() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(__path__):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{__name__}.{found.name}")


def collect(modules: Iterable[ModuleType]) -> tuple[Rule, ...]:
    """The rules of these modules by code. Raises ImportError when two of them claim one code."""
    rules: dict[str, Rule] = {}
    for module in modules:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        doc = inspect.cleandoc(module.__doc__ or "")
        needs: Need = getattr(module, "NEEDS", "database")
        rule = Rule(module.CODE, name, module.SEVERITY, doc, module.check, needs)
        if rule.code in rules:
            raise ImportError(f"rules {rules[rule.code].name} and {name} both claim the code {rule.code}")
        rules[rule.code] = rule
    return tuple(rules[code] for code in sorted(rules))


RULES = collect(_walk())


def run(accounts: Accounts, asked: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """Every finding of the rules: the most severe first, then by code, object and place; always the same order."""
    found = {finding: None for rule in asked for finding in rule.check(accounts)}
    return tuple(sorted(found, key=_sort_key))


def _sort_key(finding: Finding) -> tuple[int, str, str, str, int, str]:
    where = finding.where
    path, line = (where.path, where.line or 0) if where else ("", 0)
    return _ORDER[finding.severity], finding.code, finding.object, path, line, finding.message


def find(code: str) -> Rule:
    """The rule of a code ("RK101") or a name ("literal-dot-table"). Raises ConfigError for any other text."""
    for rule in RULES:
        if code.upper() == rule.code or code.lower() == rule.name:
            return rule
    raise ConfigError(f"there is no rule {code!r}", hint="`rcakit explain` lists them all")


def explain(code: str) -> str:
    """The documentation of one rule, as Markdown. Raises ConfigError when there is no such rule."""
    return find(code).doc


def overview() -> str:
    """One line a rule: code, highest severity, summary."""
    width = max(len(rule.severity) for rule in RULES)
    return "\n".join(
        f"{rule.code}  {rule.severity:{width}}  {rule.summary.partition(' ')[2]}" for rule in RULES
    )
