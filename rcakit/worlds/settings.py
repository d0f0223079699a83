"""The states to try: where the tables that a migration is about may be, under which names, role and path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rcakit import names
from rcakit.facts import Accounts, Catalog, Effect, Guard, Relation
from rcakit.names import Name
from rcakit.worlds.table import Origin, World

ELSEWHERE = "rcakit_elsewhere"
NOBODY = "rcakit_nobody"


@dataclass(frozen=True)
class Subject:
    """One guarded table: the names it may have, and the observed relation that lends its structure."""

    plain: Name
    literal: Name | None
    target: Name
    like: Relation | None

    @property
    def names(self) -> tuple[Name, ...]:
        return tuple(dict.fromkeys(each for each in (self.plain, self.literal, self.target) if each))


def subjects_of(found: Sequence[Guard], accounts: Accounts) -> list[Subject]:
    nearest = {verdict.guard: verdict.nearest for verdict in accounts.guards}
    made = [_subject(guard, nearest.get(guard), accounts.observed) for guard in found]
    return list(dict.fromkeys(each for each in made if each))


def _subject(guard: Guard, nearest: Relation | None, observed: Catalog) -> Subject | None:
    """None for a guard that is not about where a table is."""
    chain = [each for each in guard.effects if each.kind in ("move", "rename", "create") and each.result]
    chain = [each for each in chain if each.object in ("table", "view", "sequence")]
    if not chain or chain[-1].result is None:
        return None
    start = chain[0].subject or chain[-1].result
    plain = _whole(start, "public") if chain[0].subject else Name("public", start.name)
    target = _whole(chain[-1].result, plain.schema or "public")
    dotted = Name("public", names.clip(f"{target.schema}.{target.name}"))
    literal = dotted if target.schema != "public" else None
    known = (observed.find(each) for each in (target, plain, dotted))
    return Subject(plain, literal, target, next((each for each in known if each), nearest))


def _whole(name: Name, schema: str) -> Name:
    return name if name.schema else Name(schema, name.name)


@dataclass(frozen=True)
class Setting:
    """A world and how to build it."""

    world: World
    tables: Mapping[Name, Relation | None]
    missing: frozenset[str] = frozenset()
    bare: bool = False
    """Without the schemas of the observed database."""
    path: str = ""
    role: str = ""


def settings_of(subjects: Sequence[Subject], found: Sequence[Guard], observed: Catalog) -> list[Setting]:
    fresh = Setting(World("fresh", "an empty database: no table, no schema but public"), {}, bare=True)
    if not subjects:
        base = {name: observed.find(name) for name in _about(found) if observed.find(name)}
        there = World("as observed", "the tables as the database has them", ("observed",))
        return [fresh, Setting(there, base), *_conditions(base, "the tables as the database has them")]
    plain = {each.plain: each.like for each in subjects}
    target = {each.target: each.like for each in subjects}
    literal = {each.literal: each.like for each in subjects if each.literal}
    away = frozenset(name.schema for name in target if name.schema) - {"public"} - {n.schema for n in plain}
    places = ", ".join(sorted({names.display(name.schema or "") for name in plain}))
    made = [fresh, Setting(World("plain name", f"the tables under their plain names in {places}"), plain)]
    if literal:
        text = "the tables in public under names that hold the schema and a dot"
        made.append(Setting(World("literal-dot name", text), literal))
    if target.keys() != plain.keys():
        made.append(Setting(World("already moved", "the tables where they were meant to be"), target))
        both = World("both present", "the tables under their plain names, and where they were meant to be")
        made.append(Setting(both, plain | target))
    if away:
        text = f"plain names, and no schema {', '.join(sorted(map(names.display, away)))}"
        made.append(Setting(World("intended schema missing", text), plain, missing=away))
    return [*made, *_conditions(plain, "plain names")]


def _conditions(base: Mapping[Name, Relation | None], text: str) -> list[Setting]:
    path = World("another search_path", f"{text}, and a search_path that leads to another schema alone")
    role = World("a role without rights", f"{text}, run by a role that owns nothing and was granted nothing")
    return [Setting(path, base, path=ELSEWHERE), Setting(role, base, role=NOBODY)]


def _about(found: Iterable[Guard]) -> list[Name]:
    """The tables whose parts the guards are about."""
    effects = [effect for guard in found for effect in guard.effects]
    named = [_whole(each, "public") for effect in effects for each in _tables(effect)]
    return list(dict.fromkeys(named))


def _tables(effect: Effect) -> list[Name]:
    if effect.relation is not None:
        return [effect.relation]
    whole = effect.object in ("table", "view")
    return [each for each in (effect.subject, effect.result) if each] if whole else []


def marked(
    setting: Setting, subjects: Sequence[Subject], before: frozenset[Name] | None, now: frozenset[Name]
) -> Setting:
    """With who has found this state; what depends on role, path or a missing schema is left to people."""
    if setting.role or setting.path or setting.missing or not subjects:
        return setting
    known = {name for each in subjects for name in each.names}
    origins: list[tuple[Origin, frozenset[Name] | None]] = [("replayed", before), ("observed", now)]
    reached = tuple(
        who for who, there in origins if there is not None and there & known == setting.tables.keys()
    )
    return replace(setting, world=replace(setting.world, reached=reached))
