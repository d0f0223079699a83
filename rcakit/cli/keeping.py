"""`rcakit index`: the runs that are kept."""

from __future__ import annotations

from pathlib import Path

import click

from rcakit.cli.shared import complain
from rcakit.errors import ConfigError


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path("reports"), metavar="[DIR]")
def index(directory: Path) -> int:
    """Write index.html, the list of all kept runs, again.

    DIR is where the runs are kept [default: reports]. Every run does this at its end; this is for folders that were
    copied, removed or brought from elsewhere. What is no whole run is said on stderr, and on the page.

    \b
    Example:
      rcakit index reports
    """
    from rcakit.archive.kept import archive
    from rcakit.report import index as listing

    if not directory.is_dir():
        raise ConfigError(f"there is no directory {directory}", hint="name the one that --out made")
    for odd in archive(directory).odd:
        complain(f"{odd.folder}: {odd.why}", "")
    click.echo(listing.write(directory))
    return 0
