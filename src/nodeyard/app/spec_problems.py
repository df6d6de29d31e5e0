"""What is wrong with a scenario, in words: from pydantic's errors to problems with a place and the nearest right word.

Pure. Must not live here: finding what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from nodeyard.domain.document import Document, Path_, nearest
from nodeyard.errors.validation import Problem

Error = Mapping[str, Any]


def translate(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """Every error of a model as a problem of the document; the alternatives of one union are one problem."""
    known = Known(model)
    groups: dict[Path_, list[Error]] = {}
    for one in error.errors(include_input=False, include_url=False):
        groups.setdefault(_path_of(one, document.value), []).append(one)
    return [_problem(path, errors, document, known) for path, errors in groups.items()]


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


def _problem(path: Path_, errors: Sequence[Error], document: Document, known: Known) -> Problem:
    first = errors[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        word = str(path[-1])
        return document.problem(path, f"unknown key '{word}'", nearest(word, known.keys(path[:-1], document.value)))
    if kind == "union_tag_invalid":
        return _unknown_word(path, context, document)
    if kind == "union_tag_not_found":
        return _no_word(path, context, document, known)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return document.problem(path, "Input should be a mapping", _mapping_hint(path, document))
    return document.problem(path, _alternatives(errors))


def _unknown_word(path: Path_, context: Mapping[str, Any], document: Document) -> Problem:
    """A value of a discriminating key, or a step's word, that nothing has."""
    words = [word.strip(" '") for word in str(context["expected_tags"]).split(",")]
    tag, key = str(context["tag"]), str(context["discriminator"]).strip("'")
    if key.startswith("_word_of"):
        return document.problem((*path, tag), f"unknown step '{tag}'", nearest(tag, words))
    return document.problem((*path, key), f"unknown {key} '{tag}'", nearest(tag, words))


def _no_word(path: Path_, context: Mapping[str, Any], document: Document, known: Known) -> Problem:
    key = str(context.get("discriminator", "")).strip("'")
    if not key.startswith("_word_of"):
        return document.problem((*path, key), "Field required", f"one of {', '.join(known.values(path, key))}")
    return document.problem(path, "a step is a mapping with one key, its word", "as in 'restart: {target: n1}'")


def _mapping_hint(path: Path_, document: Document) -> str:
    value = _at(document.value, path)
    if path[:1] == ("steps",) and len(path) == 2 and isinstance(value, str):
        return f"as in '{value}: {{...}}'"
    return ""


def _alternatives(errors: Sequence[Error]) -> str:
    """One message for the members of a union that all refused a value."""
    texts = list(dict.fromkeys(str(error["msg"]).removeprefix("Value error, ") for error in errors))
    lead = "Input should be "
    if len(texts) > 1 and all(text.startswith(lead) for text in texts):
        return lead + " or ".join(text.removeprefix(lead).split(",")[0] for text in texts)
    return texts[0]


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
        properties = (schema.get("properties", {}).get(key, {}) for schema in self._at(path, None))
        return list(dict.fromkeys(str(p["const"]) for p in properties if "const" in p))

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
