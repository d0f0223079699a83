"""`rcakit investigate` and `rcakit demo`: a notebook run, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit.cli.shared import (
    CODE,
    FAIL_ON,
    NOTIFY,
    NOTIFY_ENV,
    OUT,
    PDF,
    REPLAY,
    say,
    show,
    target_of,
    target_options,
    tell,
)

if TYPE_CHECKING:
    from rcakit.report.render import Code
    from rcakit.report.runs import Options
    from rcakit.target import Target


@click.command()
@target_options
@OUT
@FAIL_ON
@CODE
@PDF
@NOTIFY
@NOTIFY_ENV
@REPLAY
@click.option(
    "--verify-closed",
    "verified",
    metavar="RUN",
    help="Say whether what that run found is gone; as in compare.",
)
def investigate(
    out: Path,
    fail_on: str,
    code: Code,
    pdf: bool,
    notify: str,
    notify_env: str,
    replay: bool,
    verified: str | None,
    **options: Any,
) -> int:
    """Run the incident notebook and write its report.

    What is printed on stdout is the path of the report. With --verify-closed it is what changed since that run, then
    the verdict; the exit code is 0 closed, 1 not closed or something new, 2 could not check. Errors and warnings
    count, notes do not; what was waived is not closed.

    \b
    Example:
      rcakit investigate --config incident-42/rcakit.toml --out reports
    """
    from rcakit.report import forks

    with forks.warmed() as template:
        from rcakit.database import named
        from rcakit.report import runs

        target = target_of(options)
        named(target)
        told = notify_env if notify == "on-change" else ""
        wanted = runs.Options(fail_on=fail_on, code=code, pdf=pdf, notify=told, say=say, template=template)
        if verified is not None:
            return _verify(verified, target, out, wanted, replay)
        run = runs.investigate(target, out, options=wanted, replay=replay)
        tell(run)
        return run.exit_code


def _verify(reference: str, target: Target, out: Path, options: Options, replay: bool) -> int:
    from rcakit.archive import telling
    from rcakit.archive.difference import closing_said
    from rcakit.report import closing

    was = closing.incident(reference, out, target)
    done = closing.verify(was, target, out, options=options, replay=replay)
    if done.now is None or done.difference is None:
        click.echo(f"{done.verdict}: the run did not come to its end")
    else:
        show(telling.text(was, done.now, done.difference))
        click.echo(f"{done.verdict}: {closing_said(done.verdict, done.difference)}")
    tell(done.run)
    return done.exit_code


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
    from rcakit.report import forks

    with forks.warmed() as template:
        from rcakit import tour
        from rcakit.report.runs import Options

        options = Options(code=code, pdf=pdf, say=say, template=template)
        run = tour.demo(keep, out, healthy=healthy, replay=replay, options=options)
    if keep is not None:
        click.echo(tour.after_demo(keep), err=True)
    tell(run)
    return 0 if run.status in ("ok", "findings") else run.exit_code
