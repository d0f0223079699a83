"""Where a gate is proved: copies of a project, databases on a throwaway server, and the looks a pipeline's step takes at them."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import psycopg

import rcakit
from rcakit import evidence, remedy
from rcakit.case import PLACEMENT, Case
from rcakit.errors import ProjectError, ScratchError
from rcakit.gating import CONFIG, Gate
from rcakit.gating.faults import Fault
from rcakit.remedy import Repair
from rcakit.replay.environment import environment
from rcakit.scratch import SUPERUSER, Server
from rcakit.sources import django_live, process
from rcakit.sources.project import settings_module
from rcakit.target import load
from rcakit.undo.copies import copied, write

Colour = Literal["green", "red"]
MIGRATE = "migrate"
VERIFY = "verify_schema_placement"
CHECK = "rcakit check"
_OVERLAY = "rcakit_gate_settings"
_SETTINGS = '''"""The settings of the project, its databases on a scratch server."""

from {module} import *  # noqa: F403


def _here(values):
    if str(values.get("ENGINE", "")).endswith("sqlite3"):
        return values
    here = {{"HOST": {host!r}, "PORT": "5432", "NAME": {name!r}, "USER": {user!r}, "PASSWORD": "", "OPTIONS": {{}}}}
    return {{**values, **here}}


DATABASES = {{alias: _here(dict(values)) for alias, values in DATABASES.items()}}  # noqa: F405
'''
_PATIENCE_S = 300
_DSN = "RCAKIT_PROOF_"
"""What the variables begin with that name a database of the bench."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one of the three said: `problem` is "" when all is well; only a `found` one is a fault that was noticed."""

    problem: str = ""
    found: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The looks of one gate: "migrate", "verify_schema_placement", "rcakit check"."""

    looks: Mapping[str, Look]

    @property
    def caught_by(self) -> tuple[str, ...]:
        """Who noticed; what could not be checked is not noticed."""
        return tuple(name for name, look in self.looks.items() if look.found)

    @property
    def colour(self) -> Colour:
        """With a fault in it. What migrations by themselves stumble over is no merit of the gate."""
        return "red" if {VERIFY, CHECK} & set(self.caught_by) else "green"

    @property
    def clean(self) -> bool:
        """Nobody had anything to say."""
        return not self.said

    @property
    def said(self) -> str:
        """The problem that tells most: of `verify_schema_placement`, else of the check, else of the migrations."""
        order = (self.looks[name].problem for name in (VERIFY, CHECK, MIGRATE))
        return next((problem for problem in order if problem), "")


@dataclass(frozen=True, slots=True)
class Tried:
    """A fault, and what the gate made of it."""

    kind: str
    object: str
    seen: Seen


@dataclass
class Bench:
    """Where the copies are made, migrated and looked at."""

    case: Case
    server: Server
    place: Path
    gate: Gate

    @cached_property
    def repair(self) -> Repair | None:
        """What makes a project with misplaced tables one without."""
        misplaced = any(finding.code in PLACEMENT for finding in self.case.findings)
        return remedy.option(self.case, "A") if misplaced else None

    @property
    def base(self) -> str:
        return "the project with repair option A" if self.repair else "the project as it is"

    @property
    def moved_by(self) -> str:
        return self.repair.migrations[0] if self.repair else ""

    def project(self) -> Path:
        """The project with the gate in it, and repaired where it has to be."""
        copy = copied(self.case.project, self.place / "base")
        repaired = self.repair.changed if self.repair else {}
        for path, text in {**repaired, **self.gate.changed}.items():
            write(copy, path, text)
        return copy

    def tried(self, fault: Fault, base: Path, template: str, clean: Case) -> Tried:
        """One fault in a copy and a database of its own."""
        copy = copied(base, self.place / fault.kind)
        fault.inject(copy, clean.accounts)
        with self.server.database("fault", template=None if fault.fresh else template) as dbname:
            return Tried(fault.kind, fault.object, self.look(copy, dbname, fault.statements))

    def look(self, copy: Path, dbname: str, statements: Sequence[str] = ()) -> Seen:
        """Migrate, do what a fault does to the database, and let the gate look."""
        code, _ = self._manage(copy, dbname, "migrate", "--no-input")
        migrated = Look(f"manage.py migrate ended with exit code {code}", found=True) if code else Look()
        self._run(dbname, statements)
        verified = _verdict(*self._manage(copy, dbname, VERIFY, "--database", "default", "--format", "json"))
        checked = self._check(copy, dbname)
        return Seen({MIGRATE: migrated, VERIFY: verified, CHECK: checked})

    def _run(self, dbname: str, statements: Sequence[str]) -> None:
        try:
            with self.server.connect(dbname) as connection:
                for each in statements:
                    connection.execute(each.encode())
        except psycopg.Error as error:
            raise ScratchError(
                f"a fault could not be put into a database: {evidence.reason(error)}",
                hint="this is a fault of rcakit: report it, with the definition of the table",
            ) from error

    def _manage(self, copy: Path, dbname: str, *words: str) -> tuple[int, bytes]:
        """One command of the project: its exit code and standard output."""
        module = settings_module(copy, self.case.target.settings)
        text = _SETTINGS.format(module=module, host=str(self.server.socket), name=dbname, user=SUPERUSER)
        write(copy, f"{_OVERLAY}.py", text)
        python = django_live.find_python(self.case.project, self.case.target.interpreter)
        env = environment(self.server) | {"DJANGO_SETTINGS_MODULE": _OVERLAY}
        try:
            return process.answer([python, "manage.py", *words], copy, env, _PATIENCE_S)
        except TimeoutError:
            raise ProjectError(
                f"manage.py {words[0]} did not end within {_PATIENCE_S} seconds in a copy of the project",
                hint="see that it runs with that interpreter (--python)",
            ) from None

    def _check(self, copy: Path, dbname: str) -> Look:
        case = self.case_of(copy, dbname)
        found = [each for each in case.findings if each.severity != "note"]
        blocked = [each for each in case.unread if each.blocking]
        if found:
            return Look(f"{found[0].code} {found[0].object}: {found[0].message}", found=True)
        return Look(f"could not check: {blocked[0].reason}") if blocked else Look()

    def case_of(self, copy: Path, dbname: str) -> Case:
        """What `rcakit check` finds in a copy, by the settings that the patch brought: a case that was read."""
        name = f"{_DSN}{secrets.token_hex(4).upper()}"
        target = self.case.target
        options = {
            "dsn_env": name,
            "python": target.interpreter,
            "settings": target.settings,
            "project": copy,
        }
        os.environ[name] = self.server.conninfo(dbname)
        given = load(copy / CONFIG, **options)
        case = Case(given.model_copy(update={"waivers": (*given.waivers, *target.waivers)}))
        _ = case.findings
        return case


def _verdict(code: int, answer: bytes) -> Look:
    """What verify_schema_placement said, by its own document."""
    if code == 0:
        return Look()
    try:
        rows = [row for row in json.loads(answer)["tables"] if row["verdict"] != "ok"]
    except (ValueError, KeyError):
        rows = []
    if code != 1 or not rows:
        return Look(f"{VERIFY} could not check: exit code {code}")
    first = rows[0]
    where = first["found"] or first["nearest"]
    return Look(
        f"{first['expected_schema']}.{first['table']} is {first['verdict']}"
        + (f": it is {where}" if where else ""),
        found=True,
    )


@contextmanager
def importable(place: Path) -> Iterator[None]:
    """rcakit, and nothing else of its interpreter, on the path of the project's own, where it may not be installed yet.

    The variables that name the databases go at the end, too: until then several threads read the environment.
    """
    place.mkdir()
    (place / "rcakit").symlink_to(Path(rcakit.__file__).parent)
    was = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(place), was)))
    try:
        yield
    finally:
        for name in [each for each in os.environ if each.startswith(_DSN)]:
            del os.environ[name]
        if was is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = was
