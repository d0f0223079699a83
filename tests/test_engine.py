"""The papermill engine against real kernels: deaths, time-outs, exits, large outputs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import papermill
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

from rcakit.report.engine import Engine, kernel_dirs, sweep

papermill_engines.register("rcakit", Engine)
ROOT = Path(__file__).parent.parent


def notebook(path: Path, *cells: str) -> Path:
    nodes = [new_code_cell(source) for source in cells]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=[new_markdown_cell("# ?"), *nodes], metadata=metadata), path)
    return path


def run(tmp_path: Path, *cells: str, **options: object) -> NotebookNode:
    source = notebook(tmp_path / "in.ipynb", *cells)
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(source, out, engine_name="rcakit", progress_bar=False, **options)
    return nbformat.read(out, as_version=4)


def after(tmp_path: Path) -> NotebookNode:
    return nbformat.read(tmp_path / "out.ipynb", as_version=4)


def statuses(nb: NotebookNode) -> list[str]:
    return [cell.metadata.papermill.status for cell in nb.cells if cell.cell_type == "code"]


def test_a_whole_run_is_ok(tmp_path: Path) -> None:
    nb = run(tmp_path, "x = 20", "x + 1")
    assert nb.metadata.rcakit == {"status": "ok", "reason": "", "cell": None}
    assert statuses(nb) == ["completed", "completed"]
    assert nb.cells[2].outputs[0].data["text/plain"] == "21"


@pytest.mark.parametrize(
    ("death", "reason"),
    [("os._exit(3)", "exit status 3"), ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9")],
)
def test_a_dead_kernel_is_told_as_it_was(tmp_path: Path, death: str, reason: str) -> None:
    with pytest.raises(DeadKernelError):
        run(tmp_path, "import os, signal; 'before'", death, "'never'")
    nb = after(tmp_path)
    assert statuses(nb) == ["completed", "failed", "pending"]
    assert nb.metadata.rcakit.status == "kernel-died"
    assert reason in nb.metadata.rcakit.reason
    assert nb.metadata.rcakit.cell == 2
    assert nb.cells[1].outputs, "what was there before the death is kept"


def test_a_cell_over_its_time(tmp_path: Path) -> None:
    with pytest.raises(CellTimeoutError):
        run(tmp_path, "'before'", "import threading; threading.Event().wait()", "1", execution_timeout=2)
    nb = after(tmp_path)
    assert statuses(nb) == ["completed", "failed", "pending"]
    assert nb.metadata.rcakit.status == "timeout"
    assert "limit for one cell" in nb.metadata.rcakit.reason


def test_a_notebook_over_its_time(tmp_path: Path) -> None:
    with pytest.raises(CellTimeoutError):
        run(tmp_path, "import threading; threading.Event().wait()", execution_timeout=600, total_timeout=3)
    assert "limit for a whole run" in after(tmp_path).metadata.rcakit.reason


@pytest.mark.parametrize("leave", ["raise SystemExit(0)", "import sys; sys.exit()", "raise SystemExit(4)"])
def test_an_exit_is_not_success(tmp_path: Path, leave: str) -> None:
    with pytest.raises(PapermillExecutionError):
        run(tmp_path, leave, "'never'")
    nb = after(tmp_path)
    assert statuses(nb) == ["failed", "pending"]
    assert nb.metadata.rcakit.status == "failed"
    assert "SystemExit" in nb.metadata.rcakit.reason


def test_an_exception_stops_the_run_and_is_kept(tmp_path: Path) -> None:
    with pytest.raises(PapermillExecutionError):
        run(tmp_path, "print('seen')", "1 / 0", "'never'")
    nb = after(tmp_path)
    assert nb.metadata.rcakit.reason == "ZeroDivisionError: division by zero"
    states = [c.metadata.papermill.status for c in nb.cells if "papermill" in c.metadata]
    assert states == ["completed", "completed", "failed", "pending"]


def test_large_outputs_arrive_whole_and_are_saved_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves: list[float] = []
    whole = Engine.__module__
    monkeypatch.setattr(f"{whole}.write_ipynb", _counted(saves, f"{whole}.write_ipynb"))
    cells = [f"print('{n:02}' * 500_000)" for n in range(12)]
    nb = run(tmp_path, *cells)
    assert all(len(cell.outputs[0].text) == 1_000_001 for cell in nb.cells[1:])
    assert len(saves) < len(cells), "a save a cell would be 24 writes of up to 12 MB"


def _counted(saves: list[float], target: str) -> object:
    module, _, name = target.rpartition(".")
    real = getattr(sys.modules[module], name)

    def write(nb: NotebookNode, path: str) -> None:
        saves.append(1)
        real(nb, path)

    return write


def test_pieces_of_a_stream_are_one_and_others_stay_apart(tmp_path: Path) -> None:
    cell = "import sys\nfor n in range(3): print(n, flush=True)\nprint('!', file=sys.stderr, flush=True)\nprint(3)"
    (first, second, third) = run(tmp_path, cell).cells[1].outputs
    assert (first.text, second.text, third.text) == ("0\n1\n2\n", "!\n", "3\n")


def test_the_kernel_gets_its_environment_and_no_tcp_port(tmp_path: Path) -> None:
    nb = run(
        tmp_path,
        "import os; os.environ['RCAKIT_RUN_DIR']",
        "import json, ipykernel; json.load(open(ipykernel.get_connection_file()))['transport']",
        env={"RCAKIT_RUN_DIR": "there"},
    )
    assert nb.cells[1].outputs[0].data["text/plain"] == "'there'"
    if sys.platform != "win32":
        assert nb.cells[2].outputs[0].data["text/plain"] == "'ipc'"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_is_a_cancelled_run_and_leaves_no_kernel(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cell = f"import os, threading; open({str(fifo)!r}, 'w').write(str(os.getpid())); threading.Event().wait()"
    source = notebook(tmp_path / "in.ipynb", "'before'", cell, "'never'")
    script = (
        "import papermill, rcakit.report.engine as e;"
        "papermill.engines.papermill_engines.register('rcakit', e.Engine);"
        f"papermill.execute_notebook({str(source)!r}, {str(tmp_path / 'out.ipynb')!r},"
        " engine_name='rcakit', progress_bar=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    kernel = int(fifo.read_text())  # blocks until the cell is under way
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    nb = after(tmp_path)
    assert nb.metadata.rcakit.status == "cancelled"
    assert statuses(nb) == ["completed", "failed", "pending"]
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)


def test_the_notebook_stays_valid(tmp_path: Path) -> None:
    nbformat.validate(run(tmp_path, "1"))
    json.loads((tmp_path / "out.ipynb").read_text())


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {f"rca-{gone.pid}-a": False, f"rca-{os.getpid()}-b": True, "rca-x-c": True, "other": True}
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.json").touch()
    sweep(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


@pytest.mark.parametrize("own", ["", "elsewhere"])
def test_kernels_are_looked_for_where_jupyter_does(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IPYTHONDIR", raising=False)
    if own:
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / own))
    assert kernel_dirs() == KernelSpecManager().kernel_dirs


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which rcakit's entry point is found, as it is where rcakit is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (entry,) = project["entry-points"]["papermill.engine"].items()
    place = tmp_path / "site" / "rcakit-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: rcakit\nVersion: 0\n")
    (place / "entry_points.txt").write_text("[papermill.engine]\n{} = {}\n".format(*entry))
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(place.parent), str(ROOT)))}


@pytest.mark.parametrize("first", ["rcakit.report.engine", "papermill"])
def test_the_entry_point_is_loaded_whatever_is_imported_first(first: str, installed: dict[str, str]) -> None:
    asked = "papermill.engines.papermill_engines.get_engine('rcakit').__module__"
    code = f"import {first}, papermill.engines; print({asked})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("rcakit.report.entry", 0), done.stderr


def test_papermills_own_command_runs_the_engine(tmp_path: Path, installed: dict[str, str]) -> None:
    notebook(tmp_path / "in.ipynb", "1 + 1")
    command = [sys.executable, "-m", "papermill", "--engine", "rcakit", "in.ipynb", "out.ipynb"]
    subprocess.run(command, cwd=tmp_path, env=installed, check=True, capture_output=True)
    assert after(tmp_path).metadata.rcakit.status == "ok"
