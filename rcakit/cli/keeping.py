"""`rcakit index`, `compare`, `prune` and `publish`: the runs that are kept."""

from __future__ import annotations

from pathlib import Path

import click

from rcakit.cli.shared import FORMAT, complain, say, show
from rcakit.errors import ConfigError
from rcakit.names import visible

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

    _demand(directory)
    for odd in archive(directory).odd:
        complain(f"{odd.folder}: {odd.why}", "")
    click.echo(listing.write(directory))
    return 0


def _demand(directory: Path) -> None:
    if not directory.is_dir():
        raise ConfigError(f"there is no directory {directory}", hint="name the one that --out made")


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

        try:
            comparing.write(was, now, found, page)
        except OSError as error:
            raise ConfigError(
                f"{page} cannot be written: {error.strerror}", hint="name another --html"
            ) from None
        say(f"written: {page}")
    if fmt == "json":
        click.echo(document.dumps(telling.document(was, now, found), ascii_only=True), nl=False)
    else:
        show(telling.text(was, now, found))
    return found.exit_code


@click.command()
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    metavar="N",
    help="How many runs of each target stay.",
)
@KEPT
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def prune(keep: int, out: Path, dry_run: bool) -> int:
    """Remove old runs, target by target.

    Whatever its age, the last good run of a target stays, and the last that came to its end. A run in progress is never
    touched, nor a folder that is no run, that somebody renamed or put notes into. What a killed run left goes after a
    day. The folders that go are printed on stdout; on stderr what is older and stays.

    \b
    Example:
      rcakit prune --keep 30 --dry-run
    """
    from datetime import UTC, datetime

    from rcakit.archive import prune as retention
    from rcakit.report import index as listing

    _demand(out)
    plan = retention.plan(out, keep, datetime.now(UTC))
    for spared in plan.spared:
        say(f"{spared.folder} stays: {spared.why}")
    for removal in plan.remove:
        if not dry_run:
            retention.remove(removal)
        click.echo(visible(str(removal.folder)))
    if not dry_run:
        listing.write(out)
    number = len(plan.remove)
    say(
        f"{number} folder{'s' * (number != 1)} {'would be' if dry_run else 'was' if number == 1 else 'were'} removed"
    )
    return 0


@click.command()
@click.argument("runs", metavar="RUN|DIR")
@click.argument("url")
@KEPT
def publish(runs: str, url: str, out: Path) -> int:
    """Send kept runs elsewhere: object storage, FTP, a directory.

    RUN is one run, as in compare; DIR a directory of kept runs, all of which are sent. URL is any that fsspec knows
    (s3://bucket/reports, file:///srv/reports); credentials come from the protocol's own environment or settings, never
    from the URL. A run that is there already is not sent again, one in progress never. index.html there lists what is
    there; its address is printed on stdout.

    \b
    Example:
      rcakit publish reports s3://bucket/reports
    """
    from rcakit.archive import publish as sending
    from rcakit.report import index as listing

    place = sending.Place(url)
    sending.publish(sending.wanted(runs, out), place, say)
    place.write_index(listing.page, listing.NAME)
    click.echo(f"{place.url}/{listing.NAME}")
    return 0
