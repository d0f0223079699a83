"""Models read from the project's files: classes in, `Model` facts out, by the rules of Django's model metaclass.

https://docs.djangoproject.com/en/stable/topics/db/models/#model-inheritance and
https://docs.djangoproject.com/en/stable/ref/models/options/ hold the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rcakit.facts import Field, Model, ModelIndex, Unread
from rcakit.names import django_m2m_table
from rcakit.sources import static_fields
from rcakit.sources.django_own import DJANGO, DJANGO_BASES, DJANGO_CLASSES
from rcakit.sources.evaluate import Files
from rcakit.sources.static_fields import AUTO, argument, column_type, is_true, kind_of, may_add_columns
from rcakit.sources.values import Built, Class, Module, Ref, Unknown, Value

ROOTS = frozenset({"django.db.models.Model", "django.db.models.base.Model"})
AUTO_TYPES = {"AutoField": "integer", "BigAutoField": "bigint", "SmallAutoField": "smallint"}
SUFFIXES = {"GinIndex": "gin", "GistIndex": "gist", "BrinIndex": "brin", "BTreeIndex": "btree", "HashIndex": "hash",
            "SpGistIndex": "spgist", "BloomIndex": "bloom"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class App:
    """An installed application: `name` is the dotted package, `auto` the class of its automatic keys, "" unknown."""

    name: str
    label: str
    auto: str = ""
    first_party: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A model class of the project and the app it belongs to."""

    klass: Class
    app: App
    installed: bool


@dataclass(slots=True)
class Reader:
    """Turns model classes into facts; every class is known before the first is turned."""

    found: Sequence[Found]
    user_model: str = "auth.User"
    files: Files | None = None
    unread: dict[Unread, None] = field(default_factory=dict)
    """What could not be told, each once, in the order it was met."""

    keys: dict[str, Found] = field(init=False)
    owners: dict[int, Found] = field(init=False)
    _asked: list[tuple[Found, str]] = field(default_factory=list)
    """Models of which one field alone is wanted now, and its name; "" stands for the primary key."""
    _known: dict[tuple[int, str], Field | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = {self.key(each): each for each in sorted(self.found, key=lambda each: each.installed)}
        self.owners = {id(each.klass): each for each in self.found}

    def models(self) -> list[Model]:
        """A fact for each table, the automatic ones of many-to-many fields before the model they belong to."""
        made: list[Model] = []
        for each in self.found:
            if not self.option(each.klass, "abstract") and not self.option(each.klass, "proxy"):
                model = self.model(each)
                if not each.klass.sure:
                    self.tell(
                        each.klass,
                        "it is defined under a condition that cannot be told, and taken as defined",
                    )
                made += [*self.links(each, model), model]
        return made

    # -------------------------------------------------------------- one model

    def model(self, each: Found) -> Model:
        klass = each.klass
        table = self.option(klass, "db_table")
        if isinstance(table, Unknown):
            self.tell(klass, f"its db_table cannot be told: {table.reason}", blocking=each.installed)
        fields, complete = self.fields(each)
        swappable = self.option(klass, "swappable")
        return Model(
            self.label(each),
            klass.name,
            self.table(each),
            table is not None and table != "",
            klass.where,
            tuple(fields),
            tuple(self.indexes(each, fields)),
            managed=self.option(klass, "managed") is not False,
            swapped=swappable == "AUTH_USER_MODEL" and self.user_model.lower() != self.key(each),
            installed=each.installed,
            tablespace=_text(self.option(klass, "db_tablespace")),
            complete=complete,
            sure=klass.sure,
        )

    def label(self, each: Found) -> str:
        return _text(self.option(each.klass, "app_label")) or each.app.label

    def key(self, each: Found) -> str:
        return f"{self.label(each)}.{each.klass.name}".lower()

    def table(self, each: Found) -> str:
        """As written, else derived and cut as Django does on PostgreSQL."""
        written = self.option(each.klass, "db_table")
        if isinstance(written, str) and written:
            return written
        return django_m2m_table(self.label(each).replace('"', ""), each.klass.name.lower())

    def option(self, klass: Class, name: str) -> Value:
        """An option of Meta: own, else inherited from the first abstract base that has a Meta; None when unset."""
        meta = klass.names.get("Meta")
        if isinstance(meta, Class):
            own = _meta_option(meta, name)
            return own if name != "abstract" or "abstract" in meta.names else None
        if name in ("abstract", "proxy"):
            return None
        for base in klass.bases:
            if isinstance(base, Class) and self.is_model(base):
                found = (
                    self.option(base, name) if self.is_abstract(base) else self.inherited_option(base, name)
                )
                if found is not None:
                    return found
        return None

    def inherited_option(self, klass: Class, name: str) -> Value:
        """A concrete base hands on only the Meta that it has from an abstract one."""
        return None if "Meta" in klass.names else self.option(klass, name)

    def is_abstract(self, klass: Class) -> bool:
        return self.option(klass, "abstract") is True

    def is_model(self, klass: Class) -> bool:
        return is_model(klass)

    # -------------------------------------------------------------- columns

    def fields(self, each: Found) -> tuple[list[Field], bool]:
        """The columns, and whether that is all of them."""
        read, links, complete = self.own_and_abstract(each, each.klass)
        if not any(one.primary_key for one in (*read.values(), *links)):
            links = [] if self.open_ended(each.klass) else [self.automatic(each.app), *links]
        elif any(one.primary_key for one in read.values()):
            links = [replace(one, primary_key=False) for one in links]
        return [*links, *read.values()], complete

    def open_ended(self, klass: Class) -> bool:
        """Some base is out of sight: the key may be there, and then there is no automatic one."""
        return any(
            self.open_ended(base) if isinstance(base, Class) else not _is_known(base) for base in klass.bases
        )

    def own_and_abstract(self, each: Found, klass: Class) -> tuple[dict[str, Field], list[Field], bool]:
        read: dict[str, Field] = {}
        links: list[Field] = []
        complete = True
        for base in reversed(klass.bases):
            if isinstance(base, Class) and self.is_model(base) and not self.is_abstract(base):
                links += self.parent_link(each, base)
            elif isinstance(base, Class):
                more, more_links, whole = self.own_and_abstract(each, base)
                read |= more
                links += more_links
                complete = complete and whole
            elif isinstance(base, Ref) and base.dotted in DJANGO_BASES:
                read |= {one.name: one for one in DJANGO_BASES[base.dotted][0]}
            elif not _is_known(base):
                complete = False
                name = base.dotted if isinstance(base, Ref) else "something that cannot be told"
                self.tell(klass, f"the columns it has from {name} are not read")
        complete = self.own(each, klass, read) and complete
        if any(one.primary_key and one.references for one in read.values()):
            links = [
                link for link in links if link.references not in {one.references for one in read.values()}
            ]
        return read, links, complete

    def own(self, each: Found, klass: Class, read: dict[str, Field]) -> bool:
        """Lay the fields of the class's own body over `read`; False when it may have more columns than can be told."""
        complete = True
        for name, value in klass.names.items():
            kind = kind_of(value) if isinstance(value, Built) else None
            if kind is None and isinstance(value, Built) and may_add_columns(value.callee):
                complete = False
                self.tell(klass, f"what {value.dotted} adds to the model as {name} cannot be told")
            if kind is None or kind == "ManyToManyField":
                read.pop(name, None)
            elif isinstance(value, Built):
                read[name] = self.column(each, name, value, kind)
                complete = complete and kind != ""
        return complete

    def column(self, each: Found, name: str, built: Built, kind: str) -> Field:
        relation = kind in ("ForeignKey", "OneToOneField")
        primary = is_true(built, "primary_key")
        unique = is_true(built, "unique") or primary or kind == "OneToOneField"
        target = self.target(each, built) if relation and self.wanted(name, primary) else None
        type_ = self.key_type(target) if relation else column_type(built, kind)
        if type_ is None:
            self.tell(each.klass, f"the type of the field {name} cannot be told")
        column = argument(built, "db_column")
        return Field(
            name,
            column if isinstance(column, str) else name + ("_id" if relation else ""),
            type_,
            is_true(built, "null") and not primary,
            primary_key=primary,
            unique=unique,
            index=unique or is_true(built, "db_index", kind in ("ForeignKey", "SlugField")),
            references=(target[0], target[1].column) if target else None,
            constrained=is_true(built, "db_constraint", True),
            db_default=built.get("db_default") is not None,
            generated=kind == "GeneratedField",
            identity=kind in AUTO,
        )

    def automatic(self, app: App) -> Field:
        auto = app.auto.rpartition(".")[2]
        return Field("id", "id", AUTO_TYPES.get(auto), False, True, True, True, identity=True)

    def parent_link(self, each: Found, base: Class) -> list[Field]:
        parent = self.of(base)
        if parent is None:
            return []
        key = self.primary_key(parent)
        name = f"{base.name.lower()}_ptr"
        references = (self.table(parent), key.column)
        return [Field(name, f"{name}_id", key.type, False, True, True, True, references=references)]

    # -------------------------------------------------------------- what fields point to

    def of(self, klass: Class) -> Found | None:
        return self.owners.get(id(klass))

    def target(self, each: Found, built: Built) -> tuple[str, Field] | None:
        """Table and column a foreign key points to; None when the model cannot be found."""
        to = self.resolve(each, built.get("to", 0))
        if to is None:
            return None
        if isinstance(to, str):
            return DJANGO[to], Field("id", "id", "integer", False, True, True, True, identity=True)
        wanted = built.get("to_field")
        named = self.field_named(to, wanted) if isinstance(wanted, str) else None
        return self.table(to), named or self.primary_key(to)

    def resolve(self, each: Found, to: Value) -> Found | str | None:
        """The model a relation names: one of the project, a key of DJANGO, or None."""
        if isinstance(to, Class):
            return self.concrete(to)
        if isinstance(to, Built) and to.dotted == "django.contrib.auth.get_user_model":
            to = self.user_model
        if isinstance(to, Ref):
            inside = self.files.find(to.dotted) if self.files else None
            if isinstance(inside, Class):
                return self.concrete(inside)
            to = DJANGO_CLASSES.get(to.dotted)
        if not isinstance(to, str):
            return None
        if to == "self":
            return each
        key = (to if "." in to else f"{self.label(each)}.{to}").lower()
        return self.keys.get(key) or (key if key in DJANGO else None)

    def concrete(self, klass: Class) -> Found | None:
        """The model itself, or the one a proxy stands for."""
        while self.option(klass, "proxy") is True:
            klass = next((base for base in klass.bases if isinstance(base, Class) and is_model(base)), klass)
        return self.of(klass)

    def wanted(self, name: str, primary: bool) -> bool:
        """Whether it matters where this field points to: a field elsewhere that points here asks for one field alone."""
        return not self._asked or name == self._asked[-1][1] or primary

    def primary_key(self, each: Found) -> Field:
        automatic = self.automatic(each.app)
        unseen = replace(automatic, type=None) if self.open_ended(each.klass) else automatic
        return self.one_field(each, "") or unseen

    def field_named(self, each: Found, name: str) -> Field | None:
        return self.one_field(each, name)

    def one_field(self, each: Found, name: str) -> Field | None:
        """One field of a model, "" its primary key; None when it has none, or the question leads back to itself.

        Nothing is told of what could not be read: that is for the reading of the model itself.
        """
        if (id(each), name) in self._known:
            return self._known[id(each), name]
        if any(one is each for one, _ in self._asked):
            return None
        before = len(self.unread)
        self._asked.append((each, name))
        try:
            fields, _ = self.fields(each)
        finally:
            self._asked.pop()
            while len(self.unread) > before:
                self.unread.popitem()
        found = next((one for one in fields if (one.name == name if name else one.primary_key)), None)
        if not self._asked:  # an answer within another question may have been cut short
            self._known[id(each), name] = found
        return found

    def key_type(self, target: tuple[str, Field] | None) -> str | None:
        return target[1].type if target else None

    # -------------------------------------------------------------- many-to-many

    def links(self, each: Found, model: Model) -> Iterator[Model]:
        """The automatic tables of the model's many-to-many fields, those of abstract bases included."""
        for name, value in self.many(each.klass).items():
            if isinstance(value, Built):
                if value.get("through") is None:
                    written = value.get("db_table")
                    to = self.resolve(each, value.get("to", 0))
                    yield self.link(each, model, name, to, written if isinstance(written, str) else "")
            else:
                yield self.link(each, model, name, value, "")

    def many(self, klass: Class) -> dict[str, Built | str]:
        found: dict[str, Built | str] = {}
        for base in reversed(klass.bases):
            if isinstance(base, Ref) and base.dotted in DJANGO_BASES:
                found |= dict(DJANGO_BASES[base.dotted][1])
            elif isinstance(base, Class) and (not self.is_model(base) or self.is_abstract(base)):
                found |= self.many(base)
        for name, value in klass.names.items():
            found.pop(name, None)
            if isinstance(value, Built) and kind_of(value) == "ManyToManyField":
                found[name] = value
        return found

    def link(self, each: Found, model: Model, name: str, to: Found | str | None, written: str) -> Model:
        source = each.klass.name.lower()
        other = (
            to.klass.name.lower() if isinstance(to, Found) else (to or "unknown.unknown").rpartition(".")[2]
        )
        ends = (f"from_{source}", f"to_{other}") if to is each else (source, other)
        here = self.end(ends[0], model.db_table, self.primary_key(each))
        there = self.end(ends[1], *self.far(to))
        if to is None:
            self.tell(each.klass, f"the model that the field {name} leads to cannot be found")
        columns = (here.column, there.column)
        far_managed = isinstance(to, str) or (
            to is not None and self.option(to.klass, "managed") is not False
        )
        return Model(
            model.app,
            f"{model.name}_{name}",
            written or django_m2m_table(model.db_table, name),
            bool(written),
            model.where,
            (self.automatic(each.app), here, there),
            (ModelIndex("unique", "", columns),),
            managed=model.managed or far_managed,
            auto_created=True,
            installed=model.installed,
            tablespace=model.tablespace,
            complete=to is not None,
            sure=model.sure,
        )

    def far(self, to: Found | str | None) -> tuple[str, Field]:
        if isinstance(to, Found):
            return self.table(to), self.primary_key(to)
        integer = "integer" if isinstance(to, str) else None
        return DJANGO.get(to or "", ""), Field("id", "id", integer, False, True)

    def end(self, name: str, table: str, key: Field) -> Field:
        references = (table, key.column) if table else None
        return Field(name, f"{name}_id", key.type, False, index=True, references=references)

    # -------------------------------------------------------------- indexes and constraints

    def indexes(self, each: Found, fields: Sequence[Field]) -> Iterator[ModelIndex]:
        columns = {one.name: one.column for one in fields}
        klass = each.klass
        for built in self.listed(klass, "indexes"):
            yield self.index(each, built, columns)
        for option, kind in (("unique_together", "unique"), ("index_together", "index")):
            for group in _groups(self.option(klass, option)):
                yield ModelIndex(kind, "", _columns(columns, group))
        for built in self.listed(klass, "constraints"):
            kind = built.dotted.rpartition(".")[2]
            partial = built.get("condition") is not None and kind != "CheckConstraint"
            short = {"CheckConstraint": "check", "UniqueConstraint": "unique"}.get(kind, "exclude")
            names = _columns(columns, built.get("fields") or ())
            yield ModelIndex(short, self.formatted(each, built.get("name")), names, partial)

    def index(self, each: Found, built: Built, columns: Mapping[str, str]) -> ModelIndex:
        written = [name for name in built.get("fields") or () if isinstance(name, str)]
        names = _columns(columns, [name.removeprefix("-") for name in written])
        name = self.formatted(each, built.get("name"))
        if not name and names:
            suffix = SUFFIXES.get(built.dotted.rpartition(".")[2], "idx")
            down = [one.startswith("-") for one in written]
            name = static_fields.index_name(self.table(each), names, down, suffix)
        return ModelIndex("index", name, names, built.get("condition") is not None)

    def formatted(self, each: Found, name: Value) -> str:
        """%(app_label)s and %(class)s filled in, as Django does for abstract models."""
        text = _text(name)
        if "%(" not in text:
            return text
        return text.replace("%(app_label)s", self.label(each).lower()).replace(
            "%(class)s", each.klass.name.lower()
        )

    def listed(self, klass: Class, option: str) -> Iterator[Built]:
        value = self.option(klass, option)
        items = value if isinstance(value, list | tuple) else [] if value is None else [value]
        for item in items:
            if isinstance(item, Built):
                yield item
            else:
                self.tell(klass, f"a part of Meta.{option} cannot be told")

    def tell(self, klass: Class, reason: str, *, blocking: bool = False) -> None:
        self.unread.setdefault(Unread("declared", f"{klass.name}: {reason}", klass.where, blocking))


# ------------------------------------------------------------------ classes


def is_model(klass: Class, seen: tuple[Class, ...] = ()) -> bool:
    """The class descends from Django's Model, or from a class outside the project that must be one, as it has a field."""
    for base in klass.bases:
        if isinstance(base, Ref) and (base.dotted in ROOTS or base.dotted in DJANGO_BASES):
            return True
        if isinstance(base, Class) and base not in seen and is_model(base, (*seen, klass)):
            return True
    return any(isinstance(base, Ref) for base in klass.bases) and _looks_like_a_model(klass)


def _looks_like_a_model(klass: Class) -> bool:
    """It has a field of Django's models (forms and serializers have others) or names its table."""
    meta = klass.names.get("Meta")
    named = isinstance(meta, Class) and ("db_table" in meta.names or "abstract" in meta.names)
    return named or any(isinstance(value, Built) and kind_of(value) for value in klass.names.values())


def classes(module: Module) -> Iterable[Class]:
    """The model classes a module defines itself."""
    own = [value for value in module.names.values() if isinstance(value, Class) and value.module is module]
    return [klass for klass in dict.fromkeys(own) if is_model(klass)]


def _is_known(base: Value) -> bool:
    """`object`, Django's own bases, and mixins of the standard library: no column can hide there."""
    return isinstance(base, Ref) and (
        base.dotted in ROOTS
        or base.dotted in DJANGO_BASES
        or not base.dotted.partition(".")[2]
        or base.dotted.startswith(("builtins.", "abc."))
    )


def _meta_option(meta: Class, name: str) -> Value:
    if name in meta.names:
        return meta.names[name]
    for base in meta.bases:
        if isinstance(base, Class) and name != "abstract" and (found := _meta_option(base, name)) is not None:
            return found
    return None


def _groups(value: Value) -> list[list[str]]:
    """unique_together: one tuple of names, or several."""
    if not isinstance(value, list | tuple) or not value:
        return []
    groups = [value] if isinstance(value[0], str) else value
    return [
        [name for name in group if isinstance(name, str)]
        for group in groups
        if isinstance(group, list | tuple)
    ]


def _columns(columns: Mapping[str, str], names: Iterable[Value]) -> tuple[str, ...]:
    return tuple(columns.get(name, name) for name in names if isinstance(name, str))


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""
