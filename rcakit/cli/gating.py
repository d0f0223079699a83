"""`rcakit gate`: a check for the project's own pipeline, written as a patch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rcakit.cli.shared import FORMAT, read_case, say, target_of, target_options


@click.command()
@target_options
@click.option("--write", "writes", is_flag=True, help="Write the gate as a patch for the project.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Where the patch is written [default: standard output].",
)
@FORMAT
def gate(writes: bool, out: Path | None, fmt: str, **options: Any) -> int:
    """Give the project a check of where its tables are.

    The project is not changed: --write makes a patch that `git apply` takes in its directory.

    \b
    Exit codes:
      0  written
      2  it could not be done
      3  refused: there is nothing to guard
    \b
    Example:
      rcakit gate --write --out schema-gate.patch
    """
    from rcakit import gating

    if not writes:
        raise click.UsageError("give --write")
    case = read_case(target_of(options))
    made = gating.written(case)
    for note in made.notes:
        say(note)
    if not made.changed:
        say("the project has all of it already: the patch is empty")
    if out is None:
        click.echo(made.text, nl=False)
    else:
        click.echo(gating.put(made, out))
    return 0
