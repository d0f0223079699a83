"""What both Django readers have to know about a project before they start: is it one, and which settings.

`manage.py` is read as a syntax tree and never run.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

from rcakit.errors import ProjectError

VARIABLE = "DJANGO_SETTINGS_MODULE"


def settings_module(project: Path, settings: str | None) -> str:
    """The dotted name of the settings module: the one given, else what the environment or `manage.py` says.

    The order is Django's own: `manage.py` only sets a default
    (https://docs.djangoproject.com/en/stable/topics/settings/#designating-the-settings).
    Raises ProjectError when the directory is missing, is no Django project, or names no settings.
    """
    if not project.is_dir():
        raise ProjectError(
            f"the project directory {project} does not exist",
            hint="name the directory that holds manage.py with --project",
        )
    named = settings or os.environ.get(VARIABLE)
    if named:
        return named
    manage = project / "manage.py"
    if not manage.is_file():
        raise ProjectError(
            f"{project} is not a Django project: it has no manage.py, and no settings module is named",
            hint=_elsewhere(project)
            or "name the directory that holds manage.py (--project DIR, or `project` in rcakit.toml), or --settings",
        )
    found = _set_by(manage)
    if found is None:
        raise ProjectError(
            f"{manage} does not set {VARIABLE} to a constant",
            hint="name the settings module with --settings",
        )
    return found


def _elsewhere(project: Path) -> str:
    below = sorted(project.glob("*/manage.py"))
    return f"there is one in {below[0].parent}: try --project {below[0].parent}" if below else ""


def _set_by(manage: Path) -> str | None:
    """The settings module `manage.py` asks for; an assignment wins over `setdefault`."""
    try:
        tree = ast.parse(manage.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{manage}:{line}" if line else str(manage)
        raise ProjectError(
            f"manage.py cannot be read as Python: {place}",
            hint="correct it, or name the settings module with --settings",
        ) from error
    found = None
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=name))], value=value):
                if name == VARIABLE and (text := _last_text(value)):
                    return text
            case ast.Call(args=[ast.Constant(value=name), value]) if name == VARIABLE:
                found = found or _last_text(value)
    return found


def _last_text(node: ast.expr) -> str | None:
    """The constant itself, or the default in `os.environ.get("SETTINGS", "shop.settings")`."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Call) and len(node.args) > 1:
        return _last_text(node.args[-1])
    return _last_text(node.values[-1]) if isinstance(node, ast.BoolOp) else None
