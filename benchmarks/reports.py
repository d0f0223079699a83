"""What making reports costs: many of the same notebook against papermill's command line, and a single one.

    python benchmarks/reports.py [single] [incident] [sequence] [pairs] [--runs 32] [--rounds 3]

The notebook has ten cells: four imports (pandas, pyplot, psycopg, SQLAlchemy), eight trivial ones, a figure. rcakit makes
the report's page and folder too; papermill alone makes the executed notebook, and nbconvert a page of it. *floor* is what
no way of running a notebook in a process of its own can save: the interpreter, the imports of both sides, the start of
the kernel. *spared* are papermill and nbconvert without the parser of international identifiers that nbformat imports by
way of jsonschema wherever JupyterLab is installed, and rcakit does not. The incident report is rcakit's own notebook on
the demo's database; most of its time are its questions to the database and the project, which both pay. `sequence` and
`pairs` are many runs, one and two at a time. All take turns; CPU seconds are those of all processes a command waited for.
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
from operator import attrgetter
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
SPARED = "import runpy, sys; sys.modules['rfc3987_syntax'] = None; runpy.run_module(sys.argv.pop(1), None, '__main__', True)"
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
CPU: attrgetter[float] = attrgetter("cpu")
WALL: attrgetter[float] = attrgetter("wall")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for part in given.parts or PARTS:
        with tempfile.TemporaryDirectory() as directory:
            PARTS[part](Path(directory), given.rounds, given.runs)


def single(place: Path, rounds: int, runs: int) -> None:
    """One report of the notebook."""
    took = in_turn(rounds, alone(write(place / "ten.ipynb"), place, []))
    both, spared = "papermill + nbconvert", "papermill + nbconvert, spared"
    bounds = [
        Bound("one report, CPU of the floor", 1.3, over(took, "rcakit", "floor", CPU)),
        Bound(f"one report, CPU of {both}", 0.5, over(took, "rcakit", both, CPU)),
        Bound(f"one report, clock of {both}", 0.5, over(took, "rcakit", both, WALL)),
        Bound(f"one report, CPU of {spared}", 0.5, over(took, "rcakit", spared, CPU)),
        Bound(f"one report, clock of {spared}", 0.5, over(took, "rcakit", spared, WALL)),
    ]
    told("one report", shown(took), bounds)


def of_incident(place: Path, rounds: int, runs: int) -> None:
    """One incident report."""
    with incident(place) as config:
        notebook = ROOT / "notebooks" / "10_incident_report.ipynb"
        told("one incident report", shown(in_turn(rounds, alone(notebook, place, [f"config={config}"]))), [])


def sequence(place: Path, rounds: int, runs: int) -> None:
    """Many, one after the other; each way once."""
    several("reports in sequence", place, runs, 1)


def pairs(place: Path, rounds: int, runs: int) -> None:
    """Many, two at a time; each way once."""
    several("reports two at a time", place, runs, 2)


PARTS = {"single": single, "incident": of_incident, "sequence": sequence, "pairs": pairs}


def several(topic: str, place: Path, runs: int, at_once: int) -> None:
    took = in_turn(1, many(write(place / "ten.ipynb"), place, runs, at_once))
    bounds = [
        Bound(
            f"papermill over ours, {name}, {runs} runs", 8, over(took, "papermill", "rcakit", by), least=True
        )
        for name, by in (("CPU", CPU), ("clock", WALL))
    ]
    told(topic, f"{runs} runs\n\n{shown(took, runs)}", bounds)


def told(topic: str, body: str, bounds: list[Bound]) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("papermill", "nbconvert", "ipykernel"))
    publish(topic, body, bounds, versions)


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
    typed = [part for each in given for part in ("-p", each)]
    paper = [*PAPERMILL, notebook, done, *(part for each in given for part in ("-r", *each.split("=", 1)))]
    page = [*NBCONVERT, done]
    return {
        "floor": lambda: timed([[sys.executable, "-c", FLOOR]]),
        "rcakit": lambda: timed([[*RCAKIT, notebook, *typed, "--fail-on", "never", "--out", place / "out"]]),
        "papermill": lambda: timed([paper]),
        "papermill + nbconvert": lambda: timed([paper, page]),
        "papermill + nbconvert, spared": lambda: timed([spared(paper), spared(page)]),
    }


def spared(command: list[str | Path]) -> list[str | Path]:
    """`python -m MODULE ..` without the parser."""
    interpreter, _, *rest = command
    return [interpreter, "-c", SPARED, *rest]


def many(notebook: Path, place: Path, runs: int, at_once: int) -> dict[str, Way]:
    """The ways to many."""
    values = [part for n in range(runs) for part in ("--each", f"n={n}")]
    ours = [*RCAKIT, notebook, *values, "-j", str(at_once), "--out", place / "out"]
    theirs = [[*PAPERMILL, notebook, place / f"{n}.ipynb", "-p", "n", str(n)] for n in range(runs)]
    return {"papermill": lambda: timed(theirs, at_once), "rcakit": lambda: timed([ours])}


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


def over(took: dict[str, list[Took]], one: str, other: str, by: attrgetter[float]) -> float:
    """The median ratio, round by round."""
    return statistics.median(by(a) / by(b) for a, b in zip(took[one], took[other], strict=True))


def shown(took: dict[str, list[Took]], runs: int = 1) -> str:
    """A table; where there are many runs, seconds are those of each."""
    ours = took["rcakit"]
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
    return table(("way", f"seconds{each}", f"CPU seconds{each}", "CPU, rcakit = 1", "wall, rcakit = 1"), rows)


if __name__ == "__main__":
    main()
