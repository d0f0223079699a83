"""The declared account, read from the project's files without importing or running anything.

Used where the project cannot be run: no environment, broken settings, a CI job that has only the files. It gives
the facts the live reader gives, except for what only code knows: the models and migrations of installed packages,
the types of field classes from outside Django, what routers decide, the `describe()` texts of operations. Each such thing is
an `Unread` row.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rcakit.facts import Declared, Migration, Model, Unread, Where
from rcakit.sources import static_migrations, static_models
from rcakit.sources.django_probe import search_path
from rcakit.sources.evaluate import Files
from rcakit.sources.project import settings_module
from rcakit.sources.static_models import App, Found
from rcakit.sources.values import Class, Module, Unknown, Value, inherited, plain

SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "migrations", "dist", "build"})


def read(project: Path, *, settings: str | None) -> Declared:
    """Read models and migrations of a Django project's own files. Raises ProjectError when it is no Django project."""
    project = project.absolute()
    module = settings_module(project, settings)
    files = Files(project)
    files.settings = files.module(module)
    unread: list[Unread] = []
    apps = list(_apps(files, module, unread))
    found = list(_found(files, apps))
    models = static_models.Reader(found, _setting(files, "AUTH_USER_MODEL", "auth.User"), files)
    read_models = models.models()
    migrations = static_migrations.Reader(files)
    read_migrations = list(_migrations(files, apps, migrations, unread))
    database = _default_database(files)
    return Declared(
        "static",
        tuple(sorted(read_models, key=lambda model: not model.installed)),
        tuple(sorted(read_migrations, key=lambda each: (each.app, each.name))),
        tuple(dict.fromkeys([*unread, *files.unread.values(), *models.unread, *migrations.unread])),
        framework="Django",
        apps=tuple(app.label for app in apps),
        search_path=search_path((_dict(database.get("OPTIONS"))).get("options")),
        engine=_text(database.get("ENGINE")),
    )


def strangers(project: Path, loaded: Sequence[Model]) -> tuple[Model, ...]:
    """Models written in the project that are not among those a framework loaded: apps not installed, modules not imported.

    `loaded` also names the apps; each result has `installed` False.
    """
    files = Files(project.absolute())
    apps = [App(package, label) for package, label in _homes(loaded).items()]
    known = {model.where for model in loaded}
    labels = {model.label for model in loaded}
    found = [
        each
        for dotted in _modules(files.project)
        if not _is_test(dotted) and files.module(dotted, needed=False)
        for each in _models_of(files, dotted, apps, installed=False)
    ]
    reader = static_models.Reader(found, files=files)
    return tuple(model for model in reader.models() if model.where not in known and model.label not in labels)


def _homes(loaded: Iterable[Model]) -> dict[str, str]:
    """Package -> label of its app, as far as loaded models show it."""
    paths = {
        model.where.path: model.app
        for model in loaded
        if model.where and not model.where.path.startswith("<")
    }
    return {
        path.rpartition("/")[0].removesuffix("/models").replace("/", "."): app for path, app in paths.items()
    }


# ------------------------------------------------------------------ settings and apps


def _setting(files: Files, name: str, default: str) -> str:
    value = files.settings.names.get(name, default) if files.settings else default
    return value if isinstance(value, str) else default


def _default_database(files: Files) -> dict[str, Value]:
    databases = _dict(files.settings.names.get("DATABASES")) if files.settings else {}
    return _dict(databases.get("default"))


def _apps(files: Files, module: str, unread: list[Unread]) -> Iterator[App]:
    """The installed applications, in order; what cannot be told about them goes to `unread`."""
    if files.settings is None:
        if not files.unread:
            reason = f"the settings module {module!r} is not among the project's files: every app counts as installed"
            unread.append(Unread("declared", reason))
        entries: Value = Unknown("the settings cannot be read")
    else:
        entries = files.settings.names.get("INSTALLED_APPS", [])
    if not isinstance(entries, list | tuple):
        if files.settings is not None:
            reason = f"INSTALLED_APPS cannot be told ({entries.reason if isinstance(entries, Unknown) else 'no list'})"
            unread.append(
                Unread("declared", f"{reason}: every app counts as installed", Where(files.settings.path))
            )
        entries = list(_packages(files.project))
    auto = _setting(files, "DEFAULT_AUTO_FIELD", "")
    outside: list[str] = []
    for entry in dict.fromkeys(entry for entry in entries if isinstance(entry, str)):
        app = _app(files, entry, auto)
        if not app.first_party:
            outside.append(app.name)
        yield app
    where = Where(files.settings.path) if files.settings else None
    if any(not isinstance(entry, str) for entry in entries):
        unread.append(Unread("declared", "an entry of INSTALLED_APPS cannot be told", where))
    if outside:
        reason = (
            "models and migrations of installed packages are not read without running them: "
            + ", ".join(outside)
        )
        unread.append(Unread("declared", reason, where, blocking=False))
    if files.settings and files.settings.names.get("DATABASE_ROUTERS"):
        reason = "what DATABASE_ROUTERS decide is not known without running them"
        unread.append(Unread("declared", reason, where, blocking=False))


def _app(files: Files, entry: str, auto: str) -> App:
    """One entry of INSTALLED_APPS: a package, or the dotted path of an AppConfig class."""
    owner, _, name = entry.rpartition(".")
    config: Class | None = None
    if files.is_package(entry) or files.path_of(entry):
        config = _default_config(files.module(f"{entry}.apps")) if files.path_of(f"{entry}.apps") else None
    elif owner and files.path_of(owner):
        module = files.module(owner)
        value = module.names.get(name) if module else None
        config = value if isinstance(value, Class) else None
    else:
        package = entry.rpartition(".apps.")[0] if ".apps." in entry else entry
        return App(package, package.rpartition(".")[2], auto, first_party=False)
    package = _text(_attribute(config, "name")) or (
        owner.removesuffix(".apps") if config and owner else entry
    )
    label = _text(_attribute(config, "label")) or package.rpartition(".")[2]
    own = _attribute(config, "default_auto_field")
    return App(package, label, auto if own is None else _text(own))


def _default_config(module: Module | None) -> Class | None:
    """The AppConfig Django picks for a bare package name: the only one, or the one marked `default = True`."""
    values = module.names.values() if module else ()
    configs = [value for value in values if isinstance(value, Class) and value.module is module]
    configs = [config for config in configs if isinstance(_attribute(config, "name"), str)]
    marked = [config for config in configs if config.names.get("default") is True]
    candidates = [config for config in configs if config.names.get("default") is not False]
    return marked[0] if marked else candidates[0] if len(candidates) == 1 else None


def _attribute(klass: Class | None, name: str) -> Value:
    return inherited(klass, name) if klass else None


# ------------------------------------------------------------------ models


def _found(files: Files, apps: Sequence[App]) -> Iterator[Found]:
    """Every model class of the project, those whose module an installed app imports first."""
    reached = _reached(files, apps)
    for dotted in reached:
        yield from _models_of(files, dotted, apps, installed=True)
    for dotted in _modules(files.project):
        if dotted not in reached and not _is_test(dotted):
            files.module(dotted, needed=False)
            yield from _models_of(files, dotted, apps, installed=False)


def _models_of(files: Files, dotted: str, apps: Sequence[App], *, installed: bool) -> Iterator[Found]:
    module = files.module(dotted)
    for klass in static_models.classes(module) if module else ():
        app = _containing(dotted, apps)
        known = app or App(dotted.rpartition(".")[0], _guessed(dotted))
        yield Found(klass, known, installed and (app is not None or _has_label(klass)))


def _has_label(klass: Class) -> bool:
    meta = klass.names.get("Meta")
    return isinstance(meta, Class) and isinstance(meta.names.get("app_label"), str)


def _containing(dotted: str, apps: Sequence[App]) -> App | None:
    inside = [app for app in apps if app.first_party and f"{dotted}.".startswith(f"{app.name}.")]
    return max(inside, key=lambda app: len(app.name), default=None)


def _guessed(dotted: str) -> str:
    """The label an app would have that is not installed: the package around `models`."""
    parts = dotted.split(".")
    at = parts.index("models") if "models" in parts else len(parts) - 1
    return parts[at - 1] if at else parts[0]


def _reached(files: Files, apps: Sequence[App]) -> dict[str, None]:
    """The modules that are imported when the installed apps are loaded, in order."""
    queue = [f"{app.name}{tail}" for app in apps if app.first_party for tail in ("", ".apps", ".models")]
    reached: dict[str, None] = {}
    while queue:
        dotted = queue.pop(0)
        module = files.module(dotted) if dotted and files.path_of(dotted) else None
        if module is None or dotted in reached:
            continue
        reached[dotted] = None
        queue += sorted(module.imports)
        queue += [dotted[:at] for at, letter in enumerate(dotted) if letter == "."]
    return reached


def _modules(project: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(project):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_source(here / name))
        for name in sorted(names):
            if name.endswith(".py"):
                parts = (here / name).relative_to(project).with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                if parts and all(part.isidentifier() for part in parts):
                    yield ".".join(parts)


def _is_source(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in SKIPPED
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _packages(project: Path) -> Iterator[str]:
    """Packages that look like apps, for when INSTALLED_APPS cannot be told."""
    for dotted in _modules(project):
        owner, _, name = dotted.rpartition(".")
        if owner and name == "models":
            yield owner


def _is_test(dotted: str) -> bool:
    return any(
        part in ("tests", "test", "conftest") or part.startswith("test_") for part in dotted.split(".")
    )


# ------------------------------------------------------------------ migrations


def _migrations(
    files: Files, apps: Iterable[App], reader: static_migrations.Reader, unread: list[Unread]
) -> Iterator[Migration]:
    moved = files.settings.names.get("MIGRATION_MODULES", {}) if files.settings else {}
    if not isinstance(moved, dict):
        reason = "MIGRATION_MODULES cannot be told; the usual places were read"
        unread.append(Unread("declared", reason, Where(files.settings.path) if files.settings else None))
    for app in apps:
        package = _dict(moved).get(app.label, f"{app.name}.migrations")
        if isinstance(package, str) and (app.first_party or files.is_package(package)):
            yield from reader.app(app.label, package)


def _dict(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _text(value: Value) -> str:
    return value if isinstance(value, str) and plain(value) else ""
