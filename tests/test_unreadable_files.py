"""Files of a project that cannot be read, or hold what nobody expects: told, and never the end of a check."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_git import Repository

from rcakit.errors import ConfigError, ProjectError
from rcakit.sources import ci_static, gates, git, suite_settings
from rcakit.sources.asserted import asks_catalog
from rcakit.sources.project import settings_module
from rcakit.target import load

UNREADABLE = Path("/proc/self/mem")
"""A file that is there and can be opened, but not read: root may read any other."""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its unreadable file is Linux's own")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project")


def link(project: Path, path: str) -> None:
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).symlink_to(UNREADABLE)


@pytest.mark.parametrize(
    "path", ["Makefile", "tox.ini", "noxfile.py", "Jenkinsfile", ".gitlab-ci.yml", ".github/workflows/a.yml"]
)
def test_a_pipeline_that_cannot_be_read_is_told(tmp_path: Path, path: str) -> None:
    link(tmp_path, path)
    jobs, unread = ci_static.read(tmp_path)
    assert jobs == ()
    assert [(str(row.where), row.reason) for row in unread] == [(path, "the file cannot be read: OSError")]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("tox.ini", "commands = x", "MissingSectionHeaderError"),
        ("noxfile.py", "def (", "SyntaxError"),
    ],
)
def test_a_local_runner_that_makes_no_sense_is_told(tmp_path: Path, path: str, text: str, told: str) -> None:
    (tmp_path / path).write_text(text)
    (tmp_path / "Makefile").write_text("test:\n\tpytest\n")
    jobs, unread = ci_static.read(tmp_path)
    assert [job.system for job in jobs] == ["Makefile"]
    assert [(row.where.path, row.reason) for row in unread if row.where] == [
        (path, f"the file cannot be read: {told}")
    ]


@pytest.mark.parametrize("path", ["shop/management/commands/verify_placement.py", "Makefile"])
def test_a_check_that_cannot_be_read_is_told(repository: Repository, path: str) -> None:
    repository.commit(1, "first", a="1")
    link(repository.root, path)
    found, unread = gates.read(repository.root)
    assert found == ()
    assert (path, "the file cannot be read: OSError") in [(str(row.where), row.reason) for row in unread]


def test_a_manage_py_that_cannot_be_read_is_no_traceback(tmp_path: Path) -> None:
    link(tmp_path, "manage.py")
    with pytest.raises(ProjectError, match=r"manage\.py cannot be read"):
        settings_module(tmp_path, None)


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\npytest = 3", "[tool.pytest]\nini_options = 3"])
def test_a_pyproject_of_another_shape_has_no_options(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert suite_settings.pytest_options(tmp_path) is None


def test_options_with_half_a_quotation_are_told(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = s\naddopts = -k 'x\n")
    (tmp_path / "s.py").write_text("DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'}}\n")
    (suite,), unread = suite_settings.read(tmp_path, None)
    assert suite.engine == "sqlite3"
    assert [str(row.where) for row in unread] == ["pytest.ini:3"]


@pytest.mark.parametrize(("address", "engine"), [("postgres://[x", "postgresql"), ("MYSQL://x", "mysql")])
def test_the_engine_of_an_address_is_its_scheme_whatever_follows(
    tmp_path: Path, address: str, engine: str
) -> None:
    (tmp_path / "s.py").write_text(
        f"import dj_database_url\nDATABASES = {{'default': dj_database_url.parse({address!r})}}\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = s\n")
    (suite,), _ = suite_settings.read(tmp_path, None)
    assert suite.engine == engine


@pytest.mark.parametrize("seconds", [999_999_999_999, 0])
def test_a_commit_has_a_date_whatever_it_says(repository: Repository, seconds: int) -> None:
    repository.write("a", "needle")
    repository.run("add", "a")
    who = {f"GIT_{one}_{part}": "x" for one in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_COMMITTER_DATE": f"@{seconds} +0000"}
    subprocess.run(["git", "-C", str(repository.root), "commit", "-qm", "x"], env=env, check=True)
    (commit,) = git.introduced(repository.root, "needle")
    assert commit.at == (datetime(9999, 12, 31, tzinfo=UTC) if seconds else datetime(1970, 1, 1, tzinfo=UTC))


def test_more_files_than_a_command_line_takes_are_told(repository: Repository) -> None:
    repository.commit(1, "first", a="1")
    found = git.introduced(repository.root, "1", [f"{number:060}" for number in range(60_000)])
    assert found == git._unread(git._Refused("git could not be started: Argument list too long"))


def test_a_placeholder_with_a_width_does_not_fill_the_memory() -> None:
    assert asks_catalog("SELECT 1 FROM pg_tables WHERE schemaname = '%(x)99999999999s'")  # as it stands
    assert asks_catalog("SELECT 1 FROM pg_tables WHERE schemaname = %(x)s AND tablename LIKE 'a%%'")


def test_half_a_quotation_in_the_settings_is_told(tmp_path: Path) -> None:
    (tmp_path / "rcakit.toml").write_text('[tests]\ncommand = "pytest -k \'x"\n')
    with pytest.raises(ConfigError, match="No closing quotation"):
        load(tmp_path / "rcakit.toml")
