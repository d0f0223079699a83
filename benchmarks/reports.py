"""What making reports costs: many of the same notebook against papermill's command line, and a single one.

    python benchmarks/reports.py [--runs 32] [--rounds 3]

The notebook has ten cells: four imports (pandas, pyplot, psycopg, SQLAlchemy), eight trivial ones, a figure. rcakit makes
the report's page and folder too; papermill alone makes the executed notebook, and nbconvert a page of it. *floor* is what
no way of running a notebook in a process of its own can save: the interpreter, the imports of both sides, the start of
the kernel. The incident report is rcakit's own notebook on the demo's database; most of its time are its questions to the
database and the project, which both pay. All take turns; CPU seconds are those of all processes a command waited for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import nbformat
from measure import spread
from nbformat.v4 import new_code_cell, new_notebook
from results import Bound, publish, table

import rcakit
from rcakit import demo, scratch

ROOT = Path(rcakit.__file__).parents[1]
RCAKIT = [sys.executable, "-c", "from rcakit.cli import main; main()", "run"]
PAPERMILL = [sys.executable, "-m", "papermill", "--no-progress-bar", "--log-level", "ERROR"]
NBCONVERT = [sys.executable, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR"]
IMPORTS = "import pandas as pd\nimport matplotlib.pyplot as plt\nimport psycopg\nimport sqlalchemy"
CELLS = [
    IMPORTS,
    *(f"x{n} = {n}\nx{n}" for n in range(8)),
    "figure, axes = plt.subplots()\naxes.plot([1, 3, 2])\nplt.show()",
]
FLOOR = f"""
import papermill, nbconvert
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel()
client.execute_interactive({IMPORTS!r})
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


class Took(NamedTuple):
    """One command, or several after or beside each other."""

    wall: float
    cpu: float


Way = Callable[[], Took]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, incident(Path(directory)) as config:
        place = Path(directory)
        ten = write(place / "ten.ipynb")
        single = in_turn(given.rounds, alone(ten, place, []))
        own = in_turn(
            given.rounds, alone(ROOT / "notebooks" / "10_incident_report.ipynb", place, [f"config={config}"])
        )
        several = in_turn(1, many(ten, place, given.runs))
    bounds = [
        Bound(
            f"papermill in sequence over ours, CPU, {given.runs} runs",
            8,
            over(several, "papermill", "rcakit"),
            least=True,
        ),
        Bound(
            f"papermill two at a time over ours, CPU, {given.runs} runs",
            8,
            over(several, "papermill -j 2", "rcakit -j 2"),
            least=True,
        ),
        Bound("one report, CPU of the floor", 1.3, over(single, "rcakit", "floor")),
        Bound(
            "one report, CPU of papermill + nbconvert", 0.5, over(single, "rcakit", "papermill + nbconvert")
        ),
    ]
    parts = [
        f"**{given.runs} reports of the same notebook**\n\n{shown(several, 'rcakit', given.runs)}",
        f"**One report of it**\n\n{shown(single, 'rcakit')}",
        f"**One incident report**\n\n{shown(own, 'rcakit')}",
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in ("papermill", "nbconvert", "ipykernel"))
    publish("reports", "\n\n".join(parts), bounds, versions)


def write(path: Path) -> Path:
    parameters = new_code_cell("n: int = 0", metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    cells = [parameters, *map(new_code_cell, CELLS)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@contextmanager
def incident(place: Path) -> Iterator[Path]:
    """The demo's settings; its database runs as long as the block."""
    with scratch.server() as server:
        built = demo.build(place / "demo", server, healthy=False, database="demo")
        text = built.config.read_text("utf-8")
        built.config.write_text(
            text.replace('python = "current"\n', 'python = "current"\ndsn_env = "BENCH_DSN"\n'), "utf-8"
        )
        os.environ["BENCH_DSN"] = built.conninfo
        yield built.config


def alone(notebook: Path, place: Path, given: list[str]) -> dict[str, Way]:
    """The ways to one report."""
    done = place / "done.ipynb"
    raw = [part for each in given for part in ("-r", *each.split("=", 1))]
    typed = [part for each in given for part in ("-p", each)]
    return {
        "floor": lambda: timed([[sys.executable, "-c", FLOOR]]),
        "rcakit": lambda: timed([[*RCAKIT, notebook, *typed, "--fail-on", "never", "--out", place / "out"]]),
        "papermill": lambda: timed([[*PAPERMILL, notebook, done, *raw]]),
        "papermill + nbconvert": lambda: timed([[*PAPERMILL, notebook, done, *raw], [*NBCONVERT, done]]),
    }


def many(notebook: Path, place: Path, runs: int) -> dict[str, Way]:
    """The ways to many."""
    values = [part for n in range(runs) for part in ("--each", f"n={n}")]
    ours = [*RCAKIT, notebook, *values]
    theirs = [[*PAPERMILL, notebook, place / f"{n}.ipynb", "-p", "n", str(n)] for n in range(runs)]
    return {
        "papermill": lambda: timed(theirs),
        "rcakit": lambda: timed([[*ours, "--out", place / "one"]]),
        "papermill -j 2": lambda: timed(theirs, 2),
        "rcakit -j 2": lambda: timed([[*ours, "-j", "2", "--out", place / "two"]]),
    }


def timed(commands: Iterable[list[str | Path]], at_once: int = 1) -> Took:
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as hands:
        cpu = sum(hands.map(spent, commands))
    return Took(time.perf_counter() - began, cpu)


def spent(command: list[str | Path]) -> float:
    """CPU seconds of a command and of all that was waited for below it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, (command, said.read().decode())
    return usage.ru_utime + usage.ru_stime


def in_turn(rounds: int, ways: dict[str, Way]) -> dict[str, list[Took]]:
    """Every way once a round, in the other order every second round."""
    took: dict[str, list[Took]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
            took[name].append(ways[name]())
            print(f"{name}: {took[name][-1].wall:.1f} s", file=sys.stderr, flush=True)
    return took


def over(took: dict[str, list[Took]], one: str, other: str) -> float:
    """The median ratio of CPU seconds, round by round."""
    return statistics.median(a.cpu / b.cpu for a, b in zip(took[one], took[other], strict=True))


def shown(took: dict[str, list[Took]], unit: str, runs: int = 1) -> str:
    """A table; where there are many runs, seconds are those of each."""
    ours = took[unit]
    rows = [
        (
            name,
            spread([each.wall / runs for each in found]),
            spread([each.cpu / runs for each in found]),
            spread([each.cpu / mine.cpu for each, mine in zip(found, ours, strict=True)]),
            spread([each.wall / mine.wall for each, mine in zip(found, ours, strict=True)]),
        )
        for name, found in took.items()
    ]
    each = " a report" if runs > 1 else ""
    return table(
        ("way", f"seconds{each}", f"CPU seconds{each}", f"CPU, {unit} = 1", f"wall, {unit} = 1"), rows
    )


if __name__ == "__main__":
    main()
