"""Nodes of a YAML document with their lines: keys of mappings, items of lists, texts; anything else is nothing.

https://pyyaml.org/wiki/PyYAMLDocumentation#nodes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rcakit.facts import Where

if TYPE_CHECKING:
    import yaml


def pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values of a mapping, what `<<` merges in last."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if text(key) != "<<":
            yield text(key), value
    for key, value in node.value:
        if text(key) == "<<":
            for each in items(value) or [value]:
                if each is not node:
                    yield from pairs(each)


def get(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return next((value for name, value in pairs(node) if name == key), None)


def first(places: Iterable[yaml.Node], key: str) -> yaml.Node | None:
    return next((found for place in places if (found := get(place, key))), None)


def items(node: yaml.Node | None) -> list[yaml.Node]:
    import yaml

    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def text(node: yaml.Node | None) -> str:
    import yaml

    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def line_of(node: yaml.Node | None) -> int:
    return int(node.start_mark.line) + 1 if node is not None else 1


def below(job: yaml.Node) -> int:
    """Lines between a key and the block that is its value, which is where YAML says the value begins."""
    return 0 if getattr(job, "flow_style", False) else 1


def true(node: yaml.Node | None, path: str) -> Where | None:
    return Where(path, line_of(node)) if text(node).lower() in ("true", "yes", "on") else None
