"""The process a project's code runs in: told apart from ours, and gone with its children."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from rcakit.errors import ProjectError
from rcakit.sources import process

FAMILY = """
import subprocess, sys
child = "import threading; held = open({fifo!r}, 'w', 1); print('x', file=held); threading.Event().wait()"
subprocess.Popen([sys.executable, "-c", child]).wait()
"""


def test_what_the_project_starts_goes_with_its_process(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = [sys.executable, "-c", FAMILY.format(fifo=str(fifo))]
    with process.started(command, tmp_path, os.environ) as parent, fifo.open("rb") as held:
        assert held.readline() == b"x\n"  # the grandchild is there
        process.end(parent)
        assert select.select([held], [], [], 60)[0], "the grandchild lives on"
        assert held.read() == b""


def test_an_answer_is_what_it_printed_and_how_it_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, sys; print(os.getcwd()); sys.stderr.write('x'); sys.exit(3)"]
    assert process.answer(command, tmp_path, os.environ, 60) == (3, f"{tmp_path}\n".encode())


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        process.answer([sys.executable, "-c", "input()"], tmp_path, os.environ, 0)


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="could not be started: Permission denied"):
        process.answer([str(tmp_path)], tmp_path, os.environ, 1)
