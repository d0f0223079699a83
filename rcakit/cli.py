"""The command line: every command is a call of the library and a rendering of its value.

Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 could not run or could not check, 3 refused.
Heavy modules are imported by the commands that need them, so that `rcakit --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit import __version__
from rcakit.errors import RcaError

if TYPE_CHECKING:
    from rcakit.target import Target

LEVELS = ("error", "warning", "note", "never")


def main() -> None:
    """Run the command line and exit with its code; known errors are printed without a traceback."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except RcaError as error:
        _complain(error.what, error.hint)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _complain("cancelled", "")
        sys.exit(130)


def _complain(what: str, hint: str) -> None:
    click.secho(f"rcakit: {what}", fg="red", err=True)
    if hint:
        click.echo(f"  -> {hint}", err=True)


def _say(text: str) -> None:
    """Progress goes to stderr: stdout belongs to the result."""
    click.secho(text, dim=True, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
            help='The project\'s interpreter ("current": this one). Without it files are read, nothing is run.',
        ),
        click.option("--settings", metavar="MODULE", help="The project's settings module."),
        click.option("--project", type=click.Path(), metavar="DIR", help="The project's directory."),
        click.option(
            "--service", metavar="NAME", help="A service of pg_service.conf that names the database."
        ),
        click.option(
            "--dsn-env", metavar="NAME", help="The environment variable that holds the connection string."
        ),
        click.option(
            "--config",
            type=click.Path(),
            metavar="FILE",
            help="Settings file [default: rcakit.toml, upwards].",
        ),
    ):
        command = option(command)
    return command


_OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR"
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
_SHOW_CODE = click.option("--show-code", is_flag=True, help="Leave code and SQL unfolded in the report.")


def _target(options: dict[str, Any]) -> Target:
    from rcakit.target import load

    return load(options.pop("config"), **options)


@cli.command()
@_target_options
@_FORMAT
@_FAIL_ON
def check(fmt: str, fail_on: str, **options: Any) -> int:
    """Read the accounts, run the rules, list what was found. No notebook, nothing written.

    \b
    Example:
      rcakit check --dsn-env DATABASE_URL --project . --settings config.settings --format json
    """
    from rcakit import document, text
    from rcakit.case import open_case

    case = open_case(_target(options))
    click.echo(document.dumps(document.document(case)) if fmt == "json" else text.findings(case), nl=False)
    return case.exit_code(fail_on)


@cli.command()
@_target_options
@_OUT
@_FAIL_ON
@_SHOW_CODE
def investigate(out: Path, fail_on: str, show_code: bool, **options: Any) -> int:
    """Run the incident notebook on a target and write the report.

    \b
    Example:
      rcakit investigate --config incident-42/rcakit.toml --out reports
    """
    from rcakit.report import runs

    run = runs.investigate(_target(options), out, fail_on=fail_on, show_code=show_code, say=_say)
    click.echo(run.report)
    return run.exit_code


@cli.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave project, database and settings there, to play with.",
)
@click.option("--healthy", is_flag=True, help="Build the same project without the fault.")
@_OUT
@_SHOW_CODE
def demo(keep: Path | None, healthy: bool, out: Path, show_code: bool) -> int:
    """Build a real incident on a throwaway PostgreSQL and write its report.

    The exit code is that of the tour, not of the incident: 0 when the report was written.

    \b
    Example:
      rcakit demo --keep adm-demo && cd adm-demo && rcakit check
    """
    from rcakit import tour

    run = tour.demo(keep, out, healthy=healthy, show_code=show_code, say=_say)
    if keep is not None:
        click.echo(tour.next_steps(keep), err=True)
    click.echo(run.report)
    return 0 if run.status in ("ok", "findings") else run.exit_code


@cli.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain a finding's code; without one, list them all.

    \b
    Example:
      rcakit explain RK201
    """
    from rcakit import rules

    click.echo(rules.explain(code.upper()) if code else rules.overview())


@cli.command()
@click.argument("notebook")
def params(notebook: str) -> None:
    """List the parameters of a notebook: name, type, default, meaning.

    \b
    Example:
      rcakit params 10_incident_report
    """
    from rcakit.report import params as parameters

    click.echo(parameters.help_text(notebook))


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
def new(directory: Path) -> None:
    """Begin an investigation: a commented rcakit.toml and the notebook, in a directory of their own.

    \b
    Example:
      rcakit new incident-42
    """
    from rcakit import tour

    for path in tour.new(directory):
        click.echo(path)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> int:
    """Open JupyterLab here, where rcakit.toml and the notebooks are. ARGUMENTS are passed on.

    \b
    Example:
      cd incident-42 && rcakit lab --no-browser
    """
    from rcakit import tour

    return tour.lab(arguments)
