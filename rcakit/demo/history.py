"""The demo's git history: who committed what, and when, so that an investigation finds a timeline.

The project below `project/` is the last state. Each commit names the paths it touched, and what was still
different in them then. One `git fast-import` writes all of it, so that no hook, no identity and no clock of
the machine takes part and two builds have the same commit ids:
https://git-scm.com/docs/git-fast-import
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rcakit.demo.variant import Change, Cut, Edit, Files, changed

MAIN = "main"
BRANCH = "20260204-tutorial-sessions"
MAYA = "Maya Lindqvist <maya.lindqvist@example.org>"
TOM = "Tom Okafor <tom.okafor@example.org>"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: `paths` are relative to the project, `then` turns today's text into that of the day
    (changes of other files than `paths` are left out).
    """

    branch: str
    at: datetime
    author: str
    subject: str
    paths: tuple[str, ...]
    then: tuple[Change, ...] = ()


def _utc(month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


_TASKS = "specs/20260204-tutorial-sessions/tasks.md"
_CATALOGUE_TESTS = "administrate/tests/test_models.py"
_ADM_MODELS = "administrate/models.py"
_NO_TUTORIALS: tuple[Change, ...] = (
    Edit("config/settings.py", '    "tutorials",\n', ""),
    Edit("config/settings_test.py", ', "tutorials": None', ""),
    Edit("README.md", "Two PostgreSQL schemas:", "The catalogue has a PostgreSQL schema:"),
    Edit("README.md", "| `acted` | `tutorials` | tutorial events and sessions |\n", ""),
)
_TEXT_ROLES: tuple[Change, ...] = (
    Edit(
        _ADM_MODELS,
        "roles = models.JSONField(default=list, blank=True)",
        'roles = models.TextField(blank=True, default="[]")',
    ),
)
_INTEGER_ID: tuple[Change, ...] = (
    Edit(
        _ADM_MODELS,
        "    external_id = models.CharField(max_length=64, unique=True)\n    label",
        "    external_id = models.IntegerField(unique=True)\n    label",
    ),
)
_NO_ROLES_TEST: tuple[Change, ...] = (
    Edit(_CATALOGUE_TESTS, " CustomField,", ""),
    Cut(_CATALOGUE_TESTS, "        CustomField.objects.create("),
)
_NO_SESSIONS: tuple[Change, ...] = (
    Cut("tutorials/models.py", "class TutorialSessions"),
    Edit("tutorials/tests/test_models.py", "TutorialEvents, TutorialSessions", "TutorialEvents"),
    Edit(
        "tutorials/tests/test_models.py",
        "    def test_sessions_belong_to_an_event(self):\n"
        "        at = datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.timezone.utc)\n"
        '        TutorialSessions.objects.create(event=self.event, sequence=1, starts_at=at, materials=["notes"])\n'
        '        self.assertEqual(self.event.sessions.get().materials, ["notes"])\n\n',
        "",
    ),
)


def _open(first: int, last: int = 11) -> tuple[Change, ...]:
    """The tasks that were not ticked yet."""
    return tuple(
        Edit(_TASKS, f"- [x] T{number:03}", f"- [ ] T{number:03}") for number in range(first, last + 1)
    )


COMMITS: tuple[Commit, ...] = (
    Commit(
        MAIN,
        _utc(1, 12, 9, 40),
        MAYA,
        "Start the course administration back office",
        (
            ".gitignore",
            "README.md",
            "manage.py",
            "requirements.txt",
            "config/__init__.py",
            "config/settings.py",
            "administrate/__init__.py",
            "administrate/apps.py",
        ),
        _NO_TUTORIALS,
    ),
    Commit(
        MAIN,
        _utc(1, 15, 10, 26),
        MAYA,
        "Model the administrate catalogue in the adm schema",
        (_ADM_MODELS, "administrate/migrations/__init__.py", "administrate/migrations/0001_initial.py"),
        _TEXT_ROLES + _INTEGER_ID,
    ),
    Commit(
        MAIN,
        _utc(1, 19, 14, 5),
        TOM,
        "Run the tests on SQLite, here and in CI",
        (
            ".github/workflows/ci.yml",
            "pytest.ini",
            "conftest.py",
            "config/settings_test.py",
            "config/test_runner.py",
            "administrate/tests/__init__.py",
            "administrate/tests/test_models.py",
        ),
        _NO_TUTORIALS + _NO_ROLES_TEST,
    ),
    Commit(
        MAIN,
        _utc(1, 22, 15, 38),
        MAYA,
        "Accept custom field ids that are not numbers",
        (_ADM_MODELS, "administrate/migrations/0002_alter_customfield_external_id.py"),
        _TEXT_ROLES,
    ),
    Commit(
        MAIN,
        _utc(1, 28, 11, 20),
        TOM,
        "Add tutorial events in the acted schema",
        (
            "README.md",
            "config/settings.py",
            "config/settings_test.py",
            "tutorials/__init__.py",
            "tutorials/apps.py",
            "tutorials/models.py",
            "tutorials/migrations/__init__.py",
            "tutorials/migrations/0001_initial.py",
            "tutorials/tests/__init__.py",
            "tutorials/tests/test_models.py",
        ),
        _NO_SESSIONS,
    ),
    Commit(
        MAIN,
        _utc(2, 2, 8, 15),
        MAYA,
        "Keep grants and development rows beside the migrations",
        ("ops/20260202_grants.sql", "ops/development_data.sql"),
        (Cut("ops/development_data.sql", "INSERT INTO acted.tutorial_sessions"),),
    ),
    Commit(BRANCH, _utc(2, 4, 9, 5), TOM, "Plan the tutorial sessions", (_TASKS,), _open(1)),
    Commit(
        BRANCH,
        _utc(2, 4, 11, 16),
        TOM,
        "T001-T003: add tutorial sessions to the acted schema",
        (
            _TASKS,
            "tutorials/models.py",
            "tutorials/migrations/0002_tutorialsessions.py",
            "tutorials/tests/test_models.py",
            "ops/development_data.sql",
        ),
        _open(4),
    ),
    Commit(
        BRANCH,
        _utc(2, 4, 13, 42),
        TOM,
        "T004-T007: tests for the adm schema, red",
        (_TASKS, "administrate/tests/test_adm_schema.py"),
        _open(8),
    ),
    Commit(
        BRANCH,
        _utc(2, 4, 14, 9),
        TOM,
        "T008, T009: move the administrate tables to the adm schema",
        ("administrate/migrations/0003_migrate_to_adm_schema.py",),
    ),
    Commit(BRANCH, _utc(2, 4, 16, 20), TOM, "US1 done: T004-T011 complete, all tests green", (_TASKS,)),
    Commit(
        BRANCH,
        _utc(2, 5, 8, 40),
        MAYA,
        "Store the roles of a custom field as JSON",
        (
            _ADM_MODELS,
            "administrate/migrations/0004_alter_customfield_roles_to_jsonfield.py",
            "administrate/tests/test_models.py",
        ),
    ),
    Commit(
        BRANCH,
        _utc(2, 5, 9, 30),
        MAYA,
        "Add the venue report for operations",
        ("ops/20260205_reporting.sql",),
    ),
)


def write(project: Path, files: Files) -> str:
    """Make `project` a git repository with the whole history, its branch checked out.

    `files` are the project's own, path relative to it -> text. Returns "" or, when git is missing or refuses,
    one sentence that says why there is no history.
    """
    try:
        _git(project, "init", "--quiet", "--template=")
        _git(project, "fast-import", "--quiet", stdin=b"".join(_stream(files)))
        _git(project, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
        _git(project, "reset", "--quiet")
    except FileNotFoundError:
        return "git is not installed: the demo has no history, so no timeline"
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or f"exit code {error.returncode}"
        return f"git refused to write the demo's history, so there is no timeline: {said}"
    return ""


def _stream(files: Files) -> Iterator[bytes]:
    for mark, commit in enumerate(COMMITS, start=1):
        seconds = int(commit.at.timestamp())
        yield f"commit refs/heads/{commit.branch}\nmark :{mark}\n".encode()
        yield f"author {commit.author} {seconds} +0000\ncommitter {commit.author} {seconds} +0000\n".encode()
        yield _data(commit.subject + "\n")
        if mark > 1:
            yield f"from :{mark - 1}\n".encode()
        touched = {path: files[path] for path in commit.paths}
        then = changed(touched, (change for change in commit.then if change.path in touched))
        for path, text in then.items():
            yield f"M 100644 inline {path}\n".encode() + _data(text)


def _data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n%b\n" % (len(content), content)


def _git(project: Path, *arguments: str, stdin: bytes = b"") -> None:
    """Run git without anybody's configuration, hooks or surrounding repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]
    subprocess.run(command, cwd=project, env=environment, input=stdin, capture_output=True, check=True)
