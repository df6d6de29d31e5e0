"""From a composed YAML tree to plain values, by the core schema of YAML 1.2: what JSON can hold, and nothing else.

``on``, ``yes``, ``22:22`` and ``2024-01-01`` stay text. Every problem comes with its place. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nodeyard.errors.validation import Problem, SpecInvalid

DEEPEST = 64
LARGEST = 500_000
"""Values of a document, each use of an alias counted."""

TAG = "tag:yaml.org,2002:"
TEXT_TAGS = frozenset(f"{TAG}{name}" for name in ("str", "timestamp", "value", "merge"))
TAGS = TEXT_TAGS | frozenset(f"{TAG}{name}" for name in ("null", "bool", "int", "float"))
NULL = frozenset(("", "~", "null", "Null", "NULL"))
BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
MERGE = "<<"


@dataclass
class Values:
    """The value of a tree, what is wrong with it, and the dotted path of each scalar by the ``id`` of its node."""

    value: Any
    problems: list[Problem]
    paths: dict[int, str]


def values_of(tree: Node, file: str) -> Values:
    """Read a tree; ``None`` stands for what cannot be read. Raises ``SpecInvalid`` for one too deep or too large."""
    reader = _Reader(file)
    return Values(reader.value(tree, ()), reader.problems, reader.paths)


def scalar(text: str) -> Any:
    """What a plain scalar means. Raises ``ValueError`` for a number that cannot be held."""
    if text in NULL:
        return None
    if text in BOOL:
        return BOOL[text]
    if INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if FLOAT.fullmatch(text):
        if text[-1].isalpha() or (number := float(text)) in (float("inf"), float("-inf")):
            raise ValueError(text)
        return number
    return text


class _Reader:
    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self.paths: dict[int, str] = {}
        self._file = file
        self._made: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._size = 0

    def value(self, node: Any, path: tuple[str, ...]) -> Any:
        """A node's value. An alias is the same node again: it is read once, and counted each time."""
        known = self._made.get(id(node))
        if known is not None:
            self._count(node, path, known[1])
            return known[0]
        if id(node) in self._open:
            return self._refuse(node, path, "an anchor must not contain itself")
        if len(path) > DEEPEST:
            raise SpecInvalid([self._problem(node, (), f"nested more than {DEEPEST} levels deep")])
        self._open.add(id(node))
        before = self._size
        self._count(node, path, 1)
        if isinstance(node, MappingNode):
            made: Any = self._mapping(node, path)
        elif isinstance(node, SequenceNode):
            made = [self.value(item, (*path, str(index))) for index, item in enumerate(node.value)]
        else:
            made = self._scalar(node, path)
        self._open.discard(id(node))
        self._made[id(node)] = (made, self._size - before)
        return made

    def _count(self, node: Node, path: tuple[str, ...], more: int) -> None:
        if self._size <= LARGEST < self._size + more:
            raise SpecInvalid([self._problem(node, path, f"aliases make more than {LARGEST} values of this document")])
        self._size += more

    def _mapping(self, node: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if node.tag != f"{TAG}map":
            self._refuse_tag(node, path)
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            word = self._key(key, path)
            if word is None:
                continue
            if word in lines:
                self._refuse(key, (*path, word), f"the key '{word}' stands twice",
                             f"the first one is on line {lines[word]}")  # fmt: skip
            lines.setdefault(word, key.start_mark.line + 1)
            if word == MERGE and key.style is None:
                for mapping in self._merged(value, path):
                    merged = {**mapping, **merged}
            else:
                made[word] = self.value(value, (*path, word))
        return {**merged, **made}

    def _key(self, key: Any, path: tuple[str, ...]) -> str | None:
        word = self._scalar(key, path) if isinstance(key, ScalarNode) else None
        if isinstance(word, str):
            return word
        shown = (*path, key.value) if isinstance(key, ScalarNode) else path
        self._refuse(key, shown, "a key must be a text", "in quotes, anything is one")
        return None

    def _merged(self, value: Any, path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for item in value.value if isinstance(value, SequenceNode) else (value,):
            made = self.value(item, (*path, MERGE))
            if isinstance(made, dict):
                yield made
            else:
                self._refuse(item, (*path, MERGE), "'<<' takes a mapping, or a list of mappings")

    def _scalar(self, node: Any, path: tuple[str, ...]) -> Any:
        self.paths[id(node)] = ".".join(path)
        if node.tag not in TAGS:
            return self._refuse_tag(node, path)
        if node.tag == f"{TAG}str":
            return node.value
        try:
            return scalar(node.value)
        except ValueError:
            return self._refuse(node, path, "Input should be a finite number of a usual size")

    def _refuse_tag(self, node: Any, path: tuple[str, ...]) -> None:
        self._refuse(node, path, f"unknown tag '{node.tag.replace(TAG, '!!')}'", "a scenario has no tags")

    def _refuse(self, node: Any, path: tuple[str, ...], message: str, hint: str = "") -> None:
        self.problems.append(self._problem(node, path, message, hint))

    def _problem(self, node: Any, path: tuple[str, ...], message: str, hint: str = "") -> Problem:
        mark = node.start_mark
        return Problem(self._file, mark.line + 1, mark.column + 1, ".".join(path), message, hint)
