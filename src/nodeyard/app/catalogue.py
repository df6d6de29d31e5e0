"""What is installed, as one document: kinds, deployers, attach providers, steps, checks, with what each can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeyard.app.registry import Plugins, Registry
from nodeyard.app.scenario_model import KNOWN_SOURCES
from nodeyard.errors.base import NodeyardError

Entry = dict[str, Any]


def catalogue(registry: Registry) -> dict[str, list[Entry]]:
    """Every plugin by group; one that cannot be loaded stands with its problem."""
    return {
        "kinds": [_entry(registry.kinds, name, _kind) for name in registry.kinds],
        "deployers": [*(_entry(registry.deployers, name, _source) for name in registry.deployers),
                      *_missing(registry.deployers)],
        "attach": [*(_entry(registry.attach, name, _source) for name in registry.attach), *_missing(registry.attach)],
        "steps": [_entry(registry.operations, name, _step) for name in registry.operations],
        "workloads": [_entry(registry.workloads, name, _step) for name in registry.workloads],
        "faults": [_entry(registry.faults, name, _step) for name in registry.faults],
        "expectations": [_entry(registry.expectations, name, _step) for name in registry.expectations],
    }  # fmt: skip


def _entry(plugins: Plugins[Any], name: str, describe: Any) -> Entry:
    found = plugins.attempt(name)
    if isinstance(found, NodeyardError):
        return {"name": name, "problem": found.message, "broken": True}
    return {"name": name, "summary": getattr(found, "summary", ""), **describe(found)}


def _kind(kind: Any) -> Entry:
    program = kind.program
    return {
        "ports": [port.name for port in kind.ports],
        "api_port": kind.api_port,
        "roles": list(kind.roles),
        "protocols": [protocol.__name__ for protocol in kind.protocols],
        "join": hasattr(kind, "join"),
        "program": program.program if program is not None else None,
    }


def _source(plugin: Any) -> Entry:
    return {
        "capabilities": [capability.value for capability in sorted(plugin.capabilities)],
        "options": _options(plugin.options),
    }


def _step(plugin: Any) -> Entry:
    return {"options": _options(plugin.options)}


def _options(model: Any) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if name not in ("type", "use")]


def _missing(plugins: Mapping[str, Any]) -> list[Entry]:
    return [{"name": name, "problem": "known, but not installed here"} for name in KNOWN_SOURCES if name not in plugins]
