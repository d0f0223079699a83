"""The command line: every command is a call of the library and a rendering of its value.

Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 could not run or could not check, 3 refused.
Heavy modules are imported by the commands that need them, so that `rcakit --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit import __version__
from rcakit.errors import MissingExtra, RcaError
from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.report.runs import Run
    from rcakit.target import Target

_LAB = {"IPython", "ipykernel", "jinja2", "jupyter_client", "matplotlib", "nbclient", "nbconvert", "nbformat"}
_LAB |= {"pandas", "papermill", "sqlalchemy", "traitlets"}
READER_GONE = 141
"""What a shell reports for a command whose output nobody reads any more (`| head`)."""
LEVELS = ("error", "warning", "note", "never")


def main() -> None:
    """Run the command line and exit with its code; known errors are printed without a traceback."""
    sys.exit(_code())


def _code() -> int:
    if "_RCAKIT_COMPLETE" in os.environ:  # a shell asks what could come next
        cli(prog_name="rcakit")
    try:
        with cli.make_context(
            "rcakit", sys.argv[1:]
        ) as context:  # cli() would end a broken pipe with 1: findings
            code = int(cli.invoke(context) or 0)
        sys.stdout.flush()
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code
    except RcaError as error:
        _complain(error.what, error.hint)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except ModuleNotFoundError as error:
        missing = _missing_extra(error)
        _complain(missing.what, missing.hint)
        return missing.exit_code
    except (click.Abort, KeyboardInterrupt):
        _complain("cancelled", "")
        return 130
    except BrokenPipeError:
        _discard_output()
        return READER_GONE
    except OSError as error:
        _discard_output()
        place = f" ({error.filename})" if error.filename else ""
        _complain(f"the operating system refused: {error.strerror}{place}", "mend that, and run it again")
        return 2
    return code


def _missing_extra(error: ModuleNotFoundError) -> MissingExtra:
    """What to install for a package that a plain `pip install rcakit` leaves out; any other is a fault of ours."""
    package = (error.name or "").partition(".")[0]
    if package not in _LAB:
        raise error
    return MissingExtra(package, "lab")


def _discard_output() -> None:
    """What is left in the buffer of stdout goes nowhere; the interpreter would try again at its end, and fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _complain(what: str, hint: str) -> None:
    first, *more = [visible(line) for line in what.split("\n")]
    click.secho("\n  ".join([f"rcakit: {first}", *more]), fg="red", err=True)
    if hint:
        click.echo(f"  -> {visible(hint)}", err=True)


def _say(text: str) -> None:
    """Progress goes to stderr: stdout belongs to the result."""
    click.secho(visible(text), dim=True, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rcakit")
def cli() -> None:
    """Find out why a PostgreSQL database is not what its migrations say it is.

    \b
    Try it on a real incident, nothing to set up:
      rcakit demo
    Begin your own:
      rcakit new incident-42 && cd incident-42
    """


def _target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a target, the same for every command that has one."""
    for option in (
        click.option(
            "--schema",
            "schemas",
            multiple=True,
            metavar="NAME",
            help="Look only at this schema; may be repeated.",
        ),
        click.option(
            "--python",
            metavar="PATH",
            help='Run the project with this interpreter ("current": this one) [default: only read its files].',
        ),
        click.option(
            "--settings", metavar="MODULE", help="Its settings module [default: as manage.py says]."
        ),
        click.option("--project", type=click.Path(), metavar="DIR", help="The Django project's directory."),
        click.option("--service", metavar="NAME", help="The database, as a service of pg_service.conf."),
        click.option(
            "--dsn-env", metavar="NAME", help="The database: NAME of the variable with its connection string."
        ),
        click.option(
            "--config",
            type=click.Path(),
            metavar="FILE",
            help="Settings file [default: rcakit.toml here or above].",
        ),
    ):
        command = option(command)
    return command


_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    metavar="DIR",
    help="Where the report's folder is made.",
)
_FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    default="warning",
    show_default=True,
    help="Exit 1 from this level on.",
)
_FORMAT = click.option(
    "--format", "fmt", type=click.Choice(("text", "json")), default="text", show_default=True
)
_REPLAY = click.option(
    "--replay", is_flag=True, help="Also run its migrations on a throwaway server, and prove the causes."
)
_SHOW_CODE = click.option("--show-code", is_flag=True, help="Leave code and SQL unfolded in the report.")


def _target(options: dict[str, Any]) -> Target:
    from rcakit.target import load

    return load(options.pop("config"), **options)


@cli.command()
@_target_options
@_FORMAT
@_FAIL_ON
def check(fmt: str, fail_on: str, **options: Any) -> int:
    """List what is wrong, and why.

    The rules alone, without a notebook: quick enough for CI. Nothing is written anywhere.

    \b
    Exit codes:
      0  nothing at or above --fail-on
      1  findings at or above --fail-on
      2  it could not run, or could not check everything
    \b
    Example:
      rcakit check --dsn-env DATABASE_URL --project . --settings config.settings --format json
    """
    from rcakit import document, text

    case = _read(_target(options))
    if fmt == "json":
        click.echo(document.dumps(document.document(case), ascii_only=True), nl=False)
    else:
        click.echo(text.findings(case), nl=False)
    return case.exit_code(fail_on)


def _read(target: Target, *, replay: bool = False) -> Case:
    """A case whose accounts are read, slow part by slow part."""
    from rcakit.case import open_case
    from rcakit.database import busy, named

    named(target)
    case = open_case(target, replay=replay)
    how = "in its own interpreter" if target.interpreter else "from its files"
    _say(f"reading the project {case.project} {how} ...")
    _ = case.declared
    if busy(target):
        _say("another command runs the server of this target: waiting for it to end ...")
    _say("reading the database ...")
    _ = case.reading
    return case


@cli.command()
@_target_options
@click.option("--counterfactual", is_flag=True, help="Undo each cause, alone and together, and replay again.")
@click.option("--reverse", is_flag=True, help="Undo each migration too, and do it again.")
@_FORMAT
def replay(counterfactual: bool, reverse: bool, fmt: str, **options: Any) -> int:
    """Tell what each migration really does, on a throwaway server.

    The project's code runs with your rights; the investigated database is only read.

    \b
    Exit codes:
      0  every migration did what it says
      1  one is a silent no-op, fails, or has a way back that does not restore
      2  it could not run, or could not tell everything
    \b
    Example:
      rcakit replay --config incident-42/rcakit.toml --counterfactual
    """
    from rcakit import document, ledger_text, rehearse

    case = _read(_target(options), replay=True)
    case.reverse, case.on_step, case.say = reverse, _step, _say
    found = case.replayed
    if found is None:
        raise RuntimeError("a case opened for a replay has one")
    matrix = case.matrix if counterfactual else None
    if fmt == "json":
        content = document.steps(found, counterfactual=matrix)
        click.echo(document.dumps(content, ascii_only=True), nl=False)
    else:
        click.echo(ledger_text.ledger(found, matrix), nl=False)
    return rehearse.exit_code(found)


@cli.command()
@_target_options
@click.option(
    "--option",
    "letter",
    type=click.Choice(("A", "B", "C", "advised"), case_sensitive=False),
    required=True,
    help="A: move the tables. B: keep the names. C: move, with views under the old names. "
    "advised: what people usually advise, to see it rehearsed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the files are written.",
)
@click.option(
    "--rehearse", "rehearsed", is_flag=True, help="Try it on a copy of the database: the project's code runs."
)
@_FORMAT
def repair(letter: str, out: Path, rehearsed: bool, fmt: str, **options: Any) -> int:
    """Write a repair of misplaced tables, and try it on a copy.

    Nothing is ever applied to the investigated database, and the project is not changed.

    \b
    Exit codes:
      0  written, and with --rehearse it passed
      1  the rehearsal failed
      2  it could not be done
      3  refused: it would destroy data, or the state is not understood
    \b
    Example:
      rcakit repair --option A --out repair --rehearse
    """
    from rcakit import document, rehearsal, remedy, repair_text
    from rcakit.rehearsal.document import document as described

    case = _read(_target(options))
    choice = remedy.option(case, letter)
    written = remedy.write(choice, out)
    tried = None
    if rehearsed:
        _say("copying the database ...")
        with rehearsal.stage(case) as here:
            tried = rehearsal.rehearse(here, choice, _say)
    if fmt == "json":
        click.echo(document.dumps(described(choice, tried), ascii_only=True), nl=False)
    else:
        click.echo(repair_text.repair(choice, written, tried), nl=False)
    return 1 if tried is not None and tried.verdict == "failed" else 0


@cli.command()
@_target_options
@click.option("--pending", is_flag=True, required=True, help="Those that were not applied yet.")
@_FORMAT
def rehearse(pending: bool, fmt: str, **options: Any) -> int:
    """Try pending migrations on a clone, before they go out.

    pg_dump reads the structure: it takes an ACCESS SHARE lock on every table while it runs, and waits a few seconds at
    most for one. Nothing is written to the database.

    \b
    Exit codes:
      0  every pending migration does what it says
      1  one is a silent no-op, or fails
      2  it could not be done, or could not tell everything
    \b
    Example:
      rcakit rehearse --pending --service production --project .
    """
    from rcakit import document, ledger_text, scratch
    from rcakit import rehearse as rehearsing

    case = _read(_target(options))
    _say("copying the structure of the database ...")
    with scratch.server(prefer=case.observed.server.version_num // 10000) as server:
        found = rehearsing.pending(case, server, _step)
    if fmt == "json":
        click.echo(document.dumps(document.steps(found), ascii_only=True), nl=False)
    else:
        click.echo(ledger_text.ledger(found), nl=False)
    return rehearsing.exit_code(found)


def _step(migration: str, number: int, count: int) -> None:
    """Progress of a replay: one line that is written over at a terminal."""
    end = "\r\033[K" if sys.stderr.isatty() and number < count else "\n"
    click.secho(f"[{number}/{count}] {visible(migration)}{end}", dim=True, err=True, nl=False)


@cli.command()
@_target_options
@_OUT
@_FAIL_ON
@_SHOW_CODE
@_REPLAY
def investigate(out: Path, fail_on: str, show_code: bool, replay: bool, **options: Any) -> int:
    """Run the incident notebook and write its report.

    What is printed on stdout is the path of the report.

    \b
    Example:
      rcakit investigate --config incident-42/rcakit.toml --out reports
    """
    from rcakit.database import named
    from rcakit.report import runs

    target = _target(options)
    named(target)
    run = runs.investigate(target, out, fail_on=fail_on, show_code=show_code, replay=replay, say=_say)
    _tell(run)
    return run.exit_code


@cli.command("audit-tests")
@_target_options
@_FORMAT
@click.option("--static", is_flag=True, help="Only read the tests; nothing of the project is run.")
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the proposed tests below DIR, such as the project's directory.",
)
def audit_tests(fmt: str, static: bool, write: Path | None, **options: Any) -> int:
    """Find out which of the project's tests could have noticed.

    Its own tests are run in copies of the project, with the fault and without it, on scratch databases.

    \b
    Exit codes:
      0  every fault is noticed by some test, or --static
      1  some fault is noticed by none
      2  the tests could not be run
    \b
    Example:
      rcakit audit-tests --project . --settings config.settings --python .venv/bin/python --format json
    """
    from rcakit import blindness, document
    from rcakit.blindness import written

    audit = blindness.audit(_read(_target(options)), run=not static, say=_say)
    if fmt == "json":
        click.echo(document.dumps(written.document(audit), ascii_only=True), nl=False)
    else:
        click.echo(written.text(audit), nl=False)
    if write is not None and audit.proposed:
        click.echo(written.put(audit, write), err=True)
    return written.exit_code(audit, static=static)


@cli.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave project, database and settings there, to play with.",
)
@click.option("--healthy", is_flag=True, help="Build the same project without the fault.")
@_REPLAY
@_OUT
@_SHOW_CODE
def demo(keep: Path | None, healthy: bool, replay: bool, out: Path, show_code: bool) -> int:
    """Build a real incident on a throwaway PostgreSQL.

    Its migrations really run; then it is investigated, and the path of the report is printed.

    The exit code is that of the tour, not of the incident: 0 when the report was written.

    \b
    Example:
      rcakit demo --keep adm-demo && cd adm-demo && rcakit check
    """
    from rcakit import tour

    run = tour.demo(keep, out, healthy=healthy, replay=replay, show_code=show_code, say=_say)
    if keep is not None:
        click.echo(tour.after_demo(keep), err=True)
    _tell(run)
    return 0 if run.status in ("ok", "findings") else run.exit_code


def _tell(run: Run) -> None:
    """The path of the report, and before it why the run ended early, if it did."""
    if run.reason:
        _complain(run.reason, "what was found until then is in the report")
    click.echo(run.report)


@cli.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain a finding's code; without one, list them all.

    CODE may also be the name of a rule: guard-never-true.

    \b
    Example:
      rcakit explain RK201
    """
    from rcakit import rules, waivers

    if code is None:
        click.echo(f"{rules.overview()}\n\nMore about one of them: rcakit explain RK201")
    elif code.upper() == waivers.EXPIRED:
        click.echo(waivers.EXPLANATION)
    else:
        click.echo(rules.explain(code))


@cli.command()
@click.argument("notebook")
def params(notebook: str) -> None:
    """List the parameters of a notebook.

    NOTEBOOK is a path, or the name of one that comes with rcakit: 10_incident_report.

    \b
    Example:
      rcakit params 10_incident_report
    """
    from rcakit.report import params as parameters

    click.echo(parameters.help_text(notebook))


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
def new(directory: Path) -> None:
    """Begin an investigation of your own.

    DIRECTORY gets a commented rcakit.toml and a copy of the notebook; nothing that is there is overwritten.

    \b
    Example:
      rcakit new incident-42
    """
    from rcakit import tour

    for path in tour.new(directory):
        click.echo(path)
    click.echo(tour.after_new(directory), err=True)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> int:
    """Open JupyterLab on the notebooks here.

    "Here" is the working directory, with rcakit.toml in it; ARGUMENTS are passed on to JupyterLab.

    \b
    Example:
      cd incident-42 && rcakit lab --no-browser
    """
    from rcakit import tour

    return tour.lab(arguments)
