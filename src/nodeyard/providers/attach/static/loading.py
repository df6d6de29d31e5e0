"""From a document to discovered nodes: which format it is, its entries, and everything that is wrong with it.

Pure: the document was read before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodeyard.domain.document import Document, Path_, dotted, nearest
from nodeyard.domain.identity import NetworkFacts, host_port
from nodeyard.domain.sources import Auth, ExternalNode, Tls
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.ports.attach import Discovered, Discovery, from_external
from nodeyard.ports.kind import NodeKind
from nodeyard.providers._clients.naming import address_name, node_name, unique
from nodeyard.providers.attach.static.entries import NodeEntry, RecordedNode, TargetGroup, validated
from nodeyard.providers.attach.static.options import Format, StaticOptions

SHAPES = {
    "nodes": "a list of nodes, or 'nodes:' with one",
    "inventory": "the inventory.json of a run",
    "file-sd": "a list of groups with 'targets'",
}


@dataclass
class _Found:
    """What was gathered so far; nothing is thrown before the whole file was seen."""

    nodes: dict[str, Discovered] = field(default_factory=dict)
    paths: dict[str, Path_] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    port_asked: bool = False

    def add(self, node: Discovered, path: Path_) -> None:
        self.nodes[node.name] = node
        self.paths[node.name] = path


def load(document: Document, options: StaticOptions, kind: str, kinds: Mapping[str, NodeKind]) -> Discovery:
    """All nodes of a document. ``kind`` is the default kind, ``kinds`` are those that are known.

    Raises ``SpecInvalid`` with every problem of the file.
    """
    return _Loader(document, options, kind, kinds).load()


class _Loader:
    def __init__(self, document: Document, options: StaticOptions, kind: str, kinds: Mapping[str, NodeKind]) -> None:
        self.document, self.options, self.kind, self.kinds = document, options, kind, kinds
        self.found = _Found()

    def load(self) -> Discovery:
        value = self.document.value
        if value is None:
            return Discovery((), (f"{self.document.file} is empty",))
        shape = _format_of(value) if self.options.format == "auto" else self.options.format
        entries, path = _entries(value, shape)
        if entries is None:
            self._refuse(path, f"this is not {SHAPES[shape]}", _shape_hint(value))
            raise SpecInvalid(self.found.problems)
        if shape == "nodes" and isinstance(value, dict):
            for key in value:
                if key != "nodes":
                    self._refuse((str(key),), f"unknown key '{key}'", "a nodes file has 'nodes' and nothing else")
        later = []
        for position, entry in enumerate(entries):
            if shape == "inventory":
                self._recorded(entry, (*path, position))
            elif shape == "file-sd" or (self.options.format == "auto" and _is_group(entry)):
                later.append((entry, (*path, position)))  # names that people gave come before names that are made up
            else:
                self._written(entry, (*path, position))
        for entry, where in later:
            self._group(entry, where)
        if self.found.problems:
            raise SpecInvalid(self.found.problems)
        return Discovery(tuple(self.found.nodes.values()), tuple(self.found.skipped))

    def _refuse(self, path: Path_, message: str, hint: str = "") -> None:
        self.found.problems.append(self.document.problem(path, message, hint))

    def _locator(self, path: Path_) -> str:
        return dotted(path)

    # ── a nodes file ─────────────────────────────────────────────────────────────────────────────────────────────

    def _written(self, value: Any, path: Path_) -> None:
        entry = validated(NodeEntry, value, path, self.document)
        if isinstance(entry, list):
            self.found.problems += entry
            return
        if entry.name in self.found.nodes:
            line, _ = self.document.position((*self.found.paths[entry.name], "name"))
            self._refuse((*path, "name"), f"two nodes are called '{entry.name}'", f"the first one is on line {line}")
            return
        kind = self._kind(entry.kind, path)
        endpoints = entry.endpoints
        if endpoints is None:
            port = self._bare_port(kind, (*path, "url"))
            endpoints = {port: entry.url or ""} if port else {}
        else:
            self._check_ports(kind, endpoints, (*path, "endpoints"))
        if endpoints:
            self._hold(entry.name, entry.kind, endpoints, path, entry.role, entry.auth, entry.tls)

    def _hold(
        self,
        name: str,
        kind: str | None,
        endpoints: Mapping[str, str],
        path: Path_,
        role: str | None = None,
        auth: Auth | None = None,
        tls: Tls | None = None,
    ) -> None:
        node = ExternalNode(
            name=name,
            kind=kind,
            endpoints=dict(endpoints),
            role=role,
            auth=auth or self.options.auth,
            tls=tls or self.options.tls,
        )
        self.found.add(from_external(node, locator=self._locator(path)), path)

    # ── the inventory of another run ─────────────────────────────────────────────────────────────────────────────

    def _recorded(self, value: Any, path: Path_) -> None:
        entry = validated(RecordedNode, value, path, self.document)
        if isinstance(entry, list):
            self.found.problems += entry
            return
        if not entry.endpoints:
            self.found.skipped.append(f"{entry.id} was never started: it has no endpoints")
            return
        kind = self._kind(entry.kind, path)
        if kind is not None and kind.api_port not in entry.endpoints:
            self.found.skipped.append(f"{entry.id} has no endpoint for '{kind.api_port}', the API port of {kind.name}")
            return
        name = unique(node_name(entry.id), self.found.nodes)
        self._hold(name, entry.kind, entry.endpoints, path, entry.role)
        facts = NetworkFacts(entry.network.id, entry.network.genesis, entry.network.protocol)
        self.found.nodes[name] = replace(self.found.nodes[name], peer_id=entry.identity.peer_id, network=facts)

    # ── Prometheus file_sd ───────────────────────────────────────────────────────────────────────────────────────

    def _group(self, value: Any, path: Path_) -> None:
        group = validated(TargetGroup, value, path, self.document)
        if isinstance(group, list):
            self.found.problems += group
            return
        if any(group.labels.get(label) != wanted for label, wanted in self.options.select.items()):
            return
        for position, target in enumerate(group.targets):
            self._target(target, group.labels, (*path, "targets", position))

    def _target(self, target: str, labels: Mapping[str, str], path: Path_) -> None:
        default = "https" if self.options.tls is not None else "http"
        url = target if "://" in target else f"{labels.get('__scheme__', default)}://{target}"
        try:
            address = host_port(url)
        except ValueError as error:
            self._refuse(path, str(error))
            return
        port = self._bare_port(self._kind(None, path), path)
        if not port:
            return
        given = labels.get(self.options.name_label) if self.options.name_label is not None else None
        name = unique(node_name(given) if given else address_name(address), self.found.nodes)
        self._hold(name, None, {port: url}, path)

    # ── kinds and their ports ────────────────────────────────────────────────────────────────────────────────────

    def _kind(self, name: str | None, path: Path_) -> NodeKind | None:
        """The kind of an entry; ``None`` where it is not known, which is a problem if the entry named it."""
        found = self.kinds.get(name or self.kind)
        if found is None and name is not None and self.kinds:
            self._refuse((*path, "kind"), f"no kind '{name}' is installed", nearest(name, self.kinds))
        return found

    def _bare_port(self, kind: NodeKind | None, path: Path_) -> str:
        """The port that an address without a port name means, or an empty text, which is a problem."""
        port = self.options.port or (kind.api_port if kind is not None else "")
        if not port and not self.found.port_asked:
            self.found.port_asked = True  # once a file: it is one missing option
            self._refuse(path, "it is not known which port this address is", "add 'port:' to the attach source")
        return port

    def _check_ports(self, kind: NodeKind | None, endpoints: Mapping[str, str], path: Path_) -> None:
        if kind is None:
            return
        known = [port.name for port in kind.ports]
        strange = [port for port in endpoints if port not in known]
        for port in strange:
            self._refuse((*path, port), f"kind '{kind.name}' has no port '{port}'", nearest(port, known))
        if kind.api_port not in endpoints and not strange:
            self._refuse(path, f"'{kind.api_port}', the API port of kind '{kind.name}', is missing")


def _is_group(entry: Any) -> bool:
    return isinstance(entry, dict) and "targets" in entry


def _format_of(value: Any) -> Format:
    """What a document is, told by its content. A list may mix nodes and groups of targets."""
    if isinstance(value, dict) and "nodes" in value and ("run" in value or "revision" in value):
        return "inventory"
    if isinstance(value, list) and value and all(_is_group(entry) for entry in value):
        return "file-sd"
    return "nodes"


def _entries(value: Any, shape: str) -> tuple[list[Any] | None, Path_]:
    """The list of entries and where it stands; ``None`` where the document has none."""
    if isinstance(value, list) and shape != "inventory":
        return value, ()
    if isinstance(value, dict) and shape != "file-sd" and "nodes" in value:
        nodes = value["nodes"]
        return (nodes if isinstance(nodes, list) else None), ("nodes",)
    return None, ()


def _shape_hint(value: Any) -> str:
    if isinstance(value, dict) and "nodes" not in value:
        close = [str(key) for key in value if nearest(str(key), ["nodes"]).startswith("did")]
        if close:
            return "did you mean 'nodes'?"
    return "; or ".join(SHAPES.values())
