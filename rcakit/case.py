"""One investigation: the five accounts of a target, each read once, and what follows from them.

>>> case = open_case(load("rcakit.toml"))        # doctest: +SKIP
>>> case.findings                                 # doctest: +SKIP

Nothing is read before it is asked for. The database is read in one short REPEATABLE READ READ ONLY
transaction, which is closed before the first fact is handed out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcakit import (
    baseline,
    catalog,
    causes,
    evidence,
    filesonly,
    guards,
    intent,
    placement,
    provenance,
    rules,
    save,
    scratch,
    timeline,
    waivers,
)
from rcakit.archive import new_run_id
from rcakit.database import named, running
from rcakit.errors import ConfigError, ProjectError, RcaError, ScratchError
from rcakit.facts import (
    Accounts,
    Catalog,
    Declared,
    Dependant,
    Finding,
    Guard,
    Intent,
    ProjectTest,
    Recorded,
    Rows,
    Server,
    Unread,
    Verdict,
)
from rcakit.ledger import Ledger, outcome
from rcakit.names import display
from rcakit.sources import claims, django_live, django_static, gates, git
from rcakit.target import Target, load

if TYPE_CHECKING:
    import pandas as pd

    from rcakit import counterfactual, worlds
    from rcakit.replay import OnStep


PLACEMENT = frozenset({"RK401", "RK402"})
"""Findings of a table that is not where it was meant to be."""
GATE = frozenset({"RK801"})
"""Findings of a check that is gone: tests may have taken its place."""


@dataclass(frozen=True)
class Reading:
    """What one look at the database gave."""

    accounts: Accounts
    placements: tuple[placement.Placement, ...]
    dependants: tuple[Dependant, ...]
    rows: Mapping[int, int] = field(default_factory=dict)
    """OID of a misplaced table -> its exact number of rows."""
    evidence: tuple[evidence.Evidence, ...] = ()


class Case:
    """One investigation of one target. Attributes are read when first used, and then kept."""

    def __init__(
        self, target: Target, run_id: str | None = None, *, replay: bool = False, static: bool = False
    ) -> None:
        self.target = target
        self.static = static
        """The files alone are read: no database is asked, nothing of the project is run."""
        self.replays = replay
        """The project's migrations may be run on a scratch server: its code runs, so somebody has to ask for it."""
        self.whole = True
        """Set to False before anything is read, the database is not asked for what no rule looks at."""
        self.reverse = False
        """A replay also undoes each migration and does it again."""
        self.baseline: baseline.Baseline | None = None
        """Findings that were known before; set it before the findings are asked for."""
        self.on_step: OnStep | None = None
        """Called before each migration of a replay: its label, its number, how many there are."""
        self.say: Callable[[str], None] = lambda _: None
        """Called with a line of progress before each counterfactual replay."""
        self._broke_off: RcaError | None = None
        self.started = datetime.now(UTC)
        self.run_id = run_id or os.environ.get("RCAKIT_RUN_ID") or new_run_id(self.started)
        """In a run (`rcakit run`, `investigate`) that of its folder."""
        self.queries: list[evidence.Evidence] = []
        """What a person asked with `query`."""

    # ------------------------------------------------------------ the accounts

    @cached_property
    def declared(self) -> Declared:
        """The models and migrations: live where the target names an interpreter, from the files else."""
        project = self.project
        if self.static:
            return self.reading.accounts.declared
        if self.target.interpreter is None:
            return django_static.read(project, settings=self.target.settings)
        try:
            return django_live.read(project, settings=self.target.settings, python=self.target.interpreter)
        except ProjectError as error:
            declared = django_static.read(project, settings=self.target.settings)
            reason = f"the project could not be run, its files were read instead: {error.what} ({error.hint})"
            failure = Unread("declared", reason)
            return replace(declared, unread=(failure, *declared.unread))

    @cached_property
    def reading(self) -> Reading:
        """Everything the database is asked, in one transaction."""
        if self.static:
            target = self.target
            return Reading(
                filesonly.accounts(self.project, target.settings, target.expected_schemas, self.claims),
                (),
                (),
            )
        named(self.target)  # a missing name is told at once, not after the project was read
        found, unread = guards_of(self.declared)
        checked, unread_gates = gates.read(self.project)
        with running(self.target) as conninfo, evidence.session(conninfo, run=self.run_id) as recorder:
            reading = self._read(recorder, found, unread)
        accounts = reading.accounts
        unread = [row for row in unread_gates if row not in accounts.unread]
        return replace(reading, accounts=replace(accounts, gates=checked, unread=(*accounts.unread, *unread)))

    def _read(self, recorder: evidence.Recorder, found: Iterable[Guard], unread: list[Unread]) -> Reading:
        observed = catalog.read(recorder, self.target.schemas, whole=self.whole)
        recorded, unread_history = catalog.read_recorded(
            recorder, observed, search_path=self.declared.search_path
        )
        edits, unread_edits = git.edits(self.project, self.declared, recorded.applied)
        verdicts = guards.evaluate(found, recorder, observed)
        accounts = Accounts(
            observed=observed,
            declared=self.declared,
            recorded=replace(recorded, edits=edits),
            intended=intent.infer(
                observed, self.declared, verdicts, self.target.expected_schemas, self.claims
            ),
            guards=verdicts,
            unread=(
                *self.declared.unread,
                *unread,
                *unread_history,
                *_no_history(self.declared, recorded, observed.server),
                *_no_schemas(self.target.schemas, observed),
                *unread_edits,
                *(verdict.unread for verdict in verdicts if verdict.unread),
            ),
        )
        rows = placement.placements(accounts)
        misplaced = [row.found for row in rows if row.found and row.verdict == "wrong schema"]
        hanging = catalog.dependants(recorder, [relation.oid for relation in misplaced])
        counts = catalog.count_rows(recorder, misplaced)
        accounts = replace(accounts, unread=(*accounts.unread, *recorder.unread))
        return Reading(accounts, rows, tuple(hanging), counts, tuple(recorder.evidence))

    @cached_property
    def accounts(self) -> Accounts:
        """All five accounts, as the rules see them."""
        ledger = self.replayed
        if ledger is None:
            return self.reading.accounts
        replayed = ledger.catalog if ledger.failed is None else None
        return replace(self.reading.accounts, replayed=replayed, ways_back=ledger.ways_back())

    @property
    def observed(self) -> Catalog:
        return self.accounts.observed

    @property
    def recorded(self) -> Recorded:
        return self.accounts.recorded

    @property
    def intended(self) -> Rows[Intent]:
        return Rows(self.accounts.intended)

    @property
    def guards(self) -> Rows[Verdict]:
        return Rows(self.accounts.guards)

    @property
    def placement(self) -> Rows[placement.Placement]:
        ledger = self.replayed
        if ledger is None:
            return Rows(self.reading.placements)
        rows = placement.with_replay(self.reading.placements, ledger.catalog, whole=ledger.failed is None)
        return Rows(rows)

    @property
    def dependants(self) -> Rows[Dependant]:
        """What hangs on the misplaced tables."""
        return Rows(self.reading.dependants)

    @property
    def rows(self) -> Mapping[int, int]:
        """OID of a misplaced table -> its number of rows, counted."""
        return self.reading.rows

    @cached_property
    def claims(self) -> Rows[claims.Claim]:
        """Tasks of the project's Markdown files."""
        return Rows(claims.read(self.project))

    @cached_property
    def checked(self) -> Accounts:
        """The accounts with what the project's tests, pipelines and task lists check and claim; its files are read."""
        from rcakit.sources import checks

        return checks.added(self.accounts, self.project, self.target.settings, self.claims)

    # ------------------------------------------------------------ what follows

    @property
    def asked(self) -> tuple[rules.Rule, ...]:
        """The rules that have what they need: a replay and a database are not always there."""
        missing = {"database", "replay"} if self.static else set() if self.replays else {"replay"}
        return tuple(rule for rule in rules.RULES if rule.needs not in missing)

    @cached_property
    def _judged(self) -> tuple[tuple[Finding, ...], tuple[waivers.Waived, ...]]:
        found = rules.run(self.accounts, self.asked)
        if self._concerned(found):  # only now is there something that tests and tasks could have noticed
            found = rules.run(self.checked, self.asked)
        return waivers.apply(found, self.target.waivers, self.project, self.started.date())

    @staticmethod
    def _concerned(found: Iterable[Finding]) -> bool:
        """Whether what the project's tests look at matters."""
        return any(finding.code in PLACEMENT | GATE for finding in found)

    @property
    def standing(self) -> Rows[Finding]:
        """Every finding that is not waived, known or not."""
        return Rows(self._judged[0])

    @cached_property
    def parted(self) -> baseline.Parted:
        """The standing findings held against the baseline."""
        return baseline.part(
            self.baseline,
            self.standing,
            {rule.code for rule in rules.RULES} - {rule.code for rule in self.asked},
        )

    @property
    def findings(self) -> Rows[Finding]:
        """What stands and was not known before."""
        return Rows(self.parted.new)

    @property
    def waived(self) -> Rows[waivers.Waived]:
        return Rows(self._judged[1])

    @cached_property
    def replayed(self) -> Ledger | None:
        """What each migration really did, run on a scratch database; None unless the case was opened with `replay`,
        and where it broke off: then `broken` says why.
        """
        if not self.replays:
            return None
        try:
            with self._scratch() as server:
                return self._world.replayed(server, on_step=self.on_step, reverse=self.reverse)
        except (ProjectError, ScratchError) as error:
            self._broke_off = error
            return None

    @property
    def broken(self) -> RcaError | None:
        """Why there is no replay, or none with its causes undone, though one was wanted: the server lost, the process
        killed, time run out. All else is told without it.
        """
        if self.replays:
            _ = self._proofs
        return self._broke_off

    @cached_property
    def _proofs(self) -> tuple[counterfactual.Matrix | None, tuple[worlds.Truth, ...]]:
        """The matrix and the truth tables, from one scratch server."""
        ledger = self.replayed
        if ledger is None:
            return None, ()
        from rcakit import counterfactual, worlds

        chain = causes.chain(self.accounts, self.findings)
        try:
            with self._scratch() as server:
                matrix = counterfactual.prove(self._world, chain, self.findings, server, ledger, self.say)
                return matrix, worlds.truth(self.accounts, server, ledger)
        except (ProjectError, ScratchError) as error:
            self._broke_off = error
            return None, ()

    @property
    def _world(self) -> counterfactual.World:
        from rcakit import counterfactual

        target = self.target
        return counterfactual.World(self.reading.accounts, self.project, target.settings, target.interpreter)

    def _scratch(self) -> AbstractContextManager[scratch.Server]:
        """A server of the observed server's version, where there is one."""
        return scratch.server(prefer=self.reading.accounts.observed.server.version_num // 10000)

    @property
    def matrix(self) -> counterfactual.Matrix | None:
        """The counterfactual replays: each set of causes undone; None without `replay` or without a cause to undo."""
        return self._proofs[0]

    @property
    def worlds(self) -> Rows[worlds.Truth]:
        """What each conditional migration does from every state it could have met; empty without `replay`."""
        return Rows(self._proofs[1])

    @cached_property
    def causes(self) -> Rows[causes.Cause]:
        """The causal chain, root first, proved where it was replayed; empty when nothing is wrong with the database."""
        chain = causes.chain(self.accounts, self.findings)
        if self.matrix is None:
            return Rows(chain)
        from rcakit import counterfactual

        return Rows(counterfactual.judged(chain, self.matrix))

    @property
    def unread(self) -> Rows[Unread]:
        """What could not be read or evaluated, and why: never the same as clean."""
        rows = (self.checked if self._concerned(self.standing) else self.accounts).unread
        gaps = self.replayed.gaps if self.replayed else ()
        lost = (Unread("replayed", self.broken.what, None, True),) if self.broken else ()
        return Rows(dict.fromkeys((*rows, *gaps, *lost)))

    @property
    def evidence(self) -> Rows[evidence.Evidence]:
        """Every query that was run, with its answer, time and role."""
        return Rows((*self.reading.evidence, *self.queries))

    @property
    def tests(self) -> Rows[ProjectTest]:
        """The project's tests and what each of their assertions looks at, read without running them."""
        return Rows(self.checked.tests)

    @property
    def status(self) -> str:
        """ "findings" (warning or error), "could-not-check" or "ok"."""
        if any(finding.severity != "note" for finding in self.findings):
            return "findings"
        return "could-not-check" if any(unread.blocking for unread in self.unread) else "ok"

    def exit_code(self, fail_on: str = "warning") -> int:
        """0 nothing at or above `fail_on`, 1 findings, 2 no finding but something could not be checked.

        Findings win over what could not be checked: something certain is wrong, and both are listed.
        """
        levels = ("error", "warning", "note")
        counted = levels[: levels.index(fail_on) + 1] if fail_on in levels else ()
        if any(finding.severity in counted for finding in self.findings):
            return 1
        return 2 if any(unread.blocking for unread in self.unread) else 0

    @cached_property
    def timeline(self) -> Rows[timeline.Event]:
        """What happened when, in UTC, each row with its source."""
        return Rows(timeline.events(self))

    @cached_property
    def provenance(self) -> dict[str, str]:
        """Under which circumstances this was found; no secret is in it."""
        return provenance.of(self)

    # ------------------------------------------------------------ a person's own questions

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Ask the investigated database, read-only; the answer becomes part of the report's evidence.

        Parameters are bound (`where table_schema = :schema`). The frame's `attrs["evidence"]` holds the
        query, its time, role and row count. Raises SqlError with the server's own words.
        """
        from rcakit import query

        with running(self.target) as conninfo:
            result = query.ask(conninfo, sql, params or {}, self.run_id, len(self.queries) + 1)
        self.queries.append(result)
        return result.frame()

    # ------------------------------------------------------------ the result

    def save(self, directory: str | Path | None = None) -> Path | None:
        """Write findings.json and evidence/*.csv; returns the directory.

        Without `directory` it is that of the run (set by `rcakit investigate`); outside a run nothing is
        written and None comes back, so that the notebook's last cell does no harm by hand.
        """
        place = directory or os.environ.get("RCAKIT_RUN_DIR")
        return save.write(self, Path(place)) if place else None

    @property
    def project(self) -> Path:
        """The project's directory. Raises ConfigError when none is named or it is not there."""
        project = self.target.project_dir
        if project is None:
            raise ConfigError(
                "no project is named", hint='give --project DIR, or write project = ".." into rcakit.toml'
            )
        if not project.is_dir():
            raise ConfigError(
                f"{project} is not a directory", hint="check --project, or `project` in rcakit.toml"
            )
        return project


def open_case(
    target: Target | str | Path | None = None,
    *,
    run_id: str | None = None,
    replay: bool = False,
    static: bool = False,
    **options: Any,
) -> Case:
    """Open an investigation; nothing is read yet.

    `target` is a `Target`, the path of a settings file, or None to look for one; `options` are those of
    `rcakit.target.load` (dsn_env, service, project, settings, python, schemas). `replay` lets the project's
    migrations run on a scratch server, to see what each really did and to prove the causes; `static` reads the
    project's files alone, and asks no database. Raises ConfigError.
    """
    if not isinstance(target, Target):
        target = load(target, **options)
    return Case(target, run_id, replay=replay, static=static)


def _no_history(declared: Declared, recorded: Recorded, server: Server) -> Iterator[Unread]:
    """Without a history nothing counts as applied, and nothing is missing: not the same as "all is well"."""
    if not declared.migrations or any(table.read for table in recorded.tables):
        return
    where = f"database {server.database}"
    if recorded.tables:
        schemas = ", ".join(display(table.schema) for table in recorded.tables)
        path = server.search_path if declared.search_path is None else declared.search_path
        reason = (
            f"{where} has a history of migrations in {schemas}, but the search_path ({path}) does not lead there: "
            "what was applied is not known"
        )
    else:
        reason = (
            f"{where} has no history of migrations (no table django_migrations): either nothing was ever migrated "
            "there, or it is not this project's database"
        )
    yield Unread("recorded", reason)


def _no_schemas(wanted: Iterable[str], observed: Catalog) -> Iterator[Unread]:
    for schema in wanted:
        if schema not in observed.schema_names:
            yield Unread(
                "observed", f"there is no schema {display(schema)} in database {observed.server.database}"
            )


def guards_of(declared: Declared) -> tuple[list[Guard], list[Unread]]:
    """Every guard in the SQL and Python of the migrations, and what could not be parsed."""
    read = [outcome.guards_of(migration) for migration in declared.migrations]
    return [guard for found, _ in read for guard in found], [row for _, missed in read for row in missed]
