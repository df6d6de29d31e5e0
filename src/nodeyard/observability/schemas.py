"""The published JSON Schemas of a run's files (draft 2020-12).

All of them permit further fields: files may be extended, never renamed. The journal's is made from the event types, so
it cannot fall behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin, get_type_hints

from nodeyard.domain.capability import Capability, Ownership
from nodeyard.domain.events import Event, event_types
from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.verdict import Verdict
from nodeyard.errors.base import ExitStatus

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
SECONDS: Schema = {"type": "number", "minimum": 0}
TEXTS: Schema = {"type": "array", "items": TEXT}
TEXT_MAP: Schema = {"type": "object", "additionalProperties": TEXT}
UTC_TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}


def schema_names() -> tuple[str, ...]:
    """Every file of a run that has a schema, without its suffix."""
    return tuple(_MAKERS)


def schema(name: str) -> Schema:
    """The JSON Schema of a file of a run: ``inventory``, ``verdict``, ``journal``, ``plan``, ``history``, ``versions``.

    The file's own name will do. For files of JSON lines it describes one line. Raises ``KeyError`` for another name.
    """
    word = name.split(".", 1)[0]
    made: Schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"nodeyard {word}"}
    return made | _MAKERS[word]()


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _words(values: Sequence[str]) -> Schema:
    return {"enum": list(values)}


def node_schema() -> Schema:
    """One node of ``inventory.json``."""
    capabilities = _list(_words([c.value for c in Capability])) | {"uniqueItems": True}
    origin = _object(
        {"origin": _words([o.value for o in OriginClass]), "source": TEXT, "locator": TEXT},
        {"name": TEXT, "ownership": _words([o.value for o in Ownership]), "granted": capabilities,
         "supported": capabilities, "alive": {"type": "boolean"}},
    )  # fmt: skip
    identity = _object({"peer_id": TEXT_OR_NULL, "endpoint": TEXT_OR_NULL, "aliases": TEXTS})
    network = _object(
        {"id": TEXT_OR_NULL, "genesis": TEXT_OR_NULL, "protocol": TEXT_OR_NULL},
        {"api": TEXT_OR_NULL, "auth": TEXT_OR_NULL},
    )
    return _object(
        {
            "id": TEXT,
            "kind": TEXT,
            "ownership": _words([o.value for o in Ownership]),
            "origins": _list(origin) | {"minItems": 1},
            "identity": identity,
            "supported": capabilities,
            "capabilities": capabilities,
            "endpoints": TEXT_MAP,
            "network": network,
        },
        {"name": TEXT, "names": TEXTS, "role": TEXT_OR_NULL},
    )


def _inventory() -> Schema:
    return _object({"run": TEXT, "revision": COUNT, "nodes": _list(node_schema())})


def _verdict() -> Schema:
    verdicts = _words([v.value for v in Verdict])
    check = _object({"name": TEXT, "verdict": verdicts, "reason": TEXT, "evidence": TEXTS})
    error = _object({"layer": TEXT, "code": TEXT, "node": TEXT_OR_NULL, "message": TEXT, "hint": TEXT_OR_NULL})
    return _object(
        {"run": TEXT, "verdict": verdicts, "seed": COUNT, "checks": _list(check), "errors": _list(error)},
        {"exit_status": _words_of_exit()},
    )


def _words_of_exit() -> Schema:
    return {"enum": [int(status) for status in ExitStatus]}


def _journal() -> Schema:
    envelope = _object({"seq": COUNT, "time": UTC_TIME, "elapsed": SECONDS, "event": TEXT, "node": TEXT_OR_NULL})
    rules = [
        {"if": {"properties": {"event": {"const": cls.name}}, "required": ["event"]}, "then": _event(cls)}
        for cls in event_types()
    ]
    return {**envelope, "allOf": rules}


def _event(cls: type[Event]) -> Schema:
    """What a record of one event holds beside the envelope."""
    if cls.name == "inventory-published":
        return _object({"revision": COUNT, "nodes": _list(node_schema())})
    hints = get_type_hints(cls)
    required: Schema = {}
    optional: Schema = {}
    for item in fields(cls):
        if item.name == "node":
            continue
        plain = item.default is MISSING and item.default_factory is MISSING
        (required if plain else optional)[item.name] = _of_hint(hints[item.name])
    return _object(required, optional)


def _of_hint(hint: Any) -> Schema:
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    if hint is Any:
        return {}
    if hint in simple:
        return {"type": simple[hint]}
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _list(_of_hint(inner[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of_hint(inner[1])}
    return {"anyOf": [_of_hint(one) for one in inner]}


def _plan() -> Schema:
    node = _object(
        {"name": TEXT, "kind": TEXT, "seeds": TEXTS, "ports": TEXT_MAP, "files": TEXTS},
        {"role": TEXT_OR_NULL, "on_demand": {"type": "boolean"}, "joins": {"type": "boolean"}, "program": TEXT,
         "args": TEXTS, "env": TEXTS},
    )  # fmt: skip
    borrowed = _object({"name": TEXT, "source": TEXT, "endpoints": TEXT_MAP}, {"kind": TEXT, "granted": TEXTS})
    return _object(
        {
            "run": TEXT,
            "scenario": TEXT,
            "seed": COUNT,
            "mode": _words(["managed", "attached", "external-only"]),
            "nodes": _list(node),
            "borrowed": _list(borrowed),
            "resources": TEXTS,
            "steps": TEXTS,
            "checks": TEXTS,
        },
        {"attach": TEXT_OR_NULL, "readiness": {"type": "object"}, "deadline": SECONDS, "problems": TEXTS},
    )


def _history() -> Schema:
    return _object(
        {
            "index": COUNT,
            "type": _words(["invoke", "ok", "fail", "info"]),
            "client": {"type": ["string", "integer"]},
            "node": TEXT_OR_NULL,
            "op": TEXT,
            "key": TEXT_OR_NULL,
            "value": {},
            "intended": {"type": ["number", "null"]},
            "at": NUMBER,
            "result": {},
        }
    )


def _versions() -> Schema:
    node = _object(dict.fromkeys(("kind", "program", "sha256", "version", "api"), TEXT_OR_NULL))
    return _object(
        {
            "nodeyard": TEXT,
            "python": TEXT,
            "system": TEXT,
            "machine": TEXT,
            "packages": TEXT_MAP,
            "nodes": {"type": "object", "additionalProperties": node},
        }
    )


_MAKERS = {
    "versions": _versions,
    "inventory": _inventory,
    "verdict": _verdict,
    "journal": _journal,
    "plan": _plan,
    "history": _history,
}
