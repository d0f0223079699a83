"""What is investigated: a named database, the project that claims to describe it, and what was expected.

Settings live in `rcakit.toml`, or in `pyproject.toml` below `[tool.rcakit]`; options of the command line and
parameters of a notebook win over them. Relative paths are relative to the file.
"""

from __future__ import annotations

import os
import shlex
import sys
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rcakit.errors import ConfigError

_SAID = {"extra_forbidden": "there is no such setting", "path_type": "takes a path, as text"}
"""What pydantic says in words of Python. https://docs.pydantic.dev/latest/errors/validation_errors/"""


def _variable_name(text: str) -> str:
    if not text.isidentifier():
        raise ValueError(
            "takes the NAME of an environment variable that holds the connection string, not the string itself"
        )
    return text


def _service_name(text: str) -> str:
    if "=" in text or "://" in text or not text.strip():
        raise ValueError("takes the name of a service of pg_service.conf, not a connection string")
    return text


def _command(text: str) -> str:
    shlex.split(text)  # raises a ValueError that says what is wrong
    return text


class _Settings(BaseModel):
    # The input is left out of messages: somebody may have put a password where a name belongs.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Incident(_Settings):
    """What the report's title block says."""

    id: str = ""
    title: str = "Is this database what its migrations say it is?"
    status: Literal["draft", "in review", "final"] = "draft"
    severity: str = ""
    impact: str = ""
    """What people noticed, and since when: only people know that."""


class Waiver(_Settings):
    """A finding that was accepted, by whom it matters, until a day."""

    code: str
    object: str = "*"
    """Glob over the finding's object."""
    reason: str = Field(min_length=1)
    expires: date


class LocalServer(_Settings):
    """A data directory that rcakit starts for as long as a command runs."""

    data: Path
    database: str = "postgres"


class OwnTests(_Settings):
    """How the project's own tests are run, where that is not to be found out: `[tests]`."""

    command: Annotated[str, AfterValidator(_command)] = ""
    """In words of a shell, without one; `{python}` is the project's interpreter, `{junit}` where JUnit XML is wanted."""
    timeout: float = Field(default=300, gt=0)
    """Seconds for one run of them."""


class Target(_Settings):
    """A named database and the project that belongs to it."""

    name: str = "default"
    root: Path = Path()
    """The directory the settings came from; the working directory when there is no file."""
    dsn_env: Annotated[str, AfterValidator(_variable_name)] | None = None
    service: Annotated[str, AfterValidator(_service_name)] | None = None
    server: LocalServer | None = None
    project: Path | None = None
    settings: str | None = None
    python: str | None = None
    """The project's own interpreter; "current" for the one rcakit runs in; None: files are read, nothing is run."""
    schemas: tuple[str, ...] = ()
    incident: Incident = Incident()
    expected_schemas: Mapping[str, tuple[str, ...]] = {}
    waivers: tuple[Waiver, ...] = ()
    tests: OwnTests = OwnTests()

    @property
    def interpreter(self) -> str | None:
        """The command for the project's interpreter; a relative path is relative to `root`."""
        if self.python == "current":
            return sys.executable
        if self.python and os.sep in self.python:
            return str(self.root / self.python)
        return self.python

    @property
    def project_dir(self) -> Path | None:
        """The project's directory, absolute."""
        return (self.root / self.project).resolve() if self.project is not None else None


def load(config: str | Path | None = None, **options: Any) -> Target:
    """Read the settings file and lay `options` over it (None and empty values are "not given").

    Without `config` the first `rcakit.toml`, or `pyproject.toml` with `[tool.rcakit]`, from the working
    directory upwards is taken; with neither, the options alone make the target. Raises ConfigError.
    """
    path = Path(config) if config else found()
    document = _document(path) if path else {}
    merged = dict(document.pop("target", {}))
    for key, value in document.items():
        merged["waivers" if key == "waiver" else key] = value
    merged["root"] = path.parent.resolve() if path else Path.cwd()
    merged |= {key: value for key, value in options.items() if value not in (None, "", ())}
    if options.get("dsn_env") or options.get("service"):
        given = "dsn_env" if options.get("dsn_env") else "service"
        for other in {"dsn_env", "service", "server"} - {given}:
            merged.pop(other, None)
    if options.get("project"):
        merged["project"] = Path(options["project"]).resolve()
    try:
        return Target.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, path), hint="`rcakit new DIR` writes a commented example") from None


def found() -> Path | None:
    """The settings file of the working directory: the first one from there upwards, or None."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "rcakit.toml").is_file():
            return folder / "rcakit.toml"
        project = folder / "pyproject.toml"
        if project.is_file() and "rcakit" in _parsed(project).get("tool", {}):
            return project
    return None


def _document(path: Path) -> dict[str, Any]:
    document = _parsed(path)
    return dict(document.get("tool", {}).get("rcakit", {})) if path.name == "pyproject.toml" else document


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="check the path given to --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="mend the file") from None


def _explain(error: ValidationError, path: Path | None) -> str:
    rows = [
        f"{'.'.join(str(part) for part in row['loc'])}: {_SAID.get(row['type'], row['msg']).removeprefix('Value error, ')}"
        for row in error.errors()
    ]
    return f"wrong settings in {path or 'the options given'}: " + "; ".join(rows)
