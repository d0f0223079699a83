"""The notebooks in git: readable, plain, without outputs. What they do on an incident is tested with the runs."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from rcakit.report import params, sections

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def read(path: Path) -> NotebookNode:
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    return nb


def code(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS if path.name == "10_incident_report.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestEveryNotebook:
    def test_its_one_title_is_a_question(self, path: Path) -> None:
        titles = [cell.source for cell in read(path).cells if cell.source.startswith("# ")]
        markdown = [cell for cell in read(path).cells if cell.cell_type == "markdown"]
        assert markdown[0].source.startswith("# ")
        assert len([t for t in titles if t in {cell.source for cell in markdown}]) == 1
        assert markdown[0].source.partition("\n")[0].endswith("?")

    def test_it_is_kept_without_outputs(self, path: Path) -> None:
        for cell in code(path):
            assert cell.outputs == []
            assert cell.execution_count is None
            assert "papermill" not in cell.metadata
        assert "papermill" not in read(path).metadata

    def test_a_sentence_comes_before_each_cell(self, path: Path) -> None:
        cells = read(path).cells
        for before, cell in pairwise(cells):
            if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", ()):
                assert before.cell_type == "markdown"
                assert before.source.rstrip().endswith((".", "?", ":"))

    def test_a_cell_is_short_plain_and_ends_in_an_expression(self, path: Path) -> None:
        for cell in code(path):
            limit = 12 if "parameters" in cell.metadata.get("tags", ()) else 8
            assert 0 < len(cell.source.splitlines()) <= limit
            tree = ast.parse(cell.source)  # a magic or a shell escape does not parse
            kinds = {type(node) for node in ast.walk(tree)}
            assert kinds.isdisjoint({ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.Try})
            if "parameters" not in cell.metadata.get("tags", ()):
                assert isinstance(tree.body[-1], ast.Expr), cell.source

    def test_every_parameter_is_used(self, path: Path) -> None:
        used = {
            node.id
            for cell in code(path)
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        assert set(params.of_notebook(path).model_fields) - {"show_code"} <= used

    def test_no_place_of_a_machine_is_in_it(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert not [word for word in ("/home/", "/tmp/", "/Users/", "C:\\\\") if word in text]  # noqa: S108


def test_the_report_has_its_sections_in_order() -> None:
    path = next(path for path in NOTEBOOKS if path.stem == "10_incident_report")
    called = [
        node.attr
        for cell in code(path)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "sections"
    ]
    order = [
        "title",
        "summary",
        "symptom",
        "impact",
        "timeline",
        "evidence",
        "answer",
        "replayed",
        "causes",
        "tests_blind",
    ]
    order += ["factors", "repair", "prevention", "actions", "questions", "notes", "provenance", "verdict"]
    assert called == order
    assert set(called) == set(sections.__all__)
