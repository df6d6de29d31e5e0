"""One file as plain values, with the line and column of every part of it.

Lives here: reading, JSON and YAML 1.2, positions. Must not live here: what the values mean.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from nodeyard.errors.provider import DiscoveryFailed
from nodeyard.errors.validation import Problem, SpecInvalid

Path_ = tuple[str | int, ...]
"""Keys and positions from the top of a document down to one value."""


@dataclass(frozen=True)
class Document:
    """A parsed file. ``value`` is what JSON can hold, ``None`` for an empty file."""

    file: str
    text: str
    value: Any

    @cached_property
    def _tree(self) -> Node | None:
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


def read(path: Path) -> Document:
    """Read and parse a file.

    Raises ``DiscoveryFailed`` when it cannot be read, ``SpecInvalid`` with the place when it is neither JSON nor YAML.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would block, a device never end
            raise DiscoveryFailed(f"{path} is not a regular file", operation="discover", hint="give a file of nodes")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DiscoveryFailed(
            f"the file {path} cannot be read: {reason}",
            operation="discover",
            hint="the path of 'file' is relative to the folder of the scenario",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DiscoveryFailed(
            f"the file {path} is not UTF-8 text",
            operation="discover",
            evidence=[f"byte {error.start}: {error.reason}"],
            hint="give a nodes file, an inventory.json or a file_sd file",
        ) from error
    return parse(text, str(path))


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
        raise SpecInvalid([broken if broken and file.endswith(".json") else _yaml_problem(file, error)]) from error
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


def _yaml_problem(file: str, error: YAMLError) -> Problem:
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
