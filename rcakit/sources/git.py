"""What git knows about the project's files: when a migration was edited, which commit brought a text in.

The repository is somebody else's, and a repository can name programs for git to run. So git is only ever asked to
read, with all of them off: hooks, file-system monitor, pager, external diffs, text conversion, clean and smudge filters,
signature checks, submodules, transports and the fetching of missing objects; no configuration but the repository's own is
consulted (https://git-scm.com/docs/git-config). Because nothing is run, `safe.directory` is set to `*`: a project owned
by another user, which is what an administrator investigates, can be read. A git before 2.38 ignores that and
refuses; that, like a directory without git, is an `Unread` row that blocks no verdict.

Names and subjects are separated by NUL, the one byte they cannot hold.
"""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rcakit.facts import Applied, Declared, Edit, Migration, Unread

TIMEOUT_S = 60

_HARMLESS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.attributesFile=",
    "protocol.allow=never",
    "safe.directory=*",
    "log.showSignature=false",
    "log.follow=false",
    "i18n.logOutputEncoding=UTF-8",
)
_DIFF = ("--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all")
_FORMAT = "--format=tformat:%H %ct %s"
_ABSENT = "0" * 40
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Head:
    """What is checked out. `branch` is "" when detached; `dirty` tells of changes to tracked files below the project."""

    commit: str
    branch: str
    dirty: bool


@dataclass(frozen=True, slots=True, order=True)
class Commit:
    """A commit that changed one file: `at` is its committer date, aware, UTC; `path` is relative to the project."""

    at: datetime
    commit: str
    subject: str
    path: str


@dataclass(frozen=True, slots=True)
class _Change:
    """One file in one commit, with the blobs before and after."""

    commit: Commit
    before: str
    after: str


class _Refused(Exception):  # noqa: N818  never leaves this module
    """Git is missing, refuses, or takes too long; the text is the reason, without the project's words."""


def head(project: Path) -> Head | Unread:
    """The commit checked out in the project's repository."""
    try:
        commit = _text(_git(project, "rev-parse", "--verify", "-q", "HEAD", empty_is="it has no commit yet"))
        branch = _text(_git(project, "symbolic-ref", "-q", "--short", "HEAD", may_fail=True))
        changed = _git(
            project, *_filters_off(project), "status", "-z", "-uno", "--ignore-submodules=all", "--", "."
        )
    except _Refused as error:
        return _unread(error)
    return Head(commit, branch, bool(changed))


def edits(
    project: Path, declared: Declared, applied: Iterable[Applied]
) -> tuple[tuple[Edit, ...], tuple[Unread, ...]]:
    """The changes to migration files after the migrations were recorded as applied, oldest first.

    The first version in git is never an edit: people apply a migration before they commit it. An edit that later
    ones took back has `operations_changed` False, as has one of comments, docstrings and layout. A change that is not
    committed has no date and comes last.
    """
    at = {row.label: row.at for row in applied}
    files = {
        migration.where.path: migration
        for migration in declared.migrations
        if migration.first_party and migration.where and migration.label in at
    }
    if not files:
        return (), ()
    try:
        history = _by_path(_log(project, sorted(files)))
        unread = _shallow(project)
        waiting = _uncommitted(project, sorted(files))
        changed = [all_ for path, all_ in history.items() if len(all_) > 1 or path in waiting]
        texts = _blobs(
            project, {blob for all_ in changed for each in all_ for blob in (each.before, each.after)}
        )
    except _Refused as error:
        return (), (_unread(error),)
    found: list[Edit] = []
    for path, migration in files.items():
        since = at[migration.label]
        found += _edits_of(migration, history.get(path, []), since, texts, _now(project, path, waiting))
    return tuple(sorted(found, key=lambda edit: (edit.at is None, edit.at or since, edit.label))), unread


def introduced(project: Path, text: str, paths: Sequence[str] = ()) -> tuple[Commit, ...] | Unread:
    """The commits after which a file below the project held the text more often than before, oldest first."""
    if not text or "\0" in text:
        return ()
    wanted = text.encode(errors="surrogateescape")
    try:
        changes = _log(project, paths, f"-S{text}")
        texts = _blobs(project, {blob for change in changes for blob in (change.before, change.after)})
    except _Refused as error:
        return _unread(error)
    return tuple(
        change.commit
        for change in changes
        if texts.get(change.after, b"").count(wanted) > texts.get(change.before, b"").count(wanted)
    )


def commits(project: Path, path: str, *, contains: str) -> tuple[Commit, ...] | Unread:
    """`introduced` for a single file."""
    return introduced(project, contains, (path,))


@dataclass(frozen=True, slots=True)
class Version:
    """A file before and after one commit; None: it was not there."""

    commit: Commit
    before: bytes | None
    after: bytes | None


def versions(project: Path, *globs: str) -> tuple[Version, ...] | Unread:
    """Every change to files below the project that match one of the globs ("**/commands/*.py"), oldest first."""
    try:
        changes = _log(project, [f":(glob){each}" for each in globs], magic=True)
        texts = _blobs(project, {blob for change in changes for blob in (change.before, change.after)})
    except _Refused as error:
        return _unread(error)
    return tuple(Version(each.commit, texts.get(each.before), texts.get(each.after)) for each in changes)


# ------------------------------------------------------------------ edits


def _edits_of(
    migration: Migration,
    changes: Sequence[_Change],
    since: datetime,
    texts: Mapping[str, bytes],
    now: bytes | None,
) -> Iterator[Edit]:
    """Edits of one file after `since`; `now` is its text in the working tree when that is not committed."""
    where = migration.where
    if where is None or not changes:
        return
    versions = [change for change in changes if change.after != _ABSENT]
    before = [change for change in versions if change.commit.at <= since] or versions[:1]
    if not before:
        return
    baseline = texts.get(before[-1].after, b"")
    current = now if now is not None else texts.get(versions[-1].after, b"")
    taken_back = same_program(baseline, current)
    previous = baseline
    for change in versions[len(before) :]:
        text = texts.get(change.after, b"")
        differs = not taken_back and not same_program(previous, text)
        commit = change.commit
        yield Edit(migration.label, where, commit.at, commit.commit, commit.subject, differs)
        previous = text
    if now is not None:
        differs = not taken_back and not same_program(previous, now)
        yield Edit(migration.label, where, None, "", "not committed", differs)


def same_program(one: bytes, other: bytes) -> bool:
    """Two Python texts are the same but for comments, docstrings and layout; texts that do not parse, byte by byte."""
    if one == other:
        return True
    try:
        return _program(one) == _program(other)
    except (SyntaxError, ValueError, RecursionError):
        return False


def _program(text: bytes) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [child for child in node.body if not _remark(child)]
    return ast.dump(tree)


def _remark(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _uncommitted(project: Path, paths: Sequence[str]) -> set[str]:
    """Those of the paths whose text in the working tree is not the committed one."""
    command = ("diff-index", "-z", "--name-only", "--relative", *_DIFF[2:], "HEAD", "--", *paths)
    return set(_names(_git(project, *_filters_off(project), *command)))


def _now(project: Path, path: str, waiting: set[str]) -> bytes | None:
    if path not in waiting:
        return None
    try:
        return (project / path).read_bytes()
    except OSError:
        return None  # deleted: "recorded without a file" is another finding


def _shallow(project: Path) -> tuple[Unread, ...]:
    if _text(_git(project, "rev-parse", "--is-shallow-repository")) != "true":
        return ()
    reason = "the git clone is shallow: edits before its oldest commit cannot be seen (git fetch --unshallow)"
    return (Unread("recorded", reason, blocking=False),)


# ------------------------------------------------------------------ reading git


def _log(project: Path, paths: Sequence[str], *options: str, magic: bool = False) -> list[_Change]:
    """Every change below the project by the commits that HEAD leads to, oldest first; `magic`: of pathspecs, not paths."""
    command = (
        "log",
        "-z",
        "--reverse",
        "--relative",
        "--root",
        _FORMAT,
        *_DIFF,
        *options,
        "--",
        *(paths or (".",)),
    )
    return list(_changes(_git(project, *command, magic=magic)))


def _changes(answer: bytes) -> Iterator[_Change]:
    """Records of `log -z --raw`: a header, then pairs of (":modes blobs status", path)."""
    parts = iter(answer.split(b"\0"))
    identity, at, subject = "", datetime.now(UTC), ""
    for part in parts:
        text = part.lstrip(b"\n")
        if text.startswith(b":"):
            _, _, before, after, _ = text.decode().split(" ")
            path = os.fsdecode(next(parts))
            yield _Change(Commit(at, identity, subject, path), before, after)
        elif text:
            header, _, rest = text.partition(b" ")
            seconds, _, title = rest.partition(b" ")
            identity, at = header.decode(), _moment(int(seconds))
            subject = title.decode(errors="replace")


def _moment(seconds: int) -> datetime:
    """A commit's date; anybody may give a commit one that no calendar has, and it counts as the last that has one."""
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST), UTC)


def _by_path(changes: Iterable[_Change]) -> dict[str, list[_Change]]:
    found: dict[str, list[_Change]] = {}
    for change in changes:
        found.setdefault(change.commit.path, []).append(change)
    return found


def _blobs(project: Path, ids: set[str]) -> dict[str, bytes]:
    """Blob id -> content; ids git does not have (submodules, missing objects) are left out."""
    wanted = sorted(ids - {_ABSENT})
    if not wanted:
        return {}
    answer = _git(project, "cat-file", "--batch", given="".join(f"{each}\n" for each in wanted).encode())
    found, at = {}, 0
    for blob in wanted:
        end = answer.index(b"\n", at)
        words = answer[at:end].split(b" ")
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            found[blob] = answer[at : at + size]
            at += size + 1
    return found


def _filters_off(project: Path) -> list[str]:
    """Options that empty every clean and smudge filter the repository defines: git would run them on its files."""
    listed = _git(project, "config", "-z", "--name-only", "--get-regexp", r"^filter\.", may_fail=True)
    names = {name.rpartition(".")[0] for name in _names(listed)}
    keys = [
        f"{name}.{key}"
        for name in sorted(names)
        for key in ("clean=", "smudge=", "process=", "required=false")
    ]
    return [word for key in keys for word in ("-c", key)]


def _names(answer: bytes) -> list[str]:
    return [os.fsdecode(name) for name in answer.split(b"\0") if name]


def _text(answer: bytes) -> str:
    return answer.decode(errors="replace").strip()


def _git(
    project: Path,
    *arguments: str,
    may_fail: bool = False,
    empty_is: str = "",
    given: bytes = b"",
    magic: bool = False,
) -> bytes:
    """Standard output of one git command. Raises _Refused; `empty_is` names the reason behind a quiet failure."""
    options = [word for setting in _HARMLESS for word in ("-c", setting)]
    fixed = ["--no-pager", "--no-optional-locks", "--no-replace-objects"]
    literal = [] if magic else ["--literal-pathspecs"]
    command = ["git", "-C", str(project), *fixed, *literal, *options, *arguments]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, env=_environment(), timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise _Refused("git is not installed") from None
    except OSError as error:  # a project may have more files than a command line may have words
        raise _Refused(f"git could not be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise _Refused(f"git did not answer within {TIMEOUT_S} seconds") from None
    if done.returncode and not may_fail:
        raise _Refused(_reason(done.stderr) or empty_is)
    return done.stdout


def _reason(stderr: bytes) -> str:
    said = _text(stderr)
    if "not a git repository" in said:
        return "it is not a git repository"
    if "dubious ownership" in said:
        return "git refuses it, as it belongs to another user"
    if "does not have any commits yet" in said:
        return "it has no commit yet"
    return said.splitlines()[0] if said else ""


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return own | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _unread(error: _Refused) -> Unread:
    return Unread("recorded", f"the project's git history cannot be read: {error}", blocking=False)
