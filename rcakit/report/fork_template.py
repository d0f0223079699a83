"""The process that kernels are forked from: everything imported, nothing begun.

`python -m rcakit.report.fork_template CONTROL LIFELINE PACKAGE..`: two file descriptors, and which of `NOTEBOOKS` to
import. On CONTROL (a socket of packets) come three descriptors a kernel: its channel, its stdout, its stderr. On a channel comes one line of JSON, `{"argv": [..],
"env": {..}, "cwd": ".."}`; back go the lines `pid N` and, when the kernel has ended, `exit N` (as in
subprocess.Popen.returncode), or `no REASON`. A channel that its owner closes ends its kernel; the end of CONTROL, or
of LIFELINE, ends all of them and this process.

Only the standard library is imported before `main`, and a process with more than one thread is never forked: the
others' locks would stay locked in the child. https://docs.python.org/3/library/os.html#os.fork
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

LAUNCHER = "ipykernel_launcher"
FOR_KERNELS = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # read when matplotlib is imported; as ipykernel sets it
    "OPENBLAS_NUM_THREADS": "1",  # numpy's library starts threads when it is loaded
    "OMP_NUM_THREADS": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger, imported by every kernel, would say something
}
"""Environment variables that the imports have to see; a kernel gets those of its own run."""
KERNEL = (
    "ipykernel_launcher",
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "tornado.platform.asyncio",
    "sqlite3",
    "encodings.idna",
)
"""What a kernel imports by and by until it is ready."""
NOTEBOOKS = {
    "pandas": ("pandas",),
    "matplotlib": (
        "matplotlib.backends.backend_agg",  # not pyplot, nor its inline backend: they look for the kernel
        "matplotlib.figure",
        "matplotlib.mlab",
        "matplotlib.projections",
        "matplotlib.style",
        "matplotlib.widgets",
        "PIL.BmpImagePlugin",
        "PIL.GifImagePlugin",
        "PIL.JpegImagePlugin",
        "PIL.PngImagePlugin",
        "PIL.PpmImagePlugin",
    ),
    "psycopg": ("psycopg",),
    "sqlalchemy": ("sqlalchemy",),
    "rcakit": ("rcakit.report.sections", "sqlalchemy.dialects.postgresql.psycopg"),
}
"""What notebooks import, by the package they name, and what drawing their first figure does."""
_PATIENCE_S = 10.0
"""An owner that has sent descriptors sends its request at once."""


@dataclass(frozen=True, slots=True)
class Request:
    """A kernel to become."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    streams: tuple[int, int]
    """Descriptors of its stdout and stderr."""


def main(control: int, lifeline: int, packages: Sequence[str]) -> None:
    """Import, then fork until the owner is gone; in a kernel, be it."""
    if sys.path[0] == str(
        Path.cwd()
    ):  # the kernel's launcher does the same: what lies around is not ours to import
        del sys.path[0]
    before = dict(os.environ)
    gc.disable()  # hardly anything of what imports make is garbage: looking for it would take a third of the time
    for name in (*KERNEL, *chain.from_iterable(NOTEBOOKS[package] for package in packages)):
        with suppress(ModuleNotFoundError):  # the notebook will say what it misses
            import_module(name)
    gc.enable()
    gc.freeze()  # what is here stays, and stays shared
    request = _Server(socket.socket(fileno=control), lifeline).serve()
    if request is None:
        os._exit(0)  # nothing was begun here: there is nothing to take apart
    imported = frozenset(sys.modules)
    _become(request, {name: value for name, value in os.environ.items() if name not in before})
    _leave(imported)


def threads() -> int:
    """How many threads this process has, those that Python does not know included where the system tells."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()


class _Server:
    """One thread that waits for requests, for owners that go and for kernels that end."""

    def __init__(self, control: socket.socket, lifeline: int) -> None:
        self._control = control
        self._lifeline = lifeline
        self._kernels: dict[int, socket.socket | None] = {}
        self._wakeup = socket.socketpair()
        for end in self._wakeup:
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        for source in (control, lifeline, self._wakeup[0]):
            self._selector.register(source, selectors.EVENT_READ)
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # from here on its owner's end is the end, for kernels too
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is what makes it wake us up
        signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)

    def serve(self) -> Request | None:
        """None when the owner is gone; in a forked process, what it has to become."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == self._lifeline:
                    self._end()
                    return None
                if key.fileobj is self._wakeup[0]:
                    self._reap()
                elif key.fileobj is not self._control:
                    self._abandoned(key.data)
                elif not (received := socket.recv_fds(self._control, 1, 3))[0]:
                    self._end()
                    return None
                elif request := self._answer(*received[1]):
                    return request

    def _answer(self, descriptor: int, *streams: int) -> Request | None:
        """Fork: the request in the new process, None in this one."""
        with socket.socket(fileno=descriptor) as channel:
            channel.settimeout(_PATIENCE_S)
            try:
                line = channel.makefile("r", encoding="utf-8").readline()
                if line and self._forked(channel):
                    return Request(**json.loads(line), streams=(streams[0], streams[1]))
            except OSError:
                pass  # an owner that is gone, or says nothing, gets no kernel
            for stream in streams:
                os.close(stream)
        return None

    def _forked(self, channel: socket.socket) -> bool:
        """Whether this is the new process, which keeps nothing of its siblings."""
        if (count := threads()) > 1:
            channel.sendall(f"no the template has {count} threads\n".encode())
            return False
        pid = os.fork()
        if not pid:
            self._forget()
            return True
        kept = channel.dup()
        self._kernels[pid] = kept
        self._selector.register(kept, selectors.EVENT_READ, pid)
        channel.sendall(f"pid {pid}\n".encode())
        return False

    def _forget(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._selector.close()
        for end in (self._control, *self._wakeup, *filter(None, self._kernels.values())):
            end.close()
        os.close(self._lifeline)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup[0].recv(4096)
        while self._kernels:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if (channel := self._kernels.pop(pid)) is not None:
                self._selector.unregister(channel)
                with channel, suppress(OSError):  # nobody may be listening any more
                    channel.sendall(f"exit {os.waitstatus_to_exitcode(status)}\n".encode())

    def _abandoned(self, pid: int) -> None:
        """The owner closed the channel: nothing else ever comes on it. The kernel is reaped when it has ended."""
        channel = self._kernels.get(pid)
        if channel is not None:
            self._kernels[pid] = None
            self._selector.unregister(channel)
            channel.close()
            _kill(pid)

    def _end(self) -> None:
        for pid in self._kernels:
            _kill(pid)


def _kill(pid: int) -> None:
    """A kernel and what it started; it cannot be somebody else's id, for nobody but us waits for it."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has not made its own group yet
        os.kill(pid, signal.SIGKILL)


def _become(request: Request, by_imports: dict[str, str]) -> None:
    """Be the kernel, as if just started: nothing of this process is left but what was imported.

    `by_imports` are the variables that imports set, as they would have in a kernel.
    """
    parent = os.getppid()
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((null, *request.streams), (0, 1, 2), strict=True):
        os.dup2(source, target)
        os.close(source)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(by_imports | request.env, JPY_PARENT_PID=str(parent))
    time.tzset()
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    launcher: Any = import_module(LAUNCHER)
    sys.argv = [launcher.__file__, *request.argv]
    sys.orig_argv = [sys.executable, "-m", LAUNCHER, *request.argv]
    application = import_module("ipykernel.kernelapp").IPKernelApp
    application.launch_instance(parent_handle=parent)  # it ends when that does
    _let_answer(application.instance().control_thread)


def _let_answer(control: Any) -> None:
    """Wait for the thread that was told to shut down to say that it was.

    It flushes streams in the end, and waits ten seconds for it when their own thread has been closed before.
    """
    if control is not None and control.is_alive():
        control.stop()
        control.join()


def _leave(imported: Set[str]) -> None:
    """End as an interpreter does, and spare taking apart what was imported before the fork: a third of a short kernel's work.

    IPython is registered with atexit, and releases there what the notebook holds.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for name in sys.modules.keys() - imported:
        vars(sys.modules[name]).clear()
    gc.collect()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
