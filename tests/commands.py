"""Run the command line as a person does: in a process of its own, or, much faster, in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rcakit import cli

ROOT = Path(cli.__file__).parents[2]
COMMAND = [sys.executable, "-c", "from rcakit.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, with the checkout on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(changes or {})}


def spawn(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Done:
    """The command in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, env=environment(env), capture_output=True, check=False
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def begin(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The command, started and not waited for."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def runner(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process: the same `main`, and an exception it does not catch fails the test."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> Done:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["rcakit", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run
