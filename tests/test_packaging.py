"""What a person installs: the wheel holds everything, and the files that name dependencies agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

CHECKOUT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
"""What conda-forge calls differently; `-base` leaves Qt out."""


def required() -> dict[str, Requirement]:
    texts = [
        *PROJECT["dependencies"],
        *(r for extra in PROJECT["optional-dependencies"].values() for r in extra),
    ]
    requirements = [Requirement(text) for text in texts]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def pinned() -> dict[str, Version]:
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    return {
        canonicalize_name(name): Version(version) for name, _, version in (x.partition("==") for x in lines)
    }


# ------------------------------------------------------------------ constraints.txt


def test_constraints_are_plain_pins_sorted_and_not_our_own() -> None:
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []
    assert lines == sorted(lines, key=str.lower)
    assert len(pinned()) == len(lines)
    assert "rcakit" not in pinned()


@pytest.mark.parametrize("name", sorted(required()))
def test_every_dependency_is_pinned_within_its_range(name: str) -> None:
    assert required()[name].specifier.contains(pinned()[name])


# ------------------------------------------------------------------ environment.yml


def conda() -> tuple[dict[str, SpecifierSet], list[str]]:
    """Package -> range of the conda part, and the lines of the pip part."""
    environment = yaml.safe_load((CHECKOUT / "environment.yml").read_text())
    ranges, pip = {}, []
    for entry in environment["dependencies"]:
        if isinstance(entry, dict):
            pip = entry["pip"]
        else:
            requirement = Requirement(entry)
            ranges[CONDA_NAMES.get(requirement.name, requirement.name)] = requirement.specifier
    return ranges, pip


def test_conda_gets_the_same_packages_and_ranges() -> None:
    ranges, pip = conda()
    by_pip = {canonicalize_name(r.name): r for r in map(Requirement, (x for x in pip if x != "-e ."))}
    found = {**ranges, **{name: requirement.specifier for name, requirement in by_pip.items()}}
    assert found.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert found.pop("pip") == SpecifierSet()
    assert found == {name: requirement.specifier for name, requirement in required().items()}
    assert {name: r.extras for name, r in by_pip.items()} == {
        name: required()[name].extras for name in by_pip
    }


def test_conda_installs_the_checkout_last() -> None:
    assert conda()[1][-1] == "-e ."


# ------------------------------------------------------------------ Python versions


def test_the_oldest_python_is_the_same_everywhere() -> None:
    classifiers = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    oldest = classifiers[0]
    assert PROJECT["requires-python"] == f">={oldest}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert oldest.replace(".", ", ") in (CHECKOUT / "Makefile").read_text()


# ------------------------------------------------------------------ the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    (path,) = directory.iterdir()
    return zipfile.ZipFile(path)


def tracked(*paths: str) -> set[str]:
    """The files of the checkout that git knows, and new ones it would not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()}


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    notebooks = {f"rcakit/{name}" for name in tracked("notebooks")}
    package = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert package == tracked("rcakit") | notebooks
    assert "rcakit/py.typed" in package


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = wheel.read(name).decode()
    assert "\nLicense-Expression: BSD-3-Clause\n" in metadata
    assert "\nName: rcakit\n" in metadata
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())


def test_the_wheel_names_its_command_and_its_notebook_engine(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    lines = wheel.read(name).decode().splitlines()
    assert "rcakit = rcakit.cli:main" in lines
    assert "rcakit = rcakit.report.entry:Engine" in lines


def test_the_changelog_names_the_version_or_what_is_not_released() -> None:
    from rcakit import __version__

    headings = re.findall(r"^## \[(.+?)\]", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in ("Unreleased", __version__)


# ------------------------------------------------------------------ the light core


def test_the_core_imports_without_the_extras() -> None:
    """A CI step that runs `rcakit check` must not pay for, nor have, notebooks and figures."""
    heavy = sorted(
        canonicalize_name(Requirement(text).name).replace("-", "_")
        for extra, texts in PROJECT["optional-dependencies"].items()
        if extra != "dev"
        for text in texts
    )
    program = f"import sys, rcakit.cli, rcakit.case; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
