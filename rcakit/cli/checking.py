"""`rcakit check`: the rules alone."""

from __future__ import annotations

from typing import Any

import click

from rcakit.cli.shared import FAIL_ON, FORMAT, read_case, target_of, target_options


@click.command()
@target_options
@FORMAT
@FAIL_ON
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

    case = read_case(target_of(options))
    if fmt == "json":
        click.echo(document.dumps(document.document(case), ascii_only=True), nl=False)
    else:
        click.echo(text.findings(case), nl=False)
    return case.exit_code(fail_on)
