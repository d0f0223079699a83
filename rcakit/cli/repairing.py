"""`rcakit repair`: a repair written, and tried on a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rcakit.cli.shared import FORMAT, read_case, say, show, target_of, target_options


def _limit(_: click.Context, __: click.Parameter, value: str) -> int | None:
    """None for "all"."""
    if value == "all":
        return None
    if not (value.isascii() and value.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither 'all' nor a number of rows")
    return int(value)


@click.command()
@target_options
@click.option(
    "--option",
    "letter",
    type=click.Choice(("A", "B", "C", "advised"), case_sensitive=False),
    required=True,
    help="A: move the tables. B: keep the names. C: move, with views under the old names. "
    "advised: what people usually advise, to see it rehearsed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the files are written.",
)
@click.option(
    "--rehearse", "rehearsed", is_flag=True, help="Try it on a copy of the database: the project's code runs."
)
@click.option(
    "--rows",
    default="all",
    callback=_limit,
    metavar="all|N",
    help="How many rows a table the copy holds: all (default), or N and those that their foreign keys lead to.",
)
@FORMAT
def repair(letter: str, out: Path, rehearsed: bool, rows: int | None, fmt: str, **options: Any) -> int:
    """Write a repair of misplaced tables, and try it on a copy.

    Nothing is ever applied to the investigated database, and the project is not changed.

    \b
    Exit codes:
      0  written, and with --rehearse it passed
      1  the rehearsal failed
      2  it could not be done
      3  refused: it would destroy data, or the state is not understood
    \b
    Example:
      rcakit repair --option A --out repair --rehearse
    """
    from rcakit import document, rehearsal, remedy
    from rcakit.rehearsal.document import document as described
    from rcakit.text import repair as repair_text

    case = read_case(target_of(options))
    choice = remedy.option(case, letter)
    written = remedy.write(choice, out)
    tried = None
    if rehearsed:
        say("copying the database ...")
        with rehearsal.stage(case, rows) as here:
            tried = rehearsal.rehearse(here, choice, say)
    if fmt == "json":
        click.echo(document.dumps(described(choice, tried), ascii_only=True), nl=False)
    else:
        show(repair_text.repair(choice, written, tried))
    return 1 if tried is not None and tried.verdict == "failed" else 0
