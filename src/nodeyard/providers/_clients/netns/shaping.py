"""The network part of a control, for every backend whose nodes live in network namespaces of this machine."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.domain.network_rules import NetworkRule
from nodeyard.ports.node_control import Echo
from nodeyard.providers._clients.netns.shaper import Shaper


class Shaping:
    """Implements ``CanShapeNetwork`` but for ``address``, by the ``shaper`` of the node."""

    shaper: Shaper

    async def shape(self, name: str, rules: Sequence[NetworkRule]) -> None:
        await self.shaper.shape(name, rules)

    async def shaped(self, name: str) -> Sequence[str]:
        return await self.shaper.shaped(name)

    async def unshape(self, name: str) -> None:
        await self.shaper.unshape(name)

    async def echo(self, address: str, *, count: int, size: int, within: float) -> Echo:
        return await self.shaper.echo(address, count=count, size=size, within=within)
