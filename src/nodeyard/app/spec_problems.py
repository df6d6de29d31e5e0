"""What is wrong with a scenario, in words: from pydantic's errors to problems with a place and the nearest right word.

Pure. Must not live here: finding what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from nodeyard.domain.document import Document, Path_, closest, nearest
from nodeyard.domain.quantity import NAME_PATTERN
from nodeyard.domain.scenario_spec import NAMES_TWICE
from nodeyard.domain.sources import GROUP_NAME_PATTERN, HEADER_PATTERN, MEMORY_PATTERN, NodeGroup
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import Problem

Error = Mapping[str, Any]
Broken = Mapping[tuple[str, str], NodeyardError]
"""Why a plugin cannot be used, by what it is and its name."""
NAMED_KEY = re.compile(r"'([a-z_]+)' ")
"""A message of a whole mapping that begins with one of its keys stands at that key."""
EMPTY = "no value stands here"
QUOTE = "in quotes, anything is a text"
SOURCE_KEYS = ("deployer", "nodes", "attach", "external")
GROUP = "parallel"
USES = {"workloads": "workload", "faults": "fault"}
NAMES_OF_SOURCES = {"deployer": "deployer", "attach": "attach provider"}
PATTERNS = {
    NAME_PATTERN: "a name: at most 63 of a-z, 0-9 and '-', no '-' at either end",
    GROUP_NAME_PATTERN: "a name of a-z, 0-9, '-' and {index}, no '-' at either end",
    HEADER_PATTERN: "the name of a header: letters, digits and '-'",
    MEMORY_PATTERN: "an amount of memory, as in 512Mi or 2G",
}
"""What patterns mean; whoever wrote the text need not read them."""


def translate(error: ValidationError, model: type[BaseModel], document: Document, broken: Broken) -> list[Problem]:
    """Every error of a model as a problem of the document; the alternatives of one union are one problem.

    ``broken`` says of words that the model lacks why their plugins cannot be used.
    """
    known = _known(model)
    groups: dict[Path_, list[Error]] = {}
    for one in error.errors(include_input=False, include_url=False):
        groups.setdefault(_path_of(one, document.value), []).append(one)
    misspelt = _misspelt(groups, document, known)
    problems: list[Problem] = []
    for path, errors in groups.items():
        if errors[0]["type"] == "too_short" and _at(document.value, path):
            continue  # it has items, and what is wrong with each is said there
        if errors[0]["type"] == "missing" and path in misspelt:
            continue
        if errors[0]["type"] == NAMES_TWICE:
            problems += _names_twice(document)
        else:
            problems.append(_problem(path, errors, document, known, broken))
    return problems


@lru_cache(maxsize=8)
def _known(model: type[BaseModel]) -> Known:
    return Known(model)


def _path_of(error: Error, value: Any) -> Path_:
    """Where in the document an error stands. Names of union members, which are in pydantic's location, are left out."""
    path: list[str | int] = []
    location = error["loc"]
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if isinstance(value, dict) and (part in value or (last and error["type"] == "missing")):
            path.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
    return tuple(path)


def _misspelt(groups: Mapping[Path_, Sequence[Error]], document: Document, known: Known) -> set[Path_]:
    """Missing keys that stand there under a name that is nearly right: one mistake, told once."""
    missing = {path for path, errors in groups.items() if errors[0]["type"] == "missing"}
    strange = [path for path, errors in groups.items() if errors[0]["type"] == "extra_forbidden"]
    found: set[Path_] = set()
    for path in strange:
        close = closest(str(path[-1]), known.keys(path[:-1], document.value))
        found |= {(*path[:-1], close)} & missing if close else set()
    return found


def _problem(path: Path_, errors: Sequence[Error], document: Document, known: Known, broken: Broken) -> Problem:
    first = errors[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path, document, known)
    if kind == "union_tag_invalid":
        return _unknown_word(path, context, document, known, broken)
    if kind == "union_tag_not_found":
        return _no_word(path, context, document, known)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return document.problem(path, "Input should be a mapping", _mapping_hint(path, document, known))
    value = _at(document.value, path)
    if kind == "missing":
        return document.problem(path, "Field required", _missing_hint(path, known))
    if kind == "tuple_type":
        hint = "each item begins with '- '" if isinstance(value, dict) else "as in [a, b]"
        return document.problem(path, "Input should be a list", EMPTY if value is None else hint)
    if kind == "value_error" and isinstance(value, dict) and (named := NAMED_KEY.match(_text(first))):
        path = (*path, named[1]) if named[1] in value else path
    return document.problem(path, _alternatives(errors), EMPTY if value is None else _value_hint(value, first, path))


def _unknown_key(path: Path_, document: Document, known: Known) -> Problem:
    word, keys = str(path[-1]), known.keys(path[:-1], document.value)
    mode = _at(document.value, ("source", "mode"))
    if path[:-1] == ("source",) and word in SOURCE_KEYS and isinstance(mode, str):
        return document.problem(path, f"'{word}' does not belong to mode '{mode}'", f"its keys are {', '.join(keys)}")
    return document.problem(path, f"unknown key '{word}'", nearest(word, keys))


def _unknown_word(path: Path_, context: Mapping[str, Any], document: Document, known: Known, broken: Broken) -> Problem:
    """A value of a discriminating key, or a step's word, that nothing has."""
    words = [word.strip(" '") for word in str(context["expected_tags"]).split(",")]
    tag, key = str(context["tag"]), str(context["discriminator"]).strip("'")
    parent = path[-1] if path else ""
    group = path[-2] if len(path) > 1 else ""
    named = {"use": USES.get(str(group), "expectation"), "mode": "mode"}.get(key) or NAMES_OF_SOURCES.get(
        str(parent), key
    )
    what, last = ("step", tag) if key.startswith("_word_of") else (named, key)
    if (reason := broken.get((what, tag))) is not None:
        return document.problem((*path, last), reason.message, reason.hint or "")
    if what == "step":
        check = tag in known.values(("expectations", 0), "use")
        hint = f"a check: 'expect: {{use: {tag}}}'" if check else nearest(tag, words)
        if tag == GROUP:
            return document.problem((*path, tag), "a group cannot stand inside a group", "its steps can stand beside")
        return document.problem((*path, tag), f"unknown step '{tag}'", hint)
    return document.problem((*path, key), f"unknown {what} '{tag}'", nearest(tag, words))


def _no_word(path: Path_, context: Mapping[str, Any], document: Document, known: Known) -> Problem:
    key = str(context.get("discriminator", "")).strip("'")
    if not key.startswith("_word_of"):
        return document.problem((*path, key), "Field required", f"one of {', '.join(known.values(path, key))}")
    value = _at(document.value, path)
    alone = [word for word in value if value[word] is None] if isinstance(value, dict) and len(value) > 1 else []
    hint = f"indent what belongs to '{alone[0]}' below it" if alone else "as in 'restart: {target: n1}'"
    return document.problem(path, "a step is a mapping with one key, its word", hint)


def _missing_hint(path: Path_, known: Known) -> str:
    if path == ("source",):
        return f"with a mode: {', '.join(known.values(path, 'mode'))}"
    values = known.values(path[:-1], str(path[-1]))
    return f"as in '{path[-1]}: {values[0]}'" if len(values) == 1 else ""


def _mapping_hint(path: Path_, document: Document, known: Known) -> str:
    """What a mapping at this place looks like. Repeats of what stands there only words of the format: never a value."""
    value = _at(document.value, path)
    if path[-2:-1] in (("steps",), ("parallel",)) and isinstance(value, str):
        return f"as in '{value}: {{...}}'"
    for key in ("mode", "type", "use", "policy"):
        words = known.values(path, key)
        if words:
            return f"as in {{{key}: {value if value in words else words[0]}}}"
    keys = known.keys(path, {})
    return f"its keys are {', '.join(keys)}" if 0 < len(keys) <= 12 else EMPTY if value is None else ""


def _value_hint(value: Any, error: Error, path: Path_) -> str:
    if path == ("nodeyard",):
        return "the version of the format"
    if error["type"] == "string_type" and isinstance(value, bool | int | float):
        return QUOTE
    return _close_value(value, error.get("ctx", {})) if error["type"] in ("literal_error", "enum") else ""


def _close_value(value: Any, context: Mapping[str, Any]) -> str:
    close = closest(value, re.findall(r"'([^']+)'", str(context.get("expected", "")))) if isinstance(value, str) else ""
    return f"did you mean '{close}'?" if close else ""


def _names_twice(document: Document) -> list[Problem]:
    """Each place that makes nodes whose names others have already."""
    first: dict[str, Path_] = {}
    taken: dict[Path_, list[str]] = {}
    for name, path in _named(document.value["source"]):
        if name in first:
            taken.setdefault(path, []).append(name)
        first.setdefault(name, path)
    problems: list[Problem] = []
    for path, names in taken.items():
        said = f"two nodes are called '{names[0]}'"
        if len(names) > 1:
            said = f"{len(names)} names are taken by other nodes: {', '.join(names[:3])}{', ...' if names[3:] else ''}"
        line = document.position(first[names[0]])[0]
        problems.append(document.problem(path, said, f"names are unique within a scenario; see line {line}"))
    return problems


def _named(source: Mapping[str, Any]) -> Iterator[tuple[str, Path_]]:
    """Every declared node of a valid source, with its group's or its own place."""
    groups = source.get("nodes") or []
    for position, group in enumerate([groups] if isinstance(groups, dict) else groups):
        path: Path_ = ("source", "nodes") if isinstance(groups, dict) else ("source", "nodes", position)
        for name in NodeGroup.model_validate(group).names:
            yield name, path
    for position, node in enumerate(source.get("external") or []):
        yield node["name"], ("source", "external", position, "name")


def _alternatives(errors: Sequence[Error]) -> str:
    """One message for the members of a union that all refused a value."""
    texts = list(dict.fromkeys(_text(error) for error in errors))
    if {error["type"] for error in errors} >= {"bool_type", "int_type", "string_type"}:
        return "Input should be a text, a number, true or false"
    lead = "Input should be "
    if len(texts) > 1 and all(text.startswith(lead) for text in texts):
        return lead + " or ".join(text.removeprefix(lead).split(",")[0] for text in texts)
    return texts[0]


def _text(error: Error) -> str:
    """An error's message, in words of YAML and without those of Python."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "Input should not be empty"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context.get('min_length')}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"Input should have {bound} items, not {context['actual_length']}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return f"Input should be {PATTERNS[pattern]}" if pattern in PATTERNS else f"Input should match {pattern}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return text.partition(", unable to")[0]


def _at(value: Any, path: Iterable[str | int]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


class Known:
    """The keys and values that a model permits at a place of a document, read from its JSON Schema."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._schema = model.model_json_schema(by_alias=True)

    def keys(self, path: Path_, value: Any) -> list[str]:
        """The keys of the mapping at ``path``."""
        found = [key for schema in self._at(path, value) for key in schema.get("properties", {})]
        return list(dict.fromkeys(found))

    def values(self, path: Path_, key: str) -> list[str]:
        """The constants that ``key`` may have in the mapping at ``path``."""
        properties = (self._resolved(schema.get("properties", {}).get(key, {})) for schema in self._at(path, None))
        found = (part.get("enum", [part["const"]] if "const" in part else []) for part in properties)
        return list(dict.fromkeys(str(value) for values in found for value in values))

    def _at(self, path: Path_, value: Any) -> list[Mapping[str, Any]]:
        schemas = list(self._fitting(self._schema, value))
        for part in path:
            value = _at(value, (part,))
            schemas = [end for schema in schemas for step in _below(schema, part) for end in self._fitting(step, value)]
        return schemas

    def _fitting(self, schema: Mapping[str, Any], value: Any) -> Iterator[Mapping[str, Any]]:
        """The object and array schemas behind references and unions; of a union, those that agree with the value."""
        schema = self._resolved(schema)
        members = [self._resolved(member) for member in (*schema.get("oneOf", ()), *schema.get("anyOf", ()))]
        for member in [member for member in members if _agrees(member, value)] or members:
            yield from self._fitting(member, value)
        if "properties" in schema or "items" in schema or "additionalProperties" in schema:
            yield schema

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schema["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema


def _agrees(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a member of a union is meant: its constants are in the value, and a step's word is one of its keys."""
    if not isinstance(value, dict):
        return True
    properties = schema.get("properties", {})
    constants = [(key, part["const"]) for key, part in properties.items() if "const" in part]
    if not constants and len(properties) == 1:
        return next(iter(properties)) in value
    return all(value[key] == constant for key, constant in constants if key in value)


def _below(schema: Mapping[str, Any], part: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, int) and isinstance(schema.get("items"), dict):
        yield schema["items"]
    elif part in schema.get("properties", {}):
        yield schema["properties"][part]
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]
