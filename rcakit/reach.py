"""Which declared tables may be judged, and which relation the project's own queries reach under each name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rcakit import names
from rcakit.facts import Accounts, Migration, Model, Relation
from rcakit.history import pending, ran, touching
from rcakit.names import Name, spelling

TABLE_KINDS = "rpfvm"
"""Relations that a model can stand on: tables, partitioned and foreign ones, views."""


def declared_tables(accounts: Accounts) -> Iterator[Model]:
    """The models whose table Django itself would make in this database."""
    return (
        model
        for model in accounts.declared.models
        if model.managed and model.installed and not model.swapped and model.alias == "default"
    )


def named(model: Model) -> Name | None:
    """What PostgreSQL makes of a model's table name; None when it is no name at all."""
    return spelling(model.db_table).relation


def search_path(accounts: Accounts) -> tuple[str, ...]:
    """The existing schemas an unqualified name of the project is looked up in, in order."""
    server, setting = accounts.observed.server, accounts.declared.search_path
    if setting is None:
        return server.schemas_in_path
    try:
        listed = names.search_path(setting)
    except ValueError:  # PostgreSQL refuses such a setting, and the session keeps the role's own
        return server.schemas_in_path
    wanted = [server.role if schema == "$user" else schema for schema in listed]
    return tuple(schema for schema in wanted if schema in accounts.observed.schema_names)


def locate(accounts: Accounts, name: Name | None) -> Relation | None:
    """The relation the project's own queries reach under this name."""
    if name is None:
        return None
    schemas = search_path(accounts) if name.schema is None else (name.schema,)
    for schema in schemas:
        found = accounts.observed.by_name.get((schema, name.name))
        if found is not None and found.kind in TABLE_KINDS:
            return found
    return None


def anywhere(accounts: Accounts, name: str) -> list[Relation]:
    """Every table or view of this bare name, whatever its schema."""
    return [found for found in accounts.observed.named.get(name, ()) if found.kind in TABLE_KINDS]


def reached(accounts: Accounts, model: Model) -> Relation | None:
    """The model's relation: where search_path leads, else the only one of its name.

    The second half is for a role whose search_path is not the project's: a table that nobody else can be is not lost.
    """
    name = named(model)
    if name is None or (found := locate(accounts, name)) or name.schema is not None:
        return found if name else None
    candidates = anywhere(accounts, name.name)
    return candidates[0] if len(candidates) == 1 else None


def in_sight(accounts: Accounts, name: Name) -> bool:
    """Whether the catalog would hold this relation if it existed: a reading may be limited to some schemas."""
    path, read = accounts.observed.server.schemas_in_path, accounts.observed.schema_names
    return read.issuperset(path) or name.schema in read


def unclaimed(accounts: Accounts, relations: list[Relation]) -> list[Relation]:
    """Of these relations, those no declared model stands on."""
    taken = accounts.once(_taken)
    return [relation for relation in relations if relation.oid not in taken]


def _taken(accounts: Accounts) -> set[int]:
    return {found.oid for model in accounts.declared.models if (found := locate(accounts, named(model)))}


def settled(accounts: Accounts, *, structure: bool = False) -> Iterator[Model]:
    """The tables that ought to be in the database by now, as the models describe them."""
    created, coming = accounts.once(created_in), accounts.once(_coming)
    for model in declared_tables(accounts):
        if created(model) and not (coming and _about_to_change(accounts, model, coming, structure)):
            yield model


def _coming(accounts: Accounts) -> dict[str, Migration]:
    return {each.label: each for each in pending(accounts.declared, accounts.recorded)}


def created_in(accounts: Accounts) -> Callable[[Model], bool]:
    """Whether the migration that makes a model's table is applied; of an unknown one, whether all of its app are."""
    done = accounts.once(ran)
    made: dict[tuple[str, str], bool] = {}
    whole: dict[str, bool] = {}
    for migration in accounts.declared.migrations:
        there = migration.label in done
        whole[migration.app] = whole.get(migration.app, True) and there
        for operation in migration.operations:
            if operation.kind == "CreateModel":
                key = migration.app, operation.model
                made[key] = made.get(key, False) or there
    return lambda model: made.get((model.app, model.name.lower()), whole.get(model.app, False))


def _about_to_change(
    accounts: Accounts, model: Model, coming: Mapping[str, Migration], structure: bool
) -> bool:
    """A migration that has not run yet deals with the model's table: what differs now is not drift."""
    spelled = spelling(model.db_table)
    tables = {name for name in (spelled.relation, spelled.meant) if name is not None}
    if any(each.label in coming for name in tables for each in touching(accounts, name)):
        return True
    for migration in coming.values() if structure else ():
        if migration.app == model.app:
            kinds = {op.kind for op in migration.operations if op.model in ("", model.name.lower())}
            if model.auto_created or kinds - {"AlterModelOptions", "AlterModelManagers"}:
                return True
    return False


def evidence(accounts: Accounts, *kinds: str) -> tuple[str, ...]:
    """The evidence ids of what was read from the catalog under these names."""
    read = accounts.observed.evidence
    return tuple(dict.fromkeys(read[kind] for kind in kinds if kind in read))
