"""A run leaves a whole folder, however it ended, and its status is never better than the truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rcakit.errors import ConfigError
from rcakit.report import runs
from rcakit.report.runs import Options, Run

WHOLE = {"report.html", "notebook.ipynb", "findings.json", "run.json"}
SAVE = """
import json, os, pathlib
finding = {"code": "RK101", "rule": "r", "severity": "warning", "object": "o", "message": "m", "hint": "h",
           "where": None, "evidence": [], "migration": None}
document = {"version": 1, "status": STATUS, "target": {"name": "t"}, "accounts": {}, "waived": [], "causes": [],
            "findings": [finding] if STATUS == "findings" else [], "steps": [], "provenance": {"run": RUN},
            "unread": [{"account": "declared", "reason": "r", "where": None, "blocking": True}] * (STATUS == "could-not-check")}
pathlib.Path(os.environ["RCAKIT_RUN_DIR"], "findings.json").write_text(json.dumps(document))
"""


def notebook(path: Path, *cells: str) -> Path:
    nodes = [new_markdown_cell("# Is it?"), new_markdown_cell("## Part\n\nA sentence.")]
    nodes += [new_code_cell(source) for source in cells]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=nodes, metadata=metadata), path)
    return path


def run(tmp_path: Path, *cells: str, **options: Any) -> Run:
    done = runs.execute(notebook(tmp_path / "in.ipynb", *cells), {}, tmp_path / "out", Options(**options))
    assert set(os.listdir(done.folder)) >= WHOLE
    assert [path for path in done.folder.parent.iterdir() if path.name.endswith(".part")] == []
    found = json.loads((done.folder / "findings.json").read_text())
    jsonschema.validate(found, json.loads((files("rcakit") / "schemas" / "findings.json").read_text()))
    described = json.loads((done.folder / "run.json").read_text())
    assert (described["id"], described["status"]) == (done.id, done.status)
    assert (found["status"], done.folder.name) == (done.status, done.id)
    return done


def saving(status: str, run_id: str = "20260205T093000Z-3f9c") -> str:
    return f"STATUS, RUN = {status!r}, {run_id!r}\n{SAVE}"


@pytest.mark.parametrize(
    ("status", "fail_on", "code"),
    [
        ("ok", "warning", 0),
        ("findings", "warning", 1),
        ("findings", "error", 0),
        ("findings", "never", 0),
        ("could-not-check", "warning", 2),
    ],
)
def test_a_whole_run(tmp_path: Path, status: str, fail_on: str, code: int) -> None:
    done = run(tmp_path, saving(status), fail_on=fail_on)
    assert (done.status, done.exit_code, done.reason) == (status, code, "")
    assert done.id == "20260205T093000Z-3f9c", "the folder is named after the run of the case"
    assert "class=banner" not in done.report.read_text()


@pytest.mark.parametrize(
    ("cell", "status", "banner"),
    [
        ("raise RuntimeError('the server is gone\\ncheck the service')", "failed", "This run failed"),
        ("raise SystemExit(0)", "failed", "This run failed"),
        ("import os; os._exit(1)", "kernel-died", "process died"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "kernel-died", "signal 9"),
        ("import threading; threading.Event().wait()", "timeout", "it took too long"),
        ("1 +", "failed", "SyntaxError"),
        ("'nothing saved'", "failed", "without saving its findings"),
    ],
)
def test_a_run_that_did_not_come_to_its_end(tmp_path: Path, cell: str, status: str, banner: str) -> None:
    cells = (cell,) if "nothing saved" in cell else ("'before'", cell, saving("ok"))
    done = run(tmp_path, *cells, cell_timeout=3)
    page = done.report.read_text()
    assert (done.status, done.exit_code) == (status, 2)
    assert banner in page
    assert "An Exception was encountered" not in page
    nbformat.validate(nbformat.read(done.folder / "notebook.ipynb", as_version=4))


def test_findings_of_a_run_that_broke_off_do_not_count(tmp_path: Path) -> None:
    done = run(tmp_path, saving("ok"), "raise RuntimeError('afterwards')")
    assert (done.status, done.exit_code) == ("failed", 2)


def test_reason_and_hint_are_told_apart(tmp_path: Path) -> None:
    done = run(tmp_path, "raise RuntimeError('the server is gone\\ncheck the service')")
    assert done.reason == "RuntimeError: the server is gone"
    assert "<p>check the service</p>" in done.report.read_text()


def test_a_target_cannot_leave_its_place(tmp_path: Path) -> None:
    done = run(tmp_path, saving("ok"), target="../../{x}<img src=x>/etc")
    assert done.folder.parent.parent == tmp_path / "out"


def test_an_id_that_is_taken_or_forged_is_not_used(tmp_path: Path) -> None:
    assert run(tmp_path, saving("ok")).id != run(tmp_path, saving("ok")).id
    assert run(tmp_path, saving("ok", "../../x")).folder.parent == tmp_path / "out" / "default"


def test_a_secret_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = notebook(tmp_path / "in.ipynb", "1")
    nb = nbformat.read(path, as_version=4)
    nb.cells.insert(1, new_code_cell("url: str = ''", metadata={"tags": ["parameters"]}))
    nbformat.write(nb, path)
    with pytest.raises(ConfigError):
        runs.execute(path, ["url=postgresql://app:hunter2@db/x"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_kernel_is_a_failed_run(tmp_path: Path) -> None:
    path = notebook(tmp_path / "in.ipynb", "1")
    nb = nbformat.read(path, as_version=4)
    nb.metadata["kernelspec"]["name"] = "no-such-kernel"
    nbformat.write(nb, path)
    done = runs.execute(path, {}, tmp_path / "out")
    assert (done.status, done.exit_code) == ("failed", 2)
    assert "no-such-kernel" in done.report.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_leaves_its_report(tmp_path: Path, number: signal.Signals) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    waits = f"import threading; open({str(fifo)!r}, 'w').write('x'); threading.Event().wait()"
    path = notebook(tmp_path / "in.ipynb", waits, "'never'")
    script = (
        "import pathlib; from rcakit.report import runs;"
        f"run = runs.execute(pathlib.Path({str(path)!r}), {{}}, pathlib.Path({str(tmp_path / 'out')!r}));"
        "print(run.status)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert fifo.read_text() == "x"  # blocks until the cell is under way
    process.send_signal(number)
    assert process.communicate(timeout=60)[0].strip() == "cancelled"
    (page,) = (tmp_path / "out" / "default").glob("*/report.html")
    assert "This run was cancelled" in page.read_text()
    assert "Not run" in page.read_text()
