"""A text as plain values, with the line and column of every part of it. Pure.

Lives here: JSON and YAML 1.2, positions. Must not live here: reading files, and what the values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from nodeyard.errors.validation import Problem, SpecInvalid

Path_ = tuple[str | int, ...]
"""Keys and positions from the top of a document down to one value."""


@dataclass(frozen=True)
class Document:
    """A parsed file. ``value`` is what JSON can hold, ``None`` for an empty file; ``composed`` its tree, if known."""

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

    def text_position(self, path: Sequence[str | int], line: int, word: str = "") -> tuple[int, int]:
        """Line and column of ``word`` in the given line, from 1, of the text at ``path``; else where that begins."""
        node: Node | None = self._tree
        for part in path:
            step = _child(node, part)
            node = step[1] if step is not None else None
        if not isinstance(node, ScalarNode):
            return self.position(path)
        start, lines = node.start_mark, self.text.splitlines()
        here = start.line + (line if node.style in ("|", ">") else line - 1)
        # A folded or quoted text may have its words on later lines than its value has.
        for place in range(here, min(node.end_mark.line + 1, len(lines))) if word else ():
            hits = [hit.start() for hit in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", lines[place])]
            hits = [hit for hit in hits if place > start.line or hit >= start.column]
            if hits:
                return place + 1, next((hit for hit in hits if "{" in lines[place][:hit]), hits[0]) + 1
        if here == start.line or here >= len(lines):
            return start.line + 1, start.column + 1
        return here + 1, len(lines[here]) - len(lines[here].lstrip()) + 1

    def problem(self, path: Sequence[str | int], message: str, hint: str = "") -> Problem:
        line, column = self.position(path)
        return Problem(self.file, line, column, dotted(path), message, hint)


def dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the right word: the one that is close, else all that there are."""
    words = sorted(known)
    close = closest(word, words)
    if close:
        return f"did you mean '{close}'?"
    return f"known here: {', '.join(words)}" if words else ""


def closest(word: str, known: Iterable[str]) -> str:
    """The one word that is meant most likely, or an empty text."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


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
        raise SpecInvalid([broken if broken and file.endswith(".json") else yaml_problem(file, error, text)]) from error
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


YAML_HINTS = {
    "found character '\\t' that cannot start any token": "YAML is indented with blanks, never with tabs",
    "mapping values are not allowed here": "a text that contains ': ' stands in quotes",
}


def yaml_problem(file: str, error: YAMLError, text: str = "") -> Problem:
    """What the YAML parser said, where, and what it was reading; with ``text``, what people mean to write there."""
    if isinstance(error, ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Problem(file, line, column, "", f"not valid YAML: the character U+{error.character:04X} is not allowed")
    if not isinstance(error, MarkedYAMLError):
        return Problem(file, 1, 1, "", f"not valid YAML: {' '.join(str(error).split())}")
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    if "single document" in str(error.context):
        return Problem(file, line, column, "", "not valid YAML: a file holds one document")
    said = " ".join(str(error.problem or error.context).split())
    return Problem(file, line, column, "", f"not valid YAML: {said}", _yaml_hint(error, said, line, column, text))


def _yaml_hint(error: MarkedYAMLError, said: str, line: int, column: int, text: str) -> str:
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1][:column].endswith("${"):
        return "inside braces or brackets, a variable stands in quotes"
    if said in YAML_HINTS:
        return YAML_HINTS[said]
    begun = error.context_mark
    if begun is not None and error.context is not None and begun.line + 1 < line:
        return f"{' '.join(error.context.split())} that begins on line {begun.line + 1}"
    return ""


def _child(node: Node | None, part: str | int) -> tuple[Any, Node] | None:
    if isinstance(node, MappingNode):
        return next(((key.start_mark, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return (item.start_mark, item)
    return None
