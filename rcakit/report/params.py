"""Parameters of a notebook: one pydantic model each, and text read by the model's types.

papermill guesses types from text, so that a migration `0003` becomes 3 and `no` becomes False. Here the model
decides. A parameter that looks like a credential is refused, because papermill stores every parameter twice
in the notebook it writes: https://papermill.readthedocs.io/en/latest/usage-parameterize.html
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from rcakit.credentials import looks_secret
from rcakit.errors import ConfigError
from rcakit.report.notebooks import nbformat

_PACKAGE = Path(__file__).parent.parent
_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list[str]": list[str]}


class Parameters(BaseModel):
    """Base of all notebooks' parameters: nothing unknown, nothing secret, values kept out of messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_credentials(cls, value: object) -> object:
        texts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(text, str) and looks_secret(text) for text in texts):
            raise ValueError(
                "looks like a credential, and a run keeps its parameters in clear; put the connection string "
                "into an environment variable and give that variable's NAME as dsn_env"
            )
        return value


class OnTarget(Parameters):
    """What names the target, the same in every notebook that has one."""

    config: str = Field(
        "", description="path of rcakit.toml; empty: found from the working directory upwards"
    )
    dsn_env: str = Field("", description="NAME of the environment variable that holds the connection string")
    service: str = Field("", description="or a service of pg_service.conf")
    project: str = Field("", description="directory of the Django project")
    settings: str = Field("", description="its settings module; empty: as manage.py says")
    python: str = Field("", description="its own interpreter, which runs its code; empty: none is named")
    show_code: bool = Field(False, description="open the code and SQL in the rendered report")


class StartHere(OnTarget):
    """notebooks/00_start_here.ipynb"""


class IncidentReport(OnTarget):
    """notebooks/10_incident_report.ipynb"""

    schemas: list[str] = Field([], description="look at these schemas alone; empty: at all")
    replay: bool = Field(
        False, description="also run the migrations on a scratch server: the project's code runs"
    )


class MigrationReplay(OnTarget):
    """notebooks/20_migration_replay.ipynb"""

    reverse: bool = Field(False, description="also undo each migration and do it again")


class Blindness(OnTarget):
    """notebooks/30_test_blindness.ipynb"""

    run_tests: bool = Field(True, description="run the project's own tests, on copies and scratch databases")


class RepairRehearsal(OnTarget):
    """notebooks/40_repair_rehearsal.ipynb"""

    option: str = Field(
        "A", pattern="^[ABC]$", description="A: move, B: keep the names, C: move with a bridge"
    )


class DriftWatch(OnTarget):
    """notebooks/50_drift_watch.ipynb"""


MODELS: Mapping[str, type[Parameters]] = {
    model.__name__: model
    for model in (StartHere, IncidentReport, MigrationReplay, Blindness, RepairRehearsal, DriftWatch)
}


def parse(model: type[Parameters], assignments: Iterable[str]) -> Parameters:
    """Read `name=value` texts, as `-p` gives them; a list parameter may be given several times.

    Raises ConfigError for a text without "=", an unknown name, a wrong type and a credential; the value is
    never repeated in the message.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError("a parameter is not of the form name=value", hint=_known(model))
        if name in model.model_fields and get_origin(model.model_fields[name].annotation) is list:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return validate(model, values)


def validate(model: type[Parameters], values: Mapping[str, Any]) -> Parameters:
    """Check values against the model. Raises ConfigError, which names the parameter and hides the value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        rows = [_problem(row["loc"], row["msg"], model) for row in error.errors(include_input=False)]
        raise ConfigError("; ".join(rows), hint=_known(model)) from None


def given(parameters: Parameters) -> dict[str, Any]:
    """What was given explicitly: JSON values for papermill; the notebook's own cell has the rest."""
    return parameters.model_dump(mode="json", exclude_unset=True)


def cell(model: type[Parameters]) -> str:
    """The source of the parameters cell: `name: type = value  # help`, one a line."""
    return "\n".join(
        f"{name}: {_type_name(field.annotation)} = {_literal(field.get_default())}  # {field.description}"
        for name, field in model.model_fields.items()
    )


def find(notebook: str | Path) -> Path:
    """A notebook by its path, or by name one of those that come with rcakit. Raises ConfigError."""
    path = Path(notebook)
    if path.is_file():
        return path
    name = path.name if path.suffix == ".ipynb" else f"{path.name}.ipynb"
    for folder in (_PACKAGE / "notebooks", _PACKAGE.parent / "notebooks"):
        if path.name == str(notebook) and (folder / name).is_file():
            return folder / name
    raise ConfigError(
        f"there is no notebook {notebook}", hint="give its path, or the name of one that comes with rcakit"
    )


def help_text(notebook: str | Path) -> str:
    """The parameters of a notebook, one a line: name, type, default, meaning."""
    path = find(notebook)
    model = of_notebook(path)
    rows = [
        f"  {name}: {_type_name(field.annotation)} = {_literal(field.get_default())}\n"
        f"      {field.description or ''}".rstrip()
        for name, field in model.model_fields.items()
    ]
    return "\n".join([f"Parameters of {path.name}:", *(rows or ["  none"])])


def of_notebook(path: Path) -> type[Parameters]:
    """The model a notebook's metadata names (`rcakit.parameters`), else one made from its parameters cell.

    Raises ConfigError when the file is no notebook, or the cell has a line that is not `name: type = value`.
    """
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise ConfigError(f"cannot read {path} as a notebook: {error}", hint="check the path") from None
    named = MODELS.get(notebook.metadata.get("rcakit", {}).get("parameters", ""))
    return named or _made_from(notebook, path)


def _made_from(notebook: nbformat.NotebookNode, path: Path) -> type[Parameters]:
    sources = [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    fields: dict[str, Any] = {}
    for number, line in enumerate(sources[0].splitlines() if sources else [], 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, field = _field(line, f"{path}: line {number} of its parameters cell")
            fields[name] = field
    return create_model(path.stem, __base__=Parameters, **fields)


def _field(line: str, place: str) -> tuple[str, tuple[Any, Any]]:
    """One `name: type = value`. Raises ConfigError for anything else."""
    wrong = ConfigError(
        f"{place} is not `name: type = value`", hint=f"types a parameter may have: {', '.join(_TYPES)}"
    )
    try:
        match ast.parse(line).body:
            case [ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr() as value)]:
                return name, (_TYPES[ast.unparse(kind)], ast.literal_eval(value))
            case _:
                raise wrong
    except (SyntaxError, ValueError, KeyError):
        raise wrong from None


def _type_name(annotation: Any) -> str:
    return next(name for name, kind in _TYPES.items() if kind == annotation)


def _literal(value: object) -> str:
    """A Python literal, strings in double quotes as formatters write them."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _problem(loc: tuple[int | str, ...], message: str, model: type[Parameters]) -> str:
    name = str(loc[0]) if loc else "parameters"
    if name not in model.model_fields:
        return f"unknown parameter {name if name.isidentifier() else '(not a name)'}"
    return f"parameter {name}: {message.removeprefix('Value error, ')}"


def _known(model: type[Parameters]) -> str:
    return f"known parameters: {', '.join(model.model_fields) or 'none'}"
