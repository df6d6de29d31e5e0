"""Attach providers: they discover nodes that exist already, and never create or remove one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nodeyard.domain.identity import NetworkFacts
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.sources import ExternalNode
from nodeyard.ports.node_control import NodeControl


@dataclass(frozen=True)
class Discovered:
    """One node that a provider found. ``kind`` is ``None`` where the provider cannot tell.

    ``exclusive``: the locator is one physical instance. ``alive`` is what the provider knows, before it was asked.
    ``peer_id`` and ``network`` are what the source recorded of the node earlier, to be compared with what it says now;
    ``None`` facts were not recorded. ``details`` is what else is worth telling people of it.
    """

    name: str
    locator: str
    endpoints: Mapping[str, Endpoint]
    kind: str | None = None
    role: str | None = None
    exclusive: bool = False
    alive: bool = True
    peer_id: str | None = None
    network: NetworkFacts = NetworkFacts()
    details: Mapping[str, str] = field(default_factory=dict)


def from_external(node: ExternalNode, *, locator: str) -> Discovered:
    """A node whose endpoints are written down. An address without a scheme is spoken to by HTTP, or HTTPS with TLS."""
    scheme = "https" if node.tls is not None else "http"
    endpoints = {
        port: Endpoint(url if "://" in url else f"{scheme}://{url}", node.auth, node.tls)
        for port, url in node.endpoints.items()
    }
    return Discovered(node.name, locator, endpoints, kind=node.kind, role=node.role)


@dataclass(frozen=True)
class Discovery:
    """What a search found, and what it found and could not use (each with its reason)."""

    nodes: tuple[Discovered, ...]
    problems: tuple[str, ...] = field(default=())


class AttachProvider(Protocol):
    """Finds the nodes of one attach source."""

    @property
    def source(self) -> str:
        """The name of this source in origins, for example ``static:nodes.yaml``."""

    async def discover(self) -> Discovery:
        """Search once. Reads only. An empty result is a result; raises ``DiscoveryFailed`` when it cannot search."""

    def control(self, name: str) -> NodeControl:
        """The control of a discovered node, ``NoControl`` if there is none. Raises ``KeyError`` for an unknown one."""

    def endpoint(self, name: str, port: str) -> Endpoint:
        """A port of a discovered node as the tester reaches it now.

        Raises ``KeyError`` for a node that was not discovered, ``NodeUnreachable`` for a port that it does not have.
        """
