"""Run a project's own tests in a copy of it, and read what each of them said.

The tests run in the project's interpreter, through its own runner, with its own settings; a module laid over those settings keeps
every database that is not SQLite on the scratch server. Results are read as JUnit XML, from pytest itself or, for
`manage.py test`, from `junit_of_unittest.py`. What the run prints is not kept: it may hold secrets.
"""

from __future__ import annotations

import re
import secrets
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import psycopg
from psycopg import sql

from rcakit import evidence
from rcakit.credentials import blanked
from rcakit.errors import ScratchError
from rcakit.facts import Suite
from rcakit.replay.environment import environment
from rcakit.scratch import SUPERUSER, Server
from rcakit.sources import django_live
from rcakit.sources.process import end
from rcakit.sources.suite_settings import pytest_options
from rcakit.undo.copies import write

Outcome = Literal["passed", "failed", "error", "skipped"]
""""error": not the test itself failed, but what had to be there before it."""
RED: frozenset[Outcome] = frozenset({"failed", "error"})
RECORDER = Path(__file__).with_name("junit_of_unittest.py")
OVERLAY = "rcakit_scratch_settings"
LARGEST = 50_000_000
"""Bytes of a result file that are read."""

_SETTINGS = '''"""The settings of the tests, every database that is not SQLite on a scratch server."""

from {module} import *  # noqa: F403


def _here(alias, values):
    if str(values.get("ENGINE", "")).endswith("sqlite3"):
        return values
    options = {{key: value for key, value in values.get("OPTIONS", {{}}).items() if key in ("options", "isolation_level")}}
    test = {{**values.get("TEST", {{}}), "NAME": {name!r} + "_" + alias, "TEMPLATE": {template!r}}}
    here = {{"HOST": {host!r}, "PORT": "5432", "NAME": "postgres", "USER": {user!r}, "PASSWORD": ""}}
    return {{**values, **here, "OPTIONS": options, "TEST": test}}


DATABASES = {{alias: _here(alias, dict(values)) for alias, values in DATABASES.items()}}  # noqa: F405
'''
_REASONS = re.compile(
    r"^(?:E\s+)?(ModuleNotFoundError|ImportError): (No module named '[\w.]+'|cannot import name '\w+' from '[\w.]+')"
)
"""What Python itself says of imports; any other message is the project's own, and may hold what its settings hold."""
_ERRORS = re.compile(r"^(?:E\s+)?((?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Configured|DoesNotExist))\b")


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the tests gave: dotted test id -> outcome; `problem` says why there is none, "" else.

    `ended` is False for one that was not started, or took too long: whether it would have been red is not known.
    """

    results: Mapping[str, Outcome] = field(default_factory=dict)
    problem: str = ""
    ended: bool = True

    @property
    def broken(self) -> bool:
        """No test could even begin: the run as a whole is red, and no test by itself has seen anything."""
        own = {outcome for outcome in self.results.values() if outcome != "skipped"}
        return self.ended and (own == {"error"} or not self.results)


@dataclass(frozen=True)
class Runner:
    """How the tests of one project are run, whatever copy of it they are run in.

    `command` replaces the detected one; it must write JUnit XML to the path that stands for `{junit}` in it.
    """

    project: Path
    suite: Suite
    server: Server
    template: str
    python: str | None = None
    settings: str = ""
    """The settings module the tests run with; "": the suite's own."""
    switch: tuple[str, str] | None = None
    command: Sequence[str] = ()
    timeout: float = 300
    """Seconds for one run."""

    def run(self, copy: Path) -> Ran:
        """Run the tests in a copy of the project; its files may be added to. The test databases are gone afterwards."""
        module = self.settings or self.suite.settings
        name = f"test_{secrets.token_hex(4)}"
        text = _SETTINGS.format(
            module=module, name=name, template=self.template, host=str(self.server.socket), user=SUPERUSER
        )
        write(copy, f"{OVERLAY}.py", text)
        try:
            with tempfile.TemporaryDirectory(prefix="junit-", dir=self.server.socket) as place:
                return self._ran(copy, Path(place))
        finally:
            self._drop(name)

    def _ran(self, copy: Path, place: Path) -> Ran:
        report, said = place / "junit.xml", place / "output"
        command = self._command(copy, report)
        with said.open("wb") as output:
            try:
                process = subprocess.Popen(
                    command,
                    cwd=copy,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return Ran(problem=f"{command[0]} could not be started: {error.strerror}", ended=False)
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                return Ran(problem=f"the tests did not end within {self.timeout:g} seconds", ended=False)
            finally:
                end(process)
        results = read_junit(report)
        if not results:
            return Ran(problem=f"the test command ended with code {code} and no result{_reason(said)}")
        ran = Ran(results)
        return replace(ran, problem=f"no test could begin{_reason(said)}") if ran.broken else ran

    def _command(self, copy: Path, report: Path) -> list[str]:
        python = django_live.find_python(self.project, self.python)
        if self.command:
            words = {"{python}": python, "{junit}": str(report)}
            return [words.get(word, word.replace("{junit}", str(report))) for word in self.command]
        if self.suite.command == "pytest":
            _, given = pytest_options(copy) or ("", {})
            names_settings = "--ds" in given.get("addopts", "") or "DJANGO_SETTINGS_MODULE" in given
            return [
                *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                "--tb=native",  # nobody reads how it came to a failure: not to look up each line's source is quicker
                *(f"--junitxml={report}", "-o", "junit_family=xunit1"),
                *(("--ds", OVERLAY, "--create-db") if names_settings else ()),
            ]
        return [python, str(RECORDER), str(report), "manage.py", "test", "--no-input"]

    def _environment(self) -> dict[str, str]:
        made = {
            name: value
            for name, value in environment(self.server).items()
            if not name.startswith(("PYTEST_", "RCAKIT_"))
        }
        return made | {"DJANGO_SETTINGS_MODULE": OVERLAY} | dict([self.switch] if self.switch else [])

    def _drop(self, name: str) -> None:
        mine = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        try:
            with self.server.connect() as connection:
                for (each,) in connection.execute(mine, [name]).fetchall():
                    connection.execute(drop.format(sql.Identifier(str(each))))
        except psycopg.OperationalError as error:
            raise ScratchError(
                f"the scratch server was lost while tests ran: {evidence.reason(error)}",
                hint="was it stopped, or out of memory or disk? Audit again.",
            ) from error


def split(command: str) -> tuple[str, ...]:
    """A command line of the settings file in words, as a shell would split it."""
    return tuple(shlex.split(command))


def dotted(node_id: str) -> str:
    """ "shop/tests.py::ShopTests::test_it[1]" -> "shop.tests.ShopTests.test_it", what JUnit calls it."""
    path, *names = node_id.split("::")
    return ".".join([path.removesuffix(".py").replace("/", "."), *names]).partition("[")[0]


def read_junit(path: Path) -> dict[str, Outcome]:
    """Dotted test id -> outcome; a test with several parameters failed when one of them did. Empty when there is none."""
    try:
        if path.stat().st_size > LARGEST:
            return {}
        root = ElementTree.fromstring(path.read_bytes())  # noqa: S314  written by the project's runner, which ran anyway
    except (OSError, ElementTree.ParseError):
        return {}
    found: dict[str, Outcome] = {}
    for name, outcome in _cases(root):
        order: tuple[Outcome, ...] = ("failed", "error", "passed", "skipped")
        found[name] = min(outcome, found.get(name, outcome), key=order.index)
    return found


def _cases(root: ElementTree.Element) -> Iterator[tuple[str, Outcome]]:
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '').partition('[')[0]}".strip(".")
        tags = {child.tag for child in case}
        if "failure" in tags:
            yield name, "failed"
        elif "error" in tags:
            yield name, "error"
        else:
            yield name, "skipped" if "skipped" in tags else "passed"


def _reason(said: Path) -> str:
    """The error that ended a run, as far as it can be repeated: Python's own words about imports, else its kind."""
    lines = blanked(said.read_text("utf-8", "replace").split("\n")[-2000:])
    for line in reversed(lines):
        if match := _REASONS.match(line.strip()):
            return f": {match[1]}: {match[2]}"
    kinds = [match[1] for line in reversed(lines) if (match := _ERRORS.match(line.strip()))]
    return f": {kinds[0]}" if kinds else ""
