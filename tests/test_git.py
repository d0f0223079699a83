"""The git reader, against real repositories, hostile ones included."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rcakit.facts import Applied, Declared, Edit, Migration, Unread, Where
from rcakit.sources import git

FIRST = 'from django.db import migrations\nSQL = "ALTER TABLE a RENAME TO b"\n'
REMARKED = '"""Rename a."""\nfrom django.db import migrations\n\n# why\nSQL = "ALTER TABLE a RENAME TO b"\n'
CHANGED = FIRST.replace("TO b", "TO c")


def at(day: int) -> datetime:
    return datetime(2026, 2, day, 12, tzinfo=UTC)


class Repository:
    """A repository in a temporary directory, with commits on chosen days of February 2026."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.run("init", "-q", "-b", "main")

    def run(self, *arguments: str, day: int = 1) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
        who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
        when = {"GIT_COMMITTER_DATE": at(day).isoformat(), "GIT_AUTHOR_DATE": at(1).isoformat()}
        env = clean | who | when | {"GIT_CONFIG_GLOBAL": os.devnull}
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def commit(self, day: int, subject: str, **files: str) -> str:
        for path, text in files.items():
            self.write(path, text)
        self.run("add", "-A")
        self.run("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", subject, day=day)
        return self.run("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project")


def declared(path: str = "m") -> Declared:
    return Declared("static", migrations=(Migration("shop", "0001", Where(path)),))


APPLIED = (Applied("shop", "0001", at(10)),)


def edits(repository: Repository, path: str = "m", below: str = "") -> tuple[Edit, ...]:
    found, unread = git.edits(repository.root / below, declared(path), APPLIED)
    assert unread == ()
    return found


def test_head_tells_commit_branch_and_changes(repository: Repository) -> None:
    commit = repository.commit(1, "one", m=FIRST)
    assert git.head(repository.root) == git.Head(commit, "main", False)
    repository.write("m", CHANGED)
    assert git.head(repository.root) == git.Head(commit, "main", True)
    repository.run("checkout", "-q", "-f", "--detach")
    assert git.head(repository.root) == git.Head(commit, "", False)


def test_what_is_no_repository_is_unread(tmp_path: Path) -> None:
    for answer in (git.head(tmp_path), git.introduced(tmp_path, "x")):
        assert isinstance(answer, Unread)
        assert answer.reason.endswith("it is not a git repository")
        assert not answer.blocking
    found, unread = git.edits(tmp_path, declared(), APPLIED)
    assert found == ()
    assert [row.reason for row in unread] == [
        "the project's git history cannot be read: it is not a git repository"
    ]


def test_a_repository_without_commits_is_unread(repository: Repository) -> None:
    head = git.head(repository.root)
    assert isinstance(head, Unread)
    assert head.reason.endswith("it has no commit yet")


def test_without_git_everything_is_unread(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository.root))
    head = git.head(repository.root)
    assert isinstance(head, Unread)
    assert head.reason.endswith("git is not installed")


def test_a_change_after_it_was_applied_is_an_edit(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    commit = repository.commit(12, "correct it", m=CHANGED)
    assert edits(repository) == (Edit("shop.0001", Where("m"), at(12), commit, "correct it", True),)


def test_a_change_before_it_was_applied_is_none(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.commit(9, "correct it", m=CHANGED)
    assert edits(repository) == ()


def test_applied_first_and_committed_later_is_none(repository: Repository) -> None:
    repository.commit(15, "write it", m=FIRST)
    assert edits(repository) == ()
    repository.commit(16, "correct it", m=CHANGED)
    assert [edit.subject for edit in edits(repository)] == ["correct it"]


def test_comments_docstrings_and_layout_change_nothing(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.commit(12, "explain it", m=REMARKED)
    assert [edit.operations_changed for edit in edits(repository)] == [False]


def test_an_edit_that_was_taken_back_changes_nothing(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.commit(12, "correct it", m=CHANGED)
    repository.commit(13, "put it back", m=REMARKED)
    assert [(edit.subject, edit.operations_changed) for edit in edits(repository)] == [
        ("correct it", False),
        ("put it back", False),
    ]


def test_a_change_that_is_not_committed_is_an_edit_without_date(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.write("m", CHANGED)
    assert edits(repository) == (Edit("shop.0001", Where("m"), None, "", "not committed", True),)


def test_removed_and_written_again_is_an_edit(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    (repository.root / "m").unlink()
    repository.commit(11, "remove it")
    repository.commit(12, "again", m=CHANGED)
    assert [(edit.subject, edit.operations_changed) for edit in edits(repository)] == [("again", True)]


def test_a_project_in_a_folder_of_its_repository(repository: Repository) -> None:
    repository.commit(2, "write it", **{"backend/m": FIRST, "other/m": FIRST})
    repository.commit(12, "the other", **{"other/m": CHANGED})
    assert edits(repository, below="backend") == ()
    repository.commit(13, "ours", **{"backend/m": CHANGED})
    assert [edit.subject for edit in edits(repository, below="backend")] == ["ours"]
    head = git.head(repository.root / "backend")
    assert isinstance(head, git.Head)
    repository.write("other/m", "changed")
    assert git.head(repository.root / "backend") == head


def test_a_shallow_clone_is_said_to_be_one(repository: Repository, tmp_path: Path) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.commit(12, "correct it", m=CHANGED)
    repository.run("clone", "-q", "--depth", "1", repository.root.as_uri(), str(tmp_path / "clone"))
    found, unread = git.edits(tmp_path / "clone", declared(), APPLIED)
    assert found == ()
    assert ["shallow" in row.reason for row in unread] == [True]


@pytest.mark.parametrize(
    "name",
    ["with space", 'qu"ote', "new\nline", "tab\t", "emo😀ji", ":colon", "*.py", ":(glob)**", "-q", "<b>"],
)
def test_hostile_names_survive(repository: Repository, name: str) -> None:
    repository.commit(2, "write it", **{name: FIRST})
    commit = repository.commit(12, "correct it", **{name: CHANGED})
    assert edits(repository, name) == (Edit("shop.0001", Where(name), at(12), commit, "correct it", True),)
    assert git.introduced(repository.root, "TO c", [name]) == (
        git.Commit(at(12), commit, "correct it", name),
    )


@pytest.mark.parametrize(
    "subject", [":100644 fake", "a\x01b\x02c", "<script>alert(1)</script>", "  ", "emoji 😀"]
)
def test_hostile_subjects_survive(repository: Repository, subject: str) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.commit(12, subject, m=CHANGED)
    assert [edit.subject.strip() for edit in edits(repository)] == [subject.strip()]


def test_introduced_finds_the_commits_that_brought_a_text(repository: Repository) -> None:
    repository.commit(2, "without", models=FIRST)
    one = repository.commit(3, "brought", models="adm.venues\n")
    repository.commit(4, "removed", models="\n")
    two = repository.commit(5, "back again", models="x = 'adm.venues'\n", elsewhere="adm.venues\n")
    found = git.introduced(repository.root, "adm.venues")
    assert isinstance(found, tuple)
    assert [(each.commit, each.path) for each in found] == [
        (one, "models"),
        (two, "elsewhere"),
        (two, "models"),
    ]
    assert git.commits(repository.root, "elsewhere", contains="adm.venues") == (
        git.Commit(at(5), two, "back again", "elsewhere"),
    )
    assert git.introduced(repository.root, "-x\n+y") == ()
    assert git.introduced(repository.root, "nul\0") == ()


TRAP = "#!/bin/sh\ntouch {marker}\ncat\n"


@pytest.fixture
def trapped(repository: Repository, tmp_path: Path) -> Path:
    """A repository that runs a program at every turn; the marker file tells whether it did."""
    marker, script = tmp_path / "marker", tmp_path / "trap"
    script.write_text(TRAP.format(marker=marker))
    script.chmod(0o755)
    attributes = "m diff=trap filter=trap\n"
    repository.commit(2, "write it", m=FIRST, **{".gitattributes": attributes})
    repository.commit(12, "correct it", m=CHANGED)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "diff.external",
        "diff.trap.textconv",
        "diff.trap.command",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.trap.process",
        "gpg.program",
        "pager.log",
        "pager.status",
    ):
        repository.run("config", key, str(script))
    repository.run("config", "filter.trap.required", "true")
    repository.run("config", "log.showSignature", "true")
    for hook in ("post-index-change", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        path = repository.root / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(TRAP.format(marker=marker))
        path.chmod(0o755)
    repository.write("m", CHANGED + "\n")
    marker.unlink(missing_ok=True)
    return marker


def test_nothing_the_repository_names_is_run(trapped: Path, repository: Repository) -> None:
    head = git.head(repository.root)
    assert isinstance(head, git.Head)
    assert head.dirty
    assert [edit.at for edit in edits(repository)] == [at(12), None]
    assert git.introduced(repository.root, "TO c")
    assert not trapped.exists()


def test_the_traps_do_work_on_an_ordinary_git(trapped: Path, repository: Repository) -> None:
    subprocess.run(["git", "-C", str(repository.root), "diff"], check=False, capture_output=True)
    assert trapped.exists()


def test_nothing_is_written_to_the_repository(repository: Repository) -> None:
    repository.commit(2, "write it", m=FIRST)
    repository.write("m", FIRST)
    os.utime(repository.root / "m", (1, 1))
    state = {path: path.stat().st_mtime_ns for path in repository.root.rglob("*")}
    git.head(repository.root)
    edits(repository)
    assert {path: path.stat().st_mtime_ns for path in repository.root.rglob("*")} == state


def test_variables_of_git_do_not_lead_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit(2, "write it", m=FIRST)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    head = git.head(repository.root)
    assert isinstance(head, git.Head)
    assert head.commit == commit


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_project_of_another_user_is_read(repository: Repository) -> None:
    commit = repository.commit(2, "write it", m=FIRST)
    for path in (repository.root, *repository.root.rglob("*")):
        os.chown(path, 65534, 65534)
    head = git.head(repository.root)
    assert isinstance(head, git.Head)
    assert head.commit == commit


def test_programs_are_compared_not_texts() -> None:
    assert git.same_program(b"x = 1\n", b"# one\nx  =  1")
    assert not git.same_program(b"x = 1\n", b"x = 2\n")
    assert not git.same_program(b"x = (\n", b"x = (\n\n")
    assert git.same_program(b"def f():\n    'says'\n    return 1\n", b"def f():\n    return 1\n")
