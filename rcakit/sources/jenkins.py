"""The stages of a Jenkinsfile, declarative or scripted: what they run, in which image, and what forgives a failure.

A stage is a job here; what is around it (an agent, an environment, a container that runs beside it) counts for it too. A server
that a step starts is there for the stages after it. What is made up while the pipeline runs, or comes from a shared library, is
told as unread.

https://www.jenkins.io/doc/book/pipeline/syntax/ · https://www.jenkins.io/doc/book/pipeline/docker/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rcakit.facts import CiJob, Unread, Where
from rcakit.sources.groovy import GroovyError, Statement, Token, named, positional, statements
from rcakit.sources.shell import Command, commands, starts_postgresql

SYSTEM = "Jenkins"
PATHS = ("Jenkinsfile", ".jenkins/Jenkinsfile", "ci/Jenkinsfile", "jenkins/Jenkinsfile")
_SHELLS = frozenset({"sh", "bat", "powershell", "pwsh"})
_SETTINGS = "DJANGO_SETTINGS_MODULE"
_HARMLESS = frozenset({"SUCCESS", "UNSTABLE", "NOT_BUILT"})
_SERVERS = ("postgres", "postgis", "timescale", "pgvector")
_TYPES = frozenset({"def", "void", "private", "static", "String", "Object", "boolean", "int"})


@dataclass(frozen=True, slots=True)
class _Around:
    """What a statement gets from those it is in."""

    postgresql: Where | None = None
    settings: str = ""
    forgiven: bool = False


@dataclass
class _Job:
    job: CiJob
    done: list[Command] = field(default_factory=list)


@dataclass
class _Reading:
    path: str
    functions: Mapping[str, list[Statement]]
    jobs: list[_Job] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    started: Where | None = None
    """The step that started a server, from there on."""
    calls: tuple[str, ...] = ()

    def walk(self, body: Sequence[Statement], around: _Around, job: _Job) -> None:
        around = self._with_settings_of(body, around)
        for number, each in enumerate(body):
            self._statement(each, body[number + 1 :], around, job)

    def _statement(self, each: Statement, after: Sequence[Statement], around: _Around, job: _Job) -> None:
        name = each.name
        if name in _SHELLS:
            self._shell(each, around, job)
        elif name == "load" or name.startswith("@Library") or name == "library":
            self._tell("what a shared library or another script adds is not read", each.line)
        elif name in ("yamlFile", "dockerfile"):
            self._tell("the file that describes the containers is not read", each.line)
        elif name in self.functions and each.body is None and name not in self.calls:
            calls, self.calls = self.calls, (*self.calls, name)
            self.walk(self.functions[name], around, job)
            self.calls = calls
        inner = self._inside(each, after, around)
        if name == "stage" and each.body is not None:
            title = positional(each.head)
            made = self._job(title.value if title else "stage", each.line, inner)
            self.walk(each.body, inner, made)
        elif each.body is not None:
            self.walk(each.body, inner, job)
        elif inner.postgresql is not None and any(token.value == "docker.image" for token in each.head):
            self.started = self.started or inner.postgresql  # docker.image('..').run(): until it is stopped

    def _job(self, name: str, line: int, around: _Around) -> _Job:
        where = around.postgresql or self.started
        made = _Job(CiJob(SYSTEM, name, Where(self.path, line), postgresql=where, settings=around.settings))
        self.jobs.append(made)
        return made

    def _shell(self, each: Statement, around: _Around, job: _Job) -> None:
        """The commands of a step; `returnStatus: true` hands its failure to the script."""
        given = named(each.head, "script") or positional(each.head)
        if given is None or given.kind != "text" or _made_up(given.value):
            self._tell("a command is made up while the pipeline runs", each.line)
            return
        status = named(each.head, "returnStatus")
        forgiven = around.forgiven or (status is not None and status.value == "true")
        if self.started is None and starts_postgresql(given.value):
            self.started = Where(self.path, given.line + given.value.partition("postgres")[0].count("\n"))
        job.done += [
            replace(command, forgiven=command.forgiven or forgiven)
            for command in commands(given.value, given.line)
        ]
        job.job = replace(
            job.job,
            postgresql=job.job.postgresql or around.postgresql or self.started,
            settings=around.settings or job.job.settings,
        )

    def _inside(self, each: Statement, after: Sequence[Statement], around: _Around) -> _Around:
        """What holds between the braces of a statement."""
        variables = [token.value.partition("=") for token in each.texts if each.name == "withEnv"]
        settings = next((value for name, _, value in variables if name == _SETTINGS), around.settings)
        forgiven = around.forgiven or _forgives(each, after)
        own = self._image(each) or next(
            (found for within in _agents(each) if (found := self._image(within))), None
        )
        return _Around(own or around.postgresql, settings, forgiven)

    def _with_settings_of(self, body: Sequence[Statement], around: _Around) -> _Around:
        """What `environment { }` and `agent { }` of a block say for all of it."""
        for each in body:
            for line in (each.body or ()) if each.name == "environment" else ():
                if line.name == _SETTINGS and line.texts:
                    around = replace(around, settings=line.texts[0].value)
            for within in _agents(each) if each.name == "agent" else ():
                around = replace(around, postgresql=around.postgresql or self._image(within))
        return around

    def _image(self, each: Statement) -> Where | None:
        """Where a statement names an image of PostgreSQL's."""
        given = _image_of(each)
        if given is None:
            return None
        for number, line in enumerate(given.value.split("\n"), given.line):
            said = line.strip().removeprefix("- ")
            about = "\n" not in given.value or said.startswith("image:")
            if about and any(word in line.lower() for word in _SERVERS):
                return Where(self.path, number)
        if given.kind != "text" or ("$" in given.value and "\n" not in given.value):
            self._tell("the image is made up while the pipeline runs", given.line)
        return None

    def _tell(self, why: str, line: int) -> None:
        told = Unread("ci", why, Where(self.path, line), blocking=False)
        if told not in self.unread:
            self.unread.append(told)


def read(script: str, path: str) -> tuple[list[tuple[CiJob, list[Command]]], list[Unread]]:
    """The stages of a Jenkinsfile with the commands they run, in order, and what could not be told."""
    try:
        body = statements(script)
    except GroovyError as error:
        where = Where(path, error.line)
        return [], [Unread("ci", f"the Jenkinsfile cannot be read: {error}", where, blocking=False)]
    functions = dict(_functions(body))
    reading = _Reading(path, functions)
    rest = _Job(CiJob(SYSTEM, "pipeline", Where(path, 1)))
    reading.walk([each for each in body if _function_name(each) is None], _Around(), rest)
    jobs = [*reading.jobs, *([rest] if rest.done else [])]
    if not jobs:
        reading._tell("no stage and no command was found", 1)
    return [(each.job, each.done) for each in jobs], reading.unread


def _functions(body: Iterable[Statement]) -> Iterator[tuple[str, list[Statement]]]:
    for each in body:
        name = _function_name(each)
        if name is not None and each.body is not None:
            yield name, each.body


def _function_name(each: Statement) -> str | None:
    """`def build(...) { }` -> "build"; None for anything else."""
    words = [token for token in each.head if token.value not in _TYPES]
    defined = each.body is not None and each.name in _TYPES and len(words) > 1 and words[1].value == "("
    return words[0].value if defined else None


def _agents(each: Statement) -> list[Statement]:
    """The lines of `agent { docker { image '..' } }`, without those of other blocks."""
    if each.name != "agent":
        return []
    inner = each.body or []
    return [*inner, *(line for kind in inner for line in kind.body or ())]


def _image_of(each: Statement) -> Token | None:
    """The token that names an image, or holds the YAML of a pod."""
    rest = [token for token in each.head[1:] if token.value not in ("(", "=")]
    if each.name in ("image", "yaml", "docker.image") or (each.name == "docker" and each.body is None):
        return rest[0] if rest else None
    if each.name in ("containerTemplate", "podTemplate"):
        return named(each.head, "image") or named(each.head, "yaml")
    place = next((n for n, token in enumerate(each.head) if token.value == "docker.image"), None)
    if place is None:  # def db = docker.image('..')
        inside = next((n for n, token in enumerate(each.head) if token.value == "containerTemplate"), None)
        return None if inside is None else named(each.head[inside:], "image")
    return next((token for token in each.head[place + 1 :] if token.value != "("), None)


def _made_up(script: str) -> bool:
    """The command itself is a variable; `${VENV}/bin/pytest` is not."""
    word = script.strip()
    return word.startswith("$") and "/" not in word.partition("}" if word.startswith("${") else " ")[2][:1]


def _forgives(each: Statement, after: Sequence[Statement]) -> bool:
    """A failure within does not fail the build."""
    if each.name == "warnError":
        return True
    if each.name == "catchError":
        result = named(each.head, "buildResult")
        return result is not None and result.value in _HARMLESS
    if each.name != "try" or not after or after[0].name != "catch":
        return False
    return not any(_fails(line) for line in after[0].body or ())


def _fails(each: Statement) -> bool:
    said = {token.value for token in each.head}
    return (
        each.name in ("throw", "error")
        or bool(said & {"FAILURE", "ABORTED"})
        or any(_fails(line) for line in each.body or ())
    )
