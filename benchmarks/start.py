"""What starting costs: `import rcakit` and `rcakit --help`, against `python -c pass`.

    python benchmarks/start.py [--rounds 15]

The three take turns. Seconds of the whole process, CPU seconds, and the ratio to the empty interpreter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from measure import spread
from results import Bound, publish, table

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import rcakit": ["-c", "import rcakit"],
    "rcakit --help": [
        "-c",
        "import sys; from rcakit.cli import main; sys.argv = ['rcakit', '--help']; main()",
    ],
    "import rcakit.case": ["-c", "import rcakit.case"],
}


def once(arguments: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds of one interpreter."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(given.rounds):
        for name, arguments in COMMANDS.items():
            spent[name].append(once(arguments))
    empty = statistics.median(cpu for _, cpu in spent["python -c pass"])
    rows = [
        (
            name,
            spread([wall for wall, _ in found], 3),
            spread([cpu for _, cpu in found], 3),
            f"{statistics.median(cpu for _, cpu in found) / empty:.1f}",
        )
        for name, found in spent.items()
    ]
    bounds = [
        Bound(f"{name}, CPU seconds", most, statistics.median(cpu for _, cpu in spent[name]))
        for name, most in (("import rcakit", 0.2), ("rcakit --help", 0.4))
    ]
    publish("start", table(("command", "seconds", "CPU seconds", "CPU, empty = 1"), rows), bounds)


if __name__ == "__main__":
    main()
