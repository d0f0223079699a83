"""The settings file of a project, edited as text: the gate among its apps, and where its expectations are.

Everything else keeps its bytes. What cannot be edited with certainty where it stands is added at the end, which works for lists
and tuples alike. https://docs.djangoproject.com/en/stable/ref/settings/#installed-apps
"""

from __future__ import annotations

import ast
from pathlib import Path

from rcakit.errors import Refused

APP = "rcakit.gate"
_APPS = "INSTALLED_APPS"
_GATE = "RCAKIT_GATE"
_SAID = """
# Where every table has to be, checked after each migrate: docs/schema-placement.md
{gate} = {{"CONFIG": Path(__file__).resolve().parents[{up}] / "rcakit.toml"}}
"""


def path_of(project: Path, module: str) -> str:
    """The file of a settings module, relative to the project. Raises Refused when it is not in the project."""
    stem = module.replace(".", "/")
    for path in (f"{stem}.py", f"{stem}/__init__.py"):
        if (project / path).is_file():
            return path
    raise Refused(
        f"the settings module {module} is no file of {project}",
        hint="name the one the project is deployed with: --settings MODULE",
    )


def edited(path: str, text: str) -> str:
    """The text with the gate installed; unchanged where it is already. Raises Refused for what is not Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise Refused(f"{path}:{error.lineno} is not valid Python", hint="mend the settings first") from None
    if not any(isinstance(node, ast.Constant) and node.value == APP for node in ast.walk(tree)):
        text = _installed(text, tree)
    if _assigned(tree, _GATE) is None:
        said = _SAID.format(gate=_GATE, up=path.count("/"))
        text = _imported(text).rstrip("\n") + "\n" + said
    return text


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """What a name is set to at the top of the module, last."""
    found = None
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            found = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return found


def _installed(text: str, tree: ast.Module) -> str:
    """The app after the last one of a list that is written out, in the layout of that list."""
    apps = _assigned(tree, _APPS)
    if not isinstance(apps, ast.List | ast.Tuple) or not apps.elts:
        return text.rstrip("\n") + f'\n\n{_APPS} = [*{_APPS}, "{APP}"]\n'
    lines = text.encode().splitlines(keepends=True)
    last = apps.elts[-1]
    row, column = (last.end_lineno or last.lineno) - 1, last.end_col_offset or 0
    line = lines[row]
    if apps.lineno == apps.end_lineno or last.lineno == apps.end_lineno:
        new = f', "{APP}"'.encode()
        lines[row] = line[:column] + new + line[column:]
    else:
        indent = lines[last.lineno - 1][: last.col_offset]
        comma = b"" if line[column:].lstrip().startswith(b",") else b","
        lines[row] = line[:column] + comma + line[column:]
        lines.insert(row + 1, indent + f'"{APP}",\n'.encode())
    return b"".join(lines).decode()


def _imported(text: str) -> str:
    """The text with `from pathlib import Path` before its first import, unless it is there."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if any(_is_path(node) for node in imports):
        return text
    plain = [n for n in imports if not (isinstance(n, ast.ImportFrom) and n.module == "__future__")]
    lines = text.splitlines(keepends=True)
    lines.insert(_place(tree, plain), "from pathlib import Path\n")
    return "".join(lines)


def _is_path(node: ast.stmt) -> bool:
    names = node.names if isinstance(node, ast.ImportFrom) and node.module == "pathlib" else []
    return any(each.name == "Path" and each.asname is None for each in names)


def _place(tree: ast.Module, imports: list[ast.Import | ast.ImportFrom]) -> int:
    """Index of the line before which an import goes: that of the first one, else the one after the docstring."""
    if imports:
        return imports[0].lineno - 1
    first = tree.body[0] if tree.body else None
    remark = isinstance(first, ast.Expr) or (
        isinstance(first, ast.ImportFrom) and first.module == "__future__"
    )
    return (first.end_lineno or 0) if first is not None and remark else 0
