"""``NodeNetwork``: what reaches one node from the others. A thin view; every act goes through ``runtime.node_ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeyard.domain.network_rules import NetworkRule
from nodeyard.ports.node_control import Echo

if TYPE_CHECKING:
    from nodeyard.runtime.node_ops import NodeOps


class NodeNetwork:
    """The network of one node. All but its address takes the capability ``network``; see ``CanShapeNetwork``."""

    def __init__(self, node: str, ops: NodeOps) -> None:
        self._node = node
        self._ops = ops

    async def address(self) -> str:
        """The address at which the others see the node."""
        return await self._ops.address(self._node)

    async def shape(self, name: str, rules: Sequence[NetworkRule]) -> None:
        """Put rules in force under a name."""
        await self._ops.on_network(self._node, "shape network", lambda c: c.shape(name, rules), told=True)

    async def shaped(self, name: str) -> Sequence[str]:
        """The rules of that name as they are in force now."""
        return await self._ops.on_network(self._node, "look at network", lambda c: c.shaped(name), told=False)

    async def unshape(self, name: str) -> None:
        """Take the rules of that name away."""
        await self._ops.on_network(self._node, "unshape network", lambda c: c.unshape(name), told=True)

    async def echo(self, address: str, *, count: int, size: int, within: float) -> Echo:
        """Send packets to another node, and see what comes back."""
        return await self._ops.on_network(
            self._node, "echo", lambda c: c.echo(address, count=count, size=size, within=within), told=False
        )
