"""A run leaves a whole folder, however it ended, and its status is never better than the truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rcakit.errors import ConfigError
from rcakit.report import folders, runs
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


def saving(status: str, run_id: str = "") -> str:
    return f"STATUS, RUN = {status!r}, {run_id!r} or __import__('os').environ['RCAKIT_RUN_ID']\n{SAVE}"


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
    assert json.loads((done.folder / "findings.json").read_text())["provenance"]["run"] == done.id
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
    ],
)
def test_a_run_that_did_not_come_to_its_end(tmp_path: Path, cell: str, status: str, banner: str) -> None:
    done = run(tmp_path, "'before'", cell, saving("ok"), cell_timeout=3)
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
    assert "<b>What to do: </b>Check the service." in done.report.read_text()


def test_a_target_cannot_leave_its_place(tmp_path: Path) -> None:
    done = run(tmp_path, saving("ok"), target="../../{x}<img src=x>/etc")
    assert done.folder.parent.parent == tmp_path / "out"


def test_an_id_is_never_given_twice_and_never_taken_from_a_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, saving("ok"))
    being_made = tmp_path / "out" / "in" / ".20260205T093000Z-3f9c.part"
    being_made.mkdir()
    ids = iter([first.id, "20260205T093000Z-3f9c", "20260205T093000Z-0000"])
    monkeypatch.setattr(folders, "new_run_id", lambda at: next(ids))
    with folders.reserved(tmp_path / "out", "in", datetime.now(UTC)) as part:
        assert folders.run_id(part) == "20260205T093000Z-0000"
    monkeypatch.undo()
    being_made.rmdir()
    assert run(tmp_path, saving("ok", "../../x")).folder.parent == tmp_path / "out" / "in"


def test_a_notebook_without_a_case_is_not_said_to_have_judged_anything(tmp_path: Path) -> None:
    done = run(tmp_path, "'only this'")
    (unread,) = json.loads((done.folder / "findings.json").read_text())["unread"]
    assert (done.status, done.exit_code) == ("ok", 0)
    assert "nothing was judged" in unread["reason"]


def test_a_notebook_that_has_a_target_must_save_its_case(tmp_path: Path) -> None:
    path = notebook(tmp_path / "in.ipynb", "'nothing saved'")
    nb = nbformat.read(path, as_version=4)
    nb.metadata["rcakit"] = {"parameters": "IncidentReport"}
    nbformat.write(nb, path)
    done = runs.execute(path, {}, tmp_path / "out")
    assert (done.status, done.exit_code, done.folder.parent.name) == ("failed", 2, "default")
    assert "without saving its findings" in done.report.read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "ok"}', '{"status": "ok", "findings": [{}]}'])
def test_findings_that_cannot_be_judged_are_no_success(tmp_path: Path, text: str) -> None:
    done = run(
        tmp_path,
        f"import os, pathlib; pathlib.Path(os.environ['RCAKIT_RUN_DIR'], 'findings.json').write_text({text!r})",
    )
    assert (done.status, done.exit_code) == ("failed", 2)
    assert "is not what case.save() writes" in done.reason


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
    (page,) = (tmp_path / "out" / "in").glob("*/report.html")
    assert "This run was cancelled" in page.read_text()
    assert "Not run" in page.read_text()
