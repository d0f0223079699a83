"""One run: a notebook executed and rendered in one process, and a folder that is there whole or not at all.

`<out>/<target>/<run id>/` holds `report.html`, `notebook.ipynb`, `findings.json`, `run.json` and
`evidence/*.csv`. It is written under a temporary name and renamed at the end; a run that fails, dies or is
cancelled leaves a whole folder too, with a report that says so.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit import __version__, document
from rcakit.errors import RcaError
from rcakit.report import execution, folders, index, params, pdf, render
from rcakit.report.cancelling import cancellable
from rcakit.report.folders import demand_room as demand_room

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from rcakit.report.forks import Template
    from rcakit.target import Target

RUN_DIR = "RCAKIT_RUN_DIR"
"""Environment variable that tells the notebook's `case.save()` where the run's folder is."""
RUN_ID = "RCAKIT_RUN_ID"
"""Environment variable that gives the notebook's case the run's id."""
RUN_DSN = "RCAKIT_RUN_DSN"
"""Environment variable for the connection string of a server that runs only as long as the command does."""

_LEVELS = ("error", "warning", "note")
_PDF = "report.pdf"
_LATE = render.Failure(
    "cancelled", "the run was interrupted while its report was written", "start it again, all of it"
)


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended and where its folder is; `reason` is "" when it is whole."""

    id: str
    status: str
    """As in findings.json: ok findings could-not-check failed timeout kernel-died cancelled."""
    folder: Path
    exit_code: int
    reason: str = ""
    hint: str = ""
    """What to do about it; "" where nobody knows."""

    @property
    def report(self) -> Path:
        return self.folder / "report.html"


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen besides the notebook's parameters.

    target
        names the folder of the runs; "" takes the target that the parameters name, else the notebook's name.
    code
        "folded", "open" or "none": what becomes of code and SQL in the report.
    pdf
        also print it, to report.pdf.
    notify
        the environment variable that holds the Apprise URL to tell of a change, "" tells nobody; the notebook's
        process does not get to see it.
    cell_timeout, total_timeout
        seconds; None is no limit.
    env
        variables added to the environment of the notebook's process.
    say
        called with one line of progress.
    template
        what the notebook's process is forked from; None starts one.
    """

    target: str = ""
    incident: str = ""
    fail_on: str = "warning"
    code: render.Code = "folded"
    pdf: bool = False
    notify: str = ""
    cell_timeout: float | None = None
    total_timeout: float | None = 900
    env: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None
    template: Template | None = None


def investigate(
    target: Target,
    out: Path,
    *,
    options: Options | None = None,
    replay: bool = False,
    conninfo: str = "",
) -> Run:
    """Run the incident notebook on a target. `conninfo` is that of a server which is running already.

    `replay` lets the project's migrations run on a scratch server too.

    Raises ConfigError for parameters the notebook refuses; whatever goes wrong later is in the Run.
    """
    values = _of_target(target) | ({"replay": True} if replay else {})
    if conninfo:
        values = {key: value for key, value in values.items() if key != "service"} | {"dsn_env": RUN_DSN}
    options = options or Options()
    env = {**options.env, **({RUN_DSN: conninfo} if conninfo else {})}
    options = replace(options, target=target.name, incident=target.incident.id, env=env)
    return execute(params.find("10_incident_report"), values, out, options)


def _of_target(target: Target) -> dict[str, Any]:
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
    }
    return {key: value for key, value in values.items() if value}


def execute(
    notebook: Path, parameters: Mapping[str, Any] | Sequence[str], out: Path, options: Options | None = None
) -> Run:
    """Execute and render one notebook. `parameters` are values, or `name=value` texts to be read by type.

    Raises ConfigError for a notebook that cannot be read, for parameters its model refuses and for an `out` that
    cannot be written, MissingExtra when a PDF is wanted and nothing can print, either for a way to notify that
    is none, and RcaError when writing fails later; any other run that has begun ends in a folder.
    """
    job = prepare(notebook, parameters, options)
    warm()
    run = perform(job, out)
    list_runs(out, (options or Options()).say)
    return run


def prepare(
    notebook: Path, parameters: Mapping[str, Any] | Sequence[str], options: Options | None = None
) -> Job:
    """All that can be refused before a run begins. Raises ConfigError and MissingExtra as `execute` does."""
    options = options or Options()
    if options.pdf:
        pdf.demand()
    if options.notify:
        from rcakit.report import notifying

        notifying.demand(options.notify)
    model = params.of_notebook(notebook)
    checked = (
        params.validate(model, parameters)
        if isinstance(parameters, Mapping)
        else params.parse(model, parameters)
    )
    if not options.target:
        options = _named(options, checked, notebook)
    return Job(notebook, hashlib.sha256(notebook.read_bytes()).hexdigest(), checked, options)


def perform(job: Job, out: Path) -> Run:
    """`execute` without a new index. Raises ConfigError for an `out` that cannot be written, RcaError when writing fails."""
    started = datetime.now(UTC)
    with cancellable(), folders.reserved(out, job.options.target, started) as part:
        run = _run(job, part, started)
    if job.options.notify:
        with _afterwards("nobody was notified", job.options.say):
            from rcakit.report import notifying

            notifying.on_change(run.folder, job.options.notify, job.options.say)
    return run


def warm() -> None:
    """Import and make what a run will need here, while a template does the same for its notebook."""
    for name in ("jupyter_client.asynchronous", "papermill.execute", "rcakit.report.engine"):
        import_module(name)
    render.warm()


def list_runs(out: Path, say: Callable[[str], None]) -> None:
    """Renew the index, which is a convenience: that it cannot be written is said, and the run stays what it is."""
    failed = f"{out / index.NAME} could not be written"
    try:
        with _afterwards(failed, say):
            index.write(out)
    except OSError as error:
        say(f"{failed}: {error.strerror}; `rcakit index` tries it again")


@contextmanager
def _afterwards(undone: str, say: Callable[[str], None]) -> Iterator[None]:
    """The run is whole: an interrupt ends no more than what is done within, and is said."""
    try:
        with cancellable():
            yield
    except KeyboardInterrupt:
        say(f"{undone}: interrupted")


@dataclass(frozen=True, slots=True)
class Job:
    """A run that may begin: its parameters are read, its target is named."""

    notebook: Path
    digest: str
    parameters: params.Parameters
    options: Options


def _named(options: Options, checked: params.Parameters, notebook: Path) -> Options:
    """With target and incident as the parameters name them, else the notebook's name. Raises ConfigError."""
    from rcakit.target import load

    if not isinstance(checked, params.OnTarget):
        return replace(options, target=notebook.stem)
    target = load(checked.config or None, dsn_env=checked.dsn_env, service=checked.service)
    return replace(options, target=target.name, incident=target.incident.id)


def _run(job: Job, part: Path, started: datetime) -> Run:
    """Fill the folder; an interrupt makes it that of a cancelled run, also while it is filled."""
    options = job.options
    nb, failure = execution.executed(
        job.notebook,
        part / "notebook.ipynb",
        params.given(job.parameters),
        env=_environment(options, part),
        limits=execution.Limits(options.cell_timeout, options.total_timeout),
        say=options.say,
        template=options.template,
    )
    try:
        return _filled(job, part, started, nb, failure)
    except KeyboardInterrupt:
        (part / _PDF).unlink(missing_ok=True)
        job = replace(job, options=replace(options, pdf=False))
        return _filled(job, part, started, nb, failure or _LATE)


def _filled(job: Job, part: Path, started: datetime, nb: NotebookNode, failure: render.Failure | None) -> Run:
    options = job.options
    run, failure = _judged(job, part, failure)
    _describe(job, part, run, started)
    page = render.page(nb, failure=failure and _about(failure, options, started), code=options.code)
    (part / "report.html").write_text(page, encoding="utf-8", errors="backslashreplace")
    if options.pdf:
        _print(page, part / _PDF, options.say)
    return run


def _about(failure: render.Failure, options: Options, started: datetime) -> render.Failure:
    """The same with target, incident and time: where a run ends before its title block, nothing else tells them."""
    known = (options.target, options.incident, f"{started:%Y-%m-%d %H:%M:%S} UTC")
    return replace(failure, about=" · ".join(filter(None, known)))


def _environment(options: Options, part: Path) -> dict[str, str]:
    """What is added to the environment of the notebook's process, or blanked in it."""
    hidden = {options.notify: ""} if options.notify else {}
    return {**options.env, **hidden, RUN_DIR: str(part.resolve()), RUN_ID: folders.run_id(part)}


def _print(page: str, path: Path, say: Callable[[str], None]) -> None:
    """A printer that fails takes nothing from the run: the page is there, and the failure is said."""
    say("printing ...")
    try:
        pdf.write(page, path)
    except RcaError as error:
        say(f"{error.what} - {error.hint}")


def _judged(job: Job, part: Path, failure: render.Failure | None) -> tuple[Run, render.Failure | None]:
    """Judge the run by what it left; what a run that broke off had saved does not count."""
    id_, saved = folders.run_id(part), part / "findings.json"
    provenance = {"run": id_, "rcakit": __version__}
    failure = failure or _unusable(job, saved)
    if failure is not None:
        if not saved.exists():  # it comes last: what there is of the evidence is not whole
            shutil.rmtree(part / "evidence", ignore_errors=True)
        _write(saved, document.failed(failure.status, failure.reason, job.options.target, provenance))
        return Run(id_, failure.status, part.with_name(id_), 2, failure.reason, failure.hint), failure
    if not saved.exists():
        _write(saved, document.unjudged(job.options.target, provenance))
    found = json.loads(saved.read_text(encoding="utf-8"))
    return Run(id_, found["status"], part.with_name(id_), exit_code(found, job.options.fail_on)), None


def _unusable(job: Job, saved: Path) -> render.Failure | None:
    """Why what a whole run left cannot be judged. A notebook that has no target need not save any findings."""
    if not saved.exists():
        on_target = isinstance(job.parameters, params.OnTarget)
        unsaved = "the notebook ended without saving its findings (case.save())"
        return render.Failure("failed", unsaved) if on_target else None
    try:
        found = json.loads(saved.read_text(encoding="utf-8"))
        found["status"], exit_code(found, "note")
    except (ValueError, LookupError, TypeError) as error:
        return render.Failure("failed", f"findings.json is not what case.save() writes: {error!r}")
    return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(document.dumps(content), encoding="utf-8", errors="backslashreplace")


def exit_code(found: Mapping[str, Any], fail_on: str) -> int:
    """0 nothing at or above `fail_on` ("never" fails on nothing), 1 findings, 2 something could not be checked."""
    counted = _LEVELS[: _LEVELS.index(fail_on) + 1] if fail_on in _LEVELS else ()
    if any(row["severity"] in counted for row in found["findings"]):
        return 1
    return 2 if any(row["blocking"] for row in found["unread"]) else 0


def _describe(job: Job, part: Path, run: Run, started: datetime) -> None:
    ended = datetime.now(UTC)
    content = {
        "version": 1,
        "id": run.id,
        "status": run.status,
        "reason": run.reason,
        "target": job.options.target,
        "incident": job.options.incident,
        "exit_code": run.exit_code,
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "seconds": round((ended - started).total_seconds(), 3),
        "notebook": job.notebook.name,
        "notebook_sha256": job.digest,
        "parameters": params.given(job.parameters),
        "rcakit": __version__,
    }
    _write(part / "run.json", content)
