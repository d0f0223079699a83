"""`rcakit gate`: a check for the project's own pipeline, written as a patch, and proved to go red."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcakit.cli.shared import FORMAT, read_case, say, show, target_of, target_options

if TYPE_CHECKING:
    from rcakit.case import Case


@click.command()
@target_options
@click.option("--write", "writes", is_flag=True, help="Write the gate as a patch for the project.")
@click.option("--prove", "proves", is_flag=True, help="Put faults into copies, and see whether it goes red.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Where the patch is written [default: standard output].",
)
@FORMAT
def gate(writes: bool, proves: bool, out: Path | None, fmt: str, **options: Any) -> int:
    """Give the project a check of its own, and prove it.

    The project is not changed: --write makes a patch that `git apply` takes in its directory. --prove runs the project's
    migrations in copies of it, on a throwaway server.

    \b
    Exit codes:
      0  written; or every fault makes the gate red, and the project without one green
      1  a fault stays green, or the project without one is red
      2  it could not be done
      3  refused: there is nothing to guard
    \b
    Example:
      rcakit gate --write --out schema-gate.patch
    """
    if writes == proves:
        raise click.UsageError("give one of --write and --prove")
    case = read_case(target_of(options))
    return _proved(case, fmt) if proves else _written(case, out)


def _written(case: Case, out: Path | None) -> int:
    from rcakit import gating

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


def _proved(case: Case, fmt: str) -> int:
    from rcakit import document
    from rcakit.gating import proving

    proof = proving.prove(case, say=say)
    if fmt == "json":
        click.echo(document.dumps(proof.to_json(), ascii_only=True), nl=False)
    else:
        show(proving.tell(proof))
    return proving.exit_code(proof)
