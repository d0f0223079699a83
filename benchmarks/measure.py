"""Processes, and what they cost: wall seconds, CPU seconds on both sides of the connection, peak memory.

Wall time on a machine that others use is noise. CPU time is not: that of the reading process is what it reports
itself, that of the server is the time of the backends that ended meanwhile, as the kernel adds it up for their parent.
https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcakit import scratch

PATIENCE_S = 600
"""No single process of a benchmark may take longer."""


@dataclass(frozen=True)
class Cost:
    """What one process took; `server` is the CPU time of the backends that worked for it."""

    seconds: float
    cpu: float
    mb: float
    server: float = 0.0
    said: Mapping[str, Any] | None = None
    """What else the process reported."""

    @property
    def work(self) -> float:
        """CPU seconds of client and server together: what the machine had to do, whoever else was using it."""
        return self.cpu + self.server


def run(command: Sequence[str | Path], server: scratch.Server | None = None, **options: Any) -> Cost:
    """Run a process that prints {"seconds", "cpu", "mb", ..} as its last line. Raises CalledProcessError."""
    before = backends(server)
    done = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
        **options,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    spent = backends(server) - before
    return Cost(said["seconds"], said["cpu"], said["mb"], spent, said)


def backends(server: scratch.Server | None) -> float:
    """CPU seconds of all backends that have ended; waits until none is left that a client called for."""
    if server is None or not Path("/proc/self/stat").exists():
        return 0.0
    postmaster = Path("/proc") / (server.data / "postmaster.pid").read_text().split()[0]
    while any(map(_serves, (postmaster / "task" / postmaster.name / "children").read_text().split())):
        time.sleep(0.005)
    fields = (postmaster / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _serves(child: str) -> bool:
    """Whether this child of the server's works for a client ("postgres: bob shop [local] idle") or is just ending."""
    try:
        title = (Path("/proc") / child / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not title or b"[local]" in title


def spread(values: Sequence[float], digits: int = 2) -> str:
    """ "min / median / max"."""
    return " / ".join(f"{each:.{digits}f}" for each in (min(values), statistics.median(values), max(values)))


def exponent(points: Mapping[int, float]) -> float:
    """Of the growth between the two largest sizes: 1 is linear, 2 quadratic."""
    (small, less), (large, more) = sorted(points.items())[-2:]
    return math.log(more / less) / math.log(large / small)


def size(text: str) -> int:
    """ "10k" -> 10000."""
    return int(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)


def sizes(text: str) -> list[int]:
    """ "1k,10k" -> [1000, 10000]."""
    return [size(each) for each in text.replace(",", " ").split()]


def short(number: int) -> str:
    """10000 -> "10k"."""
    return f"{number // 1000}k" if number % 1000 == 0 and number else str(number)
