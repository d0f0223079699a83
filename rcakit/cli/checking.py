"""`rcakit check`: the rules alone, in the words of whoever reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit.cli.shared import FAIL_ON, read_case, say, show, target_of, target_options

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.target import Target

FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab", "markdown")


@click.command()
@target_options
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="text", show_default=True)
@FAIL_ON
@click.option(
    "--static",
    is_flag=True,
    help="Read the project's files alone: no database, nothing of the project is run.",
)
@click.option(
    "--baseline",
    "known",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Count only what is not in this file.",
)
@click.option(
    "--write-baseline",
    "written",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what is found now to this file, and count it as known.",
)
def check(
    fmt: str, fail_on: str, static: bool, known: Path | None, written: Path | None, **options: Any
) -> int:
    """List what is wrong, and why.

    The rules alone, without a notebook: quick enough for CI. The result goes to stdout, progress to stderr.

    \b
    Exit codes, the same in every format:
      0  nothing at or above --fail-on
      1  findings at or above --fail-on
      2  it could not run, or could not check everything

    With --static the rules that need no database are asked, the others are named as not checked, and that
    alone is no reason to fail: made for a pre-commit hook.

    \b
    Example:
      rcakit check --dsn-env DATABASE_URL --project . --settings config.settings --format json
    """
    from rcakit import baseline

    if known and written:
        raise click.UsageError("--baseline reads a file, --write-baseline writes it anew: give one of them")
    before = baseline.read(known) if known else None
    case = _files_of(target_of(options)) if static else read_case(target_of(options), whole=False)
    case.baseline = before
    if written:
        case.baseline = baseline.of(case.standing)
        baseline.write(written, case.baseline)
        say(f"known from now on, by {written}: {len(case.baseline.findings)}")
    if case.parted.gone and fmt != "text":
        say("in the baseline, and not found now: " + ", ".join(map(str, case.parted.gone)))
    show(_rendered(case, fmt, fail_on))
    return case.exit_code(fail_on)


def _files_of(target: Target) -> Case:
    """A case whose files are read, and nothing else."""
    from rcakit.case import open_case

    case = open_case(target, static=True)
    say(f"reading the project {case.project} from its files, no database is asked ...")
    _ = case.reading
    return case


def _rendered(case: Case, fmt: str, fail_on: str) -> str | bytes:
    """Text for a terminal; bytes for a program: what reads a format decides its encoding, not the locale."""
    if fmt == "text":
        from rcakit import text

        return text.findings(case)
    if fmt == "json":
        from rcakit import document

        return document.dumps(document.document(case), ascii_only=True)
    from rcakit import exports

    return exports.FORMATS[fmt](exports.checked(case, fail_on)).encode()
