"""``${NAME}`` and ``${NAME:-default}`` in the texts of a scenario. Pure: a tree of YAML nodes in, the same with values.

Variables are replaced in scalars of the parsed tree, never in the raw text, so that a value cannot become syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nodeyard.domain.document import nearest

VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}\\]|\\.)*))?\}")


@dataclass
class Substitution:
    """What replacing found: the names that stand in the file, and each that has neither value nor default."""

    used: set[str] = field(default_factory=set)
    missing: list[tuple[Node, str]] = field(default_factory=list)


def substitute(tree: Node | None, values: Mapping[str, str], resolver: Any) -> Substitution:
    """Replace variables in every scalar of ``tree``, in place. ``$$`` is a dollar sign.

    A plain (unquoted) scalar gets its type from what stands in it then: ``count: ${N}`` may become a number.
    """
    done = Substitution()
    for node in _scalars(tree):
        if "$" not in node.value:
            continue
        text = VARIABLE.sub(partial(_value, node=node, values=values, done=done), node.value)
        if text != node.value:
            node.value = text
            if node.style is None:
                node.tag = resolver.resolve(ScalarNode, text, (True, False))
    return done


def _value(match: re.Match[str], *, node: Node, values: Mapping[str, str], done: Substitution) -> str:
    name, default = match[1], match[2]
    if name is None:
        return "$"
    done.used.add(name)
    if name in values:
        return values[name]
    if default is not None:
        return default
    done.missing.append((node, name))
    return match[0]


def missing_message(name: str, given: Mapping[str, str]) -> tuple[str, str]:
    """What is wrong with a variable that has no value, and the hint."""
    close = nearest(name, given)
    return f"the variable {name} has no value", close if "did you mean" in close else f"give it with --var {name}=..."


def _scalars(node: Node | None) -> Iterator[Any]:
    seen: set[int] = set()  # an alias is the same node again
    stack = [node] if node is not None else []
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, ScalarNode):
            yield current
        elif isinstance(current, SequenceNode):
            stack += current.value
        elif isinstance(current, MappingNode):
            stack += [part for pair in current.value for part in pair]
