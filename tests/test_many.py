"""Many runs at a time: each as if it were alone, and none left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import nbformat
import pytest
from commands import begin, spawn
from nbformat.v4 import new_code_cell, new_notebook
from test_forks import gone

from rcakit.report import forks, many, runs
from rcakit.report.runs import Options, Run


def notebook(path: Path, *cells: str) -> Path:
    nodes = [new_code_cell("n: int = 0", metadata={"tags": ["parameters"]}), *map(new_code_cell, cells)]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=nodes, metadata=metadata), path)
    return path


def shown(report: str | Path, cell: int) -> str:
    """What a cell of a run said."""
    nb = nbformat.read(Path(report).with_name("notebook.ipynb"), as_version=4)
    return str([c for c in nb.cells if c.cell_type == "code"][cell].outputs[0].data["text/plain"])


def status(report: str | Path) -> str:
    return str(json.loads(Path(report).with_name("run.json").read_text())["status"])


@pytest.mark.skipif(not forks.POSSIBLE, reason="this system forks no kernels")
def test_notebooks_times_values_each_with_a_report(tmp_path: Path) -> None:
    told = "import os, sys; seen = os.environ.get('LEFT'); os.environ['LEFT'] = 'x'; print('at work', file=sys.stderr)"
    good = notebook(tmp_path / "good.ipynb", told, "(n, seen, os.getppid())")
    bad = notebook(tmp_path / "bad.ipynb", "1 / n")
    done = spawn("run", good, bad, "--each", "n=0", "--each", "n=7", "-j", "2", "--out", "out", cwd=tmp_path)
    assert done.code == 2, done.err
    reports = [tmp_path / line for line in done.out.splitlines()]
    assert all(report.is_file() for report in reports)
    assert sorted((report.parent.parent.name, status(report)) for report in reports) == [
        ("bad", "failed"),
        ("bad", "ok"),
        ("good", "ok"),
        ("good", "ok"),
    ]
    assert "rcakit: ZeroDivisionError: division by zero" in done.err
    assert {"good: at work", "bad: status: failed"} <= set(done.err.splitlines())
    seen = [eval(shown(report, -1)) for report in reports if "good" in report.parts]  # noqa: S307 - our own literal
    assert sorted(n for n, _, _ in seen) == [0, 7]
    assert {left for _, left, _ in seen} == {None}
    assert len({parent for _, _, parent in seen}) == 1, "both were forked from the one template"
    index = (tmp_path / "out" / "index.html").read_text()
    assert all(report.parent.name in index for report in reports)
    assert list(tmp_path.glob("out/*/.*.part")) == []


@pytest.mark.skipif(not forks.POSSIBLE, reason="this system forks no kernels")
def test_a_single_run_s_kernel_is_forked_too(tmp_path: Path) -> None:
    parent = "import os, pathlib; pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_text().split(chr(0))[2]"
    done = spawn("run", notebook(tmp_path / "n.ipynb", parent), "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert shown(tmp_path / done.out.strip(), -1) == "'rcakit.report.fork_template'"


def test_what_cannot_begin_keeps_all_from_beginning(tmp_path: Path) -> None:
    good = notebook(tmp_path / "good.ipynb", "1")
    done = spawn("run", good, "--each", "n=1", "--each", "n=x", "--out", "out", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "parameter n" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lacking", ["forks", "a single thread"])
def test_where_runs_cannot_be_forked_they_are_made_here_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    if lacking == "forks":
        monkeypatch.setattr(forks, "POSSIBLE", False)
    else:
        monkeypatch.setattr(many, "threads", lambda: 2)
    path = notebook(tmp_path / "n.ipynb", "import os; (n, os.getppid())")
    with forks.warmed([str(path)]) as template:
        jobs = [runs.prepare(path, {"n": n}, Options(template=template)) for n in (3, 1)]
        ended = list(many.execute(jobs, tmp_path / "out", at_once=2))
    made = [run for _, run in ended if isinstance(run, Run)]
    said = [eval(shown(run.report, -1)) for run in made]  # noqa: S307 - our own literal
    assert [n for n, _ in said] == [3, 1]
    assert [parent == os.getpid() for _, parent in said] == [lacking == "forks"] * 2
    assert (tmp_path / "out" / "index.html").is_file()


def under_way(tmp_path: Path, count: int) -> tuple[subprocess.Popen[bytes], list[int]]:
    """The command with three runs, two at a time, when two are under way, and the processes of those."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cell = f"""
import os, threading
with open({str(fifo)!r}, "w") as told: told.write(f"{{os.getpid()}} ")
threading.Event().wait()
"""
    path = notebook(tmp_path / "stuck.ipynb", cell)
    values = [part for n in range(count) for part in ("--each", f"n={n}")]
    process = begin("run", path, *values, "-j", "2", "--out", "out", cwd=tmp_path)
    kernels: list[str] = []
    while len(kernels) < 2:
        kernels += fifo.read_text().split()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, [int(pid) for pid in (*kernels, *children)]


@pytest.mark.skipif(not forks.POSSIBLE, reason="this system forks no kernels")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_runs_leave_reports_and_no_more_begin(tmp_path: Path, blow: int) -> None:
    process, pids = under_way(tmp_path, 3)
    process.send_signal(blow)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert [status(path) for path in tmp_path.glob("out/*/*/report.html")] == ["cancelled"] * 2
    assert list(tmp_path.glob("out/*/.*.part")) == []
    assert all(gone(pid) for pid in pids)


@pytest.mark.skipif(not forks.POSSIBLE, reason="this system forks no kernels")
def test_a_killed_command_leaves_no_process(tmp_path: Path) -> None:
    process, pids = under_way(tmp_path, 2)
    assert len(pids) == 2 + 2 + 1, "kernels, processes of runs, template"
    process.kill()
    process.communicate(timeout=120)
    assert all(gone(pid) for pid in pids)
    assert {status(path) for path in tmp_path.glob("out/*/*/report.html")} <= {"kernel-died"}


@pytest.mark.skipif(not forks.POSSIBLE, reason="this system forks no kernels")
def test_a_run_whose_process_is_killed_is_told_and_the_others_are_made(tmp_path: Path) -> None:
    kill = """
import os, pathlib, signal
if n:
    for line in pathlib.Path(f"/proc/{os.getppid()}/status").read_text().splitlines():
        if line.startswith("PPid:"): command = line.split()[1]
    family = pathlib.Path(f"/proc/{command}/task/{command}/children").read_text().split()
    (run,) = (int(pid) for pid in family if int(pid) != os.getppid())
    os.kill(run, signal.SIGKILL)
"""
    path = notebook(tmp_path / "n.ipynb", kill)
    done = spawn("run", path, "--each", "n=1", "--each", "n=0", "--out", "out", cwd=tmp_path)
    assert done.code == 2
    assert "the process of a run of n ended: signal 9" in done.err
    (report,) = done.out.splitlines()
    assert status(tmp_path / report) == "ok"
