"""The live network: nodes by name and by selector. What is done to a node stands in ``node_ops``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import inf
from random import Random
from typing import TypeVar

from nodeyard._aio import poll
from nodeyard._aio.clock import Clock
from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.capability import Capability
from nodeyard.domain.node_client import ReportsRole
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.domain.policy import ReadinessSpec
from nodeyard.domain.selectors import LIVE_ROLE, RANDOM, Selector, candidates, resolve, unknown_names
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import NodeNotFound, SelectionEmpty
from nodeyard.ports.bootstrapped import Bootstrapped
from nodeyard.ports.node_control import NodeState
from nodeyard.ports.observer import Emit
from nodeyard.ports.readiness import ReadinessGate
from nodeyard.runtime.live_inventory import LiveInventory
from nodeyard.runtime.naming import nearest
from nodeyard.runtime.node import Node
from nodeyard.runtime.node_ops import NodeOps

T = TypeVar("T")

ROLE_TIMEOUT = 1.0
"""Seconds for a node to say its role. A frozen node never answers; a live one takes milliseconds."""
LEADER_WAIT = 15.0
"""Seconds that a step waits for a leader: an election of etcd takes up to a few seconds, split votes add 1-2 s each."""


@dataclass(frozen=True)
class Found:
    """What a selector finds now, and what was seen of the nodes while looking (roles or states), for messages."""

    nodes: tuple[Node, ...]
    seen: tuple[str, ...] = ()


class LiveNetwork:
    """All nodes of a run. Made once, after bootstrap."""

    def __init__(
        self,
        bootstrapped: Bootstrapped,
        *,
        gate: ReadinessGate,
        clock: Clock,
        emit: Emit,
        readiness: ReadinessSpec = ReadinessSpec(),
        deadline: float = inf,
    ) -> None:
        self.live = LiveInventory(bootstrapped.inventory)
        self.ops = NodeOps(
            bootstrapped, live=self.live, gate=gate, clock=clock, emit=emit, readiness=readiness, deadline=deadline
        )
        self._clock = clock

    @property
    def inventory(self) -> NodeInventory:
        return self.live.current

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._node(handle.id) for handle in self.inventory)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.inventory)

    def __getitem__(self, name: str) -> Node:
        """A node by id or another of its names. Raises ``NodeNotFound``."""
        return self._node(self.live.handle(name).id)

    def _node(self, node_id: str) -> Node:
        return Node(node_id, self.live, self.ops)

    async def find(
        self,
        selector: Selector,
        capability: Capability = Capability.QUERY,
        *,
        random: Random,
        states: Collection[str] | None = None,
    ) -> Found:
        """What a selector means at this moment; possibly nothing.

        ``states`` limits random picks to nodes that are in one of these states now. Raises ``NodeNotFound``.
        """
        unknown = unknown_names(selector, self.inventory)
        if unknown:
            known = [handle.id for handle in self.inventory]
            raise NodeNotFound(f"there is no node '{unknown[0]}'", evidence=[f"nodes: {', '.join(known) or 'none'}"],
                               hint=nearest(unknown[0], known))  # fmt: skip
        roles: dict[str, str | None] = {}
        seen: tuple[str, ...] = ()
        running: list[str] | None = None
        if selector.kind in LIVE_ROLE:
            roles = await self.roles(candidates_of(selector, self.inventory))
            seen = tuple(f"{node}: {role or 'does not say its role'}" for node, role in roles.items())
        elif selector.kind in RANDOM and states is not None:
            present = await self.states(candidates_of(selector, self.inventory))
            running = [node for node, state in present.items() if state in states]
            seen = tuple(f"{node}: {state}" for node, state in present.items())
        found = resolve(selector, self.inventory, capability=capability, roles=roles, random=random, running=running)
        return Found(tuple(self._node(handle.id) for handle in found), seen)

    async def select(
        self,
        selector: Selector,
        capability: Capability = Capability.QUERY,
        *,
        random: Random,
        deadline: float = inf,
        states: Collection[str] | None = None,
    ) -> tuple[Node, ...]:
        """At least one node. Waits for a leader to be elected; raises ``SelectionEmpty`` with what it last saw."""
        last: list[Found] = []

        async def look() -> poll.Done[tuple[Node, ...]] | None:
            found = await self.find(selector, capability, random=random, states=states)
            last[:] = [found]
            if found.nodes or selector.kind not in LIVE_ROLE:
                return poll.Done(found.nodes)
            return None

        nodes: tuple[Node, ...] = ()
        try:
            nodes = await poll.until(look, clock=self._clock, deadline=min(deadline, self._clock.now() + LEADER_WAIT))
        except poll.Timeout:
            nodes = ()
        if nodes:
            return nodes
        seen = last[0].seen if last else ()
        raise SelectionEmpty(
            f"'{selector}' finds no node for '{capability}' now",
            evidence=seen[:20],
            hint="choose another 'target:', or let the step before it wait until the nodes are ready",
        )

    async def roles(self, nodes: Collection[str]) -> dict[str, str | None]:
        """The role that each node says it has, asked side by side; ``None`` for one that does not say."""

        async def ask(node: str) -> str | None:
            if not self.ops.speaks(node, ReportsRole):
                return None
            return await self.ops.client(node, ReportsRole).role(timeout=ROLE_TIMEOUT)

        answers = await side_by_side(ask, nodes)
        return {node: _said(answer) for node, answer in zip(nodes, answers, strict=True)}

    async def states(self, nodes: Collection[str]) -> dict[str, str]:
        """The state that each node's backend reports, asked side by side."""
        answers = await side_by_side(self.ops.state, nodes)
        return {
            node: (_said(answer) or NodeState("unknown")).state for node, answer in zip(nodes, answers, strict=True)
        }


def candidates_of(selector: Selector, inventory: NodeInventory) -> list[str]:
    return [handle.id for handle in candidates(selector, inventory)]


def _said(answer: T | Exception) -> T | None:
    """An answer, or ``None`` where the node gave none; an error that is not about the node is raised."""
    if not isinstance(answer, Exception):
        return answer
    if not isinstance(answer, NodeyardError):
        raise answer
    return None
