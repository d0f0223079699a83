"""Where a project's tests run, from its files: the chain of settings, the engine, the switch, and what is bent."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcakit.facts import Suite, Unread
from rcakit.sources import suite_settings

POSTGRES = 'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}\n'
SQLITE = 'DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}\n'
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")\n'


def read(tmp_path: Path, **files: str) -> tuple[tuple[Suite, ...], tuple[Unread, ...]]:
    for name, text in {"manage.py": MANAGE, "settings.py": POSTGRES, **files}.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return suite_settings.read(tmp_path, None)


def first(tmp_path: Path, **files: str) -> Suite:
    (suite, *_), _unread = read(tmp_path, **files)
    return suite


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = other\n"),
        ("setup.cfg", "[tool:pytest]\nDJANGO_SETTINGS_MODULE = other\n"),
        ("tox.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = other\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nDJANGO_SETTINGS_MODULE = "other"\n'),
        ("pytest.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = settings\naddopts = -q --ds=other\n"),
    ],
)
def test_every_file_that_pytest_reads(tmp_path: Path, name: str, text: str) -> None:
    suite = first(tmp_path, **{name: text, "other.py": "from settings import *\n" + SQLITE})
    assert (suite.command, suite.settings, suite.engine) == ("pytest", "other", "sqlite3")
    assert str(suite.engine_set) == "other.py:2"
    assert [remark.where.path for remark in suite.chain] == [name]


def test_without_pytest_it_is_manage_py(tmp_path: Path) -> None:
    (suite,), unread = read(tmp_path)
    assert (suite.command, suite.settings, suite.engine, unread) == (
        "manage.py test",
        "settings",
        "postgresql",
        (),
    )


@pytest.mark.parametrize(
    "condition",
    [
        'os.environ.get("CI") != "1"',
        'not os.environ.get("CI")',
        'os.getenv("CI", "0") == "0"',
        'os.environ.get("CI") is None',
    ],
)
def test_a_silent_fall_back_and_the_switch_that_leads_out_of_it(tmp_path: Path, condition: str) -> None:
    text = f"import os\n{POSTGRES}if {condition}:\n    {SQLITE}"
    suite = first(tmp_path, **{"settings.py": text})
    assert suite.engine == "sqlite3"
    assert str(suite.engine_set) == "settings.py:4"
    assert suite.switch is not None
    assert suite.switch[0] == "CI"


def test_an_address_decides_by_its_scheme(tmp_path: Path) -> None:
    text = 'import dj_database_url\nDATABASES = {"default": dj_database_url.config(default="sqlite:///db")}\n'
    assert first(tmp_path, **{"settings.py": text}).engine == "sqlite3"


def test_an_engine_that_cannot_be_told_is_said(tmp_path: Path) -> None:
    (suite,), (unread,) = read(tmp_path, **{"settings.py": "from secret import DATABASES\n"})
    assert suite.engine == ""
    assert "cannot be told" in unread.reason
    assert not unread.blocking


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pytest.ini": "[pytest]\naddopts = --nomigrations\n"}, "--nomigrations"),
        ({"settings.py": POSTGRES + 'MIGRATION_MODULES = {"shop": None}\n'}, "MIGRATION_MODULES switches off"),
        (
            {
                "settings.py": POSTGRES
                + "class Off:\n    def __contains__(self, x): return True\n    def __getitem__(self, x): return None\n"
                + "MIGRATION_MODULES = Off()\n"
            },
            "MIGRATION_MODULES is Off()",
        ),
        (
            {"settings.py": POSTGRES.replace("postgresql\"", 'postgresql", "TEST": {"MIGRATE": False}')},
            'TEST["MIGRATE"] is False',
        ),
    ],
)  # fmt: skip
def test_migrations_that_do_not_run_in_tests(tmp_path: Path, files: dict[str, str], said: str) -> None:
    (remark,) = first(tmp_path, **files).unmigrated
    assert said in remark.what
    assert remark.where.line


def test_a_prefix_is_stripped_where_the_run_takes_it_in(tmp_path: Path) -> None:
    strip = "def strip(model):\n    model._meta.db_table = model._meta.db_table.split('.')[-1]\n"
    unused = first(tmp_path, **{"runner.py": strip})
    assert unused.strips == ()
    used = first(
        tmp_path, **{"runner.py": strip, "settings.py": POSTGRES + 'TEST_RUNNER = "runner.Runner"\n'}
    )
    assert [str(remark.where) for remark in used.strips] == ["runner.py:2"]
    conftest = first(
        tmp_path, **{"conftest.py": "from runner import strip\n", "runner.py": strip, "settings.py": POSTGRES}
    )
    assert (conftest.command, len(conftest.strips)) == ("pytest", 1)
