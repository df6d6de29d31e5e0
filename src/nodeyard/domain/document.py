"""A text as plain values, with the line and column of every part of it. Pure.

Lives here: JSON and YAML 1.2, positions. Must not live here: reading files, and what the values mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from nodeyard.errors.validation import Problem, SpecInvalid

Path_ = tuple[str | int, ...]
"""Keys and positions from the top of a document down to one value."""


@dataclass(frozen=True)
class Document:
    """A parsed file. ``value`` is what JSON can hold, ``None`` for an empty file; ``composed`` its tree if there is one."""

    file: str
    text: str
    value: Any
    composed: Node | None = None

    @cached_property
    def _tree(self) -> Node | None:
        if self.composed is not None:
            return self.composed
        # Composed only to place a problem: positions cost far more than the values of a large file.
        try:
            tree: Node | None = _yaml().compose(_as_yaml(self.text))
        except (YAMLError, ValueError, RecursionError):
            return None  # JSON that YAML cannot hold: its problems then stand at the top of the file
        return tree

    def position(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Line and column, from 1, of the key or item at ``path``, or of the closest thing above it that exists."""
        node, mark = self._tree, None
        if node is not None:
            mark = node.start_mark
        for part in path:
            step = _child(node, part)
            if step is None:
                break
            mark, node = step
        return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)

    def problem(self, path: Sequence[str | int], message: str, hint: str = "") -> Problem:
        line, column = self.position(path)
        return Problem(self.file, line, column, dotted(path), message, hint)


def dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the right word: the one that is close, else all that there are."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known here: {', '.join(words)}" if words else ""


def parse(text: str, file: str) -> Document:
    """A document from text. Raises ``SpecInvalid`` with the place when it is neither JSON nor YAML."""
    broken: Problem | None = None
    if _looks_like_json(text):
        try:
            return Document(file, text, json.loads(text, object_pairs_hook=_unique_keys))
        except json.JSONDecodeError as error:
            broken = Problem(file, error.lineno, error.colno, "", f"not valid JSON: {error.msg}")
        except (ValueError, RecursionError):
            broken = None  # a key that stands twice: YAML's parser knows where
    try:
        return Document(file, text, _yaml().load(_as_yaml(text)))
    except YAMLError as error:
        raise SpecInvalid([broken if broken and file.endswith(".json") else yaml_problem(file, error)]) from error
    except (ValueError, RecursionError) as error:
        raise SpecInvalid([broken or Problem(file, 1, 1, "", f"not valid YAML: {error}")]) from error


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _as_yaml(text: str) -> str:
    # JSON may be indented with tabs, YAML not; a string of JSON holds none, so columns stay right.
    return text.replace("\t", " ") if _looks_like_json(text) else text


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def yaml_problem(file: str, error: YAMLError) -> Problem:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    said = error.problem if isinstance(error, MarkedYAMLError) and error.problem else str(error)
    return Problem(file, line, column, "", f"not valid YAML: {' '.join(said.split())}")


def _child(node: Node | None, part: str | int) -> tuple[Any, Node] | None:
    if isinstance(node, MappingNode):
        return next(((key.start_mark, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return (item.start_mark, item)
    return None
