"""A run that is interrupted, at whatever it is: a whole folder that says so, and nothing half-made beside it.

The signals are real, and so are the processes. When they come is chosen by an audit hook: as a certain file is opened.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
from pathlib import Path

import nbformat
import pytest
from commands import ROOT, begin
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rcakit.archive.kept import Kept, archive
from rcakit.report import cancelling, folders, index, pdf

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
HOOK = """\
import os, sys


def told(event, arguments):
    name = os.path.basename(str(arguments[0])) if event == "open" and os.environ.get("BLOW") else ""
    if name.startswith(os.environ.get("AT", "?")) and "w" in str(arguments[1]):
        number = int(os.environ.pop("BLOW"))
        os.kill(os.getpid(), number)


sys.addaudithook(told)
"""
EVIDENCE = """
import os, pathlib, threading
folder = pathlib.Path(os.environ["RCAKIT_RUN_DIR"], "evidence")
folder.mkdir()
with (folder / "E1.csv").open("w") as file:
    file.write("half")
    file.flush()
    open({fifo!r}, "w").write("x")
    threading.Event().wait()
"""


def notebook(path: Path, *cells: str) -> Path:
    nodes = [new_markdown_cell("# Is it?"), *(new_code_cell(source) for source in cells)]
    nodes.insert(2, new_markdown_cell("## Rest"))
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(new_notebook(cells=nodes, metadata={"kernelspec": kernel}), path)
    return path


def interrupted(
    tmp_path: Path, at: str, number: int, path: Path | None = None, option: str = "--no-code"
) -> tuple[int, str]:
    """Exit code and words of a run that gets the signal as it opens a file whose name begins so."""
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    (tmp_path / "tmp").mkdir()
    path = path or notebook(tmp_path / "in.ipynb", "'done'", "'too'")
    env = {"AT": at, "BLOW": str(int(number)), "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    env["TMPDIR"] = str(tmp_path / "tmp")
    process = begin("run", path, "--out", "out", option, cwd=tmp_path, env=env)
    _, said = process.communicate(timeout=120)
    return process.returncode, said.decode()


def left(tmp_path: Path, at: str) -> Kept:
    """The one run below `out`, which is whole; nothing else is there, nor in TMPDIR."""
    found = archive(tmp_path / "out")
    assert (len(found.runs), found.odd) == (1, ())
    (kept,) = found.runs
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"in", "index.html"} - {at}
    assert [path.name for path in kept.folder.parent.iterdir()] == [kept.id]
    assert list((tmp_path / "tmp").glob("rca*")) == []
    nbformat.validate(nbformat.read(kept.folder / "notebook.ipynb", as_version=4))
    return kept


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("findings.json", signal.SIGINT),
        ("run.json", signal.SIGTERM),
        ("report.html", signal.SIGHUP),
    ],
)
def test_while_the_folder_is_filled(tmp_path: Path, at: str, number: int) -> None:
    code, said = interrupted(tmp_path, at, number)
    assert (code, "status: cancelled" in said, "the run was interrupted" in said) == (2, True, True), said
    kept = left(tmp_path, at)
    assert (kept.run.status, kept.content.status, kept.run.exit_code) == ("cancelled", "cancelled", 2)
    assert "This run was cancelled" in (kept.folder / "report.html").read_text()


@pytest.mark.skipif(pdf.browser() is None, reason="NO CHROMIUM: no run was interrupted while it was printed")
def test_while_it_is_printed(tmp_path: Path) -> None:
    code, said = interrupted(tmp_path, "report.pdf", signal.SIGTERM, option="--pdf")
    assert (code, "status: cancelled" in said) == (2, True), said
    assert not (left(tmp_path, "report.pdf").folder / "report.pdf").exists()


def test_by_a_printer_that_hangs_which_goes_too(tmp_path: Path) -> None:
    """It holds the pipe's one end that is written to, and so its end of file is the end of the printer."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "bin").mkdir()
    printer = tmp_path / "bin" / "chromium"
    printer.write_text(f"#!/bin/sh\nexec > {fifo}\necho x\nexec sleep 600\n")
    printer.chmod(printer.stat().st_mode | stat.S_IXUSR)
    path = notebook(tmp_path / "in.ipynb", "'done'", "'too'")
    (tmp_path / "tmp").mkdir()
    around = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path / "tmp")}
    process = begin("run", path, "--out", "out", "--pdf", cwd=tmp_path, env=around)
    with fifo.open("rb", buffering=0) as printing:
        assert printing.readline() == b"x\n"
        process.terminate()
        _, said = process.communicate(timeout=60)
        assert (process.returncode, b"status: cancelled" in said) == (2, True), said
        left(tmp_path, "")
        assert select.select([printing], [], [], 60)[0], "the printer goes on"
        assert printing.read() == b""


def test_while_the_notebook_writes_its_evidence(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "tmp").mkdir()
    path = notebook(tmp_path / "in.ipynb", EVIDENCE.format(fifo=str(fifo)), "'never'")
    process = begin("run", path, "--out", "out", cwd=tmp_path, env={"TMPDIR": str(tmp_path / "tmp")})
    assert fifo.read_text() == "x"
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, b"status: cancelled" in said) == (2, True), said
    kept = left(tmp_path, "")
    assert not (kept.folder / "evidence").exists()
    assert "Not run: Rest." in (kept.folder / "report.html").read_text()


def test_after_its_end_a_run_stays_what_it_is(tmp_path: Path) -> None:
    code, said = interrupted(tmp_path, f".{index.NAME}", signal.SIGTERM)
    assert (code, "status: ok" in said) == (0, True), said
    assert "index.html could not be written: interrupted" in said
    assert left(tmp_path, index.NAME).run.status == "ok"


def test_before_anything_ran(tmp_path: Path) -> None:
    """Of a notebook that brings the outputs of an earlier run along: they are not this one's."""
    nb = nbformat.read(notebook(tmp_path / "in.ipynb", "'done'", "'too'"), as_version=4)
    nb.cells[1].outputs = [nbformat.v4.new_output("stream", text="of yesterday")]
    nb.metadata["rcakit"] = {"status": "ok", "reason": "", "cell": None}
    nbformat.write(nb, tmp_path / "in.ipynb")
    code, said = interrupted(tmp_path, "notebook.ipynb", signal.SIGTERM, path=tmp_path / "in.ipynb")
    assert (code, "status: cancelled" in said) == (2, True), said
    page = (left(tmp_path, "").folder / "report.html").read_text()
    assert "Not run: Rest." in page
    assert "0 of 2 steps were begun" in page
    assert "of yesterday" not in page


# ------------------------------------------------------------------ signals by themselves


def test_only_the_first_interrupts_what_may_be_cancelled_once() -> None:
    came = []
    with cancelling.terminable(), cancelling.cancellable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            came.append("first")
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
    assert came == ["first"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_ignored_or_handled_before_is_so_again(number: signal.Signals) -> None:
    for was in (signal.SIG_IGN, signal.SIG_DFL):
        kept = signal.signal(number, was)
        try:
            with cancelling.terminable():
                if was == signal.SIG_IGN:
                    os.kill(os.getpid(), number)  # as nohup wants it
            assert signal.getsignal(number) == was
        finally:
            signal.signal(number, kept)


def test_a_killed_run_is_never_counted_and_its_list_goes_at_the_next(tmp_path: Path) -> None:
    """SIGKILL cannot be answered: the hidden folder stays, said and not counted, and a half-written list goes."""
    code, _ = interrupted(tmp_path, "report.html", signal.SIGKILL)
    assert code == -signal.SIGKILL
    (odd,) = archive(tmp_path / "out").odd
    assert (odd.state, archive(tmp_path / "out").runs) == ("left behind", ())
    assert folders.run_id(odd.folder) in odd.folder.name
    half = tmp_path / "out" / f".{index.NAME}.0000.part"
    half.write_text("<half")
    index.write(tmp_path / "out")
    assert not half.exists()
    assert "left behind" in (tmp_path / "out" / index.NAME).read_text()
