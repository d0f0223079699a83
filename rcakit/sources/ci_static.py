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
from typing import TYPE_CHECKING

from rcakit.facts import Call, CiJob, Unread, Where
from rcakit.sources import jenkins, nodes
from rcakit.sources.shell import Command, commands, starts_postgresql

if TYPE_CHECKING:
    import yaml

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
Reader = Callable[["yaml.Node", str, Sequence[CiJob]], Iterator[CiJob]]
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
    local = list(_local(project, unread))
    jobs: list[CiJob] = []
    for path, reader in _files(project):
        name = path.relative_to(project).as_posix()
        tree = _tree(path, name)
        if isinstance(tree, Unread):
            unread.append(tree)
        elif tree is not None:
            jobs += reader(tree, name, local)
    for name in jenkins.PATHS:
        if (text := _text(project, name, unread)) is not None:
            stages, told = jenkins.read(text, name)
            jobs += [_with(job, done, local) for job, done in stages]
            unread += told
    return (*jobs, *local), tuple(unread)


def _text(project: Path, name: str, unread: list[Unread]) -> str | None:
    """What a file of the project holds; None when it is not there or, which is told, cannot be read."""
    path = project / name
    try:
        return path.read_text("utf-8-sig", "replace") if path.is_file() else None
    except OSError as error:
        unread.append(_unreadable(name, error))
        return None


def _unreadable(name: str, error: Exception) -> Unread:
    where = Where(name, getattr(error, "lineno", None))
    return Unread("ci", f"the file cannot be read: {type(error).__name__}", where, blocking=False)


def _tree(path: Path, name: str) -> yaml.MappingNode | Unread | None:
    """The mapping that a pipeline file is; None for anything else. Few projects have one: only then YAML is imported."""
    import yaml

    try:
        tree = yaml.compose(path.read_text("utf-8-sig", "replace"), Loader=yaml.SafeLoader)
    except OSError as error:
        return _unreadable(name, error)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = Where(name, mark.line + 1 if mark else None)
        return Unread("ci", "the pipeline file is not valid YAML", where, blocking=False)
    return tree if isinstance(tree, yaml.MappingNode) else None


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
    outer = _settings(nodes.get(tree, "env"))
    by_hand = _starts(tree) == ["workflow_dispatch"]
    for name, job in nodes.pairs(nodes.get(tree, "jobs")):
        steps = nodes.items(nodes.get(job, "steps"))
        off = _off(job) or ("only by hand" if by_hand else "")
        done = [
            replace(each, skipped=off or _off(step))
            for step in steps
            for each in _script(nodes.get(step, "run"))
        ]
        envs = [_settings(nodes.get(node, "env")) for node in (job, *steps)]
        made = CiJob(
            "GitHub Actions",
            name,
            Where(path, nodes.line_of(job) - nodes.below(job)),
            postgresql=_service(nodes.get(job, "services"), path) or _used(steps, path),
            may_fail=nodes.true(nodes.get(job, "continue-on-error"), path)
            or next((found for step in steps if (found := _forgiven_step(step, path))), None),
            settings=next((each for each in (*reversed(envs), outer) if each), ""),
        )
        yield _with(made, done, local)


def _starts(tree: yaml.Node) -> list[str]:
    """What starts a workflow. YAML 1.1 reads the key `on` as a truth value; as a node it is a text."""
    on = nodes.get(tree, "on")
    names = [name for name, _ in nodes.pairs(on)] or [nodes.text(each) for each in nodes.items(on)]
    return names or [nodes.text(on)]


def _off(node: yaml.Node) -> str:
    """What keeps a job or step of GitHub from running, or from failing; "" for nothing."""
    condition = nodes.text(nodes.get(node, "if"))
    if condition.replace(" ", "").lower() in ("false", "${{false}}"):
        return f"if: {condition}"
    forgiven = nodes.true(nodes.get(node, "continue-on-error"), "")
    return "continue-on-error: true" if forgiven else ""


def _used(steps: Iterable[yaml.Node], path: str) -> Where | None:
    """A step that is an action setting PostgreSQL up, or a command that starts it."""
    for step in steps:
        uses, run = nodes.get(step, "uses"), nodes.get(step, "run")
        if any(word in nodes.text(uses).lower() for word in _POSTGRES):
            return Where(path, nodes.line_of(uses))
        if starts_postgresql(nodes.text(run)):
            return Where(path, nodes.line_of(run))
    return None


def _forgiven_step(step: yaml.Node, path: str) -> Where | None:
    """Only a step whose failure would matter here."""
    matters = any(each.act != "calls" for each in _script(nodes.get(step, "run")))
    return nodes.true(nodes.get(step, "continue-on-error"), path) if matters else None


def _gitlab(tree: yaml.Node, path: str, local: Sequence[CiJob]) -> Iterator[CiJob]:
    shared = nodes.get(tree, "default")
    outer = _settings(nodes.get(tree, "variables"))
    for name, job in nodes.pairs(tree):
        if name in _GITLAB_WORDS or name.startswith(".") or not nodes.get(job, "script"):
            continue
        places = [job, *_extended(tree, job), *([shared] if shared else []), tree]
        scripts = [nodes.first(places, key) for key in ("before_script", "script")]
        made = CiJob(
            "GitLab CI",
            name,
            Where(path, nodes.line_of(job) - nodes.below(job)),
            postgresql=_service(nodes.first(places, "services"), path),
            may_fail=nodes.true(nodes.get(job, "allow_failure"), path),
            settings=_settings(nodes.get(job, "variables")) or outer,
        )
        off = "allow_failure: true" if made.may_fail else _by_hand(places)
        done = [replace(each, skipped=off) for script in scripts for each in _script(script)]
        yield _with(made, done, local)


def _by_hand(places: Sequence[yaml.Node]) -> str:
    """`when: manual` or `when: never`, for the job or in every one of its rules; "" for anything else."""
    rules = nodes.items(nodes.first(places, "rules"))
    said = {nodes.text(nodes.get(rule, "when")) for rule in rules} or {
        nodes.text(nodes.first(places, "when"))
    }
    return f"when: {min(said)}" if said <= {"manual", "never"} else ""


def _extended(tree: yaml.Node, job: yaml.Node) -> list[yaml.Node]:
    """The jobs that `extends` names, two steps deep."""
    extends = nodes.get(job, "extends")
    names = [nodes.text(each) for each in nodes.items(extends)] or [nodes.text(extends)]
    found = [node for name in names if name and (node := nodes.get(tree, name))]
    again = [node for each in found if (node := nodes.get(tree, nodes.text(nodes.get(each, "extends"))))]
    return [*found, *again]


def _circle(tree: yaml.Node, path: str, local: Sequence[CiJob]) -> Iterator[CiJob]:
    for name, job in nodes.pairs(nodes.get(tree, "jobs")):
        steps = [nodes.get(step, "run") for step in nodes.items(nodes.get(job, "steps"))]
        done = [each for run in steps for each in _script(nodes.get(run, "command") or run)]
        envs = [
            _settings(nodes.get(job, "environment")),
            *(_settings(nodes.get(run, "environment")) for run in steps),
        ]
        made = CiJob(
            "CircleCI",
            name,
            Where(path, nodes.line_of(job) - nodes.below(job)),
            postgresql=_service(nodes.get(job, "docker"), path),
            settings=next((each for each in reversed(envs) if each), ""),
        )
        yield _with(made, done, local)


# ------------------------------------------------------------------ local runners


def _local(project: Path, unread: list[Unread]) -> Iterator[CiJob]:
    makefiles = (name for name in ("Makefile", "makefile", "GNUmakefile") if (project / name).is_file())
    for name, reader in ((next(makefiles, "Makefile"), _makefile), ("tox.ini", _tox), ("noxfile.py", _nox)):
        if (text := _text(project, name, unread)) is not None:
            try:
                yield from list(reader(text, name))
            except (configparser.Error, SyntaxError, ValueError, RecursionError) as error:
                unread.append(_unreadable(name, error))


def _makefile(text: str, name: str) -> Iterator[CiJob]:
    """The targets of a Makefile: a line that begins a rule, and the tabbed lines below it."""
    target, start, recipe = "", 0, list[str]()
    lines = text.split("\n")
    for number, line in enumerate([*lines, "end:"], 1):
        if line.startswith("\t"):
            recipe.append(line[1:].lstrip("@-+"))
        elif ":" in line and not line.startswith((" ", "#", ".")) and ":=" not in line:
            if recipe:
                yield _with(
                    CiJob("Makefile", target, Where(name, start), local=True),
                    list(commands("\n".join(recipe), start + 1)),
                )
            target, start, recipe = line.partition(":")[0].strip(), number, []


def _tox(text: str, name: str) -> Iterator[CiJob]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
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
            job = CiJob("tox", section.partition(":")[2], Where(name, line), local=True, settings=setting)
            yield _with(job, list(commands(script, line)))


def _nox(text: str, name: str) -> Iterator[CiJob]:
    """Functions of noxfile.py under @nox.session, and the words they hand to session.run."""
    for node in ast.parse(text).body:
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
        yield _with(CiJob("nox", node.name, Where(name, node.lineno), local=True), done)


# ------------------------------------------------------------------ commands of a job


def _with(job: CiJob, done: Sequence[Command], local: Sequence[CiJob] = ()) -> CiJob:
    """The job with the first line that does each thing; what it leaves to a local runner counts as its own."""
    seen: dict[str, Where] = {}
    calls: list[Call] = []
    for each in done:
        where = Where(job.where.path, each.line)
        if each.act in ("make", "tox", "nox"):
            system = {"make": "Makefile"}.get(each.act, each.act)
            for other in local:
                if other.system == system and each.target in ("", other.name):
                    for kind in ("tests", "migrates", "restores", "catalog"):
                        if getattr(other, kind) is not None:
                            seen.setdefault(kind, where)
                    off = each.skipped or _forgiven(each)
                    calls += [Call(call.name, where, off or call.skipped) for call in other.calls]
        elif each.act == "calls":
            calls.append(Call(each.target, where, each.skipped or _forgiven(each)))
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
        calls=tuple(calls),
    )


def _forgiven(command: Command) -> str:
    return "|| true" if command.forgiven else ""


def _script(node: yaml.Node | None) -> Iterator[Command]:
    """The commands of a script: one text, or a list of them."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for each in nodes.items(node):
            yield from _script(each)
    elif isinstance(node, yaml.ScalarNode):
        yield from commands(str(node.value), nodes.line_of(node) + (1 if node.style in ("|", ">") else 0))


def _settings(env: yaml.Node | None) -> str:
    return nodes.text(nodes.get(env, _VARIABLE))


def _service(node: yaml.Node | None, path: str) -> Where | None:
    """A service container whose image or name is PostgreSQL's."""
    entries = [(name, value) for name, value in nodes.pairs(node)] or [
        ("", each) for each in nodes.items(node)
    ]
    for name, value in entries:
        image = (
            nodes.text(nodes.get(value, "image")) or nodes.text(nodes.get(value, "name")) or nodes.text(value)
        )
        if any(word in f"{name} {image}".lower() for word in _POSTGRES):
            return Where(path, nodes.line_of(value))
    return None
