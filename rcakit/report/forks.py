"""Kernels forked from a process that has imported everything, for many runs on one machine.

Most of a short notebook's time are the imports in its kernel. A `Template` is a process that did them once; every
kernel is a fresh fork of it, so that what a notebook does to its process (environment, working directory, settings,
threads, memory) ends with it, and a kernel can still be interrupted, killed and waited for like any other.

What a fork shares with its siblings, and an ordinary kernel does not: modules that are imported already, the seed of
str hashes, and one thread for numpy's linear algebra. Where a system cannot fork safely (Windows has no fork, macOS has
libraries that break after one), where a run wants another interpreter or variables that are read at an interpreter's
start, or where the template is gone, an ordinary kernel is started instead.

Provisioners: https://jupyter-client.readthedocs.io/en/stable/provisioning.html
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from rcakit.report.fork_template import FOR_KERNELS, LAUNCHER

POSSIBLE = hasattr(os, "fork") and sys.platform != "darwin"
"""Whether this system forks; without, every kernel is an ordinary one.
https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods"""
_READ_AT_START = ("PYTHON", "LD_", "MPL", "MATPLOTLIBRC", "OPENBLAS_", "OMP_", "MKL_")
_PATIENCE_S = 60.0
"""For the template's imports, which the first kernel waits for; as long as papermill waits for any kernel."""


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

    Used as a context manager, or closed; a process that was itself forked from the owner may ask for kernels too, and
    calls `share` first.
    """

    def __init__(self) -> None:
        self._environ = dict(os.environ)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        watched, self._lifeline = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rcakit.report.fork_template", str(theirs.fileno()), str(watched)],
            pass_fds=[theirs.fileno(), watched],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the owner's to handle
            env=self._environ | FOR_KERNELS,
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

    def close(self) -> None:
        """End it, and every kernel that is left."""
        self._control.close()
        os.close(self._lifeline)
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


class Provisioner(LocalProvisioner):
    """jupyter_client's `rcakit-fork`: kernels from `template`, or from one that the process keeps."""

    template: Template | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        process = self._forked(cmd, **kwargs)
        if process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = cast("subprocess.Popen[bytes]", process)
        self.pid = self.pgid = process.pid
        self.cwd = kwargs.get("cwd") or os.getcwd()
        return self.connection_info

    def _forked(
        self, cmd: list[str], *, env: Mapping[str, str], cwd: str | None = None, **others: Any
    ) -> Fork | None:
        """None where the kernel has to be an ordinary one."""
        if not POSSIBLE or any(value is not None for value in self._scrub_kwargs(others).values()):
            return None
        template = self.template or _kept()
        return template.fork(cmd[3:], env, str(cwd or os.getcwd())) if template.fits(cmd, env) else None

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Wait for the kernel to end as it was told to; the manager would only look ten times a second."""
        if isinstance(process := cast("object", self.process), Fork):
            await process.ended(self.get_shutdown_wait_time() / 2)


@cache
def _kept() -> Template:
    """For kernels that some other application starts: imported at its first, there as long as the process."""
    return Template()


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _line(channel: socket.socket) -> str:
    """One line, and nothing of what may follow."""
    said = b""
    while not said.endswith(b"\n") and (more := channel.recv(1)):
        said += more
    return said.decode().strip()
