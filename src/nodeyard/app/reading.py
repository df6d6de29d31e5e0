"""Files that people write, as values with positions: scenarios and kind files alike.

Lives here: bytes to text, text to values, values to a model's value, each with every problem and its place. Must not
live here: what a file means (``spec_loader``, ``kind_files``), and the words of messages (``spec_problems``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node

from nodeyard.app import spec_problems
from nodeyard.app.variables import Substitution, missing_message, substitute
from nodeyard.app.yaml_values import values_of
from nodeyard.domain.document import Document, yaml_problem
from nodeyard.domain.quantity import WRITTEN
from nodeyard.errors.validation import Problem, SpecInvalid

M = TypeVar("M", bound=BaseModel)
LARGEST = 4 * 1024 * 1024
"""Bytes of a file; more is not one that a person wrote."""
EMPTY_HINT = "'nodeyard init' writes a scenario that runs"


def read_text(path: Path, what: str, *, shown: str | None = None) -> str:
    """The text of a file that people wrote, which messages call ``shown``. Raises ``SpecInvalid``."""
    shown = str(path) if shown is None else shown

    def refuse(message: str, hint: str = "") -> SpecInvalid:
        return SpecInvalid([Problem(shown, message=message, hint=hint)])

    try:
        if path.is_dir():
            raise refuse(f"this is a folder, not {what}")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}", "is the path right?") from error
    if len(content) > LARGEST:
        raise refuse(f"more than {LARGEST} bytes: this is not {what}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig").rpartition("\n")
        line, column = before[0].count("\n") + bool(before[1]) + 1, len(before[2]) + 1
        raise SpecInvalid([Problem(shown, line, column, "", f"not UTF-8 text: {error.reason}")]) from error


@dataclass
class Parsed:
    """A file as values. ``broken`` are the paths of what could not be read: nothing more is said of them."""

    document: Document
    problems: list[Problem]
    used: frozenset[str]

    @property
    def broken(self) -> frozenset[str]:
        return frozenset(problem.path for problem in self.problems)


def parsed_document(text: str, file: str, *, what: str) -> Parsed:
    """Another file read like a scenario, but without variables. Raises ``SpecInvalid`` for one that is no YAML."""
    return parse(text, file, None, f"{what} is a mapping of keys to values")


def parse(text: str, file: str, variables: Mapping[str, str] | None, empty_hint: str = EMPTY_HINT) -> Parsed:
    """A text as values, with variables replaced where some are given. Raises ``SpecInvalid`` for what is no YAML."""
    yaml = YAML(typ="safe", pure=True)
    try:
        tree: Node | None = yaml.compose(text)
        if tree is None:
            raise SpecInvalid([Problem(file, message="the file is empty", hint=empty_hint)])
        done = Substitution() if variables is None else substitute(tree, variables, yaml.resolver)
        values = values_of(tree, file)
    except YAMLError as error:
        raise SpecInvalid([yaml_problem(file, error, text)]) from error
    except (ValueError, RecursionError) as error:
        raise SpecInvalid([Problem(file, 1, 1, "", "not valid YAML: nested too deeply")]) from error
    problems = values.problems
    for node, name in done.missing:
        message, hint = missing_message(name, variables or {})
        place = node.start_mark.line + 1, node.start_mark.column + 1
        problems.append(Problem(file, *place, values.paths.get(id(node), ""), message, hint))
    return Parsed(Document(file, text, values.value, tree), problems, frozenset(done.used))


def validated(model: type[M], parsed: Parsed, *, what: str) -> M:
    """The value of a model. Raises ``SpecInvalid`` with every problem of the document."""
    document, problems, broken = parsed.document, list(parsed.problems), parsed.broken
    if not isinstance(document.value, dict):
        raise SpecInvalid(problems or [document.problem((), f"{what} is a mapping of keys to values")])
    value: M | None = None
    try:
        value = model.model_validate(document.value, context=WRITTEN)
    except ValidationError as error:
        found = spec_problems.translate(error, model, document, {})
        problems += [problem for problem in found if problem.path not in broken]
    if problems or value is None:
        raise SpecInvalid(problems)
    return value
