"""`rcakit investigate` and `rcakit demo`: a notebook run, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit.cli.shared import CODE, FAIL_ON, OUT, PDF, REPLAY, say, target_of, target_options, tell

if TYPE_CHECKING:
    from rcakit.report.render import Code


@click.command()
@target_options
@OUT
@FAIL_ON
@CODE
@PDF
@REPLAY
def investigate(out: Path, fail_on: str, code: Code, pdf: bool, replay: bool, **options: Any) -> int:
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
    wanted = runs.Options(fail_on=fail_on, code=code, pdf=pdf, say=say)
    run = runs.investigate(target, out, options=wanted, replay=replay)
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
@CODE
@PDF
def demo(keep: Path | None, healthy: bool, replay: bool, out: Path, code: Code, pdf: bool) -> int:
    """Build a real incident on a throwaway PostgreSQL.

    Its migrations really run; then it is investigated, and the path of the report is printed.

    The exit code is that of the tour, not of the incident: 0 when the report was written.

    \b
    Example:
      rcakit demo --keep adm-demo && cd adm-demo && rcakit check
    """
    from rcakit import tour
    from rcakit.report.runs import Options

    options = Options(code=code, pdf=pdf, say=say)
    run = tour.demo(keep, out, healthy=healthy, replay=replay, options=options)
    if keep is not None:
        click.echo(tour.after_demo(keep), err=True)
    tell(run)
    return 0 if run.status in ("ok", "findings") else run.exit_code
