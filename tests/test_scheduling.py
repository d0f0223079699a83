"""docs/scheduling.md says what is true: its recipes are read, hold the one command, and the command runs."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import COMMAND, ROOT, environment

PAGE = (ROOT / "docs" / "scheduling.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def github() -> dict[str, Any]:
    document: dict[Any, Any] = yaml.safe_load(blocks("yaml")[0])
    return document


def in_cron() -> str:
    line = blocks("crontab")[0].splitlines()[-1]
    assert re.match(r"15 \* \* \* \* rcakit cd /srv/rcakit && \. \./secrets\.sh && ", line)
    assert "%" not in line, "cron would end the command there"
    return line.split(" && ")[-1].partition(" >> ")[0]


def in_systemd() -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(blocks("ini")[0])
    return parser["Service"]["ExecStart"].removeprefix("/usr/bin/env ")


def in_github() -> str:
    runs = [step["run"] for step in github()["jobs"]["drift"]["steps"] if "run" in step]
    assert len(runs) == 2
    return str(runs[1])


def in_gitlab() -> str:
    return str(yaml.safe_load(blocks("yaml")[1])["drift"]["script"][-1])


def in_kubernetes() -> str:
    pod = yaml.safe_load(blocks("yaml")[2])["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["sh", "-c"]
    mounted = {row["name"] for row in container["volumeMounts"]}
    assert mounted == {row["name"] for row in pod["volumes"]}
    (command,) = container["args"]
    return str(command)


def in_airflow() -> str:
    calls = [node for node in ast.walk(ast.parse(blocks("python")[0])) if isinstance(node, ast.Call)]
    given = {keyword.arg: keyword.value for call in calls for keyword in call.keywords}
    return str(ast.literal_eval(given["bash_command"]))


RECIPES = (in_cron, in_systemd, in_github, in_gitlab, in_airflow, in_kubernetes)


def command() -> str:
    return blocks("sh")[0].strip()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.__name__)
def test_every_recipe_has_the_same_command(recipe: Any) -> None:
    assert recipe() == command()


def test_each_recipe_says_what_was_tried() -> None:
    parts = PAGE.split("\n## ")[1:]
    assert len(parts) == len(RECIPES)
    assert [part.partition("\n")[0] for part in parts if not re.search(r"\b(Tried|Not run)\b", part)] == []


def test_no_recipe_holds_a_secret() -> None:
    assert not re.search(r"://[^/\s]*:[^/\s]*@", PAGE)
    env = github()["jobs"]["drift"]["env"]
    assert all(re.fullmatch(r"\$\{\{ secrets\.\w+ \}\}", value) for value in env.values())


def test_the_notebook_recipe_names_parameters_there_are() -> None:
    from rcakit.report import params

    calls = [node for node in ast.walk(ast.parse(blocks("python")[0])) if isinstance(node, ast.Call)]
    given = {keyword.arg: keyword.value for call in calls for keyword in call.keywords}
    values = ast.literal_eval(given["parameters"])
    assert params.validate(params.DriftWatch, values).model_dump()["config"] == values["config"]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which `rcakit` is this checkout's."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "rcakit").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (place / "rcakit").chmod(0o755)
    return os.pathsep.join([str(place), str(Path(sys.executable).parent), os.environ["PATH"]])


def test_the_command_runs_in_a_shell_as_it_stands(demo_dir: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "rcakit.toml").write_text((demo_dir / "rcakit.toml").read_text())
    (tmp_path / "project").symlink_to(demo_dir / "project")
    env = environment({"PATH": path, "RCAKIT_NOTIFY_URL": "json://127.0.0.1:1/nobody"})
    done = subprocess.run(
        ["sh", "-c", command()], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "nobody was notified" in done.stderr, "findings, and the first run: it tried"
    report = tmp_path / done.stdout.strip()
    assert json.loads((report.parent / "findings.json").read_text())["status"] == "findings"
    assert report.parts[len(tmp_path.parts)] == "reports"
