"""What the kit says of healthy, real Django applications with long histories: it has to be nothing.

    python benchmarks/real_projects.py [APPLICATION ..] [--cache DIR] [--keep FILE]

Each application gets an environment of its own (kept in the cache) and a database that its own `migrate` fills on a
scratch PostgreSQL. `rcakit check --format json` then reads it in four ways: the project as its users have it and with
the application's packages laid into the project, as its developers have it (so that every model and migration is a
first-party file); each live, in the application's interpreter, and static, from the files alone.

Then every declared table of a copy of that database is broken in one of eleven ways (`real_faults.py`), and one more live
reading must name each of them: silence that comes from blindness would be worth nothing.

Exits 1 when a reading of the healthy database has a finding of level warning or above that is not in `JUSTIFIED`, when a
live one has a blocking `Unread`, or when a fault is not named. `benchmarks/README.md` tells what remains, and why.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import real_faults

import rcakit
from rcakit import names, scratch

CACHE = Path(__file__).resolve().parent.parent / ".venv" / "real-projects"
LEVELS = ("error", "warning", "note")

CONTRIB = tuple(
    f"django.contrib.{name}"
    for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "sites")
)

SETTINGS = """\
{head}
import os

SECRET_KEY = "only for a benchmark"
USE_TZ = True
SITE_ID = 1
ROOT_URLCONF = "urls"
STATIC_URL = "/static/"
MEDIA_ROOT = "media"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = {apps}
TEMPLATES = [
    {{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {{
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        }},
    }}
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
{more}
DATABASES = {{
    "default": {{
        "ENGINE": "{engine}",
        "NAME": os.environ["BENCHMARK_DATABASE"],
        "HOST": os.environ["BENCHMARK_SOCKET"],
        "USER": "postgres",
    }}
}}
"""

OF_TEMPLATE = """\
from mysite.settings.base import *  # noqa: F403
import os

SECRET_KEY = "only for a benchmark"
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["BENCHMARK_DATABASE"],
        "HOST": os.environ["BENCHMARK_SOCKET"],
        "USER": "postgres",
    }}
}}
"""


@dataclass(frozen=True)
class Application:
    """How to install one application and what its settings have to say.

    `requirements` are what is installed, one environment after the other: an application with two has a past, its
    database was first filled by the older one. `packages` are laid into the project for the developers' reading.
    `least` is the oldest Python that will do.
    """

    name: str
    requirements: tuple[tuple[str, ...], ...]
    apps: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    least: tuple[int, int] = (3, 11)
    head: str = ""
    more: str = ""
    start: tuple[str, ...] = ()
    """Module and arguments that make the project, where the application has a template."""
    engine: str = "django.db.backends.postgresql"
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files of the project."""
    fill: tuple[tuple[str, ...], ...] = (("-m", "django", "migrate", "-v", "0"),)
    """What the interpreter is called with, one after the other, to fill the database."""

    @property
    def settings(self) -> str:
        if self.start:
            return OF_TEMPLATE.format()
        return SETTINGS.format(
            engine=self.engine,
            head=self.head,
            apps=json.dumps([*CONTRIB, *self.apps], indent=4),
            more=self.more,
        )


MEZZANINE = "boot conf core generic pages blog forms galleries twitter"


def oscar() -> tuple[str, ...]:
    """INSTALLED_APPS as django-oscar's documentation lists them."""
    plain = """
        analytics checkout address shipping catalogue communication partner basket payment offer order customer
        search voucher wishlists dashboard
    """
    boards = """
        reports users orders catalogue offers partners pages ranges reviews vouchers communications shipping
    """
    reviews = "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig"
    return (
        "django.contrib.flatpages",
        "oscar.config.Shop",
        *(f"oscar.apps.{name}.apps.{name.capitalize()}Config" for name in plain.split()),
        reviews,
        *(f"oscar.apps.dashboard.{name}.apps.{name.capitalize()}DashboardConfig" for name in boards.split()),
        *("widget_tweaks", "haystack", "treebeard", "sorl.thumbnail", "django_tables2"),
    )


def upgraded(application: Application, *old: str) -> Application:
    """The same, with a database that an old release filled and this one migrated on."""
    requirements = (old, *application.requirements)
    return replace(application, name=f"{application.name}-upgraded", requirements=requirements, packages=())


def django(name: str, *series: str, least: tuple[int, int] = (3, 11)) -> Application:
    """Django's own applications: of one series, or of an old one brought up to a new one."""
    apps = tuple(f"django.contrib.{name}" for name in ("flatpages", "redirects", "postgres", "humanize"))
    requirements = tuple(
        (f"django=={each}.*", "psycopg2-binary" if each == "3.2" else "psycopg[binary]") for each in series
    )
    return Application(name, requirements, apps, (), least)


WAGTAIL = Application(
    "wagtail",
    (("wagtail", "psycopg[binary]"),),
    packages=("wagtail", "taggit"),
    start=("wagtail.bin.wagtail", "start", "mysite"),
)
OSCAR = Application(
    "oscar",
    (("django-oscar", "sorl-thumbnail", "psycopg[binary]"),),
    oscar(),
    ("oscar", "sorl"),
    head="from oscar.defaults import *  # noqa: F403",
    more='HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}',
)
TENANTS = Application(
    "tenants",
    (("django==5.2.*", "django-tenants", "django-taggit", "psycopg[binary]"),),
    ("django_tenants", "customers", "taggit", "shop"),
    ("django_tenants", "taggit"),
    more="""\
SHARED_APPS = ["django_tenants", "customers", "django.contrib.contenttypes", "django.contrib.auth"]
TENANT_APPS = [app for app in INSTALLED_APPS if app not in SHARED_APPS] + ["django.contrib.contenttypes"]
TENANT_MODEL = "customers.Client"
TENANT_DOMAIN_MODEL = "customers.Domain"
DATABASE_ROUTERS = ("django_tenants.routers.TenantSyncRouter",)
""",
    engine="django_tenants.postgresql_backend",
    files={
        "customers/__init__.py": "",
        "customers/models.py": """\
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    name = models.CharField(max_length=100)


class Domain(DomainMixin):
    pass
""",
        "shop/__init__.py": "",
        "shop/models.py": """\
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=100, unique=True)
""",
        "fill.py": """\
import django

django.setup()
from customers.models import Client

for name in ("public", "one", "two"):
    Client.objects.create(schema_name=name, name=name)
""",
    },
    fill=(
        ("-m", "django", "makemigrations", "customers", "shop", "-v", "0"),
        ("-m", "django", "migrate_schemas", "--shared", "-v", "0"),
        ("fill.py",),
    ),
)
"""A schema for each tenant: tables, history and all; django-tenants records every migration in every schema."""

APPLICATIONS = (
    WAGTAIL,
    OSCAR,
    upgraded(WAGTAIL, "wagtail==4.1.*", "psycopg2-binary", "setuptools<81"),
    upgraded(OSCAR, "django-oscar==3.2.*", "django==4.2.*", "sorl-thumbnail", "psycopg2-binary", "setuptools<81"),
    Application(
        "django-cms",
        (("django-cms", "djangocms-text", "djangocms-versioning", "djangocms-alias", "django-filer", "psycopg[binary]"),),
        (
            *("cms", "menus", "treebeard", "sekizai", "djangocms_versioning", "djangocms_alias", "djangocms_text"),
            *("filer", "easy_thumbnails"),
        ),
        ("cms", "djangocms_versioning", "djangocms_alias", "filer", "easy_thumbnails"),
        more="""CMS_CONFIRM_VERSION4 = True""",
    ),
    Application(
        "mezzanine",
        (("mezzanine", "setuptools<81", "psycopg[binary]"),),
        (
            *("django.contrib.redirects", "django.contrib.sitemaps", "django_comments"),
            *(f"mezzanine.{name}" for name in MEZZANINE.split()),
            *("filebrowser_safe", "grappelli_safe"),
        ),
        ("mezzanine", "filebrowser_safe", "django_comments"),
        more="""TESTING = False\nCOMMENTS_APP = "mezzanine.generic"\nPACKAGE_NAME_FILEBROWSER = "filebrowser_safe"\nPACKAGE_NAME_GRAPPELLI = "grappelli_safe"\nADMIN_MENU_ORDER = []""",
    ),
    Application(
        "reusable",
        (
            (
                "django==5.2.*", "django-allauth[mfa,socialaccount,headless]", "django-celery-beat", "django-celery-results",
                "django-guardian", "django-reversion", "django-oauth-toolkit", "django-taggit", "social-auth-app-django",
                "djangorestframework", "django-axes", "django-waffle", "procrastinate", "django-otp", "django-auditlog",
                "psycopg[binary]",
            ),
        ),
        (
            *("allauth", "allauth.account", "allauth.socialaccount", "allauth.mfa", "allauth.usersessions"),
            *("django_celery_beat", "django_celery_results", "guardian", "reversion", "oauth2_provider", "taggit"),
            *("social_django", "rest_framework", "rest_framework.authtoken", "axes", "waffle"),
            *("procrastinate.contrib.django", "django_otp", "django_otp.plugins.otp_totp", "django_otp.plugins.otp_static"),
            "auditlog",
        ),
        (
            *("allauth", "django_celery_beat", "django_celery_results", "guardian", "reversion", "oauth2_provider"),
            *("social_django", "axes", "waffle", "procrastinate", "django_otp", "auditlog"),
        ),
        more="""MIDDLEWARE.append("allauth.account.middleware.AccountMiddleware")""",
    ),
    TENANTS,
    django("django-4.2", "4.2"),
    django("django-5.2", "5.2"),
    django("django-6.0", "6.0", least=(3, 12)),
    django("django-3.2-to-5.2", "3.2", "5.2"),
)  # fmt: skip


JUSTIFIED = {
    ("django-cms", "own, static", "RK417", 'public.cms_pagecontent."language, page_id"'): (
        "true of the files: cms declares unique_together, djangocms_versioning drops the constraint in a migration and "
        "takes it out of Meta when it is loaded (cms_config), which only running the project shows"
    )
}
"""(application, reading, code, object) of findings that accuse, were read by a person, and are right."""


OUT_OF_SIGHT = {
    ("tenants", "django_content_type"): (
        "the only table of its app, and every tenant's schema has one: that search_path should lead to another schema "
        "cannot be told"
    )
}
"""(application, table) whose loss nobody could tell, and why; they are left whole."""


class Reading(NamedTuple):
    """One run of `rcakit check`: its document, exit code and seconds."""

    how: str
    code: int
    seconds: float
    document: Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="APPLICATION", help="default: all")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where environments are kept")
    parser.add_argument("--keep", type=Path, help="write every document below this directory")
    options = parser.parse_args()
    chosen = [each for each in APPLICATIONS if not options.names or each.name in options.names]
    assert chosen, f"no such application; there are {', '.join(each.name for each in APPLICATIONS)}"
    bad = 0
    with scratch.server() as server:
        for application in chosen:
            bad += examine(application, options.cache.resolve(), server, options.keep)
    print(f"{len(chosen)} applications, {bad} readings that are not clean")
    sys.exit(bool(bad))


def examine(application: Application, cache: Path, server: scratch.Server, keep: Path | None) -> int:
    """Fill a database, read it in all four ways, print what was said; the number of readings that are not clean."""
    python = interpreter(application.least)
    if python is None:
        print(f"{application.name}: skipped, there is no Python {application.least} here", flush=True)
        return 0
    environments = [
        environment(cache / f"{application.name}-{number}", python, each)
        for number, each in enumerate(application.requirements)
    ]
    project = laid_out(application, cache / f"{application.name}-project", environments[-1])
    with server.database("benchmark") as dbname:
        variables = {
            **os.environ,
            "BENCHMARK_DATABASE": dbname,
            "BENCHMARK_SOCKET": str(server.socket),
            "BENCHMARK_DSN": server.conninfo(dbname),
            "DJANGO_SETTINGS_MODULE": "benchmark_settings",
        }
        for each in environments:
            for arguments in application.fill:
                run([str(each), *arguments], project, variables)
        live = ("--python", str(environments[-1]))
        healthy = check("installed, live", project, variables, *live)
        readings = [healthy, check("installed, static", project, variables)]
        with server.database("broken", template=dbname) as broken:
            blind = missed(application, server.conninfo(broken), healthy, project, variables, live)
        if application.packages:
            lay_packages(application, environments[-1], project)
            readings.append(check("own, live", project, variables, *live))
            readings.append(check("own, static", project, variables))
        bad = sum(not told(application, reading, keep) for reading in readings)
    print(f"{application.name:18} {blind}", flush=True)
    return bad + (not blind.clean)


# ------------------------------------------------------------------ making the project


def interpreter(least: tuple[int, int]) -> str | None:
    """This interpreter, or one on PATH that is new enough and really starts."""
    if sys.version_info[:2] >= least:
        return sys.executable
    for minor in range(least[1], least[1] + 3):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def environment(folder: Path, python: str, requirements: Sequence[str]) -> Path:
    """The interpreter of a virtual environment with these requirements, made when it is not there yet."""
    marker, inside = folder / "requirements.txt", folder / "bin" / "python"
    wanted = "\n".join(requirements) + "\n"
    if not (marker.is_file() and marker.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        run([python, "-m", "venv", str(folder)])
        run([str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        marker.write_text(wanted)
    return inside


def laid_out(application: Application, folder: Path, python: Path) -> Path:
    """The project directory, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if application.start:
        run([str(python), "-m", *application.start, "."], folder)
    (folder / "benchmark_settings.py").write_text(application.settings)
    (folder / "urls.py").write_text("urlpatterns = []\n")
    for name, text in application.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def lay_packages(application: Application, python: Path, project: Path) -> None:
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([str(python), "-c", ask], text=True).strip())
    for name in application.packages:
        shutil.copytree(packages / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))


def run(
    command: Sequence[str], folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


# ------------------------------------------------------------------ reading it


def check(how: str, project: Path, variables: Mapping[str, str], *options: str) -> Reading:
    """`rcakit check` as a person would run it; exit code 2 with no document is a failure of the benchmark."""
    begun = time.perf_counter()
    code = "from rcakit.cli import main; main()"
    command = [sys.executable, "-c", code, "check", "--format", "json", "--dsn-env", "BENCHMARK_DSN"]
    command += ["--project", str(project), "--settings", "benchmark_settings", *options]
    kit = {"PYTHONPATH": str(Path(rcakit.__file__).resolve().parent.parent)}
    done = subprocess.run(
        command, cwd=project, env={**variables, **kit}, capture_output=True, text=True, check=False
    )
    assert done.stdout, f"{how}: exit code {done.returncode}\n{done.stderr}"
    return Reading(how, done.returncode, time.perf_counter() - begun, json.loads(done.stdout))


class Missed(NamedTuple):
    """Which faults were not named, of how many."""

    faults: int
    unnamed: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not self.unnamed

    def __str__(self) -> str:
        return f"{self.faults - len(self.unnamed)} of {self.faults} faults named" + "".join(
            f"\n    not named: {each}" for each in self.unnamed
        )


def missed(
    application: Application,
    conninfo: str,
    healthy: Reading,
    project: Path,
    variables: Mapping[str, str],
    live: Sequence[str],
) -> Missed:
    """Break every declared table, and read once more."""
    rows = healthy.document["accounts"]["placement"]
    reached = [(names.parse(row["observed"]), row["model"]) for row in rows if row["observed"]]
    tables = {
        name: model.partition(".")[0]
        for (schema, name), model in reached
        if schema == "public" and (application.name, name) not in OUT_OF_SIGHT
    }
    with psycopg.connect(conninfo, autocommit=True) as connection:
        faults = real_faults.break_all(connection, tables)
    reading = check("broken, live", project, {**variables, "BENCHMARK_DSN": conninfo}, *live)
    codes = {fault.code for fault in faults.values()}
    named = {
        (row["code"], part)
        for row in reading.document["findings"]
        if row["code"] in codes
        for part in names.parse(row["object"])
    }
    unnamed = [f"{fault.what} {table}" for table, fault in faults.items() if (fault.code, table) not in named]
    return Missed(len(faults), tuple(unnamed))


def told(application: Application, reading: Reading, keep: Path | None) -> bool:
    """Print one reading; True when it is clean."""
    document = reading.document
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        path = keep / f"{application.name} {reading.how}.json"
        path.write_text(json.dumps(document, indent=2))
    declared, observed = document["accounts"]["declared"], document["accounts"]["observed"]
    excused = [each for each in document["findings"] if _justified(application, reading, each)]
    levels = collections.Counter(each["severity"] for each in document["findings"] if each not in excused)
    codes = collections.Counter(finding["code"] for finding in document["findings"])
    blocking = sum(row["blocking"] for row in document["unread"])
    print(
        f"{application.name:18} {reading.how:17} {declared['framework']:14} {declared['models']:4} models "
        f"{declared['migrations']:4} migrations {observed['tables']:4} tables  "
        + " ".join(f"{levels[level]} {level}" for level in LEVELS)
        + (f" {len(excused)} justified" if excused else "")
        + f"  unread {blocking} blocking, {len(document['unread']) - blocking} not  exit {reading.code}"
        f"  {reading.seconds:.1f} s  {dict(sorted(codes.items())) or ''}",
        flush=True,
    )
    for line in _lines(document):
        print("    " + line)
    live = reading.how.endswith("live")
    return not (levels["error"] or levels["warning"] or (live and reading.code))


def _justified(application: Application, reading: Reading, finding: Mapping[str, Any]) -> bool:
    return (application.name, reading.how, finding["code"], finding["object"]) in JUSTIFIED


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What has to be read by a person: every finding that accuses, and everything that could not be checked."""
    for finding in document["findings"]:
        if finding["severity"] != "note":
            yield f"{finding['code']} {finding['severity']} {finding['object']}: {finding['message']}"
    for row in document["unread"]:
        if row["blocking"]:
            place = row["where"] or {"path": "", "line": ""}
            yield f"unread: {row['reason']} {place['path']}:{place['line']}"


if __name__ == "__main__":
    main()
