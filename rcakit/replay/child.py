"""The process a replay runs in: the project's own interpreter with `sources/django_replayer.py`, spoken to in JSON lines."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from rcakit.errors import ProjectError
from rcakit.replay.environment import environment
from rcakit.scratch import Server
from rcakit.sources import django_live, process

REPLAYER = Path(django_live.__file__).with_name("django_replayer.py")


class Child:
    """The replayer: JSON lines both ways, until a deadline."""

    def __init__(self, process: subprocess.Popen[bytes], command: list[str], timeout: float) -> None:
        self.process, self.command, self.timeout = process, command, timeout
        self.at = "its start"
        self._deadline = time.monotonic() + timeout
        self._pending = b""
        self._out = cast(IO[bytes], process.stdout).fileno()

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it says, up to its last line. Raises ProjectError when it ends before that, or time runs out."""
        environ = dict(os.environ)  # which decodes each variable whenever it is looked at
        while True:
            line = django_live.heard(self._line(), environ)
            if line is None:
                continue
            if line["kind"] == "end":
                return
            if line["kind"] == "error":
                raise self._failed(line)
            yield line

    def answer(self, **facts: object) -> None:
        with suppress(BrokenPipeError):  # the next line tells that it has ended
            os.write(cast(IO[bytes], self.process.stdin).fileno(), json.dumps(facts).encode() + b"\n")

    def _line(self) -> bytes:
        while b"\n" not in self._pending:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._out], [], [], left)[0]:
                raise ProjectError(
                    f"the replay did not end within {self.timeout:g} seconds, it was stopped in {self.at}",
                    hint="allow it more time, or see what this migration waits for",
                )
            chunk = os.read(self._out, 1 << 20)
            if not chunk:
                raise self._ended()
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _ended(self) -> ProjectError:
        code = self.process.wait()
        if self.at == "its start":
            return django_live.silent(self.command[0], code)
        how = f"was ended by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
        return ProjectError(
            f"the replaying process {how} in {self.at}",
            hint="was it killed (out of memory?), or does the migration end the process?",
        )

    def _failed(self, line: Mapping[str, Any]) -> ProjectError:
        if line["stage"] == "elsewhere":
            return ProjectError(
                f"the database alias {line['alias']!r} still leads elsewhere: nothing was run",
                hint="its backend or settings choose the server by themselves; replay with other --settings",
            )
        return django_live.failed(line, self.command[2], self.command[0])


@contextmanager
def started(command: list[str], project: Path, server: Server, timeout: float) -> Iterator[Child]:
    """The process group is gone afterwards, whatever happens."""
    with process.started(command, project, environment(server), stdin=subprocess.PIPE) as child:
        yield Child(child, command, timeout)
