"""An attach provider that discovers fake nodes which run in a world already."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.sources import AttachOptions
from nodeyard.errors.provider import DiscoveryFailed, NodeUnreachable
from nodeyard.ports.attach import AttachProvider, Discovered, Discovery
from nodeyard.ports.ledger import Remover
from nodeyard.ports.node_control import PROTOCOL_OF
from nodeyard.ports.plugins import PluginContext
from nodeyard.testing.fake_control import FakeControl, FakeRemover
from nodeyard.testing.fake_world import FakeWorld


class FakeAttachOptions(AttachOptions):
    """Options of provider ``fake``: which nodes it looks for. All that are not a run's own where none is named."""

    type: Literal["fake"] = "fake"
    nodes: tuple[str, ...] = ()


class FakeAttach:
    """Implements ``AttachProvider``.

    Named nodes that do not run are told as problems (a partial discovery); with no node at all the discovery is
    empty. ``world.discovery_failure = "reason"`` makes it fail.
    """

    def __init__(self, world: FakeWorld, options: FakeAttachOptions, context: PluginContext) -> None:
        self._world = world
        self._options = options
        self._context = context
        self._controls: dict[str, FakeControl] = {}

    @property
    def source(self) -> str:
        return "fake-cluster"

    async def discover(self) -> Discovery:
        await asyncio.sleep(self._world.latency)
        if self._world.discovery_failure is not None:
            raise DiscoveryFailed(self._world.discovery_failure, operation="discover")
        names = self._options.nodes or tuple(n for n, node in self._world.nodes.items() if node.mark is None)
        alive = [name for name in names if name in self._world.nodes and self._world.nodes[name].alive]
        for name in alive:
            control = FakeControl(self._world, self._world.node(name), self._context.ledger, "attach:fake")
            self._controls.setdefault(name, control)
        problems = tuple(f"{name} does not run" for name in self._options.nodes if name not in alive)
        return Discovery(tuple(self._found(name) for name in alive), problems)

    def _found(self, name: str) -> Discovered:
        node = self._world.node(name)
        return Discovered(name, f"pid {node.pid}", {"api": Endpoint(node.url)}, kind="fake", exclusive=True)

    def control(self, name: str) -> FakeControl:
        return self._controls[name]

    def endpoint(self, name: str, port: str) -> Endpoint:
        if name not in self._controls:
            raise KeyError(name)
        if port != "api":
            raise NodeUnreachable(f"has no port '{port}' that the tester knows", node=name)
        return Endpoint(self._world.node(name).url)


class FakeAttachPlugin:
    """Provider ``fake`` over one world."""

    name: ClassVar[str] = "fake"
    summary: ClassVar[str] = "finds toy nodes inside a test"
    options: ClassVar[type[AttachOptions]] = FakeAttachOptions
    capabilities: ClassVar[frozenset[Capability]] = frozenset(PROTOCOL_OF)

    def __init__(self, world: FakeWorld | None = None) -> None:
        self.world = world if world is not None else FakeWorld()

    def create(self, options: AttachOptions, context: PluginContext) -> AttachProvider:
        chosen = options if isinstance(options, FakeAttachOptions) else FakeAttachOptions()
        return FakeAttach(self.world, chosen, context)

    def remover(self) -> Remover:
        return FakeRemover(self.world)


__all__ = ["FakeAttach", "FakeAttachOptions", "FakeAttachPlugin"]
