"""``manage.py verify_schema_placement``: is every table in the schema it was meant for?"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from rcakit.gate.expectations import said
from rcakit.gate.placement import Result, verify


class Command(BaseCommand):
    """Exit codes: 0 every table is where it should be, 1 one is not, 2 something could not be checked.

    Read-only. The document of ``--format json`` is the only thing on standard output.
    """

    help = (
        "Compares where PostgreSQL holds the tables of the models with where they should be: by RCAKIT_GATE, by "
        "[expected_schemas] of rcakit.toml, or by the models' own names. Exit code 0: right, 1: a table is misplaced or "
        "missing, 2: could not check."
    )
    requires_system_checks: ClassVar[
        Any
    ] = []  # a wrong name is what this is to tell, in its own words and code

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--database",
            action="append",
            choices=tuple(connections),
            help="Database alias to check, repeatable; by default all of them.",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", help="What to print.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            expected = said()
        except ImproperlyConfigured as error:
            if options["format"] == "json":
                self.stdout.write(_document("could-not-check", Result([], []), str(error)))
            raise CommandError(str(error), returncode=2) from None
        result = verify(options["database"] or list(connections), expected)
        status = _status(result)
        if options["format"] == "json":
            self.stdout.write(_document(status, result))
        else:
            self._say(result, options["verbosity"])
        if status == "misplaced":
            count = f"{len(result.wrong)} of {len(result.placements)} tables"
            raise CommandError(f"{count} are not where they should be", returncode=1)
        if status == "could-not-check":
            raise CommandError("nothing wrong was found, but not everything could be checked", returncode=2)

    def _say(self, result: Result, verbosity: int) -> None:
        for each in result.placements if verbosity > 1 else result.wrong:
            self.stdout.write(str(each))
        for unread in result.unread:
            self.stdout.write(f"{unread.database}: could not be checked: {unread.reason}")
        right = len(result.placements) - len(result.wrong)
        self.stdout.write(f"{right} of {len(result.placements)} tables are where they should be")


def _status(result: Result) -> str:
    if result.wrong:
        return "misplaced"
    return "could-not-check" if result.unread else "ok"


def _document(status: str, result: Result, problem: str = "") -> str:
    unread = [each._asdict() for each in result.unread]
    if problem:
        unread.append({"database": None, "reason": problem})
    document = {
        "version": 1,
        "status": status,
        "tables": [each.to_json() for each in result.placements],
        "unread": unread,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
