"""The project's own code at work in a process: apart from ours, bounded in time, and gone with all its children afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rcakit.errors import ProjectError


@contextmanager
def started(
    command: list[str], directory: Path, env: Mapping[str, str], *, stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, its standard output a pipe; the whole group is gone when the block ends, whatever happens.

    Raises ProjectError when it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the project's own words, which may hold secrets
            start_new_session=True,
        )
    except OSError as error:
        raise ProjectError(
            f"the Python interpreter {command[0]} could not be started: {error.strerror}",
            hint="name a working interpreter with --python",
        ) from error
    try:
        yield process
    finally:
        end(process)


def answer(command: list[str], directory: Path, env: Mapping[str, str], timeout: float) -> tuple[int, bytes]:
    """Exit code and standard output. Raises ProjectError as `started` does, and TimeoutError after so many seconds."""
    with started(command, directory, env) as process:
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return process.returncode, said


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its whole group, wait for it, and let go of its pipes."""
    if hasattr(os, "killpg"):
        # it and all its children have ended by themselves; macOS refuses to signal a group of zombies
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
