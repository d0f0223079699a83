"""A papermill engine that tells the truth: what ran, what failed, what never ran.

Papermill's own engine marks every cell `completed` once a kernel died or timed out, and writes the whole
notebook twice a cell, which grows with the square of the outputs. This one

- leaves a cell that never ran `pending`, marks the cell that ended the run `failed`, and puts the outcome
  into the notebook's metadata: `{"rcakit": {"status": .., "reason": .., "cell": ..}}`;
- saves at most every two seconds, and never for more than a tenth of the time;
- talks to the kernel over Unix sockets in a private directory, so that runs side by side cannot meet in a port;
- knows two limits: `execution_timeout` seconds a cell, `total_timeout` seconds for the notebook.

Engines: https://papermill.readthedocs.io/en/latest/extending-entry-points.html#developing-a-new-engine
Kernel connections: https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_core.paths import jupyter_path
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient  # type: ignore[import-untyped]
from papermill.engines import NBClientEngine, NotebookExecutionManager  # type: ignore[import-untyped]
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
from papermill.iorw import write_ipynb  # type: ignore[import-untyped]
from papermill.log import logger  # type: ignore[import-untyped]
from traitlets.config import Config

from rcakit import errors
from rcakit.credentials import blanked
from rcakit.errors import RcaError
from rcakit.report import kernel_client
from rcakit.report.forks import Template
from rcakit.report.provisioner import Provisioner

Outcome = Literal["ok", "failed", "timeout", "kernel-died", "cancelled"]

_OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, RcaError)}
"""Errors whose message says all; of any other the name is a part of it."""
_MEMORY = (
    "\nsignal 9 is kill -9, or a system that ran out of memory: `dmesg` or the container's events tell which"
)
_KERNEL = "\nlook at its kernel: `jupyter kernelspec list` shows where it is, and its argv what it starts"
_AGAIN = "\nstart it again; what was found until then is in the report"
_SOCKET_PATH = 90
"""Bytes a directory may take so that `<directory>/kernel-ipc-5` stays below the 104 of sockaddr_un on macOS."""


class Manager(NotebookExecutionManager):  # type: ignore[misc]
    """Papermill's bookkeeping with throttled saves and without wishful statuses."""

    save_every = 2.0
    on_cell: Callable[[int, NotebookNode], None] | None = None
    """Called with index and cell before each cell: progress."""
    _saved_at = float("-inf")
    _save_cost = 0.0

    def save(self, **kwargs: Any) -> None:
        """Write the notebook, unless it was written a moment ago; `notebook_complete` writes the rest."""
        if monotonic() - self._saved_at >= max(self.save_every, 10 * self._save_cost):
            self.write()

    def autosave_cell(self) -> None:
        if self.autosave_cell_every:
            self.save()

    def write(self) -> None:
        began = monotonic()
        if self.output_path:
            write_ipynb(self.nb, self.output_path)
        self._saved_at = monotonic()
        self._save_cost = self._saved_at - began

    def notebook_complete(self, **kwargs: Any) -> None:
        """Close the books; a cell that never ran stays `pending`, whatever ended the run."""
        self.end_time = self.now()
        meta = self.nb.metadata.papermill
        meta["end_time"] = self.end_time.isoformat()
        meta["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()
        self.write()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        if self.on_cell is not None and cell_index is not None:
            self.on_cell(cell_index, cell)

    def outcome(self, status: Outcome, reason: str = "", cell: int | None = None) -> None:
        """Write down how the run ended; `cell` is the index of the cell that ended it."""
        self.nb.metadata["rcakit"] = {
            **self.nb.metadata.get("rcakit", {}),
            "status": status,
            "reason": reason,
            "cell": cell,
        }
        if status != "ok":
            self.nb.metadata.papermill["exception"] = True


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells in order and stops at the first that fails, for whatever reason."""

    running: int | None = None
    """Index of the cell under way."""
    died_of = ""
    template: Template | None = None
    """What the kernel is forked from; None for a kernel that is started."""
    environ: Mapping[str, str] = {}
    """That of the notebook's process: its passwords are blanked in whatever a cell says, also in its traceback."""

    def create_kernel_manager(self) -> KernelManager:
        manager: KernelManager = super().create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=kernel_dirs())
        kernel_client.use(manager)
        if self.template is not None:
            manager.provisioner = Provisioner(kernel_spec=manager.kernel_spec, parent=manager)
            manager.provisioner.template = self.template
        return manager

    def process_message(self, msg: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        content = blanked(msg["content"], self.environ)
        return super().process_message({**msg, "content": content}, *args, **kwargs)

    async def _check_raise_for_error(
        self, cell: NotebookNode, cell_index: int, exec_reply: dict[str, Any] | None
    ) -> None:
        reply = exec_reply and {**exec_reply, "content": blanked(exec_reply["content"], self.environ)}
        await super()._check_raise_for_error(cell, cell_index, reply)

    def papermill_execute_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            self.running = index
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError, KeyboardInterrupt) as error:
                self.died_of = self._cause_of_death()
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                raise
            finally:
                if cell.cell_type == "code":
                    self.nb.cells[index].outputs = _joined(self.nb.cells[index].outputs)
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
        self.running = None

    def _cause_of_death(self) -> str:
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        code = None if process is None else process.poll()
        if code is None:
            return "unknown"
        return f"signal {-code}" if code < 0 else f"exit status {code}"


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Neighbouring pieces of a stream as one: when the kernel happened to flush is nothing to a reader."""
    result: list[NotebookNode] = []
    for output in outputs:
        last = result[-1] if result else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            result.append(output)
    return result


class Engine(NBClientEngine):  # type: ignore[misc]
    """The engine `rcakit` of papermill: `papermill --engine rcakit IN OUT`."""

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        **kwargs: Any,
    ) -> NotebookNode:
        """Execute a parameterised notebook in place; see the module for what differs from papermill.

        Keyword arguments of its own: `execution_timeout` and `total_timeout` in seconds, `env` (variables
        added to the kernel's environment), `template` (what the kernel is forked from), `on_begin` (called with the
        notebook, which is then filled in place), `on_cell` (called before each cell). Raises PapermillExecutionError, nbclient's DeadKernelError and
        CellTimeoutError, or passes KeyboardInterrupt on; the notebook is saved first.
        """
        manager = Manager(nb, output_path, log_output, progress_bar, autosave_cell_every)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **kwargs)
        finally:
            manager.notebook_complete()
        return nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Manager,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: float | None = None,
        total_timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        on_begin: Callable[[NotebookNode], object] | None = None,
        on_cell: Callable[[int, NotebookNode], None] | None = None,
        template: Template | None = None,
        **kwargs: Any,
    ) -> None:
        nb_man.on_cell = on_cell
        if on_begin is not None:
            on_begin(nb_man.nb)
        limits = _Limits(execution_timeout, total_timeout)
        sweep(Path(tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix=f"rca-{os.getpid()}-") as directory:
            client = Client(
                nb_man,
                kernel_name=kernel_name,
                config=_connection(Path(directory)),
                timeout_func=limits.of_cell,
                startup_timeout=limits.of_start(start_timeout),
                iopub_timeout=60,  # large outputs trail their cell by more than the default 4 seconds
                extra_arguments=["--log-level=50"],  # it calls the interrupt of its own shutdown an error
                log=logger,
                log_output=log_output,
                stdout_file=stdout_file,
                stderr_file=stderr_file,
            )
            client.template = template
            _run(client, nb_man, limits, {**os.environ, **(env or {})})


class _Limits:
    """Two time-outs in one number: what the next cell may still take."""

    def __init__(self, cell: float | None, total: float | None) -> None:
        self.cell = cell
        self.total = total
        self._end = None if total is None else monotonic() + total

    def of_cell(self, cell: NotebookNode) -> float | None:
        left = [] if self.cell is None else [self.cell]
        if self._end is not None:
            left.append(max(self._end - monotonic(), 0.001))
        return min(left, default=None)

    def of_start(self, seconds: float) -> int:
        """What the kernel may take to start."""
        return math.ceil(seconds if self.total is None else min(seconds, self.total))

    def reason(self) -> str:
        """What was stopped after which limit, and on a second line what to do."""
        longer = "\n`rcakit run` takes other limits: --timeout for the run, --cell-timeout for one cell"
        if self.over():
            return f"the notebook was stopped after {self.total:g} seconds, the limit for a whole run{longer}"
        return f"a cell was stopped after {self.cell:g} seconds, the limit for one cell{longer}"

    def over(self) -> bool:
        """The time for the whole run is up."""
        return self._end is not None and monotonic() >= self._end


def sweep(place: Path) -> None:
    """Remove the directories of runs that were killed: their name holds the id of a process that is gone."""
    if sys.platform == "win32":  # signal 0 asks nothing there
        return
    for directory in place.glob("rca-*-*"):
        owner = directory.name.split("-")[1]
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            shutil.rmtree(directory, ignore_errors=True)  # somebody else may be quicker, or own it
        except (ValueError, OverflowError, PermissionError):
            continue  # not one of ours, or a process of somebody else's


def _connection(directory: Path) -> Config:
    """Unix sockets in a private directory, or TCP where those are missing or the path is too long."""
    config = Config()
    if sys.platform != "win32" and len(os.fsencode(directory)) <= _SOCKET_PATH:
        config.KernelManager.transport = "ipc"
        config.KernelManager.connection_file = str(directory / "kernel.json")
    return config


def kernel_dirs() -> list[str]:
    """Where jupyter_client looks for kernels; it would import IPython, a tenth of a second, to learn of the last."""
    return [
        *jupyter_path("kernels"),
        str(Path(os.environ.get("IPYTHONDIR", "~/.ipython")).expanduser() / "kernels"),
    ]


def _run(client: Client, manager: Manager, limits: _Limits, env: Mapping[str, str]) -> None:
    """Execute, and write down how it ended before anything else can go wrong."""
    manager.outcome("failed")
    client.environ = env
    try:
        client.execute(env=env)
    except CellExecutionError as error:
        named = "" if error.ename in _OURS else f"{error.ename}: "
        manager.outcome("failed", f"{named}{error.evalue}".rstrip(": "), client.running)
        if error.ename == "SystemExit":  # papermill takes it for a clean end; cells after it never ran
            raise _stopped(manager.nb, client.running or 0, error) from None
    except CellTimeoutError:
        manager.outcome("timeout", limits.reason(), client.running)
        raise
    except DeadKernelError:
        reason = f"the notebook's process ended: {client.died_of}{_MEMORY * (client.died_of == 'signal 9')}"
        manager.outcome("kernel-died", reason, client.running)
        raise
    except (RuntimeError, OSError) as error:
        if client.running is None and limits.over():
            manager.outcome("timeout", limits.reason())
        elif client.running is None:
            manager.outcome("kernel-died", f"the notebook's process did not start: {error}{_KERNEL}")
        raise
    except KeyboardInterrupt:
        manager.outcome("cancelled", f"the run was interrupted{_AGAIN}", client.running)
        raise
    else:
        manager.outcome("ok")


def _stopped(nb: NotebookNode, index: int, error: CellExecutionError) -> PapermillExecutionError:
    cell = nb.cells[index]
    return PapermillExecutionError(
        index, cell.execution_count, cell.source, error.ename, error.evalue, error.traceback.splitlines()
    )
