"""The entries of each file format as models, and what is wrong with one, in words and with its place.

Lives here: shapes. Must not live here: reading files, names across entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nodeyard.domain.document import Document, nearest
from nodeyard.domain.quantity import NodeName
from nodeyard.domain.sources import Auth, Spec, Tls, Url
from nodeyard.errors.validation import Problem

M = TypeVar("M", bound=BaseModel)
NAME_RULE = "a name is 1 to 63 of a-z, 0-9 and '-', and neither starts nor ends with '-'"
GRANTS_HINT = "grants are the scenario's to give: source.attach.allow"


class NodeEntry(Spec):
    """One node of a nodes file: as under ``external:`` of a scenario, or with the one ``url`` of its API."""

    name: NodeName
    kind: str | None = None
    endpoints: Annotated[dict[str, Url], Field(min_length=1)] | None = None
    url: Url | None = None
    role: str | None = None
    auth: Auth | None = None
    tls: Tls | None = None

    @model_validator(mode="after")
    def _one_way(self) -> NodeEntry:
        if (self.endpoints is None) == (self.url is None):
            raise ValueError("a node needs either endpoints or url")
        return self


class TargetGroup(BaseModel):
    """One group of Prometheus ``file_sd``."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    targets: list[str]
    labels: dict[str, str] = Field(default_factory=dict)


class RecordedIdentity(BaseModel):
    """Who a node was when its inventory was written. Later versions may say more."""

    peer_id: str | None = None


class RecordedNetwork(BaseModel):
    """The network that a node was in."""

    id: str | None = None
    genesis: str | None = None
    protocol: str | None = None


class RecordedNode(BaseModel):
    """One node of another run's ``inventory.json``; what this version does not know is left alone."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: Annotated[str, Field(min_length=1)]
    kind: Annotated[str, Field(min_length=1)]
    role: str | None = None
    endpoints: dict[str, Url] = Field(default_factory=dict)
    identity: RecordedIdentity = RecordedIdentity()
    network: RecordedNetwork = RecordedNetwork()


def validated(model: type[M], value: Any, path: tuple[str | int, ...], document: Document) -> M | list[Problem]:
    """An entry, or everything that is wrong with it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        return [_problem(model, path, e["loc"], e["type"], e["msg"], document) for e in found]


def _problem(
    model: type[BaseModel],
    path: tuple[str | int, ...],
    loc: tuple[str | int, ...],
    kind: str,
    message: str,
    document: Document,
) -> Problem:
    where = (*path, *(part for part in loc if part != "[key]"))
    if kind == "extra_forbidden":
        word = str(loc[-1])
        return document.problem(where, f"unknown key '{word}'", _key_hint(word, _model_at(model, loc[:-1])))
    if kind == "missing":
        return document.problem(where[:-1], f"'{loc[-1]}' is missing")
    if kind == "model_type":
        message = "this is not a mapping"
    elif kind == "string_pattern_mismatch" and loc == ("name",):
        message = NAME_RULE
    return document.problem(where, message.removeprefix("Value error, "))


def _key_hint(word: str, model: type[BaseModel] | None) -> str:
    if word == "allow":
        return GRANTS_HINT
    return nearest(word, model.model_fields if model is not None else ())


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    for part in loc:
        field = found.model_fields.get(str(part)) if found is not None else None
        inside = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        found = next((c for c in inside if isinstance(c, type) and issubclass(c, BaseModel)), None)
    return found
