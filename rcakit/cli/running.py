"""`rcakit run`: any notebooks, executed and rendered, with an exit code that tells how it went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rcakit.cli.shared import CODE, FAIL_ON, NOTIFY, NOTIFY_ENV, OUT, PDF, complain, say, tell
from rcakit.errors import RcaError

if TYPE_CHECKING:
    from rcakit.report.render import Code
    from rcakit.report.runs import Job


@click.command()
@click.argument("notebooks", nargs=-1, required=True, metavar="NOTEBOOK...")
@click.option(
    "-p",
    "--parameter",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the notebook, read by its type; may be repeated, for a list too.",
)
@click.option(
    "--each",
    multiple=True,
    metavar="NAME=VALUE",
    help="Repeated: one run for each of these, besides what -p says.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="So many runs at a time.",
)
@OUT
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="Stop a whole run after this time.",
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
@NOTIFY
@NOTIFY_ENV
def run(
    notebooks: tuple[str, ...],
    assignments: tuple[str, ...],
    each: tuple[str, ...],
    jobs: int,
    out: Path,
    timeout: float,
    cell_timeout: float | None,
    fail_on: str,
    code: Code,
    pdf: bool,
    notify: str,
    notify_env: str,
) -> int:
    """Run notebooks and write their reports, however they end.

    NOTEBOOK is a path, or the name of one that comes with rcakit: 10_incident_report. `rcakit params NOTEBOOK` lists
    its parameters. Relative paths in them start from the working directory.

    What is printed on stdout are the paths of the reports, one a line; the exit code is the highest of all runs.

    \b
    Example:
      rcakit run 10_incident_report -p config=incident-42/rcakit.toml --timeout 300
      rcakit run 10_incident_report --each config=shop/rcakit.toml --each config=crm/rcakit.toml -j 2
    """
    from rcakit.report import forks

    with forks.warmed(notebooks) as template:
        from rcakit.report import params, runs

        options = runs.Options(
            fail_on=fail_on,
            code=code,
            pdf=pdf,
            notify=notify_env if notify == "on-change" else "",
            cell_timeout=cell_timeout,
            total_timeout=timeout,
            say=say,
            template=template,
        )
        prepared = [
            runs.prepare(params.find(notebook), assignments if one is None else (*assignments, one), options)
            for notebook in notebooks
            for one in (each or (None,))
        ]
        return _several(prepared, out, jobs) if len(prepared) > 1 else _one(prepared[0], out)


def _one(job: Job, out: Path) -> int:
    from rcakit.report import runs

    runs.warm()
    done = runs.perform(job, out)
    runs.list_runs(out, say)
    say(f"status: {done.status}")
    tell(done)
    return done.exit_code


def _several(prepared: list[Job], out: Path, at_once: int) -> int:
    """Lines of progress begin with the target's name, for they come from several runs."""
    from rcakit.report import many

    def named(job: Job) -> Job:
        return replace(
            job, options=replace(job.options, say=lambda text: say(f"{job.options.target}: {text}"))
        )

    codes = []
    for job, made in many.execute([named(job) for job in prepared], out, at_once=at_once):
        if isinstance(made, RcaError):
            complain(made.what, made.hint)
        else:
            job.options.say(f"status: {made.status}")
            tell(made)
        codes.append(made.exit_code)
    return max(codes)
