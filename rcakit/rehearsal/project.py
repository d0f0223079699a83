"""The project's own side of a rehearsal: its models read and write on the copy, and Django says what it would migrate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rcakit.errors import ProjectError
from rcakit.replay.environment import environment
from rcakit.scratch import SUPERUSER, Server
from rcakit.sources import django_live, process
from rcakit.sources.project import settings_module

SCRIPT = Path(django_live.__file__).with_name("django_round_trip.py")
_PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What the project said.

    models
        label -> (rows, what was done) or (None, the error).
    pending
        what `makemigrations --check` would write; "" for nothing.
    """

    models: dict[str, tuple[int | None, str]]
    pending: str


def ask(
    project: Path,
    settings: str | None,
    python: str | None,
    server: Server,
    dbname: str,
    labels: Iterable[str],
) -> Answer:
    """Run it. Raises ProjectError when the project does not load, or does not end in time."""
    module = settings_module(project, settings)
    interpreter = django_live.find_python(project, python)
    order = {"host": str(server.socket), "port": "5432", "user": SUPERUSER, "database": dbname}
    command = [interpreter, str(SCRIPT), module, json.dumps({**order, "models": list(labels)})]
    try:
        code, said = process.answer(command, project, environment(server), _PATIENCE_S)
    except TimeoutError:
        raise ProjectError(
            f"the project could not be asked on the copy: it did not answer within {_PATIENCE_S} seconds",
            hint="see that `manage.py check` passes with that interpreter",
        ) from None
    lines = django_live.told(said)
    if not lines or lines[-1]["kind"] != "end":
        raise django_live.silent(interpreter, code)
    for line in lines:
        if line.get("stage") == "elsewhere":
            raise ProjectError(
                f"the database alias {line['alias']!r} still leads elsewhere: nothing was asked",
                hint="its backend or settings choose the server by themselves; rehearse with other --settings",
            )
        if line["kind"] == "error":
            raise django_live.failed(line, module, interpreter)
    models = {
        line["label"]: (line["rows"], line["error"] or line["done"])
        for line in lines
        if line["kind"] == "model"
    }
    asked = next(line for line in lines if line["kind"] == "pending")
    return Answer(models, asked["error"] or asked["text"])
