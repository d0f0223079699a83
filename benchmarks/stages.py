"""A check, stage by stage, in a process of its own: `python stages.py PROJECT`, the database named by BENCH_DSN.

Prints {"stages": {stage: CPU seconds}, "rules": {rule: CPU seconds}, ..} as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    began = time.process_time()
    gc.set_threshold(1_000_000, 20, 20)  # as `rcakit.cli` does
    from rcakit import document, rules, text
    from rcakit.case import open_case

    stages = {"imports": time.process_time() - began}

    def stage(name: str, act: Callable[[], object]) -> float:
        before = time.process_time()
        act()
        stages[name] = time.process_time() - before
        return stages[name]

    case = open_case(dsn_env="BENCH_DSN", project=Path(sys.argv[1]), settings="settings")
    stage("project's files", lambda: case.declared)
    stage("database, intent, placements", lambda: case.reading)
    stage("rules", lambda: case.findings)
    stage("text and JSON", lambda: (text.findings(case), document.dumps(document.document(case))))
    spent = {}
    for rule in rules.RULES:
        before = time.process_time()
        list(rule.check(case.accounts))
        spent[rule.name] = time.process_time() - before
    counts = {"models": len(case.declared.models), "findings": len(case.findings), "unread": len(case.unread)}
    print(
        json.dumps(
            {"seconds": 0, "cpu": sum(stages.values()), "mb": 0, "stages": stages, "rules": spent, **counts}
        )
    )


if __name__ == "__main__":
    main()
