"""`rcakit index` and `compare`: the runs that are kept."""

from __future__ import annotations

from pathlib import Path

import click

from rcakit.cli.shared import FORMAT, complain, say
from rcakit.errors import ConfigError

KEPT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    metavar="DIR",
    help="Where the runs are kept.",
)


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


@click.command()
@click.argument("earlier", metavar="RUN")
@click.argument("later", metavar="RUN")
@KEPT
@FORMAT
@click.option(
    "--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Also write it as a page."
)
def compare(earlier: str, later: str, out: Path, fmt: str, page: Path | None) -> int:
    """Tell what changed between two runs of one target.

    Findings that are new, resolved and unchanged; then which account of which table says something else. RUN is a
    folder, an id or the beginning of one, "last" (that came to its end) or "last-good" (that found nothing);
    "TARGET/last" where several targets are kept. The first is the earlier one.

    Exit code: 0 nothing new, 1 new findings, 2 it cannot be compared or something could not be checked any more.

    \b
    Example:
      rcakit compare last-good last --html changes.html
    """
    from rcakit import document
    from rcakit.archive import difference, lookup, telling

    was, now = lookup.find(earlier, out), lookup.find(later, out)
    found = difference.compare(was, now)
    if page is not None:
        from rcakit.report import comparing

        comparing.write(was, now, found, page)
        say(f"written: {page}")
    if fmt == "json":
        click.echo(document.dumps(telling.document(was, now, found), ascii_only=True), nl=False)
    else:
        click.echo(telling.text(was, now, found), nl=False)
    return found.exit_code
