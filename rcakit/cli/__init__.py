"""The command line: every command is a call of the library and a rendering of its value.

Exit codes: 0 nothing found, 1 findings at or above --fail-on, 2 could not run or could not check, 3 refused.
Heavy modules are imported by the commands that need them, so that `rcakit --help` answers at once.
"""

from __future__ import annotations

import gc
import os
import sys

import click

from rcakit import __version__
from rcakit.cli import (
    auditing,
    checking,
    gating,
    keeping,
    repairing,
    replaying,
    reporting,
    running,
    starting,
)
from rcakit.cli.shared import complain
from rcakit.errors import MissingExtra, RcaError
from rcakit.report.cancelling import terminable

_LAB = {"IPython", "ipykernel", "jinja2", "jupyter_client", "matplotlib", "nbclient", "nbconvert", "nbformat"}
_LAB |= {"pandas", "papermill", "sqlalchemy", "traitlets"}
READER_GONE = 141
"""What a shell reports for a command whose output nobody reads any more (`| head`)."""


def main() -> None:
    """Run the command line and exit with its code; known errors are printed without a traceback."""
    # A command holds on to most of what it makes: looking for garbage in it as often as Python does by default
    # doubles the time of a check of some thousand models.
    gc.set_threshold(1_000_000, 20, 20)
    with terminable():
        code = _code()
    gc.freeze()  # or the interpreter looks through all of it several times on its way out: a tenth of a check
    sys.exit(code)


def _code() -> int:
    if "_RCAKIT_COMPLETE" in os.environ:  # a shell asks what could come next
        cli(prog_name="rcakit")
    try:
        with cli.make_context(
            "rcakit", sys.argv[1:]
        ) as context:  # cli() would end a broken pipe with 1: findings
            code = int(cli.invoke(context) or 0)
        sys.stdout.flush()
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code
    except RcaError as error:
        complain(error.what, error.hint)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except ModuleNotFoundError as error:
        missing = _missing_extra(error)
        complain(missing.what, missing.hint)
        return missing.exit_code
    except (click.Abort, KeyboardInterrupt):
        complain("cancelled", "")
        return 130
    except BrokenPipeError:
        _discard_output()
        return READER_GONE
    except OSError as error:
        _discard_output()
        place = f" ({error.filename})" if error.filename else ""
        complain(f"the operating system refused: {error.strerror}{place}", "mend that, and run it again")
        return 2
    return code


def _missing_extra(error: ModuleNotFoundError) -> MissingExtra:
    """What to install for a package that a plain `pip install rcakit` leaves out; any other is a fault of ours."""
    package = (error.name or "").partition(".")[0]
    if package not in _LAB:
        raise error
    return MissingExtra(package, "lab")


def _discard_output() -> None:
    """What is left in the buffer of stdout goes nowhere; the interpreter would try again at its end, and fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rcakit")
def cli() -> None:
    """Find out why a PostgreSQL database is not what its migrations say it is.

    \b
    Try it on a real incident, nothing to set up:
      rcakit demo
    Begin your own:
      rcakit new incident-42 && cd incident-42
    """


for _command in (
    auditing.audit_tests,
    checking.check,
    gating.gate,
    keeping.compare,
    keeping.index,
    keeping.prune,
    keeping.publish,
    repairing.repair,
    replaying.rehearse,
    replaying.replay,
    reporting.demo,
    reporting.investigate,
    running.run,
    starting.explain,
    starting.lab,
    starting.new,
    starting.params,
):
    cli.add_command(_command)
