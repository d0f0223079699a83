"""`rcakit run` as a person or a scheduler uses it: any notebook, its parameters by type, a report, an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from commands import ROOT, Done, Run, runner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = 'label: str = "x"  # a word\nsteps: list[str] = []\nwait: float = 0.0'


@pytest.fixture
def rcakit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # kernels start in the directory of the command
    return runner(monkeypatch, capfd)


def notebook(path: Path, *cells: str) -> Path:
    """A foreign notebook: parameters, and no case."""
    nodes = [
        new_markdown_cell("# Does it run?"),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
    ]
    nodes += [new_markdown_cell("## Part"), *(new_code_cell(source) for source in cells)]
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=nodes, metadata=metadata), path)
    return path


def folder(done: Done) -> Path:
    """The folder of the report, whose path is all that is on stdout."""
    (line,) = done.out.splitlines()
    return Path(line).parent


def test_a_foreign_notebook_gets_its_parameters_by_type(rcakit: Run, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "foreign one.ipynb", "import sys; print('told', file=sys.stderr)", "label, steps"
    )
    done = rcakit(
        "run", path, "-p", "label=0003", "-p", "steps=no", "-p", "steps=2", "--out", tmp_path / "out"
    )
    assert (done.code, "status: ok" in done.err, "told" in done.err.splitlines()) == (0, True, True), done
    place = folder(done)
    assert place.parent == tmp_path / "out" / "foreign-one"
    assert json.loads((place / "run.json").read_text())["parameters"] == {
        "label": "0003",
        "steps": ["no", "2"],
    }
    assert "('0003', ['no', '2'])" in (place / "report.html").read_text()
    assert json.loads((place / "findings.json").read_text())["target"] == {"name": "foreign one"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.ipynb"], ["there is no notebook gone.ipynb", "give its path"]),
        (["no-json.ipynb"], ["cannot read", "as a notebook"]),
        (
            ["good.ipynb", "-p", "lable=x"],
            ["unknown parameter lable", "known parameters: label, steps, wait"],
        ),
        (["good.ipynb", "-p", "label"], ["not of the form name=value"]),
        (["good.ipynb", "-p", "wait=soon"], ["parameter wait"]),
        (["good.ipynb", "-p", "label=postgresql://u:hunter2@h/d"], ["looks like a credential"]),
        (["good.ipynb", "--timeout", "0"], ["--timeout"]),
        (["good.ipynb", "--out", "no-json.ipynb/reports"], ["reports cannot be written", "--out"]),
        (["10_incident_report", "-p", "config=gone.toml"], ["cannot read gone.toml"]),
    ],
)
def test_what_cannot_begin_leaves_nothing(
    rcakit: Run, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    notebook(tmp_path / "good.ipynb", "1")
    (tmp_path / "no-json.ipynb").write_text("dear")
    done = rcakit("run", *arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in words), done.err
    assert "hunter2" not in done.err
    assert {path.name for path in tmp_path.iterdir()} == {"good.ipynb", "no-json.ipynb"}


def test_one_of_our_notebooks_by_its_name(rcakit: Run, demo_dir: Path, tmp_path: Path) -> None:
    done = rcakit("run", "10_incident_report", "--out", tmp_path, "--fail-on", "never", cwd=demo_dir)
    assert (done.code, "status: findings" in done.err) == (0, True), done
    assert folder(done).parent.parent == tmp_path
    found = json.loads((folder(done) / "findings.json").read_text())
    assert found["provenance"]["run"] == folder(done).name
    assert {row["code"] for row in found["findings"]} >= {"RK201", "RK401"}
    assert (folder(done).parent.name, len(list(folder(done).glob("evidence/*.csv"))) > 5) == (
        "adm-demo",
        True,
    )


def test_a_database_that_is_not_named_still_leaves_a_report(
    rcakit: Run, demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RCAKIT_NIGHTLY", raising=False)
    done = rcakit(
        "run", "10_incident_report", "-p", "dsn_env=RCAKIT_NIGHTLY", "--out", tmp_path, cwd=demo_dir
    )
    assert done.code == 2
    assert "the environment variable RCAKIT_NIGHTLY is empty or not set" in done.err
    page = (folder(done) / "report.html").read_text()
    assert "This run failed" in page
    assert "No part of the report was made." in page
