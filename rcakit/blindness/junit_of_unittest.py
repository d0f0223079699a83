"""Run `manage.py test ...` and write what each test did as JUnit XML: python junit_of_unittest.py REPORT manage.py test ...

Runs in the project's interpreter: the standard library only, Python 3.8 syntax.
"""

import atexit
import os
import runpy
import sys
import unittest
from typing import Any, Dict  # noqa: UP035  Python 3.8 has no dict[str, str]
from xml.sax.saxutils import quoteattr

_ORDER = ("skipped", "passed", "failed")
_OUTCOMES: Dict[str, str] = {}  # noqa: UP006


def _note(test: Any, outcome: str) -> None:
    test = getattr(test, "test_case", test)  # a sub-test speaks for the test it stands in
    name = test.id()
    _OUTCOMES[name] = max(outcome, _OUTCOMES.get(name, outcome), key=_ORDER.index)


def _record(method: str, outcome: str) -> None:
    original = getattr(unittest.TestResult, method)

    def noting(self: Any, test: Any, *details: Any) -> Any:
        if method != "addSubTest":
            _note(test, outcome)
        elif details[1] is not None:
            _note(test, "failed")
        return original(self, test, *details)

    setattr(unittest.TestResult, method, noting)


def _write(path: str, owner: int) -> None:
    if os.getpid() != owner or not _OUTCOMES:
        return
    tags = {"failed": "<failure/>", "skipped": "<skipped/>", "passed": ""}
    with open(path, "w", encoding="utf-8") as report:
        report.write("<testsuite>\n")
        for name, outcome in _OUTCOMES.items():
            owner_name, _, test = name.rpartition(".")
            names = f"classname={quoteattr(owner_name)} name={quoteattr(test)}"
            report.write(f"<testcase {names}>{tags[outcome]}</testcase>\n")
        report.write("</testsuite>\n")


def main() -> None:
    report, script = sys.argv[1:3]
    for method, outcome in (
        ("addSuccess", "passed"),
        ("addError", "failed"),
        ("addFailure", "failed"),
        ("addUnexpectedSuccess", "failed"),
        ("addExpectedFailure", "passed"),
        ("addSkip", "skipped"),
        ("addSubTest", ""),
    ):
        _record(method, outcome)
    atexit.register(_write, report, os.getpid())
    sys.argv = sys.argv[2:]
    sys.path[0] = os.getcwd()
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
