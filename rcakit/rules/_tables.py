"""Which declared tables a rule may judge, and where each of them is."""

from __future__ import annotations

from collections.abc import Iterator

from rcakit import names
from rcakit.facts import Accounts, Model, Relation
from rcakit.history import applied, pending, touches
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
    taken = {found.oid for model in accounts.declared.models if (found := locate(accounts, named(model)))}
    return [relation for relation in relations if relation.oid not in taken]


def created(accounts: Accounts, model: Model) -> bool:
    """The migration that makes the model's table is recorded as applied."""
    own = [each for each in accounts.declared.migrations if each.app == model.app]
    makers = [
        each
        for each in own
        if any(op.kind == "CreateModel" and op.model == model.name.lower() for op in each.operations)
    ]
    done = applied(accounts.declared, accounts.recorded)
    if makers:
        return any(each.label in done for each in makers)
    return bool(own) and all(each.label in done for each in own)


def about_to_change(accounts: Accounts, model: Model, *, structure: bool = False) -> bool:
    """A migration that has not run yet deals with the model's table: what differs now is not drift."""
    spelled = spelling(model.db_table)
    tables = {name for name in (spelled.relation, spelled.meant) if name is not None}
    for migration in pending(accounts.declared, accounts.recorded):
        if any(touches(accounts.declared, migration, name) for name in tables):
            return True
        if structure and migration.app == model.app:
            kinds = {op.kind for op in migration.operations if op.model in ("", model.name.lower())}
            if model.auto_created or kinds - {"AlterModelOptions", "AlterModelManagers"}:
                return True
    return False


def settled(accounts: Accounts, *, structure: bool = False) -> Iterator[Model]:
    """The tables that ought to be in the database by now, as the models describe them."""
    for model in declared_tables(accounts):
        if created(accounts, model) and not about_to_change(accounts, model, structure=structure):
            yield model


def evidence(accounts: Accounts, *kinds: str) -> tuple[str, ...]:
    """The evidence ids of what was read from the catalog under these names."""
    read = accounts.observed.evidence
    return tuple(dict.fromkeys(read[kind] for kind in kinds if kind in read))
