"""Settings: found, laid over, refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from rcakit.errors import ConfigError
from rcakit.target import Target, load

FULL = """
[incident]
id = "INC-1"
[target]
name = "production"
dsn_env = "PROD_DSN"
project = "src"
python = ".venv/bin/python"
[expected_schemas]
adm = ["venues"]
[[waiver]]
code = "RK101"
reason = "known"
expires = 2027-01-01
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "rcakit.toml"
    path.write_text(FULL)
    return path


def test_a_file_is_read_and_paths_are_relative_to_it(settings: Path) -> None:
    target = load(settings)
    assert (target.name, target.dsn_env, target.incident.id) == ("production", "PROD_DSN", "INC-1")
    assert target.project_dir == settings.parent.resolve() / "src"
    assert target.interpreter == str(settings.parent.resolve() / ".venv/bin/python")
    assert target.expected_schemas == {"adm": ("venues",)}
    assert target.waivers[0].expires == date(2027, 1, 1)


def test_options_win_and_another_database_replaces_the_first(settings: Path) -> None:
    target = load(settings, service="staging", schemas=("adm",), settings=None)
    assert (target.dsn_env, target.service, target.schemas) == (None, "staging", ("adm",))


def test_a_project_option_is_relative_to_the_working_directory(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(settings, project="here").project_dir == tmp_path.resolve() / "elsewhere" / "here"


def test_the_file_is_found_upwards(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = settings.parent / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load().name == "production"


def test_pyproject_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.rcakit.target]\nname = "mine"\n')
    monkeypatch.chdir(tmp_path)
    assert load().name == "mine"


def test_without_a_file_the_options_make_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = load(dsn_env="X", project=".")
    assert (target.name, target.project_dir) == ("default", tmp_path.resolve())


def test_current_is_this_interpreter() -> None:
    import sys

    assert Target(python="current").interpreter == sys.executable
    assert Target(python="python3.12").interpreter == "python3.12"
    assert Target().interpreter is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[target]\nnmae = 'x'", "nmae: there is no such setting"),
        ("[target]\nproject = 7", "project: takes a path"),
        ("[target]\nschemas = 3", "schemas"),
        ("[targets]\nname = 'x'", "targets: there is no such setting"),
        ("[target\n", "not valid TOML"),
        ("[[waiver]]\ncode = 'RK101'\nreason = 'x'", "expires"),
        ("[[waiver]]\ncode = 'RK101'\nreason = ''\nexpires = 2027-01-01", "reason"),
        ("[incident]\nstatus = 'perfect'", "status"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "rcakit.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "secret", ["postgresql://u:hunter2@h/db", "host=h password=hunter2", "host=h password = 'hunter2'"]
)
@pytest.mark.parametrize("key", ["dsn_env", "service"])
def test_a_connection_string_in_place_of_a_name_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, secret: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"name of|NAME of") as error:
        load(**{key: secret})
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
