"""Forked kernels: each as fresh, as killable and as mortal as one that was started; ordinary ones where none can be."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import zmq
from commands import ROOT
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from papermill.engines import papermill_engines

from rcakit.report import forks
from rcakit.report.engine import Engine
from rcakit.report.fork_template import NOTEBOOKS
from rcakit.report.forks import Template
from rcakit.report.kernel_client import RETRY_MS, KernelClient

pytestmark = pytest.mark.skipif(not forks.POSSIBLE, reason="this system forks no kernels")
papermill_engines.register("rcakit", Engine)

PARENT = "import os; os.getppid()"


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with Template() as running:
        yield running


def notebook(*cells: str) -> NotebookNode:
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    return new_notebook(cells=[new_code_cell(source) for source in cells], metadata=metadata)


def run(out: Path, template: Template | None, *cells: str, **options: Any) -> list[list[NotebookNode]]:
    """The outputs of each cell; the notebook lies at `out`, however it ended."""
    nb = papermill.execute_notebook(
        notebook(*cells), str(out), engine_name="rcakit", progress_bar=False, template=template, **options
    )
    return [cell.outputs for cell in nb.cells]


def text(outputs: list[NotebookNode]) -> str:
    return str(outputs[-1].data["text/plain"])


def told(out: Path) -> NotebookNode:
    return nbformat.read(out, as_version=4).metadata.rcakit


def gone(pid: int) -> bool:
    """Whether a process that may be on its way out has ended, within a minute."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 60)[0])
    finally:
        os.close(watched)


def test_a_client_is_not_slow_to_try_again_where_its_kernel_is_not_there_yet() -> None:
    client = KernelClient(transport="ipc", ip=str(Path(os.devnull) / "nobody"), shell_port=1, iopub_port=2)
    try:
        for channel in (client.shell_channel, client.iopub_channel):
            assert channel.socket.getsockopt(zmq.RECONNECT_IVL) == RETRY_MS
    finally:
        client.stop_channels()
        client.context.destroy()


def test_a_kernel_is_a_fork_of_the_template_with_a_session_of_its_own(
    template: Template, tmp_path: Path
) -> None:
    own = "os.getpid() == os.getpgrp() == os.getsid(0)"
    loaded = "[name in sys.modules for name in ('pandas', 'sqlalchemy', 'matplotlib.figure', 'matplotlib.pyplot', 'matplotlib_inline')]"
    (found,) = run(tmp_path / "out.ipynb", template, f"import os, sys; (os.getppid(), {own}, {loaded})")
    assert text(found) == f"({template.pid}, True, [True, True, True, False, False])", (
        "pyplot is the kernel's own"
    )


LITTER = """
import os, random, signal, sys, threading, time, types, warnings
import matplotlib, matplotlib.pyplot as plt, numpy, pandas
os.environ["RCAKIT_LITTER"] = "1"
os.environ["TZ"] = "Asia/Tokyo"; time.tzset()
os.chdir("/")
matplotlib.rcParams["figure.dpi"] = 7
plt.figure(); matplotlib.use("agg")
sys.modules["litter"] = types.ModuleType("litter")
sys.path.insert(0, "/litter"); sys.argv.append("--litter")
pandas.DataFrame.litter = 1; pandas.set_option("display.max_rows", 3)
random.seed(0); numpy.random.seed(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGUSR1, signal.SIG_IGN)
warnings.simplefilter("ignore")
threading.Thread(target=threading.Event().wait, daemon=True).start()
os.umask(0o777)
"""
LOOK = """
import os, random, signal, sys, threading, time, warnings
import matplotlib, matplotlib.pyplot as plt, numpy, pandas
seen = {
    "env": sorted(name for name in os.environ if name != "JPY_PARENT_PID"), "zone": time.tzname, "cwd": os.getcwd(),
    "dpi": matplotlib.rcParams["figure.dpi"], "backend": matplotlib.get_backend(), "figures": plt.get_fignums(),
    "module": "litter" in sys.modules, "path": sys.path, "argv": [sys.argv[0], *sys.argv[3:]], "orig": sys.orig_argv[:4],
    "main": sys.modules["__main__"].__name__,
    "patched": hasattr(pandas.DataFrame, "litter"), "rows": pandas.get_option("display.max_rows"),
    "signals": [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE)],
    "filters": len(warnings.filters), "threads": sorted(thread.name.rstrip("0123456789") for thread in threading.enumerate()),
    "stdin": sys.stdin.read(), "gc": __import__("gc").isenabled(),
    "umask": os.umask(0o22), "descriptors": len(os.listdir("/proc/self/fd")) < 80,
}
seen
"""


def test_the_next_notebook_sees_what_one_in_an_ordinary_kernel_sees(
    template: Template, tmp_path: Path
) -> None:
    ordinary = run(tmp_path / "a.ipynb", None, LOOK)
    run(tmp_path / "b.ipynb", template, LITTER)
    forked = run(tmp_path / "c.ipynb", template, LOOK)
    assert eval(text(forked[0])) == eval(text(ordinary[0]))  # noqa: S307 - our own literal


def test_no_two_notebooks_get_the_same_random_numbers(template: Template, tmp_path: Path) -> None:
    drawn = "import numpy, random, uuid; (random.random(), numpy.random.rand(), str(uuid.uuid4()))"
    first, second = (eval(text(run(tmp_path / "o.ipynb", template, drawn)[0])) for _ in range(2))  # noqa: S307
    assert not set(first) & set(second)


def test_outputs_are_those_of_an_ordinary_kernel(template: Template, tmp_path: Path) -> None:
    cells = (
        "import pandas, matplotlib.pyplot as plt; print('said'); frame = pandas.DataFrame({'a': [1, 2]}); frame",
        "figure, axes = plt.subplots(); axes.plot([1, 3, 2]); axes.set_title('Ärger'); plt.show()",
        "axes",
        "import sqlalchemy; sqlalchemy.select(sqlalchemy.column('x')).compile().string",
    )
    one, other = (run(tmp_path / "o.ipynb", source, *cells) for source in (None, template))
    assert one[1][0].data["image/png"], "a figure is shown without being asked for"
    assert one == other


def test_a_notebook_s_end_is_that_of_an_interpreter(template: Template, tmp_path: Path) -> None:
    """What is open is written, what waits for the end is called, and threads that are no daemons come to theirs."""
    (tmp_path / "helper.py").write_text("log = open('module', 'w'); log.write('x')")
    end = """
import atexit, pathlib, sys, threading, zipfile
sys.path.insert(0, ".")
import helper
class Cycle:
    def __init__(self): self.me, self.file = self, open("cycle", "w"); self.file.write("x")
cycle = Cycle()
left = open("variable", "w"); left.write("x")
packed = zipfile.ZipFile("packed", "w"); packed.writestr("a", "b")
atexit.register(lambda: pathlib.Path("atexit").write_text("x"))
def work(end=threading.main_thread()):
    end.join()
    pathlib.Path("thread").write_text("x")
threading.Thread(target=work).start()
"""
    names = ("module", "cycle", "variable", "packed", "atexit", "thread")
    for source in (None, template):
        run(tmp_path / "out.ipynb", source, f"import os; os.chdir({str(tmp_path)!r})", end)
        assert {name: (tmp_path / name).stat().st_size > 0 for name in names} == dict.fromkeys(names, True)
        for name in names:
            (tmp_path / name).unlink()


def test_a_kernel_says_that_it_ends_before_it_closes_what_says_so(template: Template, tmp_path: Path) -> None:
    """Else its last words wait for a thread that is about to end, and in the end it is killed."""
    late = f"""
import atexit, pathlib, sys, threading
from ipykernel.kernelapp import IPKernelApp
kernel = IPKernelApp.instance()
def late(thread=threading.current_thread, talker=kernel.control_thread, publisher=kernel.iopub_thread.thread, flush=sys.stdout.flush):
    if thread() is talker:
        publisher.join(0.5)
    flush()
def closing(talker=kernel.control_thread, told=pathlib.Path({str(tmp_path / "talking")!r})):
    told.write_text(str(talker.is_alive()))
sys.stdout.flush = late
atexit.register(closing)
"""
    run(tmp_path / "out.ipynb", template, late)
    assert (tmp_path / "talking").read_text() == "False"


@pytest.mark.parametrize(
    ("names", "imported"),
    [
        ("import psycopg", {"psycopg"}),
        ("import matplotlib.pyplot as plt, pandas as pd", {"matplotlib", "pandas"}),
        ("1 + 1", set()),
        ("from rcakit import open_case", set(NOTEBOOKS)),
    ],
)
def test_a_template_imports_what_its_notebooks_name(tmp_path: Path, names: str, imported: set[str]) -> None:
    path = tmp_path / "one.ipynb"
    nbformat.write(notebook(names), path)
    with forks.warmed([str(path)]) as template:
        look = f"import sys; [name for name in {list(NOTEBOOKS)} if name in sys.modules]"
        assert set(eval(text(run(tmp_path / "out.ipynb", template, look)[0]))) >= imported  # noqa: S307
        assert template is not None
        assert set(template.packages) == imported


def test_notebooks_that_come_with_rcakit_want_all_packages() -> None:
    for notebooks in ([], ["10_incident_report"]):
        with forks.warmed(notebooks) as template:
            assert template is not None
            assert set(template.packages) == set(NOTEBOOKS)


def test_a_template_that_is_not_needed_any_more_ends_while_it_imports() -> None:
    template = Template()
    template.close()
    assert template.exit_status == -signal.SIGTERM


@pytest.mark.parametrize(
    ("death", "reason"),
    [("os._exit(3)", "exit status 3"), ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9")],
)
def test_a_death_is_told_as_it_was_and_takes_nobody_along(
    template: Template, tmp_path: Path, death: str, reason: str
) -> None:
    with pytest.raises(DeadKernelError):
        run(tmp_path / "out.ipynb", template, "import os, signal", death, "'never'")
    assert told(tmp_path / "out.ipynb").status == "kernel-died"
    assert reason in told(tmp_path / "out.ipynb").reason
    assert text(run(tmp_path / "next.ipynb", template, PARENT)[0]) == str(template.pid)


def test_a_cell_over_its_time_ends_its_process_and_what_that_started(
    template: Template, tmp_path: Path
) -> None:
    stuck = f"""
import os, pathlib, subprocess, signal, threading
child = subprocess.Popen(["sleep", "600"])
pathlib.Path({str(tmp_path / "pids")!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: threading.Event().wait(600)
"""
    with pytest.raises(CellTimeoutError):
        run(tmp_path / "out.ipynb", template, stuck, execution_timeout=3)
    assert told(tmp_path / "out.ipynb").status == "timeout"
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def owner(tmp_path: Path, cell: str) -> subprocess.Popen[bytes]:
    """A process with a template of its own and this notebook under way."""
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_forks, pathlib
with test_forks.Template() as template:
    test_forks.run(pathlib.Path({str(tmp_path / "out.ipynb")!r}), template, "'before'", {cell!r}, "'never'")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, env=environment)


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_its_owner(tmp_path: Path, blow: int) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = owner(
        tmp_path,
        f"""
import os, subprocess, threading
child = subprocess.Popen(["sleep", "600"])
with open({str(fifo)!r}, "w") as told: told.write(f"{{os.getppid()}} {{os.getpid()}} {{child.pid}}")
threading.Event().wait()
""",
    )
    pids = [int(pid) for pid in fifo.read_text().split()]  # blocks until the cell is under way
    assert not any(pid in (os.getpid(), process.pid) for pid in pids)
    process.send_signal(blow)
    assert process.wait(60) != 0
    assert all(gone(pid) for pid in pids)
    if blow == signal.SIGINT:
        assert told(tmp_path / "out.ipynb").status == "cancelled"


def test_a_template_that_died_is_replaced_by_ordinary_kernels(tmp_path: Path) -> None:
    with Template() as template:
        os.kill(template.pid, signal.SIGKILL)
        assert text(run(tmp_path / "out.ipynb", template, PARENT)[0]) == str(os.getpid())


def test_a_kernel_does_not_outlive_its_template(tmp_path: Path) -> None:
    with Template() as template, pytest.raises(DeadKernelError):
        run(
            tmp_path / "out.ipynb",
            template,
            "import os, signal, threading; os.kill(os.getppid(), signal.SIGKILL); threading.Event().wait()",
        )
    assert told(tmp_path / "out.ipynb").status == "kernel-died"


def test_a_template_with_a_second_thread_is_not_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "path"
    place.mkdir()
    (place / "psycopg.py").write_text(
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(ROOT)]))
    with Template() as template:
        assert text(run(tmp_path / "out.ipynb", template, PARENT)[0]) == str(os.getpid())


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "MPLBACKEND"])
def test_variables_that_are_read_at_the_start_need_a_start(
    template: Template, tmp_path: Path, variable: str
) -> None:
    value = {"PYTHONHASHSEED": "7", "MPLBACKEND": "agg"}[variable]
    (found,) = run(tmp_path / "out.ipynb", template, PARENT, env={variable: value})
    assert text(found) == str(os.getpid())


def test_where_a_system_cannot_fork_kernels_are_started(
    tmp_path: Path, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "POSSIBLE", False)
    assert text(run(tmp_path / "out.ipynb", template, PARENT)[0]) == str(os.getpid())


def test_jupyter_finds_the_provisioner_and_its_template_lives_as_long_as_the_process(tmp_path: Path) -> None:
    """As in a Jupyter server, whose kernel specification names it: `{"metadata": {"kernel_provisioner": ..}}`."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    named = entry["jupyter_client.kernel_provisioners"]["rcakit-fork"]
    script = f"""
import jupyter_client, importlib.metadata
from jupyter_client.provisioning import KernelProvisionerFactory as Factory
Factory.instance().provisioners["rcakit-fork"] = importlib.metadata.EntryPoint("rcakit-fork", {named!r}, Factory.GROUP_NAME)
manager = jupyter_client.KernelManager(kernel_name="python3")
manager.kernel_spec.metadata["kernel_provisioner"] = {{"provisioner_name": "rcakit-fork"}}
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(60)
client.execute_interactive("import os; print(os.getppid(), os.getpid())")
client.stop_channels()
manager.shutdown_kernel()
print(type(manager.provisioner).__name__)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    said, _ = process.communicate(timeout=120)
    parent, kernel, name = said.split()
    assert (process.returncode, name) == (0, "Provisioner")
    assert int(parent) != process.pid
    assert gone(int(kernel))
    assert gone(int(parent))
