"""RK802 gate-skipped: a check of where tables are is in the pipeline, and cannot fail it.

## What it finds

A step that runs such a check (`rcakit check`, `verify_schema_placement`, a management command of the project's own that asks the
catalog) and is switched off (`if: false`), forgiven (`continue-on-error`, `allow_failure`, `|| true`), started by hand only, or
commented out. Silent while some pipeline runs a check that can fail it.

## Why it stays silent

It is there, and so it looks as if somebody watched. The pipeline is green whatever the check says.

## Example

```yaml .github/workflows/ci.yml
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - run: rcakit check || true
```

## Use instead

```yaml .github/workflows/ci.yml
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - run: rcakit check
```
"""

from __future__ import annotations

from collections.abc import Iterator

from rcakit.facts import Accounts, Finding, Severity

CODE = "RK802"
SEVERITY: Severity = "warning"
NEEDS = "files"


def check(accounts: Accounts) -> Iterator[Finding]:
    if any(gate.state == "runs" for gate in accounts.gates):
        return
    for gate in accounts.gates:
        if gate.state == "skipped":
            yield Finding(
                CODE,
                "gate-skipped",
                SEVERITY,
                gate.name,
                f"the check of where tables are cannot fail the pipeline: {gate.how}",
                "let the step run for every change, and fail when the check does",
                gate.where,
            )
