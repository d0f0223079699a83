"""What a report's own process imports: nothing that it never uses, and nothing is missing for others after it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from commands import ROOT

NEVER_USED = {
    "rfc3987_syntax",
    "lark",
    "isoduration",
    "arrow",
    "rcakit.case",
    "rcakit.rules",
    "pandas",
    "IPython",
}


def imported(first: str) -> tuple[set[str], list[str]]:
    """The modules loaded when this one came first, and those that are marked as missing.

    papermill loads the engines that are installed, ours among them: it comes before ours here, as it does in a run.
    Fails when jsonschema's checkers of formats cannot be imported any more.
    """
    script = f"""
import {first}, papermill.execute, rcakit.report.engine, json, sys
loaded, missing = list(sys.modules), [name for name, module in sys.modules.items() if module is None]
import isoduration, rfc3987_syntax
print(json.dumps([loaded, missing]))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT, check=True)
    loaded, missing = json.loads(done.stdout)
    return set(loaded), missing


@pytest.mark.parametrize("first", ["runs", "render", "execution", "params"])
def test_a_report_is_made_without_what_it_never_uses(first: str) -> None:
    loaded, missing = imported(f"rcakit.report.{first}")
    assert {"nbformat", "jsonschema"} <= loaded
    assert not NEVER_USED & loaded
    assert missing == []
