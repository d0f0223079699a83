"""What pipelines do, from their files: one reader a system, and what is not read is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcakit.facts import CiJob
from rcakit.sources import ci_static
from rcakit.sources.shell import commands

GITHUB = """\
env: {DJANGO_SETTINGS_MODULE: config.test}
jobs:
  test:
    services:
      db:
        image: postgis/postgis:15
    steps:
      - uses: actions/checkout@v4
      - run: |
          pg_restore -d app dump
          python manage.py migrate
      - run: pytest || true
      - run: psql -c "select 1 from information_schema.tables where table_schema = 'adm'"
        continue-on-error: true
"""
GITLAB = """\
.shared: &shared
  services: ["postgres:15"]
default:
  before_script: [pip install -r requirements.txt]
test:
  <<: *shared
  allow_failure: true
  variables: {DJANGO_SETTINGS_MODULE: config.ci}
  script:
    - python manage.py migrate --no-input
    - tox -e unit
"""
CIRCLE = """\
jobs:
  build:
    docker:
      - image: cimg/python:3.12
      - image: cimg/postgres:15.3
    steps:
      - checkout
      - run: make test
      - run:
          command: |
            cd app && python manage.py migrate
"""


def read(tmp_path: Path, files: dict[str, str]) -> dict[str, CiJob]:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    jobs, unread = ci_static.read(tmp_path)
    assert unread == ()
    return {job.name: job for job in jobs}


def lines(job: CiJob) -> dict[str, int | None]:
    names = ("where", "postgresql", "tests", "migrates", "restores", "catalog", "may_fail")
    return {name: where.line for name in names if (where := getattr(job, name)) is not None}


def test_github(tmp_path: Path) -> None:
    job = read(tmp_path, {".github/workflows/ci.yml": GITHUB})["test"]
    assert lines(job) == {
        "where": 3, "postgresql": 6, "tests": 12, "migrates": 11, "restores": 10, "catalog": 13, "may_fail": 14,
    }  # fmt: skip
    assert (job.system, job.settings, job.local) == ("GitHub Actions", "config.test", False)


def test_gitlab_with_an_anchor_and_what_it_leaves_to_tox(tmp_path: Path) -> None:
    tox = "[testenv:unit]\ncommands =\n    pytest\n[testenv:lint]\ncommands = ruff check\n"
    jobs = read(tmp_path, {".gitlab-ci.yml": GITLAB, "tox.ini": tox})
    assert lines(jobs["test"]) == {"where": 5, "postgresql": 2, "tests": 11, "migrates": 10, "may_fail": 7}
    assert jobs["test"].settings == "config.ci"
    assert (jobs["unit"].local, jobs["lint"].tests) == (True, None)


def test_circle_and_what_it_leaves_to_make(tmp_path: Path) -> None:
    make = "test: install\n\t@python -m pytest\n\nmigrate:\n\tpython manage.py migrate\n"
    job = read(tmp_path, {".circleci/config.yml": CIRCLE, "Makefile": make})["build"]
    assert lines(job) == {"where": 2, "postgresql": 5, "tests": 8, "migrates": 11}


def test_nox(tmp_path: Path) -> None:
    text = "import nox\n\n@nox.session\ndef tests(session):\n    session.run('pytest', '-q')\n"
    assert read(tmp_path, {"noxfile.py": text})["tests"].tests is not None


@pytest.mark.parametrize(
    ("line", "acts"),
    [
        ("python manage.py migrate --check", []),
        ("echo 'now run pytest'", []),
        ("pip install pytest", []),
        ("poetry run pytest -x && ./manage.py migrate", ["tests", "migrates"]),
        ("# psql -c 'select from pg_class'", []),
        ("psql app < dump.sql", ["restores"]),
        ("python manage.py \\\n  test shop", ["tests"]),
        ("say \"don't", []),
    ],
)
def test_what_a_line_of_a_script_does(line: str, acts: list[str]) -> None:
    assert [each.act for each in commands(line)] == acts


def test_what_is_not_read_is_told(tmp_path: Path) -> None:
    (tmp_path / ".travis.yml").write_text("script: pytest")
    (tmp_path / ".gitlab-ci.yml").write_text("test: [")
    jobs, unread = ci_static.read(tmp_path)
    assert jobs == ()
    assert [str(each.where) for each in unread] == [".travis.yml", ".gitlab-ci.yml:1"]
    assert not any(each.blocking for each in unread)
