"""`rcakit run`: any notebook, executed and rendered, with an exit code that tells how it went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rcakit.cli.shared import CODE, FAIL_ON, OUT, PDF, say, tell

if TYPE_CHECKING:
    from rcakit.report.render import Code


@click.command()
@click.argument("notebook")
@click.option(
    "-p",
    "--parameter",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the notebook, read by its type; may be repeated, for a list too.",
)
@OUT
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="Stop the whole run after this time.",
)
@click.option(
    "--cell-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop it when one cell takes this long.",
)
@FAIL_ON
@CODE
@PDF
def run(
    notebook: str,
    assignments: tuple[str, ...],
    out: Path,
    timeout: float,
    cell_timeout: float | None,
    fail_on: str,
    code: Code,
    pdf: bool,
) -> int:
    """Run a notebook and write its report, however it ends.

    NOTEBOOK is a path, or the name of one that comes with rcakit: 10_incident_report. `rcakit params NOTEBOOK` lists
    its parameters. Relative paths in them start from the working directory.

    What is printed on stdout is the path of the report.

    \b
    Example:
      rcakit run 10_incident_report -p config=incident-42/rcakit.toml --timeout 300
    """
    from rcakit.report import params, runs

    options = runs.Options(
        fail_on=fail_on, code=code, pdf=pdf, cell_timeout=cell_timeout, total_timeout=timeout, say=say
    )
    done = runs.execute(params.find(notebook), assignments, out, options)
    say(f"status: {done.status}")
    tell(done)
    return done.exit_code
