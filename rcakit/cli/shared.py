"""What the commands share: options, progress, complaints, and how a case is opened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit.credentials import blanked
from rcakit.names import visible

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.report.runs import Run
    from rcakit.target import Target

LEVELS = ("error", "warning", "note", "never")


def complain(what: str, hint: str) -> None:
    first, *more = [visible(line) for line in blanked(what).split("\n")]
    click.secho("\n  ".join([f"rcakit: {first}", *more]), fg="red", err=True)
    if hint:
        click.echo(f"  -> {visible(blanked(hint))}", err=True)


def show(text: str | bytes) -> None:
    """A result on stdout: what files, git and the database say stands in it, and nobody's password.

    Bytes are a format of `rcakit.exports`, which holds none.
    """
    click.echo(blanked(text), nl=False)


def say(text: str) -> None:
    """Progress goes to stderr: stdout belongs to the result."""
    click.secho(visible(blanked(text)), dim=True, err=True)


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
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


OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    metavar="DIR",
    help="Where the report's folder is made.",
)
FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    default="warning",
    show_default=True,
    help="Exit 1 from this level on.",
)
FORMAT = click.option(
    "--format", "fmt", type=click.Choice(("text", "json")), default="text", show_default=True
)
REPLAY = click.option(
    "--replay", is_flag=True, help="Also run its migrations on a throwaway server, and prove the causes."
)
CODE = click.option(
    "--show-code/--no-code",
    "code",
    default=None,
    callback=lambda _, __, wanted: {None: "folded", True: "open", False: "none"}[wanted],
    help="Unfold code and SQL in the report, or leave them out [default: folded].",
)
PDF = click.option("--pdf", is_flag=True, help="Also print the report, to report.pdf.")
NOTIFY = click.option(
    "--notify",
    type=click.Choice(("never", "on-change")),
    default="never",
    show_default=True,
    help="Send one line and the report's path when status or findings are not those of the run before.",
)
NOTIFY_ENV = click.option(
    "--notify-env",
    default="RCAKIT_NOTIFY_URL",
    show_default=True,
    metavar="NAME",
    help="NAME of the variable with the Apprise URL to send it to: a webhook, e-mail, a chat.",
)


def target_of(options: dict[str, Any]) -> Target:
    from rcakit.target import load

    return load(options.pop("config"), **options)


def read_case(target: Target, *, replay: bool = False, whole: bool = True) -> Case:
    """A case whose accounts are read, slow part by slow part; unless `whole`, only what the rules look at."""
    from rcakit.case import open_case
    from rcakit.database import busy, named

    named(target)
    case = open_case(target, replay=replay)
    case.whole = whole
    how = "in its own interpreter" if target.interpreter else "from its files"
    say(f"reading the project {case.project} {how} ...")
    _ = case.declared
    if busy(target):
        say("another command runs the server of this target: waiting for it to end ...")
    say("reading the database ...")
    _ = case.reading
    return case


def step(migration: str, number: int, count: int) -> None:
    """Progress of a replay: one line that is written over at a terminal."""
    end = "\r\033[K" if sys.stderr.isatty() and number < count else "\n"
    click.secho(f"[{number}/{count}] {visible(migration)}{end}", dim=True, err=True, nl=False)


def tell(run: Run) -> None:
    """The path of the report, and before it why the run ended early, if it did, and what to do."""
    if run.reason:
        complain(run.reason, run.hint or "what was found until then is in the report")
    click.echo(run.report)
