"""What the project's pipelines do, from their files: GitHub Actions, GitLab CI, CircleCI, Jenkins, tox, nox, Makefile.

For each job the line is noted that gives it a PostgreSQL server, runs the tests, runs `migrate`, loads a dump, asks the
catalog, or lets it fail. A job that calls `make`, `tox` or `nox` does what that does. Pipelines of other systems are named as
unread, and so is a file that cannot be parsed.

https://docs.github.com/actions/reference/workflow-syntax-for-github-actions ·
https://docs.gitlab.com/ee/ci/yaml/ · https://circleci.com/docs/configuration-reference/
"""

from __future__ import annotations

import ast
import configparser
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from rcakit.facts import CiJob, Unread, Where
from rcakit.sources import jenkins
from rcakit.sources.shell import Command, commands, starts_postgresql

OTHERS = (
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    ".travis.yml",
    ".drone.yml",
    ".woodpecker.yml",
    ".buildkite/pipeline.yml",
    "appveyor.yml",
    ".appveyor.yml",
    ".cirrus.yml",
    ".semaphore/semaphore.yml",
)
_POSTGRES = ("postgres", "postgis", "timescale", "pgvector")
_VARIABLE = "DJANGO_SETTINGS_MODULE"
Reader = Callable[[yaml.Node, str, Sequence[CiJob]], Iterator[CiJob]]
_GITLAB_WORDS = frozenset(
    (
        "default",
        "include",
        "stages",
        "variables",
        "workflow",
        "image",
        "services",
        "before_script",
        "after_script",
        "cache",
        "pages",
        "spec",
    )
)


def read(project: Path) -> tuple[tuple[CiJob, ...], tuple[Unread, ...]]:
    """Every job of every pipeline file, local runners last, and what was not read."""
    unread = [
        Unread("ci", f"pipelines of this kind are not read: {name}", Where(name), blocking=False)
        for name in OTHERS
        if (project / name).is_file()
    ]
    local = [*_makefile(project), *_tox(project), *_nox(project)]
    jobs: list[CiJob] = []
    for path, reader in _files(project):
        name = path.relative_to(project).as_posix()
        try:
            tree = yaml.compose(path.read_text("utf-8-sig", "replace"), Loader=yaml.SafeLoader)
        except (OSError, yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            where = Where(name, mark.line + 1 if mark else None)
            unread.append(Unread("ci", "the pipeline file is not valid YAML", where, blocking=False))
            continue
        if isinstance(tree, yaml.MappingNode):
            jobs += reader(tree, name, local)
    for name in jenkins.PATHS:
        if (project / name).is_file():
            stages, told = jenkins.read((project / name).read_text("utf-8-sig", "replace"), name)
            jobs += [_with(job, done, local) for job, done in stages]
            unread += told
    return (*jobs, *local), tuple(unread)


def _files(project: Path) -> Iterator[tuple[Path, Reader]]:
    folder = project / ".github" / "workflows"
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.suffix in (".yml", ".yaml"):
            yield path, _github
    for name, reader in ((".gitlab-ci.yml", _gitlab), (".circleci/config.yml", _circle)):
        if (project / name).is_file():
            yield project / name, reader


# ------------------------------------------------------------------ the three systems


def _github(tree: yaml.Node, path: str, local: Sequence[CiJob]) -> Iterator[CiJob]:
    outer = _settings(_get(tree, "env"))
    for name, job in _pairs(_get(tree, "jobs")):
        steps = _items(_get(job, "steps"))
        done = [each for step in steps for each in _script(_get(step, "run"))]
        envs = [_settings(_get(node, "env")) for node in (job, *steps)]
        made = CiJob(
            "GitHub Actions",
            name,
            Where(path, _line_of(job) - _below(job)),
            postgresql=_service(_get(job, "services"), path) or _used(steps, path),
            may_fail=_true(_get(job, "continue-on-error"), path)
            or next((found for step in steps if (found := _forgiven_step(step, path))), None),
            settings=next((each for each in (*reversed(envs), outer) if each), ""),
        )
        yield _with(made, done, local)


def _used(steps: Iterable[yaml.Node], path: str) -> Where | None:
    """A step that is an action setting PostgreSQL up, or a command that starts it."""
    for step in steps:
        uses, run = _get(step, "uses"), _get(step, "run")
        if any(word in _text(uses).lower() for word in _POSTGRES):
            return Where(path, _line_of(uses))
        if starts_postgresql(_text(run)):
            return Where(path, _line_of(run))
    return None


def _forgiven_step(step: yaml.Node, path: str) -> Where | None:
    """Only a step whose failure would matter here."""
    return _true(_get(step, "continue-on-error"), path) if any(_script(_get(step, "run"))) else None


def _gitlab(tree: yaml.Node, path: str, local: Sequence[CiJob]) -> Iterator[CiJob]:
    shared = _get(tree, "default")
    outer = _settings(_get(tree, "variables"))
    for name, job in _pairs(tree):
        if name in _GITLAB_WORDS or name.startswith(".") or not _get(job, "script"):
            continue
        places = [job, *_extended(tree, job), *([shared] if shared else []), tree]
        scripts = [_first(places, key) for key in ("before_script", "script")]
        made = CiJob(
            "GitLab CI",
            name,
            Where(path, _line_of(job) - _below(job)),
            postgresql=_service(_first(places, "services"), path),
            may_fail=_true(_get(job, "allow_failure"), path),
            settings=_settings(_get(job, "variables")) or outer,
        )
        yield _with(made, [each for script in scripts for each in _script(script)], local)


def _extended(tree: yaml.Node, job: yaml.Node) -> list[yaml.Node]:
    """The jobs that `extends` names, two steps deep."""
    extends = _get(job, "extends")
    names = [_text(each) for each in _items(extends)] or [_text(extends)]
    found = [node for name in names if name and (node := _get(tree, name))]
    again = [node for each in found if (node := _get(tree, _text(_get(each, "extends"))))]
    return [*found, *again]


def _circle(tree: yaml.Node, path: str, local: Sequence[CiJob]) -> Iterator[CiJob]:
    for name, job in _pairs(_get(tree, "jobs")):
        steps = [_get(step, "run") for step in _items(_get(job, "steps"))]
        done = [each for run in steps for each in _script(_get(run, "command") or run)]
        envs = [_settings(_get(job, "environment")), *(_settings(_get(run, "environment")) for run in steps)]
        made = CiJob(
            "CircleCI",
            name,
            Where(path, _line_of(job) - _below(job)),
            postgresql=_service(_get(job, "docker"), path),
            settings=next((each for each in reversed(envs) if each), ""),
        )
        yield _with(made, done, local)


# ------------------------------------------------------------------ local runners


def _makefile(project: Path) -> Iterator[CiJob]:
    """The targets of a Makefile: a line that begins a rule, and the tabbed lines below it."""
    path = next(
        (project / name for name in ("Makefile", "makefile", "GNUmakefile") if (project / name).is_file()),
        None,
    )
    if path is None:
        return
    target, start, recipe = "", 0, list[str]()
    lines = path.read_text("utf-8", "replace").split("\n")
    for number, line in enumerate([*lines, "end:"], 1):
        if line.startswith("\t"):
            recipe.append(line[1:].lstrip("@-+"))
        elif ":" in line and not line.startswith((" ", "#", ".")) and ":=" not in line:
            if recipe:
                yield _with(
                    CiJob("Makefile", target, Where(path.name, start), local=True),
                    list(commands("\n".join(recipe), start + 1)),
                )
            target, start, recipe = line.partition(":")[0].strip(), number, []


def _tox(project: Path) -> Iterator[CiJob]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        text = (project / "tox.ini").read_text("utf-8", "replace")
        parser.read_string(text)
    except (OSError, configparser.Error):
        return
    lines = text.split("\n")
    for section in parser.sections():
        if section.startswith("testenv") and (script := parser[section].get("commands")):
            line = next((n for n, each in enumerate(lines, 1) if each.startswith(f"[{section}]")), 1)
            setting = next(
                (
                    part.partition("=")[2].strip()
                    for part in parser[section].get("setenv", "").split("\n")
                    if part.strip().startswith(_VARIABLE)
                ),
                "",
            )
            job = CiJob(
                "tox", section.partition(":")[2], Where("tox.ini", line), local=True, settings=setting
            )
            yield _with(job, list(commands(script, line)))


def _nox(project: Path) -> Iterator[CiJob]:
    """Functions of noxfile.py under @nox.session, and the words they hand to session.run."""
    try:
        tree = ast.parse((project / "noxfile.py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not any(
            "session" in ast.unparse(each) for each in node.decorator_list
        ):
            continue
        done: list[Command] = []
        for call in ast.walk(node):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "run"
            ):
                words = [str(each.value) for each in call.args if isinstance(each, ast.Constant)]
                done += commands(" ".join(words), call.lineno)
        yield _with(CiJob("nox", node.name, Where("noxfile.py", node.lineno), local=True), done)


# ------------------------------------------------------------------ commands of a job


def _with(job: CiJob, done: Sequence[Command], local: Sequence[CiJob] = ()) -> CiJob:
    """The job with the first line that does each thing; what it leaves to a local runner counts as its own."""
    seen: dict[str, Where] = {}
    for each in done:
        where = Where(job.where.path, each.line)
        if each.act in ("make", "tox", "nox"):
            system = {"make": "Makefile"}.get(each.act, each.act)
            for other in local:
                if other.system == system and each.target in ("", other.name):
                    for kind in ("tests", "migrates", "restores", "catalog"):
                        if getattr(other, kind) is not None:
                            seen.setdefault(kind, where)
        else:
            seen.setdefault(each.act, where)
        if each.forgiven and each.act in ("tests", "migrates", "catalog"):
            seen.setdefault("may_fail", where)
    return replace(
        job,
        tests=seen.get("tests"),
        migrates=seen.get("migrates"),
        restores=seen.get("restores"),
        catalog=seen.get("catalog"),
        may_fail=job.may_fail or seen.get("may_fail"),
    )


def _script(node: yaml.Node | None) -> Iterator[Command]:
    """The commands of a script: one text, or a list of them."""
    if isinstance(node, yaml.SequenceNode):
        for each in _items(node):
            yield from _script(each)
    elif isinstance(node, yaml.ScalarNode):
        yield from commands(str(node.value), _line_of(node) + (1 if node.style in ("|", ">") else 0))


# ------------------------------------------------------------------ nodes of YAML


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values of a mapping, what `<<` merges in last."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if _text(key) != "<<":
            yield _text(key), value
    for key, value in node.value:
        if _text(key) == "<<":
            for each in _items(value) or [value]:
                if each is not node:
                    yield from _pairs(each)


def _get(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return next((value for name, value in _pairs(node) if name == key), None)


def _first(places: Iterable[yaml.Node], key: str) -> yaml.Node | None:
    return next((found for place in places if (found := _get(place, key))), None)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _line_of(node: yaml.Node | None) -> int:
    return int(node.start_mark.line) + 1 if node is not None else 1


def _below(job: yaml.Node) -> int:
    """Lines between a key and the block that is its value, which is where YAML says the value begins."""
    return 0 if getattr(job, "flow_style", False) else 1


def _true(node: yaml.Node | None, path: str) -> Where | None:
    return Where(path, _line_of(node)) if _text(node).lower() in ("true", "yes", "on") else None


def _settings(env: yaml.Node | None) -> str:
    return _text(_get(env, _VARIABLE))


def _service(node: yaml.Node | None, path: str) -> Where | None:
    """A service container whose image or name is PostgreSQL's."""
    entries = [(name, value) for name, value in _pairs(node)] or [("", each) for each in _items(node)]
    for name, value in entries:
        image = _text(_get(value, "image")) or _text(_get(value, "name")) or _text(value)
        if any(word in f"{name} {image}".lower() for word in _POSTGRES):
            return Where(path, _line_of(value))
    return None
