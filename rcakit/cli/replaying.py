"""`rcakit replay` and `rcakit rehearse`: what migrations do, on a throwaway server."""

from __future__ import annotations

from typing import Any

import click

from rcakit.cli.shared import FORMAT, read_case, say, show, step, target_of, target_options


@click.command()
@target_options
@click.option("--counterfactual", is_flag=True, help="Undo each cause, alone and together, and replay again.")
@click.option("--reverse", is_flag=True, help="Undo each migration too, and do it again.")
@FORMAT
def replay(counterfactual: bool, reverse: bool, fmt: str, **options: Any) -> int:
    """Tell what each migration really does, on a throwaway server.

    The project's code runs with your rights; the investigated database is only read.

    \b
    Exit codes:
      0  every migration did what it says
      1  one is a silent no-op, in whole or in part, fails, or has a way back that does not restore
      2  it could not run, or could not tell everything
    \b
    Example:
      rcakit replay --config incident-42/rcakit.toml --counterfactual
    """
    from rcakit import document, rehearse
    from rcakit.text import ledger as ledger_text

    case = read_case(target_of(options), replay=True)
    case.reverse, case.on_step, case.say = reverse, step, say
    found = case.replayed
    matrix = case.matrix if counterfactual else None
    if found is None or (counterfactual and case.broken):
        raise case.broken or RuntimeError("a case opened for a replay has one")
    if fmt == "json":
        content = document.steps(found, counterfactual=matrix)
        click.echo(document.dumps(content, ascii_only=True), nl=False)
    else:
        show(ledger_text.ledger(found, matrix))
    return rehearse.exit_code(found)


@click.command()
@target_options
@click.option("--pending", is_flag=True, required=True, help="Those that were not applied yet.")
@FORMAT
def rehearse(pending: bool, fmt: str, **options: Any) -> int:
    """Try pending migrations on a clone, before they go out.

    pg_dump reads the structure: it takes an ACCESS SHARE lock on every table while it runs, and waits a few seconds at
    most for one. Nothing is written to the database.

    \b
    Exit codes:
      0  every pending migration does what it says
      1  one is a silent no-op, in whole or in part, or fails
      2  it could not be done, or could not tell everything
    \b
    Example:
      rcakit rehearse --pending --service production --project .
    """
    from rcakit import document, scratch
    from rcakit import rehearse as rehearsing
    from rcakit.text import ledger as ledger_text

    case = read_case(target_of(options))
    say("copying the structure of the database ...")
    with scratch.server(prefer=case.observed.server.version_num // 10000) as server:
        found = rehearsing.pending(case, server, step)
    if fmt == "json":
        click.echo(document.dumps(document.steps(found), ascii_only=True), nl=False)
    else:
        show(ledger_text.ledger(found))
    return rehearsing.exit_code(found)
