"""The documents of a run's folder and how they are written: whole or not at all.

Must not live here: their schemas (``schemas``), the journal (``journal``).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from nodeyard.domain.capability import Capability
from nodeyard.domain.events import InventoryPublished
from nodeyard.domain.node_handle import NodeHandle, Sighting
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.verdict import RunVerdict
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.observability.redaction import Redactor
from nodeyard.observability.schemas import schema, schema_names

__all__ = [
    "inventory_document",
    "inventory_event",
    "node_document",
    "node_folder",
    "schema",
    "schema_names",
    "verdict_document",
    "write_json",
    "write_text",
]

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def inventory_document(run: str, inventory: NodeInventory) -> dict[str, Any]:
    """``inventory.json``; static attach of a later run reads it."""
    return {"run": run, "revision": inventory.revision, "nodes": [node_document(node) for node in inventory]}


def inventory_event(inventory: NodeInventory) -> InventoryPublished:
    """The same as an event for the journal."""
    return InventoryPublished(revision=inventory.revision, nodes=tuple(node_document(node) for node in inventory))


def node_document(node: NodeHandle) -> dict[str, Any]:
    """One node of ``inventory.json``."""
    identity, network = node.identity, node.network
    return {
        "id": node.id,
        "kind": node.kind,
        "role": node.role,
        "ownership": node.ownership.value,
        "names": list(node.names),
        "origins": [_origin(sighting) for sighting in node.sightings],
        "identity": {
            "peer_id": identity.peer_id,
            "endpoint": str(identity.endpoint) if identity.endpoint is not None else None,
            "aliases": list(identity.aliases),
        },
        "supported": list(_ordered(node.supported)),
        "capabilities": list(_ordered(node.capabilities)),
        "endpoints": dict(node.endpoints),
        "network": {
            "id": network.id,
            "genesis": network.genesis,
            "protocol": network.protocol,
            "api": network.api,
            "auth": network.auth,
        },
    }


def _origin(sighting: Sighting) -> dict[str, Any]:
    origin = sighting.origin
    return {
        "origin": origin.origin.value,
        "source": origin.source,
        "locator": origin.locator,
        "name": sighting.name,
        "ownership": origin.ownership.value,
        "supported": list(_ordered(origin.supported)),
        "granted": list(_ordered(origin.granted)),
        "alive": origin.alive,
        "details": dict(origin.details),
    }


@cache
def _ordered(capabilities: frozenset[Capability]) -> tuple[str, ...]:
    """In the order of the enumeration, which is that of the documentation."""
    return tuple(c.value for c in Capability if c in capabilities)


def verdict_document(outcome: RunVerdict) -> dict[str, Any]:
    """``verdict.json``."""
    return {
        "run": outcome.run,
        "verdict": outcome.verdict.value,
        "seed": outcome.seed,
        "exit_status": int(outcome.exit_status),
        "checks": [
            {"name": c.name, "verdict": c.verdict.value, "reason": c.reason, "evidence": list(c.evidence)}
            for c in outcome.checks
        ],
        "errors": [
            {"layer": e.layer, "code": e.code, "node": e.node, "message": e.message, "hint": e.hint}
            for e in outcome.errors
        ],
    }


def node_folder(node: str) -> str:
    """The name of a node's folder below ``nodes/``: its id, or a safe name made of it that no other id gives."""
    if SAFE.fullmatch(node):
        return node
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", node).strip(".-")[:80] or "node"
    return f"{stem}-{sha256(node.encode('utf-8', 'replace')).hexdigest()[:8]}"


def write_json(path: Path, document: Mapping[str, Any], redactor: Redactor | None = None) -> None:
    """Write a JSON document for people and programs, without secrets. Raises ``RunFolderUnusable``."""
    shown = redactor.value(document) if redactor is not None else document
    write_text(path, _json(shown) + "\n")


def _json(document: Mapping[str, Any]) -> str:
    """Indented. The encoder of the standard library indents slowly, and is the one that writes a lone surrogate."""
    try:
        return to_json(document, indent=2).decode()
    except PydanticSerializationError:
        return json.dumps(document, ensure_ascii=False, indent=2)


def write_text(path: Path, text: str) -> None:
    """Replace a file in one act: a reader sees the old content or the new. Raises ``RunFolderUnusable``."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise RunFolderUnusable(
            f"{path} cannot be written: {error.strerror or error}",
            operation="write",
            hint="free some space, or choose another folder with --output",
        ) from None
