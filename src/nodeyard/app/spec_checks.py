"""Checks across the parts of a scenario that no model can express: kinds, names, ports, policies, secrets.

Each gives all the problems that it finds, with their places. Reads the files and variables of secrets, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from nodeyard.bootstrap.planning import known_members, plan_nodes
from nodeyard.domain.document import Document, Path_, nearest
from nodeyard.domain.policy import impossible_from_start
from nodeyard.domain.scenario_spec import ScenarioSpec, managed_names, node_groups
from nodeyard.domain.secrets import Secret
from nodeyard.domain.selectors import Selector
from nodeyard.domain.sources import Attached, ExternalNode, NodeGroup, Tls
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.validation import Problem

if TYPE_CHECKING:
    from nodeyard.app.config import Secrets
    from nodeyard.app.registry import Registry
    from nodeyard.ports.kind import NodeKind

Found = Iterator[tuple[Path_, str, str]]
"""Path, message and hint of each problem."""


def check(spec: ScenarioSpec, document: Document, registry: Registry, secrets: Secrets, base: Path) -> list[Problem]:
    """Everything that is wrong with a scenario whose model is right."""
    checker = _Checker(spec, document, registry, secrets, base)
    return [document.problem(path, message, hint) for path, message, hint in checker.all()]


class _Checker:
    def __init__(
        self, spec: ScenarioSpec, document: Document, registry: Registry, secrets: Secrets, base: Path
    ) -> None:
        self.spec, self.document, self.registry, self.secrets, self.base = spec, document, registry, secrets, base
        self.names = [*managed_names(spec), *(node.name for node in spec.source.external)]

    def all(self) -> Found:
        """Each check in turn."""
        yield from self._kind(self.spec.kind, ("kind",))
        for position, group in enumerate(node_groups(self.spec)):
            yield from self._group(group, self._group_path(position))
        for position, node in enumerate(self.spec.source.external):
            yield from self._external(node, ("source", "external", position))
        yield from self._selectors(self.spec.readiness, ("readiness",))
        for position, step in enumerate(self.spec.steps):
            yield from self._selectors(step.options, ("steps", position, step.word))
        for position, check_ in enumerate(self.spec.expectations):
            yield from self._selectors(check_, ("expectations", position))
        yield from self._readiness()
        yield from self._secrets(self.spec.source, ("source",))

    def _group_path(self, position: int) -> Path_:
        """A single group may stand without a list."""
        nodes = self.document.value["source"]["nodes"]
        return ("source", "nodes", position) if isinstance(nodes, list) else ("source", "nodes")

    def _kind(self, name: str, path: Path_) -> Found:
        if name not in self.registry.kinds:
            yield path, f"no kind '{name}' is installed", nearest(name, self.registry.kinds)
            return
        broken = self.registry.kinds.attempt(name)
        if isinstance(broken, NodeyardError):
            yield path, broken.message, broken.hint or ""

    def _known_kind(self, name: str | None) -> NodeKind | None:
        word = name or self.spec.kind
        found = self.registry.kinds.attempt(word) if word in self.registry.kinds else None
        return None if isinstance(found, NodeyardError) else found

    def _group(self, group: NodeGroup, path: Path_) -> Found:
        if group.kind is not None:
            yield from self._kind(group.kind, (*path, "kind"))
        for name in group.patches:
            if name not in group.names:
                hint = nearest(name, group.names) if len(group.names) < 1000 else ""
                yield (*path, "patches", name), f"the group has no node '{name}'", hint
        kind = self._known_kind(group.kind)
        if kind is None:
            return
        for key, message in kind.config_problems(group.config):
            yield (*path, "config", key), message, ""
        for name, patch in group.patches.items():
            for key, message in kind.config_problems(patch):
                yield (*path, "patches", name, key), message, ""
        if group.role is not None and group.role not in kind.roles:
            roles = f"its roles are {', '.join(kind.roles)}" if kind.roles else "it has no roles"
            yield (*path, "role"), f"kind '{kind.name}' has no role '{group.role}'", roles

    def _external(self, node: ExternalNode, path: Path_) -> Found:
        if node.kind is not None:
            yield from self._kind(node.kind, (*path, "kind"))
        kind = self._known_kind(node.kind)
        if kind is None:
            return
        ports = [port.name for port in kind.ports]
        strange = [port for port in node.endpoints if port not in ports]
        for port in strange:
            yield (*path, "endpoints", port), f"kind '{kind.name}' has no port '{port}'", nearest(port, ports)
        if kind.api_port not in node.endpoints and not strange:
            yield (*path, "endpoints"), f"'{kind.api_port}', the API port of kind '{kind.name}', is missing", ""

    def _selectors(self, options: BaseModel, path: Path_) -> Found:
        """Names that no node of the scenario has. What an attach provider will find is not known yet."""
        if isinstance(self.spec.source, Attached):
            return
        for name, field in type(options).model_fields.items():
            value = getattr(options, name)
            if not isinstance(value, Selector):
                continue
            for word in value.names:
                if word not in self.names:
                    hint = nearest(word, self.names) if len(self.names) < 1000 else ""
                    yield (*path, field.alias or name), f"there is no node '{word}'", hint

    def _readiness(self) -> Found:
        if any(self._known_kind(group.kind) is None for group in node_groups(self.spec)):
            return
        planned = plan_nodes(self.spec, self.registry.kinds) if node_groups(self.spec) else ()
        if isinstance(self.spec.source, Attached) and self.spec.source.attach.expect is None:
            return
        message = impossible_from_start(self.spec.readiness, known_members(self.spec, planned))
        if message:
            yield ("readiness",), message, "lower the number, or declare more nodes"

    def _secrets(self, value: object, path: Path_) -> Found:
        """References that lead nowhere, and TLS files that are not there."""
        if isinstance(value, Secret):
            problem = self.secrets.problem(value)
            if problem:
                yield path, problem, ""
        elif isinstance(value, Tls):
            yield from self._tls(value, path)
        elif isinstance(value, BaseModel):
            for name, field in type(value).model_fields.items():
                yield from self._secrets(getattr(value, name), (*path, field.alias or name))
        elif isinstance(value, list | tuple):
            single = path == ("source", "nodes") and self._group_path(0) == path
            for position, item in enumerate(value):
                yield from self._secrets(item, path if single else (*path, position))
        elif isinstance(value, dict):
            for key, item in value.items():
                reference = isinstance(item, str) and path[-1:] == ("env",) and item.startswith(("env:", "file:"))
                yield from self._secrets(Secret(item) if reference else item, (*path, key))

    def _tls(self, tls: Tls, path: Path_) -> Found:
        for name in ("ca", "cert", "key"):
            given = getattr(tls, name)
            if given is not None and not (self.base / given).is_file():
                yield (*path, name), f"there is no file {given}", "the path is relative to the scenario's folder"
