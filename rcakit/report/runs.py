"""One run: a notebook executed and rendered in one process, and a folder that is there whole or not at all.

`<out>/<target>/<run id>/` holds `report.html`, `notebook.ipynb`, `findings.json`, `run.json` and
`evidence/*.csv`. It is written under a temporary name and renamed at the end; a run that fails, dies or is
cancelled leaves a whole folder too, with a report that says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbformat import NotebookNode

from rcakit import __version__, document
from rcakit.case import new_run_id
from rcakit.errors import ConfigError
from rcakit.report import params, render

if TYPE_CHECKING:
    from rcakit.target import Target

RUN_DIR = "RCAKIT_RUN_DIR"
"""Environment variable that tells the notebook's `case.save()` where the run's folder is."""
RUN_DSN = "RCAKIT_RUN_DSN"
"""Environment variable for the connection string of a server that runs only as long as the command does."""

_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_LEVELS = ("error", "warning", "note")
_MARKER = "papermill-error-cell-tag"


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended and where its folder is; `reason` is "" when it is whole."""

    id: str
    status: str
    """As in findings.json: ok findings could-not-check failed timeout kernel-died cancelled."""
    folder: Path
    exit_code: int
    reason: str = ""

    @property
    def report(self) -> Path:
        return self.folder / "report.html"


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen besides the notebook's parameters.

    cell_timeout, total_timeout
        seconds; None is no limit.
    env
        variables added to the environment of the notebook's process.
    say
        called with one line of progress.
    """

    target: str = "default"
    fail_on: str = "warning"
    show_code: bool = False
    cell_timeout: float | None = None
    total_timeout: float | None = 900
    env: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None


def investigate(
    target: Target,
    out: Path,
    *,
    fail_on: str = "warning",
    show_code: bool = False,
    replay: bool = False,
    say: Callable[[str], None] = lambda _: None,
    conninfo: str = "",
) -> Run:
    """Run the incident notebook on a target. `conninfo` is that of a server which is running already.

    `replay` lets the project's migrations run on a scratch server too.

    Raises ConfigError for parameters the notebook refuses; whatever goes wrong later is in the Run.
    """
    values = _of_target(target, show_code) | ({"replay": True} if replay else {})
    if conninfo:
        values = {key: value for key, value in values.items() if key != "service"} | {"dsn_env": RUN_DSN}
    env = {RUN_DSN: conninfo} if conninfo else {}
    options = Options(target=target.name, fail_on=fail_on, show_code=show_code, env=env, say=say)
    return execute(params.find("10_incident_report"), values, out, options)


def _of_target(target: Target, show_code: bool) -> dict[str, Any]:
    """The parameters that make the notebook investigate this target."""
    files = (target.root / name for name in ("rcakit.toml", "pyproject.toml"))
    values: dict[str, Any] = {
        "config": next((str(path) for path in files if path.is_file()), ""),
        "dsn_env": target.dsn_env,
        "service": target.service,
        "project": str(target.project_dir) if target.project_dir else "",
        "settings": target.settings,
        "python": target.interpreter,
        "schemas": list(target.schemas),
        "show_code": show_code,
    }
    return {key: value for key, value in values.items() if value}


def execute(
    notebook: Path, parameters: Mapping[str, Any] | Sequence[str], out: Path, options: Options | None = None
) -> Run:
    """Execute and render one notebook. `parameters` are values, or `name=value` texts to be read by type.

    Raises ConfigError for a notebook that cannot be read, for parameters its model refuses and for an `out` that
    cannot be written; a run that has begun always ends in a folder.
    """
    options = options or Options()
    model = params.of_notebook(notebook)
    checked = (
        params.validate(model, parameters)
        if isinstance(parameters, Mapping)
        else params.parse(model, parameters)
    )
    started = datetime.now(UTC)
    part = _new_folder(out, f"{slug(options.target)}/.{new_run_id(started)}.part")
    nb, failure = _executed(notebook, params.given(checked), part, options)
    if failure is None and not (part / "findings.json").exists():
        failure = render.Failure("failed", "the notebook ended without saving its findings (case.save())")
    run = _finish(part, failure, options)
    _describe(part, run, started, notebook, params.given(checked), options)
    (part / "report.html").write_text(
        render.page(nb, failure=failure, show_code=options.show_code),
        encoding="utf-8",
        errors="backslashreplace",
    )
    part.rename(run.folder)
    return run


def demand_room(out: Path) -> None:
    """Raises ConfigError when reports could not be written below `out`, which need not exist yet."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise _no_room(out, f"{place} is not a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _no_room(out, f"{place} may not be written")


def _new_folder(out: Path, name: str) -> Path:
    try:
        (out / name).mkdir(parents=True, mode=0o755)
    except OSError as error:
        raise _no_room(out, error.strerror or str(error)) from None
    return out / name


def _no_room(out: Path, why: str) -> ConfigError:
    return ConfigError(f"reports cannot be written to {out}: {why}", hint="name another directory with --out")


def _executed(
    notebook: Path, given: Mapping[str, Any], part: Path, options: Options
) -> tuple[NotebookNode, render.Failure | None]:
    """The notebook as far as it came, and why it came no further."""
    import papermill  # type: ignore[import-untyped]
    from papermill.engines import papermill_engines  # type: ignore[import-untyped]
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]

    from rcakit.report.engine import Engine

    papermill_engines.register("rcakit", Engine)
    target = part / "notebook.ipynb"
    problem = ""
    try:
        with _terminable():
            papermill.execute_notebook(
                nbformat.read(notebook, as_version=4),  # type: ignore[no-untyped-call]
                str(target).replace("{", "{{").replace("}", "}}"),
                parameters=dict(given),
                engine_name="rcakit",
                progress_bar=False,
                execution_timeout=options.cell_timeout,
                total_timeout=options.total_timeout,
                env={**options.env, RUN_DIR: str(part.resolve())},
                on_cell=_progress(options.say),
            )
    except (
        PapermillException,
        RuntimeError,
        TimeoutError,
        NoSuchKernel,
        OSError,
        KeyboardInterrupt,
    ) as error:
        problem = f"{type(error).__name__}: {error}"
    return _reread(target, notebook, problem)


def _reread(target: Path, source: Path, problem: str) -> tuple[NotebookNode, render.Failure | None]:
    """The notebook the engine left, without papermill's own error banners, and the engine's word on the run."""
    nb = nbformat.read(target if target.exists() else source, as_version=4)  # type: ignore[no-untyped-call]
    nb.cells = [cell for cell in nb.cells if _MARKER not in cell.metadata.get("tags", ())]
    nbformat.write(nb, target)  # type: ignore[no-untyped-call]
    outcome = nb.metadata.get("rcakit", {})
    status = outcome.get("status", "failed")
    if status == "ok" and not problem:
        return nb, None
    reason, _, hint = (outcome.get("reason") or problem).partition("\n")
    return nb, render.Failure("failed" if status == "ok" else status, reason, hint)


def _progress(say: Callable[[str], None]) -> Callable[[int, NotebookNode], None]:
    def on_cell(index: int, cell: NotebookNode) -> None:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            say(f"{cell.source.partition(chr(10))[0].removeprefix('## ').lower()} ...")

    return on_cell


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, in the main thread, where signals arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _finish(part: Path, failure: render.Failure | None, options: Options) -> Run:
    """Judge the run by what it left; what a run that broke off had saved does not count."""
    saved = part / "findings.json"
    fallback = part.name.removeprefix(".").removesuffix(".part")
    if failure is not None:
        provenance = {"run": fallback, "rcakit": __version__}
        content = document.failed(failure.status, failure.reason, options.target, provenance)
        saved.write_text(document.dumps(content), encoding="utf-8", errors="backslashreplace")
        return Run(fallback, failure.status, part.parent / fallback, 2, failure.reason)
    found = json.loads(saved.read_text(encoding="utf-8"))
    named = found["provenance"].get("run", "")
    id_ = named if _RUN_ID.fullmatch(named) and not (part.parent / named).exists() else fallback
    return Run(id_, found["status"], part.parent / id_, exit_code(found, options.fail_on))


def exit_code(found: Mapping[str, Any], fail_on: str) -> int:
    """0 nothing at or above `fail_on` ("never" fails on nothing), 1 findings, 2 something could not be checked."""
    counted = _LEVELS[: _LEVELS.index(fail_on) + 1] if fail_on in _LEVELS else ()
    if any(row["severity"] in counted for row in found["findings"]):
        return 1
    return 2 if any(row["blocking"] for row in found["unread"]) else 0


def _describe(
    part: Path, run: Run, started: datetime, notebook: Path, given: Mapping[str, Any], options: Options
) -> None:
    ended = datetime.now(UTC)
    content = {
        "version": 1,
        "id": run.id,
        "status": run.status,
        "reason": run.reason,
        "target": options.target,
        "exit_code": run.exit_code,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "seconds": round((ended - started).total_seconds(), 3),
        "notebook": notebook.name,
        "notebook_sha256": hashlib.sha256(notebook.read_bytes()).hexdigest(),
        "parameters": dict(given),
        "rcakit": __version__,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (part / "run.json").write_text(text, encoding="utf-8", errors="backslashreplace")


def slug(name: str) -> str:
    """A directory name out of any target name: letters, digits, dot, dash, underscore; never hidden.

    >>> slug("../<img>"), slug("adm-demo")
    ('img', 'adm-demo')
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-._")[:80] or "target"
