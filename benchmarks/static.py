"""What reading migration files costs when nothing is run, against django-migration-linter, which runs Django.

    python benchmarks/static.py [--migrations 20,500,2000] [--rounds 3]

Both read the same generated project and turn to each file's SQL: ours parses what the file says (models included, and
every condition in its SQL), the linter asks Django's `sqlmigrate` for each file's SQL and looks at that. It needs a
database for that, an empty one. On large projects it is given one of the twenty applications, since its time a file
grows with the number of files before it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import generated
import measure
import peers
from measure import Cost, short, spread
from results import Bound, publish, table

from rcakit import scratch

LINTER = Path(__file__).with_name("linter.py")
WHOLE = 500
"""Migrations up to which the linter is given all of them."""


def read(project: str) -> dict[str, object]:
    """Our reading, as `rcakit check` does it without an interpreter."""
    from rcakit.ledger import outcome
    from rcakit.sources import django_static

    gc.set_threshold(200_000, 20, 20)  # as `rcakit.cli` does
    began, busy = time.perf_counter(), time.process_time()
    declared = django_static.read(Path(project), settings="settings")
    for migration in declared.migrations:
        outcome.guards_of(migration)
    return _said(began, busy, len(declared.migrations))


def _said(began: float, busy: float, files: int) -> dict[str, object]:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - busy}
    return {**spent, "mb": peak, "files": files}


def compare(
    server: scratch.Server, folder: Path, count: int, rounds: int, linter: bool
) -> dict[str, list[Cost]]:
    project = generated.write(folder, models=max(20, count * 2 // 5), migrations=count)
    settings = (project / "settings.py").read_text()
    (project / "linted.py").write_text(settings.replace("APPS = [", "APPS = ['django_migration_linter', ", 1))
    costs: dict[str, list[Cost]] = {"rcakit": []}
    for _ in range(rounds):
        costs["rcakit"].append(measure.run([sys.executable, __file__, "--read", project]))
    if linter:
        with server.database("lint") as name:
            env = {**os.environ, "BENCH_NAME": name, "BENCH_HOST": str(server.socket)}
            apps = [] if count <= WHOLE else ["app0"]
            command = [peers.python(), LINTER, project, *apps]
            costs["django-migration-linter"] = [measure.run(command, server, env=env)]
    return costs


def per_file(costs: list[Cost]) -> list[float]:
    """CPU milliseconds a migration file."""
    return [1000 * cost.work / (cost.said or {})["files"] for cost in costs]


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(read(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--migrations", type=measure.sizes, default="20,500,2000")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    linter = peers.install("django-migration-linter")
    rows, ratios, ours = [], {}, {}
    with scratch.server() as server:
        for count in given.migrations:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    costs = compare(server, Path(folder), count, given.rounds, bool(linter))
                except subprocess.CalledProcessError as error:
                    sys.exit(error.stderr)
            for who, found in costs.items():
                each = per_file(found)
                ratio = statistics.median(each) / statistics.median(per_file(costs["rcakit"]))
                ratios[count, who] = ratio
                ours[count] = statistics.median(cost.cpu for cost in costs["rcakit"])
                files = (found[0].said or {})["files"]
                cpu, peak = spread([cost.work for cost in found]), f"{max(cost.mb for cost in found):.0f}"
                rows.append((short(count), who, str(files), cpu, spread(each), peak, f"{ratio:.1f}"))
    head = (
        "migrations",
        "reader",
        "files read",
        "CPU seconds",
        "CPU ms a file",
        "peak MB",
        "a file, rcakit = 1",
    )
    largest = max(given.migrations)
    bounds = [
        Bound(
            "linter's CPU a file over ours, 2k migrations",
            10,
            ratios.get((2000, "django-migration-linter")),
            True,
        ),
        Bound(
            "growth exponent of static reading",
            1.1,
            measure.exponent(ours) if largest >= 2000 and len(ours) > 1 else None,
        ),
    ]
    publish("static", table(head, rows), bounds, linter)


if __name__ == "__main__":
    main()
