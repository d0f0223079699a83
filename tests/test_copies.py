"""Copies of a project that are written to: the project, and what its links lead to, stays as it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rules.rule_facts import accounts, catalog

from rcakit.facts import Migration, Model, Where
from rcakit.undo import Undo, apply
from rcakit.undo.copies import copied, write

NAME = 'TABLE = "adm.venues"\n'
MADE = 'TABLE = \'"adm"."venues"\'\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package of its own, and links to a file and a package beside the project."""
    for place in ("project/shop", "beside/deep"):
        (tmp_path / place).mkdir(parents=True)
    for place in ("project/shop/models.py", "beside/names.py", "beside/deep/models.py"):
        (tmp_path / place).write_text(NAME)
    project = tmp_path / "project"
    (project / "absolute").symlink_to(project / "shop")
    (project / "relative").symlink_to("shop")
    (project / "names.py").symlink_to(tmp_path / "beside/names.py")
    (project / "shared").symlink_to("../beside")
    (project / "nowhere").symlink_to("gone")
    (project / "round").symlink_to("round")
    return project


def texts(*files: Path) -> list[str]:
    return [file.read_text() for file in files]


def test_links_lead_where_they_led_and_within_the_project_to_the_copys_own(
    project: Path, tmp_path: Path
) -> None:
    copy = copied(project, tmp_path / "far/away")
    write(copy, "shop/models.py", "new")
    assert texts(copy / "absolute/models.py", copy / "relative/models.py") == ["new", "new"]
    assert texts(copy / "shared/deep/models.py", copy / "names.py", project / "shop/models.py") == [NAME] * 3
    assert (copy / "nowhere").is_symlink()
    assert not (copy / "nowhere").exists()


@pytest.mark.parametrize("path", ["names.py", "shared/names.py", "shared/deep/models.py", "shared/new/x.py"])
def test_what_a_link_leads_to_is_not_written_to(project: Path, tmp_path: Path, path: str) -> None:
    copy = copied(project, tmp_path / "copy")
    beside = {file: file.read_text() for file in (tmp_path / "beside").rglob("*.py")}
    write(copy, path, "new")
    assert (copy / path).read_text() == "new"
    assert {file: file.read_text() for file in (tmp_path / "beside").rglob("*.py")} == beside


def test_a_name_undone_in_a_copy_is_undone_behind_its_links_and_nowhere_else(
    project: Path, tmp_path: Path
) -> None:
    model = Model("deep", "Venue", "adm.venues", True, Where("shared/deep/models.py", 1))
    copy = copied(project, tmp_path / "copy")
    undo = Undo("C1", "", names={"adm.venues": '"adm"."venues"'})
    apply([undo], copy, accounts(catalog(), [model]))
    files = ("shop/models.py", "names.py", "shared/deep/models.py")
    assert texts(*(copy / file for file in files)) == [MADE] * 3
    assert texts(*(project / file for file in files)) == [NAME] * 3


def test_a_migration_keeps_its_encoding_and_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "project/shop").mkdir(parents=True)
    text = "# coding: latin-1\r\nTABLES = {'é': 'adm.venues'}  # ü\r\n"
    (tmp_path / "project/shop/m.py").write_bytes(text.encode("latin-1"))
    migration = Migration("shop", "m", Where("shop/m.py"))
    copy = copied(tmp_path / "project", tmp_path / "copy")
    undo = Undo("C1", "", names={"adm.venues": '"ädm"."venues"'}, told={"shop.m": ("SELECT 'ß'",)})
    apply([undo], copy, accounts(catalog(), [], [migration]))
    made = (copy / "shop/m.py").read_bytes().decode("latin-1")
    assert made.startswith("# coding: latin-1\r\nTABLES = {'é': '\"\\xe4dm\".\"venues\"'}  # ü\r\n")
    assert "SELECT 'ß'" in ast.literal_eval(made.partition("_RunSQL(")[2].partition(")")[0])
