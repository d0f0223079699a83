"""`rcakit new`, `lab`, `params`, `explain`: for whoever begins."""

from __future__ import annotations

from pathlib import Path

import click

from rcakit.cli.shared import say


@click.command()
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


@click.command()
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


@click.command()
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


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> int:
    """Open JupyterLab on the notebooks here.

    "Here" is the working directory, with rcakit.toml in it; where nothing is named, it opens on the demo incident.
    ARGUMENTS are passed on to JupyterLab.

    \b
    Example:
      cd incident-42 && rcakit lab --no-browser
    """
    from rcakit import tour

    return tour.lab(arguments, say)
