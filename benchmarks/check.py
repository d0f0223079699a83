"""What `rcakit check` costs besides reading the catalog, and how the rules grow.

    python benchmarks/check.py [--tables 10k] [--migrations 500] [--growth 1k,2k,4k] [--rounds 3]

The command is a process of its own, start and imports included, on a generated database and a project of which two
fifths of the migrations make a table of it. The reading that it is compared with is that of `catalog.py`, without
imports. For the growth every table is a model. The healthy projects have no finding: that is asserted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import catalog
import generated
import measure
from measure import Cost, short, spread
from results import Bound, publish, table

from rcakit import scratch

HERE = Path(__file__).parent
COMMAND = "import sys; from rcakit.cli import main; sys.argv[0] = 'rcakit'; main()"


def check(server: scratch.Server, conninfo: str, project: Path) -> Cost:
    """The command as people run it; CPU time with that of git, peak memory of the largest process."""
    options = ["check", "--dsn-env", "BENCH_DSN", "--project", str(project), "--settings", "settings"]
    environment = {**os.environ, "BENCH_DSN": conninfo}
    before, began = measure.backends(server), time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"exit code {process.returncode}: the generated project is healthy"
    seconds, spent = time.perf_counter() - began, measure.backends(server) - before
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, spent)


def stages(server: scratch.Server, conninfo: str, project: Path) -> Cost:
    cost = measure.run(
        [sys.executable, HERE / "stages.py", project], server, env={**os.environ, "BENCH_DSN": conninfo}
    )
    assert cost.said is not None
    assert not cost.said["findings"], "the generated project is healthy"
    return cost


def estate(server: scratch.Server, conninfo: str, migrations: int, rounds: int) -> tuple[str, float]:
    """A table of what the check and the reading cost, and the ratio of their medians."""
    with tempfile.TemporaryDirectory() as folder:
        project = generated.write(Path(folder), max(20, migrations * 2 // 5), migrations)
        generated.record(conninfo, project)
        checks, reads = [], []
        for _ in range(rounds):
            checks.append(check(server, conninfo, project))
            reads.append(catalog.once(server, catalog.OURS, conninfo) or checks[-1])
        told = stages(server, conninfo, project).said or {}
    ratios = [mine.work / read.work for mine, read in zip(checks, reads, strict=True)]
    rows = [
        (
            name,
            spread([each.seconds for each in found]),
            spread([each.work for each in found]),
            f"{peak:.0f}",
            ratio,
        )
        for name, found, ratio in (
            ("rcakit check", checks, spread(ratios)),
            ("reading the catalog", reads, "1"),
        )
        for peak in [max(each.mb for each in found)]
    ]
    head = ("", "seconds", "CPU seconds, client + server", "peak MB", "CPU, reading = 1")
    parts = ", ".join(f"{name} {spent:.2f}" for name, spent in told["stages"].items())
    body = f"{table(head, rows)}\n\nCPU seconds of the check's own process by stage: {parts}.\n"
    return body, statistics.median(ratios)


def growth(
    server: scratch.Server, conninfo: str, sizes: list[int], rounds: int
) -> tuple[str, dict[str, float]]:
    """A table of stages by number of models, the least of some rounds, and the exponents."""
    found: dict[int, dict[str, float]] = {}
    there = 0
    for models in sorted(sizes):
        catalog.build(conninfo, models, there)
        there = models
        with tempfile.TemporaryDirectory() as folder:
            project = generated.write(Path(folder), models, 500)
            generated.record(conninfo, project)
            said = [stages(server, conninfo, project).said or {} for _ in range(rounds)]
        rule = least(each["rules"] for each in said)
        slow = {f"rule {name}": spent for name, spent in rule.items() if spent > 0.02}
        found[models] = {**least(each["stages"] for each in said), **slow}
    largest = found[max(found)]
    shown = [
        name for name in largest if all(name in row or name.startswith("rule") for row in found.values())
    ]
    exponents = {
        name: measure.exponent({models: max(row.get(name, 0.001), 0.001) for models, row in found.items()})
        for name in shown
        if largest[name] > 0.05 and len(found) > 1
    }
    head = ("CPU seconds", *(f"{short(models)} models" for models in sorted(found)), "exponent")
    rows = [
        (
            name,
            *(f"{found[models].get(name, 0):.3f}" for models in sorted(found)),
            f"{exponents[name]:.2f}" if name in exponents else "",
        )
        for name in shown
    ]
    return table(head, rows), exponents


def least(rounds: Iterable[dict[str, float]]) -> dict[str, float]:
    """Each figure where least came in between: what a doubling adds is small beside what else a machine does."""
    found: dict[str, float] = {}
    for each in rounds:
        found |= {name: min(spent, found.get(name, spent)) for name, spent in each.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=measure.size, default=10_000)
    parser.add_argument("--migrations", type=measure.size, default=500)
    parser.add_argument("--growth", type=measure.sizes, default="1k,2k,4k")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with scratch.server() as server, server.database("growth") as small, server.database("estate") as large:
        grown, exponents = growth(server, server.conninfo(small), given.growth, given.rounds)
        catalog.build(server.conninfo(large), given.tables)
        body, ratio = estate(server, server.conninfo(large), given.migrations, given.rounds)
        version = server.version
    title = f"**{given.tables:,} tables, {given.migrations} migrations** (min / median / max)"
    full = (given.tables, given.migrations) == (10_000, 500)
    bounds = [
        Bound("check over reading, 10k tables, 500 migrations", 2, ratio if full else None),
        Bound("growth exponent of all rules", 1.2, exponents.get("rules")),
    ]
    publish(
        "check", f"{title}\n\n{body}\n**Every table a model**\n\n{grown}", bounds, f"PostgreSQL {version}"
    )


if __name__ == "__main__":
    main()
