"""`rcakit investigate` and `rcakit demo`: a notebook run, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rcakit.cli.shared import FAIL_ON, OUT, REPLAY, SHOW_CODE, say, target_of, target_options, tell


@click.command()
@target_options
@OUT
@FAIL_ON
@SHOW_CODE
@REPLAY
def investigate(out: Path, fail_on: str, show_code: bool, replay: bool, **options: Any) -> int:
    """Run the incident notebook and write its report.

    What is printed on stdout is the path of the report.

    \b
    Example:
      rcakit investigate --config incident-42/rcakit.toml --out reports
    """
    from rcakit.database import named
    from rcakit.report import runs

    target = target_of(options)
    named(target)
    run = runs.investigate(target, out, fail_on=fail_on, show_code=show_code, replay=replay, say=say)
    tell(run)
    return run.exit_code


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave project, database and settings there, to play with.",
)
@click.option("--healthy", is_flag=True, help="Build the same project without the fault.")
@REPLAY
@OUT
@SHOW_CODE
def demo(keep: Path | None, healthy: bool, replay: bool, out: Path, show_code: bool) -> int:
    """Build a real incident on a throwaway PostgreSQL.

    Its migrations really run; then it is investigated, and the path of the report is printed.

    The exit code is that of the tour, not of the incident: 0 when the report was written.

    \b
    Example:
      rcakit demo --keep adm-demo && cd adm-demo && rcakit check
    """
    from rcakit import tour

    run = tour.demo(keep, out, healthy=healthy, replay=replay, show_code=show_code, say=say)
    if keep is not None:
        click.echo(tour.after_demo(keep), err=True)
    tell(run)
    return 0 if run.status in ("ok", "findings") else run.exit_code
