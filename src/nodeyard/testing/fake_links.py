"""The network part of a fake control: rules are kept by the node, and packets follow them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodeyard.domain.network_rules import Effect, NetworkRule
from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.ledger import Ledger, LedgerEntry
from nodeyard.ports.node_control import Echo
from nodeyard.testing.fake_node import FakeNode
from nodeyard.testing.fake_world import FakeWorld

ROUND_TRIP, RATE, HEADERS = 0.0005, 1e9, 28
"""Seconds, bits per second and bytes of a link that nobody touches."""


class FakeLinks:
    """Implements ``CanShapeNetwork``. ``fails_at("shape")`` and ``fails_at("unshape")`` script failures."""

    def __init__(self, world: FakeWorld, node: FakeNode, ledger: Ledger, by: str) -> None:
        self._world = world
        self._node = node
        self._ledger = ledger
        self._by = by
        self._shapes: dict[str, LedgerEntry] = {}

    async def address(self) -> str:
        return self._world.address_of(self._node)

    async def shape(self, name: str, rules: Sequence[NetworkRule]) -> None:
        if name in self._shapes:
            return
        self._shapes[name] = await self._ledger.record(
            self._by, "shape", node=self._node.name, data={"name": name}, inverse=True
        )
        self._fail("shape")
        self._node.rules[name] = tuple(rules)

    async def shaped(self, name: str) -> Sequence[str]:
        return [str(rule) for rule in self._node.rules.get(name, ())]

    async def unshape(self, name: str) -> None:
        self._fail("unshape")
        self._node.rules.pop(name, None)
        if name in self._shapes:
            self._ledger.settle(self._shapes.pop(name))

    async def echo(self, address: str, *, count: int, size: int, within: float) -> Echo:
        peer = self._world.by_address(address)
        ours, theirs = await self.address(), address
        rules = [*_with(self._node, theirs), *(_with(peer, ours) if peer is not None else ())]
        back = count if peer is not None and peer.alive else 0
        trip, rate = ROUND_TRIP, RATE
        for rule in rules:
            if rule.effect is Effect.CUT:
                back = 0
            elif rule.effect is Effect.LOSS:
                back = int(back * (1 - rule.amount))
            elif rule.effect is Effect.DELAY:
                trip += rule.amount
            else:
                rate = min(rate, rule.amount)
        return Echo(count, (trip,) * back, back * (size + HEADERS) * 8 / rate, size + HEADERS)

    def _fail(self, step: str) -> None:
        if step in self._node.failures:
            raise OperationFailed(self._node.failures[step], node=self._node.name, operation=step)


def _with(node: FakeNode, address: str) -> Iterator[NetworkRule]:
    return (rule for rules in node.rules.values() for rule in rules if address in rule.peers)


__all__ = ["FakeLinks"]
