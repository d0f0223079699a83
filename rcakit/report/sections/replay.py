"""What the migrations really did: the ledger, guards in every world, the causes undone one by one.

Without a replay each says so in one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING

from rcakit.report import replay_figures, tables
from rcakit.report.html import Html, between, breakable, chip, code, details, join, tag
from rcakit.report.replay_figures import WORDS, WRONG
from rcakit.report.sections import common

if TYPE_CHECKING:
    from rcakit.case import Case
    from rcakit.causes import Cause
    from rcakit.counterfactual import Matrix, Trial
    from rcakit.errors import RcaError
    from rcakit.ledger import Back, Ledger, Step
    from rcakit.worlds import Row, Truth

SHOWN = 6
"""Changes of one migration that the page lists; `findings.json` has them all."""
_KINDS = {
    "changed": "good",
    "data-only": "good",
    "state-only": "quiet",
    "vacuous": "quiet",
    "silent-no-op": "error",
    "failed": "error",
    "cannot-reproduce": "unknown",
}
_OUTCOMES = {"moves": "good", "does nothing": "warning", "fails": "error", "cannot tell": "unknown"}


def replayed(case: Case) -> Html:
    """All three, as the incident report shows them."""
    if case.replayed is None:
        return _not_replayed(case)
    return join(ledger(case), truth(case), matrix(case))


def _not_replayed(case: Case) -> Html:
    if case.broken is not None:
        return _broke_off(case.broken)
    return tag(
        "p",
        "Not replayed: run ",
        code("rcakit investigate --replay"),
        ", which runs the project's code on a throwaway server.",
        class_="later",
    )


def _broke_off(error: RcaError) -> Html:
    """What was not done is not told as done, and the rest of the report does without it."""
    return tag("p", chip("unknown", "broke off"), " ", common.sentence(error.what), class_="later")


def banner(case: Case) -> Html:
    """On top of a page whose replay broke off: what happened, what was done, what was not."""
    if case.broken is None:
        return Html("")
    told = "The ledger is whole" if case.replayed else "No migration is told of"
    parts = [
        tag("strong", "The replay broke off"),
        f"{common.sentence(case.broken.what)} {common.sentence(case.broken.hint)}",
        f"{told}; conditions from every state and causes undone are missing. What needs no replay was done.",
    ]
    return tag(
        "aside", *(tag("p", part) for part in parts), class_="banner", aria_label="State of the replay"
    )


def verdict(case: Case) -> Html:
    """The answer to the question of the replay's notebook, in one sentence."""
    found = case.replayed
    if found is None:
        return _not_replayed(case)
    silent = [step.migration for step in found.silent()]
    if found.failed is not None:
        said = f"They could not all be told: the replay broke off in {found.failed.migration}."
    elif silent:
        number = f"{len(silent)} of {common.plural(len(found.steps), 'migration')}"
        said = f"{number} did nothing and said nothing: {common.listed(silent)}."
    else:
        said = (
            f"What they say: none of {common.plural(len(found.steps), 'migration')} did nothing in silence."
        )
    return tag("p", said, class_="answer")


# ------------------------------------------------------------------ the ledger


def ledger(case: Case) -> Html:
    """A bar for each migration, those that did not do what they say in full, the rest folded away."""
    found = case.replayed
    if found is None:
        return _not_replayed(case)
    own = {each.label for each in case.accounts.declared.migrations if each.first_party}
    amiss = [step for step in found.steps if step.kind in WRONG or step.idle]
    rest = [step for step in found.steps if step not in amiss]
    parts = [_told(found), replay_figures.ledger(found)]
    parts.append(
        _steps(amiss, "Migrations that did not do what they say")
        if amiss
        else common.nothing("Every migration that carries DDL changed what it said.")
    )
    if rest:
        what = common.plural(len(rest), "migration")
        parts.append(details(f"{what} that did what they say", _as_they_say(rest, own)))
    return join(*parts, _notices(found), _ways_back(found))


def _told(found: Ledger) -> Html:
    counts = Counter(WORDS[step.kind] for step in found.steps)
    said = common.listed((f"{number} {word}" for word, number in counts.items()), limit=9)
    return tag(
        "p",
        f"{common.plural(len(found.steps), 'migration')} run one by one on PostgreSQL {found.server_version} "
        f"with {found.framework}, in {found.seconds:.1f} s: {said}.",
    )


def _as_they_say(steps: Sequence[Step], own: Container[str]) -> Html:
    """The project's own in full; of the packages it installs, what each migration came to."""
    ours = [step for step in steps if step.migration in own]
    theirs: dict[str, list[Step]] = {}
    for step in steps:
        if step.migration not in own:
            theirs.setdefault(step.migration.partition(".")[0], []).append(step)
    return join(
        _steps(ours, "The project's other migrations") if ours else "", _packages(list(theirs.items()))
    )


def _packages(groups: Sequence[tuple[str, list[Step]]]) -> Html:
    columns: dict[str, Callable[[tuple[str, list[Step]]], object]] = {
        "Application": lambda row: row[0],
        "Migrations": lambda row: join(*between([_briefly(step) for step in row[1]], " · ")),
        "Seconds": lambda row: f"{sum(step.seconds for step in row[1]):.3f}",
    }
    style = tables.Style("Those of installed packages", limit=None, noun="application", cards=True)
    return tables.records(groups, style, columns) if groups else Html("")


def _briefly(step: Step) -> Html:
    number = common.plural(len(step.changes), "change")
    name = step.migration.partition(".")[2]
    return join(breakable(name), ": ", number if step.kind == "changed" else WORDS[step.kind])


def _steps(steps: Sequence[Step], caption: str) -> Html:
    columns = {
        "Migration": lambda step: breakable(step.migration),
        "Outcome": lambda step: chip(_KINDS[step.kind], WORDS[step.kind]),
        "Changes": _changes,
        "Conditions": _conditions,
        "Why": lambda step: step.error.partition("\n")[0] or step.why or "–",
        "Seconds": lambda step: f"{step.seconds:.3f}",
    }
    style = tables.Style(caption, limit=None, cards=True, noun="migration", source="findings.json")
    return tables.records(steps, style, columns)


def _changes(step: Step) -> object:
    lines = [str(change) for change in step.changes]
    shown = [tag("p", breakable(line)) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(tag("p", f"and {len(lines) - SHOWN} more", class_="meta"))
    for name, counts in (step.rows or {}).items():
        words = zip(("inserted", "updated", "deleted"), counts, strict=True)
        done = common.listed(f"{number} {word}" for word, number in words if number)
        shown.append(tag("p", f"rows of {name}: {done}"))
    return join(*shown) if shown else "none"


def _conditions(step: Step) -> object:
    """How many were false, and what there was instead of what they asked for."""
    asked = [each for each in step.guards if each.verdict.guard.condition and each.effects != "present"]
    if not asked:
        return "–"
    false = [each for each in asked if each.verdict.as_role is False]
    said = f"{len(false)} of {len(asked)} false"
    near = [
        tag(
            "p",
            code(each.verdict.guard.relations[0]),
            " asked for, there was ",
            code(each.verdict.nearest.qualified),
        )
        for each in false
        if each.verdict.nearest and each.verdict.guard.relations
    ]
    more = tag("p", f"and {len(near) - 2} more like that", class_="meta") if len(near) > 3 else Html("")
    return join(said, *(near[:2] if len(near) > 3 else near), more)


def _notices(found: Ledger) -> Html:
    rows = [(step.migration, each.severity, each.message) for step in found.steps for each in step.notices]
    if not rows:
        return Html("")
    shown = [(breakable(label), severity, message) for label, severity, message in rows]
    style = tables.Style("What the server said, which migrate does not show", noun="notice", cards=True)
    return details(
        f"{common.plural(len(rows), 'notice')} of the server",
        tables.table(["Migration", "Severity", "Message"], shown, style),
    )


def _ways_back(found: Ledger) -> Html:
    tried = [step for step in found.steps if step.reverse is not None]
    if not tried:
        return Html("")
    bad = [step for step in tried if step.reverse and step.reverse.result in ("failed", "differs")]
    if not bad:
        count = sum(step.reverse is not None and step.reverse.result == "restored" for step in tried)
        final = sum(step.reverse is not None and step.reverse.result == "irreversible" for step in tried)
        told = f"{common.plural(count, 'migration')} undone and done again: the catalog came back each time"
        return common.nothing(f"{told}; {final} cannot be undone." if final else f"{told}.")
    rows = [_way_back(step.migration, step.reverse) for step in bad if step.reverse is not None]
    style = tables.Style("Ways back that do not lead back", noun="migration", cards=True)
    return tables.table(["Migration", "Way back", "What is different"], rows, style)


def _way_back(label: str, back: Back) -> tuple[Html, Html, object]:
    lines = [tag("p", breakable(line)) for line in back.changes[:SHOWN]]
    failed = back.result == "failed"
    said = back.error.partition("\n")[0] if failed else join(*lines)
    return breakable(label), chip("error", "fails" if failed else "does not restore"), said


# ------------------------------------------------------------------ guards in every world


def truth(case: Case) -> Html:
    """For each conditional migration, what it does from every state it could have met."""
    if case.replayed is None:
        return _not_replayed(case)
    if not case.worlds and case.broken is not None:
        return _broke_off(case.broken)
    if not case.worlds:
        return common.nothing("No migration of the project asks before it acts.")
    return join(*map(_table, case.worlds))


def _table(table: Truth) -> Html:
    columns: dict[str, Callable[[Row], object]] = {
        "State": lambda row: join(tag("b", row.world.name), tag("p", row.world.description, class_="meta")),
        "Occurs": lambda row: (
            chip("note", row.world.reachable) if row.world.reached else "only by somebody's hand"
        ),
        "Conditions": lambda row: "cannot be told" if row.true is None else f"{row.true} of {row.total} true",
        "It": lambda row: chip(_weight(row), _did(row, table)),
        "Intended end": _end,
        "Error": lambda row: row.error or "–",
    }
    conditions = common.plural(len(table.guards), "condition")
    rows = sorted(table.rows, key=lambda row: not row.world.reached)
    body = tables.table(
        list(columns),
        [[value(row) for value in columns.values()] for row in rows],
        tables.Style(f"What it does with its {conditions}", limit=None, noun="state", cards=True),
    )
    head = tag("h3", code(table.migration), " from every state it could have met")
    return join(head, tag("p", table.conclusion, class_="conclusion"), body)


def _end(row: Row) -> str:
    if row.intended_end:
        return "reached" if row.outcome == "moves" else "was there before"
    return f"{row.ended} of {row.total}"


def _weight(row: Row) -> str:
    """Doing nothing is right where all is done already."""
    return "quiet" if row.works and row.outcome == "does nothing" else _OUTCOMES[row.outcome]


def _did(row: Row, table: Truth) -> str:
    moves = all(effect.kind in ("move", "rename") for guard in table.guards for effect in guard.effects)
    return row.outcome if row.outcome != "moves" or moves else "takes effect"


# ------------------------------------------------------------------ the counterfactual matrix


def matrix(case: Case) -> Html:
    """Each set of causes undone, one replay a row, and what follows for each cause."""
    if case.replayed is None:
        return _not_replayed(case)
    found = case.matrix
    if found is None and case.broken is not None:
        return _broke_off(case.broken)
    if found is None:
        return common.nothing(
            "There is no misplaced or missing table with a cause that could be undone: nothing was tried."
        )
    causes = [undo.cause for undo in found.undos]
    ends: dict[str, Trial] = {}
    rows = [_trial(trial, causes, ends.setdefault(trial.stopped, trial)) for trial in found.trials]
    columns = [*causes, "Symptom", "In place", "Reached", "How it ended"]
    style = tables.Style(
        "Causes undone, each row a replay of its own", limit=None, noun="replay", head=False, cards=True
    )
    return join(
        tag("h3", "What goes when a cause is undone"),
        _undone(found),
        replay_figures.matrix(found),
        tables.table(columns, rows, style),
        _together(found),
        _verdicts(case.causes, found),
    )


def _trial(trial: Trial, causes: Sequence[str], first: Trial) -> list[object]:
    """`first` is the first trial that stopped as this one did: where it stopped is said there."""
    stops = trial.stopped if first is trial else f"the same as with {_named(first)}"
    return [
        *(chip("good", "undone") if cause in trial.undone else "as it was" for cause in causes),
        chip("error", "there") if trial.symptom else chip("good", "gone"),
        f"{trial.placed} of {trial.total}",
        f"{trial.reached} of {trial.total}",
        f"stops at {stops}" if trial.stopped else _silent(trial),
    ]


def _named(trial: Trial) -> str:
    return f"{common.listed(trial.undone)} undone" if trial.undone else "nothing undone"


def _silent(trial: Trial) -> object:
    if not trial.silent:
        return "to its end"
    return join("to its end; in silence nothing came of ", *(code(label) for label in trial.silent))


def _undone(found: Matrix) -> Html:
    rows = [
        tag("li", tag("a", undo.cause, href=f"#{undo.cause}"), f" undone: {undo.what}.")
        for undo in found.undos
    ]
    rows += [
        tag("li", tag("a", cause, href=f"#{cause}"), f" was not undone: {why[:1].lower()}{why[1:]}")
        for cause, why in found.untried.items()
    ]
    return tag("ul", *rows)


def _together(found: Matrix) -> Html:
    """What no single cause does: sets that remove the symptom, or keep it, only together."""
    parts = [
        f"It takes {common.listed(each)}, undone together, to remove the symptom."
        for each in found.sufficient_sets
        if len(each) > 1
    ]
    parts += [
        f"As long as {common.listed(each)} are all left in, the symptom stays."
        for each in found.necessary_sets
        if len(each) > 1
    ]
    if found.cut_short:
        parts.append("The search for smaller sets ended at its bound: there may be some.")
    if found.shared:
        parts.append(
            f"The first {found.shared} migrations ran once for replays that have them in common; each went on from a clone."
        )
    return join(*(tag("p", part) for part in parts))


def _verdicts(causes: Sequence[Cause], found: Matrix) -> Html:
    tried = {undo.cause for undo in found.undos}
    columns: dict[str, Callable[[Cause], object]] = {
        "Cause": lambda row: join(row.id, " ", row.title),
        "Sufficient": lambda row: _yes(found.sufficient, row, found),
        "Necessary": lambda row: _yes(found.necessary, row, found),
        "What it was": lambda row: _role(row, found),
    }
    rows = [[value(row) for value in columns.values()] for row in causes if row.id in tried]
    return tables.table(
        list(columns), rows, tables.Style("What each cause was to the symptom", noun="cause", cards=True)
    )


def _yes(asked: Callable[[str], bool], cause: Cause, found: Matrix) -> str:
    return "not known" if found.undecided(cause.id) else "yes" if asked(cause.id) else "no"


def _role(cause: Cause, found: Matrix) -> Html:
    if found.refuted(cause.id):
        return join(chip("quiet", "refuted"), " undoing it changes nothing")
    if found.undecided(cause.id):
        return join(chip("unknown", "not known"), " the replay stops before it could tell")
    if found.silencing(cause.id):
        return join(chip("warning", "kept it silent"), " but did not cause it")
    if found.sufficient(cause.id) or found.necessary(cause.id):
        return chip("error", "caused it")
    return chip("warning", "contributed")
