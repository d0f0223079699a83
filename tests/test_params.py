"""Notebook parameters: read by the model's types, closed to the unknown and to credentials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from rcakit.errors import ConfigError
from rcakit.report import params
from rcakit.report.params import IncidentReport, Parameters

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


class Wide(Parameters):
    """Every type a parameter may have."""

    migration: str = ""
    day: str = ""
    limit: int = 10
    ratio: float = 0.5
    show: bool = False
    schemas: list[str] = []  # noqa: RUF012 - pydantic copies it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("migration=0003", "0003"),
        ("migration=nan", "nan"),
        ("migration=no", "no"),
        ("day=2026_02_05", "2026_02_05"),
        ("day=12:30", "12:30"),
        ("migration=a=b", "a=b"),
        ("migration=", ""),
        ("migration=' + __import__('os').getcwd() + '", "' + __import__('os').getcwd() + '"),
    ],
)
def test_text_stays_text(text: str, value: str) -> None:
    name = text.partition("=")[0]
    assert getattr(params.parse(Wide, [text]), name) == value


def test_other_types_are_read_as_declared() -> None:
    read = params.parse(Wide, ["limit=3", "ratio=2", "show=yes", "schemas=adm", "schemas=my schema"])
    assert params.given(read) == {"limit": 3, "ratio": 2.0, "show": True, "schemas": ["adm", "my schema"]}


def test_what_was_not_given_is_left_to_the_notebook() -> None:
    assert params.given(params.parse(Wide, ["limit=10"])) == {"limit": 10}


@pytest.mark.parametrize(
    "text", ["limit=three", "limit=3.5", "show=perhaps", "unknown=1", "no equals", "a b=1", "=1"]
)
def test_wrong_parameters_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        params.parse(Wide, [text])
    assert "known parameters: migration, day" in error.value.hint


@pytest.mark.parametrize(
    "secret",
    [
        "postgresql://app:hunter2@db/shop",
        "postgres://:hunter2@db/shop",
        "host=db password=hunter2",
        "host=db password = 'hunter2'",
        "host=db PASSWORD=hunter2",
        "postgresql://db/shop?user=app&password=hunter2",
        "postgresql://db/shop?sslpassword=x&token=hunter2",
        '{"password": "hunter2"}',
        "see mysql+pymysql://root:hunter2@db:3306/x for more",
        "postgresql://app:hunter2@[db/shop",
        "PGPASSWORD=hunter2 psql",
        "api_key=hunter2",
    ],
)
def test_credentials_are_refused_and_not_repeated(secret: str) -> None:
    for name, text in (("settings", secret), ("schemas", secret)):
        with pytest.raises(ConfigError) as error:
            params.parse(IncidentReport, [f"{name}={text}"])
        assert "hunter2" not in str(error.value)
        assert "credential" in str(error.value)
    with pytest.raises(ConfigError) as error:
        params.parse(IncidentReport, [secret])
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "harmless",
    [
        "postgresql://app@db/shop",
        "host=db dbname=shop user=app passfile=pgpass",
        "config.settings.password_reset",
        "token_app",
        "C:\\project",
        "https://example.org/a?b=c",
        "",
    ],
)
def test_harmless_texts_pass(harmless: str) -> None:
    assert params.parse(IncidentReport, [f"settings={harmless}"]).model_dump()["settings"] == harmless


def test_a_dsn_is_not_a_name() -> None:
    with pytest.raises(ConfigError):
        params.validate(IncidentReport, {"dsn_env": ["A"]})


@pytest.mark.parametrize("name", sorted(params.MODELS))
def test_the_parameters_cell_is_the_model(name: str) -> None:
    model = params.MODELS[name]
    path = NOTEBOOKS / (model.__doc__ or "").removeprefix("notebooks/")
    nb = nbformat.read(path, as_version=4)
    cells = [cell.source for cell in nb.cells if "parameters" in cell.metadata.get("tags", ())]
    assert cells == [params.cell(model)]
    assert params.of_notebook(path) is model


HELP = """
import sys
from papermill.cli import papermill

for notebook in sys.argv[1:]:
    print("\\0" + notebook)
    try:
        papermill(["--help-notebook", notebook])
    except SystemExit as end:
        assert not end.code
"""


@pytest.fixture(scope="module")
def explained() -> dict[str, str]:
    """What `papermill --help-notebook` says of each notebook, one after another in one process."""
    command = [sys.executable, "-c", HELP, *map(str, sorted(NOTEBOOKS.glob("*.ipynb")))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = [part.partition("\n") for part in said.split("\0")[1:]]
    return {Path(notebook).name: shown for notebook, _, shown in parts}


@pytest.mark.parametrize("name", sorted(params.MODELS))
def test_papermill_can_explain_the_notebook(explained: dict[str, str], name: str) -> None:
    model = params.MODELS[name]
    shown = explained[(model.__doc__ or "").removeprefix("notebooks/")]
    for field_name, field in model.model_fields.items():
        assert f"  {field_name}: " in shown
        assert field.description, field_name
        assert field.description in shown
    assert "Unknown type" not in shown


def test_a_notebook_of_ones_own_brings_its_own_model(tmp_path: Path) -> None:
    cell = new_code_cell("limit: int = 3  # rows\nmigration: str = '0001'", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "own.ipynb")
    model = params.of_notebook(tmp_path / "own.ipynb")
    assert params.given(params.parse(model, ["migration=0003"])) == {"migration": "0003"}
    with pytest.raises(ConfigError):
        params.parse(model, ["limt=3"])
    assert "limit: int = 3" in params.help_text(tmp_path / "own.ipynb")


@pytest.mark.parametrize(
    "source", ["limit = 3", "import os", "limit: object = 3", "limit: int = f()", "limit: int ="]
)
def test_a_parameters_cell_must_be_plain(tmp_path: Path, source: str) -> None:
    cell = new_code_cell(source, metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "own.ipynb")
    with pytest.raises(ConfigError) as error:
        params.of_notebook(tmp_path / "own.ipynb")
    assert "line 1" in str(error.value)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"nbformat": 4}'])
def test_what_is_no_notebook_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.ipynb").write_text(content)
    with pytest.raises(ConfigError):
        params.of_notebook(tmp_path / "x.ipynb")


def test_notebooks_are_found_by_name() -> None:
    assert params.find("10_incident_report") == NOTEBOOKS / "10_incident_report.ipynb"
    assert params.find("10_incident_report.ipynb") == NOTEBOOKS / "10_incident_report.ipynb"
    with pytest.raises(ConfigError):
        params.find("99_nothing")
    with pytest.raises(ConfigError):
        params.find("../notebooks/99_nothing")
    assert 'dsn_env: str = ""' in params.help_text("10_incident_report")
