"""The project's checks of where its tables are: those it has, those its pipelines run or skip, those a commit removed.

A management command counts as one when its name says that it checks ("verify_schema_placement"), its SQL asks the catalog, it
can fail, and it writes nothing. Of rcakit's own, `verify_schema_placement` and `rcakit check` do. What a line of a pipeline
means is told by `ci_static`; a line that was commented out is read as the command that it was.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from rcakit.facts import Gate, State, Unread, Where
from rcakit.sources import ci_static, git
from rcakit.sources.claims import SKIPPED
from rcakit.sources.shell import commands

OWN = ("verify_schema_placement", "rcakit check")
"""Checks that rcakit brings along: its Django app's command, and its own."""
_COMMANDS = "**/management/commands/*.py"
_PIPELINES = (".github/workflows/*", ".gitlab-ci.yml", ".circleci/config.yml", "**/Jenkinsfile", "Makefile")
_CHECKS = frozenset({"verify", "check", "assert", "validate", "audit"})
_CATALOG = ("information_schema", "pg_catalog", "pg_class", "pg_tables", "pg_namespace", "to_regclass")
_WRITES = ("ALTER ", "CREATE ", "DROP ", "INSERT ", "UPDATE ", "DELETE ", "TRUNCATE ")
_LARGEST = 1_000_000
"""Bytes: a larger file is no command."""


def read(project: Path) -> tuple[tuple[Gate, ...], tuple[Unread, ...]]:
    """The gates of a project, and that its history could not be read."""
    unread: list[Unread] = []
    there = list(_there(project, unread))
    changed = git.versions(project, _COMMANDS)
    piped = git.versions(project, *_PIPELINES)
    unread += [each for each in (changed, piped) if isinstance(each, Unread)]
    deleted = list(_deleted(changed, there)) if isinstance(changed, tuple) else []
    names = {*OWN, *(gate.name for gate in (*there, *deleted))}
    piped_now = [*_piped(project, names), *_commented(project, names, unread)]
    settled = {gate.name for gate in (*piped_now, *deleted)}
    left = list(_left(piped, names - settled)) if isinstance(piped, tuple) else []
    return (*there, *piped_now, *deleted, *left), tuple(dict.fromkeys(unread))


def _bytes(path: Path, project: Path, unread: list[Unread]) -> tuple[str, bytes]:
    """(a file's name in the project, what it holds); nothing when it cannot be read, which is told."""
    name = path.relative_to(project).as_posix()
    try:
        return name, path.read_bytes()
    except OSError as error:
        reason = f"the file cannot be read: {type(error).__name__}"
        unread.append(Unread("ci", reason, Where(name), blocking=False))
        return name, b""


# ------------------------------------------------------------------ the project's own commands


def _there(project: Path, unread: list[Unread]) -> Iterator[Gate]:
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(each for each in folders if each not in SKIPPED and not each.startswith("."))
        if folder.endswith(os.path.join("management", "commands")):
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix == ".py" and path.is_file() and path.stat().st_size <= _LARGEST:
                    where, source = _bytes(path, project, unread)
                    if is_check(where, source):
                        yield Gate(path.stem, "there", Where(where))


def is_check(path: str, source: bytes) -> bool:
    """Whether a management command checks where tables are, as far as its text tells for certain."""
    if not _CHECKS & set(PurePosixPath(path).stem.split("_")):
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    remarks = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    constants = (
        each for each in ast.walk(tree) if isinstance(each, ast.Constant) and id(each) not in remarks
    )
    texts = [each.value for each in constants if isinstance(each.value, str)]
    asks = any(word in text for text in texts for word in _CATALOG)
    writes = any(text.lstrip().upper().startswith(_WRITES) for text in texts)
    return asks and not writes and any(_fails(each) for each in ast.walk(tree))


def _fails(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise | ast.Assert) or (
        isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit")
    )


def _deleted(versions: Sequence[git.Version], there: Sequence[Gate]) -> Iterator[Gate]:
    """Checks whose file a commit deleted, and nobody brought back under any path."""
    kept = {gate.name for gate in there}
    last = {version.commit.path: version for version in versions}
    for path, version in last.items():
        name = PurePosixPath(path).stem
        gone = version.after is None and version.before is not None
        if gone and name not in kept and is_check(path, version.before or b""):
            commit = version.commit
            how = "its file was deleted"
            yield Gate(name, "removed", Where(path), how, commit.at, commit.commit, commit.subject)


# ------------------------------------------------------------------ what pipelines do with them


def _piped(project: Path, names: set[str]) -> Iterator[Gate]:
    for job in ci_static.read(project)[0]:
        for call in job.calls:
            if call.name in names:
                runs: State = "skipped" if call.skipped else "runs"
                yield Gate(call.name, "there" if job.local else runs, call.where, call.skipped)


def _commented(project: Path, names: set[str], unread: list[Unread]) -> Iterator[Gate]:
    for path in sorted(_files(project)):
        file, text = _bytes(path, project, unread)
        for number, line in enumerate(text.decode(errors="replace").split("\n"), 1):
            for name in _calls(_uncommented(line)):
                if name in names:
                    yield Gate(name, "skipped", Where(file, number), "commented out")


def _files(project: Path) -> Iterator[Path]:
    for glob in _PIPELINES:
        yield from (path for path in project.glob(glob.removeprefix("**/")) if path.is_file())


def _uncommented(line: str) -> str:
    """The step that a comment holds: "# - run: x" and "#  - x" are "x"; prose is ""."""
    hash_, _, rest = line.strip().partition("#")
    step = rest.strip()
    if hash_ or not step.startswith(("- ", "run:", "python ", "./manage.py ")):
        return ""
    return step.removeprefix("- ").strip().removeprefix("run:").strip()


def _calls(script: str) -> Iterator[str]:
    return (each.target for each in commands(script) if each.act == "calls")


def _left(versions: Iterable[git.Version], names: set[str]) -> Iterator[Gate]:
    """Checks that some pipeline ran once, and none does now, with the commit that took the last one out."""
    running: dict[str, frozenset[str]] = {}
    left: dict[str, Gate] = {}
    for version in versions:
        path, commit = version.commit.path, version.commit
        before, after = running.get(path, frozenset()), _named(version.after, names)
        running[path] = after
        for name in before - after:
            how = "no pipeline runs it any more"
            left[name] = Gate(name, "removed", Where(path), how, commit.at, commit.commit, commit.subject)
    now = frozenset().union(*running.values())
    yield from (gate for name, gate in sorted(left.items()) if name not in now)


def _named(text: bytes | None, names: set[str]) -> frozenset[str]:
    """The checks that lines of a pipeline file run; what YAML puts before a command is left out."""
    found = set()
    for line in (text or b"").decode(errors="replace").split("\n"):
        step = line.strip().removeprefix("- ").strip().removeprefix("run:").strip()
        if not step.startswith("#"):
            found |= names & set(_calls(step))
    return frozenset(found)
