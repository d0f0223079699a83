"""The declared account, told by the project's own interpreter and its own Django.

`django_probe.py` runs there and answers in JSON lines; this module starts it, bounds it in time and turns the lines into
facts. The project's code runs (its settings, models and migrations are imported), with no database to talk to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rcakit.credentials import blanked, withheld
from rcakit.errors import ProjectError
from rcakit.facts import Declared, Field, Migration, Model, ModelIndex, Operation, Unread, Where
from rcakit.sources import django_static, process
from rcakit.sources.project import settings_module

PROBE = Path(__file__).with_name("django_probe.py")
PACKAGE = PROBE.parent.parent
OWN = (
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "PYTHONSAFEPATH",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
)
OLDEST_PYTHON = (3, 8)

Line = dict[str, Any]


def read(project: Path, *, settings: str | None, python: str | None, timeout: float = 120) -> Declared:
    """Read models and migrations in the project's interpreter; `timeout` is in seconds.

    `python` is a path or a name on PATH; None means the project's own `.venv` or `venv`, else this interpreter.
    Model classes in the project's files that the framework never loaded come last, `installed` False.
    A field that belongs to the primary key or is unique has `index` set, as PostgreSQL makes one for it.
    Raises ProjectError when the interpreter, the settings, a model or a migration fails, or time runs out.
    """
    project = project.absolute()
    module = settings_module(project, settings)
    interpreter = find_python(project, python)
    code, answer = _run([interpreter, str(PROBE), module], project, timeout)
    lines = told(answer)
    failure = next((line for line in lines if line["kind"] == "error"), None)
    if failure is not None:
        raise failed(failure, module, interpreter)
    if not lines or lines[-1]["kind"] != "end":
        raise silent(interpreter, code)
    declared = _declared(lines)
    return replace(declared, models=(*declared.models, *django_static.strangers(project, declared.models)))


def find_python(project: Path, python: str | None) -> str:
    """The interpreter to run the project with. Raises ProjectError when it is not there or not executable."""
    if python is None:
        own = [
            project / name / tail
            for name in (".venv", "venv")
            for tail in ("bin/python", "Scripts/python.exe")
        ]
        return next((str(path) for path in own if path.is_file()), sys.executable)
    for candidate in (python, str(project / python)):
        found = shutil.which(os.path.expanduser(candidate))
        if found:
            return os.path.abspath(found)  # a virtual environment's python is a link: it must not be resolved
    raise ProjectError(
        f"the Python interpreter {python!r} was not found or cannot be executed",
        hint="name the interpreter of the project's environment with --python, such as .venv/bin/python",
    )


def environment() -> dict[str, str]:
    """This process's environment without what describes rcakit's own interpreter; no bytecode is written."""
    env = {name: value for name, value in os.environ.items() if name not in OWN}
    path = [part for part in env.pop("PYTHONPATH", "").split(os.pathsep) if part and not _holds_rcakit(part)]
    if path:
        env["PYTHONPATH"] = os.pathsep.join(path)
    return {**env, "PYTHONDONTWRITEBYTECODE": "1"}


def _holds_rcakit(part: str) -> bool:
    return Path(part).resolve() in (PACKAGE, PACKAGE.parent)


def _run(command: list[str], project: Path, timeout: float) -> tuple[int, bytes]:
    try:
        return process.answer(command, project, environment(), timeout)
    except TimeoutError:
        raise ProjectError(
            f"the project in {project} was not read within {timeout:g} seconds; its process was ended",
            hint="see what its settings or AppConfig.ready() wait for, or read it without running it (static)",
        ) from None


def told(answer: bytes) -> list[Line]:
    """What the project's process said, without secrets, up to where it was cut off."""
    found: list[Line] = []
    environ = dict(os.environ)
    for text in answer.splitlines():
        try:
            line = heard(text, environ)
        except ValueError:
            return found  # cut off in the middle: the missing "end" tells
        found += [line] if line else []
    return found


def heard(text: bytes, environ: dict[str, str]) -> Line | None:
    """One line that the project's process says, without secrets. Raises ValueError when it is cut off.

    What `environ` knows for a password is blanked in all of it; the words of an exception are the project's own, and
    withheld when they look like one. The settings' own secrets come first: None, and `environ` knows them too.
    """
    line: Line = json.loads(text)
    if line["kind"] == "secrets":
        environ.update({f"{name} {at}": value for at, (name, value) in enumerate(line["settings"])})
        return None
    words = {key: withheld(line[key]) for key in ("error", "reason") if isinstance(line.get(key), str)}
    return blanked({**line, **words}, environ)


# ------------------------------------------------------------------ failures


def failed(line: Mapping[str, Any], module: str, interpreter: str) -> ProjectError:
    """What the probe said went wrong, as a sentence with its remedy."""
    stage = line["stage"]
    if stage == "no-django":
        return ProjectError(
            f"Django is not installed for {interpreter} (Python {line['python']})",
            hint="name the interpreter of the project's environment with --python",
        )
    if stage == "python":
        return _too_old(interpreter, line["python"])
    if stage == "version":
        return ProjectError(
            f"{line['framework']} is not supported: rcakit reads Django 3.2 to 6.x",
            hint="read the project without running it (static)",
        )
    where = where_of(line["where"])
    what = {
        "settings": f"the settings module {module!r} cannot be loaded",
        "setup": "the project's applications cannot be loaded",
        "models": "the project's models cannot be read",
        "migrations": "the project's migrations cannot be loaded",
    }[stage]
    place = f" at {where}" if where else ""
    missing = "ModuleNotFoundError" in line["error"]
    return ProjectError(
        f"{what}{place}: {line['error']}",
        hint="install what is missing, or name another --settings or --python"
        if missing
        else f"{'correct ' + str(where) if where else 'make `manage.py check` pass'}, or name another --settings",
    )


def _too_old(interpreter: str, version: str) -> ProjectError:
    return ProjectError(
        f"{interpreter} is Python {version}, too old to be asked: 3.8 is the first",
        hint="read the project without running it (static), or name a newer interpreter with --python",
    )


def silent(interpreter: str, code: int) -> ProjectError:
    """The probe ended without its last line: an interpreter too old, none at all, or one that was ended."""
    version = _version(interpreter)
    if version is None:
        return ProjectError(
            f"{interpreter} does not answer as a Python interpreter",
            hint="name the interpreter of the project's environment with --python",
        )
    if tuple(int(part) for part in version.split(".")) < OLDEST_PYTHON:
        return _too_old(interpreter, version)
    how = f"was ended by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
    return ProjectError(
        f"{interpreter} {how} while it loaded the project",
        hint="see that `manage.py check` passes with that interpreter",
    )


def _version(interpreter: str) -> str | None:
    ask = [interpreter, "-c", "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(ask, capture_output=True, timeout=10, env=environment(), text=True, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.stdout.replace(".", "").isdigit() else None


# ------------------------------------------------------------------ lines into facts


def _declared(lines: Iterable[Line]) -> Declared:
    grouped: dict[str, list[dict[str, Any]]] = {"project": [], "model": [], "migration": [], "unread": []}
    for line in lines:
        facts = dict(line)
        grouped.get(facts.pop("kind"), []).append(facts)
    project = grouped["project"][0]
    return Declared(
        "live",
        models=tuple(_model(facts) for facts in grouped["model"]),
        migrations=tuple(migration(facts) for facts in grouped["migration"]),
        unread=tuple(Unread(**{**facts, "where": where_of(facts["where"])}) for facts in grouped["unread"]),
        **{**project, "apps": tuple(project["apps"])},
    )


def where_of(place: Line | None) -> Where | None:
    """A place as the project's process tells it."""
    return Where(place["path"], place["line"]) if place else None


def _model(facts: dict[str, Any]) -> Model:
    return Model(
        **{
            **facts,
            "where": where_of(facts["where"]),
            "fields": tuple(_field(field) for field in facts["fields"]),
            "indexes": tuple(
                ModelIndex(**{**row, "columns": tuple(row["columns"])}) for row in facts["indexes"]
            ),
        }
    )


def _field(facts: dict[str, Any]) -> Field:
    target = facts["references"]
    return Field(**{**facts, "references": (target[0], target[1]) if target else None})


def migration(facts: dict[str, Any]) -> Migration:
    """A migration as the project's process tells it."""
    return Migration(
        **{
            **facts,
            "where": where_of(facts["where"]),
            "operations": tuple(_operation(operation) for operation in facts["operations"]),
            "dependencies": tuple((app, name) for app, name in facts["dependencies"]),
            "replaces": tuple((app, name) for app, name in facts["replaces"]),
        }
    )


def _operation(facts: dict[str, Any]) -> Operation:
    reverse = facts.get("reverse_sql")
    return Operation(
        **{
            **facts,
            "where": where_of(facts["where"]),
            "sql": tuple(facts.get("sql", ())),
            "reverse_sql": None if reverse is None else tuple(reverse),
        }
    )
