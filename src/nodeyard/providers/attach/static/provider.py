"""The static attach provider: what a file lists, found and held for one run. Reads the one file, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import NodeUnreachable
from nodeyard.ports.attach import Discovered, Discovery
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed
from nodeyard.ports.node_control import NoControl, NodeControl
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.attach.static.document import read
from nodeyard.providers.attach.static.loading import load
from nodeyard.providers.attach.static.options import StaticOptions


class StaticProvider:
    """Nodes of one file. A node's endpoints are those that the file gave when it was last read."""

    def __init__(self, options: StaticOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._path = context.base / options.file
        self._found: dict[str, Discovered] = {}

    @property
    def source(self) -> str:
        return f"static:{self._path.name}"

    async def discover(self) -> Discovery:
        """Read the file now.

        Raises ``DiscoveryFailed`` when it cannot be read, ``SpecInvalid`` with every problem when it is wrong.
        """
        found = load(read(self._path), self._options, self._context.kind, self._context.kinds)
        self._found = {node.name: node for node in found.nodes}
        return found

    def control(self, name: str) -> NodeControl:
        """A file gives endpoints only. Raises ``KeyError`` for a node that was not discovered."""
        self._found[name]
        return NoControl()

    def endpoint(self, name: str, port: str) -> Endpoint:
        """Raises ``KeyError`` for a node that was not discovered, ``NodeUnreachable`` for a port it does not have."""
        node = self._found[name]
        if port not in node.endpoints:
            raise NodeUnreachable(
                f"{self.source} gives no port '{port}'",
                node=name,
                operation="endpoint",
                evidence=[f"{node.locator} gives {', '.join(sorted(node.endpoints))}"],
                hint=f"add '{port}' to the endpoints of '{name}' in {self._options.file}",
            )
        return node.endpoints[port]


class NothingToUndo:
    """The remover of a provider that never changes a node: it records nothing, so any entry is already dealt with."""

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        return {entry.id: Removed(absent=True, detail="static attach changes nothing") for entry in entries}
