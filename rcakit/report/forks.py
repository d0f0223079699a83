"""Kernels forked from a process that has imported what they need, while their owner did something else.

Most of a short notebook's time are the imports in its kernel. A `Template` is a process that does them once, and at
once; every kernel is a fresh fork of it, so that what a notebook does to its process (environment, working directory,
settings, threads, memory) ends with it, and a kernel can still be interrupted, killed and waited for like any other.

What a fork shares with its siblings, and an ordinary kernel does not: modules that are imported already, the seed of
str hashes, and one thread for numpy's linear algebra. Where a system cannot fork safely (Windows has no fork, macOS has
libraries that break after one), where a run wants another interpreter or variables that are read at an interpreter's
start, where numpy was told to take more threads (OPENBLAS_NUM_THREADS), or where the template is gone, an ordinary
kernel is started instead. Only the standard library is imported here: the template begins before anything else does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from rcakit.report import fork_template
from rcakit.report.fork_template import LAUNCHER, NOTEBOOKS

POSSIBLE = hasattr(os, "fork") and sys.platform != "darwin"
"""Whether this system forks; without, every kernel is an ordinary one.
https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods"""
_READ_AT_START = ("PYTHON", "LD_", "MPL", "MATPLOTLIBRC", "OPENBLAS_", "OMP_", "MKL_")
_PATIENCE_S = 60.0
"""For the template's imports, which the first kernel waits for; as long as papermill waits for any kernel."""


@contextmanager
def warmed(notebooks: Collection[str] = ()) -> Iterator[Template | None]:
    """A template for the kernels of these notebooks (paths, or names), by default of those that come with rcakit.

    None where this system does not fork.
    """
    if not POSSIBLE:
        yield None
        return
    with Template(_used(notebooks)) as template:
        yield template


def _used(notebooks: Collection[str]) -> list[str]:
    """The packages that any of them names; rcakit's own parts want them all."""
    text = "".join(_text(Path(notebook)) for notebook in notebooks)
    return [name for name in NOTEBOOKS if not notebooks or name in text or "rcakit" in text]


def _text(notebook: Path) -> str:
    """What a notebook says; one that cannot be read is for others to complain of, or comes with rcakit."""
    try:
        return notebook.read_text("utf-8", errors="replace")
    except OSError:
        return "rcakit"


class Fork:
    """A forked kernel's process, with what the provisioner uses of subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, channel: socket.socket, pid: int) -> None:
        channel.setblocking(False)
        self._channel = channel
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """None while it runs, else its exit status, or minus the signal that ended it."""
        if self.returncode is None:
            try:
                said = self._channel.recv(64)
            except BlockingIOError:
                return None
            self._ended(said)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises TimeoutError after `timeout` seconds."""
        if self.returncode is not None:
            return self.returncode
        self._channel.settimeout(timeout)
        try:
            return self._ended(self._channel.recv(64))
        finally:
            if self.returncode is None:
                self._channel.setblocking(False)

    async def ended(self, timeout: float) -> None:
        """Return when it has ended, or after `timeout` seconds."""
        if self.poll() is None:
            loop, told = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self._channel, told.set)
            try:
                await asyncio.wait_for(told.wait(), timeout)
            except TimeoutError:
                return
            finally:
                loop.remove_reader(self._channel)

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _ended(self, said: bytes) -> int:
        """`exit N`, or nothing when the template is gone, which its kernels do not outlive."""
        self._channel.close()
        self.returncode = int(said.split()[1]) if said else self._orphaned()
        return self.returncode

    def _orphaned(self) -> int:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return -signal.SIGKILL


class Template:
    """The process that is forked. It imports while its owner does something else, and ends with its owner, however.

    `packages` are those of `NOTEBOOKS` that it imports besides the kernel's own. Used as a context manager, or closed; a
    process that was itself forked from the owner may ask for kernels too, and calls `share` first.
    """

    def __init__(self, packages: Iterable[str] = NOTEBOOKS) -> None:
        self.packages = list(packages)
        self._environ = dict(os.environ)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        watched, self._lifeline = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                fork_template.__name__,
                str(theirs.fileno()),
                str(watched),
                *self.packages,
            ],
            pass_fds=[theirs.fileno(), watched],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the owner's to handle
            env=fork_template.FOR_KERNELS | self._environ,
        )
        theirs.close()
        os.close(watched)

    def __enter__(self) -> Template:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """As in subprocess.Popen.returncode; None while it runs."""
        return self._process.poll()

    def close(self) -> None:
        """End it, and every kernel that is left."""
        self._control.close()
        os.close(self._lifeline)
        self._process.terminate()  # which it heeds as long as it imports, and has no kernels
        self._process.wait()

    def share(self) -> None:
        """In a process forked from the owner: the template lives as long as the owner, not as this one."""
        os.close(self._lifeline)

    def fits(self, command: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether a kernel started by `command` would be what a fork is: same interpreter, same start."""
        return list(command[:3]) == [sys.executable, "-m", LAUNCHER] and _at_start(env) == _at_start(
            self._environ
        )

    def fork(self, arguments: Sequence[str], env: Mapping[str, str], cwd: str) -> Fork | None:
        """A new kernel with these command-line arguments; None when the template is gone or refuses."""
        ours, theirs = socket.socketpair()
        request = {"argv": list(arguments), "env": dict(env), "cwd": cwd}
        ours.settimeout(_PATIENCE_S)
        try:
            with theirs:
                socket.send_fds(self._control, [b"k"], [theirs.fileno(), 1, 2])
            ours.sendall(json.dumps(request).encode() + b"\n")
            word, _, rest = _line(ours).partition(" ")
        except OSError:
            word, rest = "no", ""
        if word != "pid":
            ours.close()
            return None
        return Fork(ours, int(rest))


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _line(channel: socket.socket) -> str:
    """One line, and nothing of what may follow."""
    said = b""
    while not said.endswith(b"\n") and (more := channel.recv(1)):
        said += more
    return said.decode().strip()
