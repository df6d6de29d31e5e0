"""The world that fake kinds, deployers and providers share: nodes of a toy software, and the networks they form.

It is the single mutable state of a test. A test scripts a node before or while it runs
(``world.node("n1").fails_at_boot(status=2, last_lines=["no disk"])``); the fakes act on it through the ports.

The toy software is a replicated map. A network accepts writes while a majority of its members runs; its height grows
by ``blocks_per_second`` and by one per write while it does. A node is reached at ``http://NAME.fake:8000``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise

from nodeyard.domain.identity import HostPort, host_port
from nodeyard.domain.launch_plan import LaunchPlan
from nodeyard.testing.fake_node import FakeNode
from nodeyard.testing.virtual_time import START

Entry = tuple[str, str]


class FakeNetwork:
    """One network of fake nodes: its members, its log of writes, its leader, its height."""

    def __init__(self, world: FakeWorld, id: str) -> None:
        self._world = world
        self.id = id
        self.genesis = f"genesis-of-{id}"
        self.log: list[Entry] = []
        self.members: set[str] = set()
        self.learners: set[str] = set()
        self._leader: str | None = None
        self._blocks, self._since, self._moves = 0.0, world.now(), False

    @property
    def alive(self) -> list[str]:
        """Members that run and are not paused, in the order of their names."""
        nodes = (self._world.nodes.get(name) for name in sorted(self.members - self.learners))
        return [node.name for node in nodes if node is not None and node.serves and node.network_id == self.id]

    @property
    def has_quorum(self) -> bool:
        return len(self.alive) > len(self.members - self.learners) // 2

    @property
    def leader(self) -> str | None:
        """The leader stays while it is alive; the next one is the first alive by name. ``None`` without quorum."""
        if not self.has_quorum:
            return None
        if self._leader not in self.alive:
            self._leader = self.alive[0]
        return self._leader

    def height(self) -> int:
        grown = (self._world.now() - self._since) * self._world.blocks_per_second if self._moves else 0.0
        return int(self._blocks + grown) + len(self.log)

    def touch(self) -> None:
        """Take note that a member changed: from now on the height grows or stands still."""
        grown = (self._world.now() - self._since) * self._world.blocks_per_second if self._moves else 0.0
        self._blocks, self._since = self._blocks + grown, self._world.now()
        self._moves = self.has_quorum


class FakeWorld:
    """All fake nodes and networks of one test."""

    def __init__(self, *, network: str = "fake-net", blocks_per_second: float = 1.0, latency: float = 0.001) -> None:
        self.default_network = network
        self.blocks_per_second = blocks_per_second
        self.latency = latency
        self.nodes: dict[str, FakeNode] = {}
        self.networks: dict[str, FakeNetwork] = {}
        self.acts: list[tuple[str, str]] = []
        self.resolve_problems: list[str] = []
        self.discovery_failure: str | None = None
        self._aliases: dict[HostPort, str] = {}
        self._pids = 1000

    def now(self) -> float:
        """The running loop's time, or the beginning of virtual time while a test scripts and no loop runs."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return START

    def node(self, name: str) -> FakeNode:
        """The node of this name, to script it or to look at it; made at the first call."""
        if name not in self.nodes:
            self.nodes[name] = FakeNode(name, self._changed)
        return self.nodes[name]

    def address_of(self, node: FakeNode) -> str:
        """The address at which other nodes see it."""
        return f"192.0.2.{[*self.nodes].index(node.name) + 1}"

    def by_address(self, address: str) -> FakeNode | None:
        """The node that others see at an address."""
        return next((node for node in self.nodes.values() if self.address_of(node) == address), None)

    def network(self, id: str | None = None) -> FakeNetwork:
        chosen = id if id is not None else self.default_network
        if chosen not in self.networks:
            self.networks[chosen] = FakeNetwork(self, chosen)
        return self.networks[chosen]

    def running(self, *names: str, network: str | None = None) -> list[FakeNode]:
        """Nodes that run already and belong to nobody's run: what attached and external sources find."""
        nodes = [self.node(name) for name in names]
        chosen = self.network(network)
        for node in nodes:
            node.network_id = chosen.id
            self.boot(node, None)
        return nodes

    def alias(self, address: str, name: str) -> None:
        """Let ``address`` (a URL or ``host:port``) reach this node too."""
        self._aliases[host_port(address)] = name

    def at(self, url: str) -> FakeNode | None:
        """Who listens at a URL: a live process, or nobody."""
        address = host_port(url)
        node = self.nodes.get(self._aliases.get(address, address.host.removesuffix(".fake")))
        if node is None or not node.alive:
            return None
        return node if address in self._aliases or address.port == node.port else None

    def height_of(self, node: FakeNode) -> int:
        """The height that a node has taken over."""
        return node.behind[0] if node.behind is not None else self.network(node.network_id).height()

    def applied_by(self, node: FakeNode) -> int:
        """How many writes of its network a node has taken over."""
        return node.behind[1] if node.behind is not None else len(self.network(node.network_id).log)

    def boot(self, node: FakeNode, launch: LaunchPlan | None) -> None:
        """Start the toy program of a node. It reads ``--network``, ``--join`` of its launch plan; may exit at once."""
        self._pids += 1
        options = _options(launch.args if launch is not None else ())
        network = self.network(node.scripted_network or options.get("network") or node.network_id)
        node.network_id = network.id
        if "join" not in options:
            network.members.add(node.name)
        node.begin(self._pids, self.now(), launch)
        if node.name not in network.members:
            node.end("exit status 1", [f"not a member of {network.id}"])

    def _changed(self, node: FakeNode, what: str) -> None:
        self.acts.append((node.name, what))
        for network in self.networks.values():
            if node.name in network.members:
                network.touch()
        if node.lagging != (node.behind is not None):
            node.behind = (self.height_of(node), self.applied_by(node)) if node.lagging else None


def _options(args: Sequence[str]) -> Mapping[str, str]:
    pairs = pairwise([*args, ""])
    return {word.removeprefix("--"): value for word, value in pairs if word.startswith("--")}


__all__ = ["FakeNetwork", "FakeNode", "FakeWorld"]
