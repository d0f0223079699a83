"""`rcakit audit-tests`: which tests could have noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rcakit.cli.shared import FORMAT, read_case, say, show, target_of, target_options


@click.command("audit-tests")
@target_options
@FORMAT
@click.option("--static", is_flag=True, help="Only read the tests; nothing of the project is run.")
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the proposed tests below DIR, such as the project's directory.",
)
def audit_tests(fmt: str, static: bool, write: Path | None, **options: Any) -> int:
    """Find out which of the project's tests could have noticed.

    Its own tests are run in copies of the project, with the fault and without it, on scratch databases.

    \b
    Exit codes:
      0  every fault is noticed by some test, or --static
      1  some fault is noticed by none
      2  the tests could not be run
    \b
    Example:
      rcakit audit-tests --project . --settings config.settings --python .venv/bin/python --format json
    """
    from rcakit import blindness, document
    from rcakit.blindness import written

    audit = blindness.audit(read_case(target_of(options)), run=not static, say=say)
    if fmt == "json":
        click.echo(document.dumps(written.document(audit), ascii_only=True), nl=False)
    else:
        show(written.text(audit))
    if write is not None and audit.proposed:
        click.echo(written.put(audit, write), err=True)
    return written.exit_code(audit, static=static)
