"""A deployer that starts fake nodes in a world. Owns nothing that is not in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.capability import Capability
from nodeyard.domain.events import NodeStarted
from nodeyard.domain.launch_plan import AT_RUN, Endpoint, LaunchPlan, NodePlan, Place
from nodeyard.domain.sources import DeployerOptions
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import NodeUnreachable, ProvisioningFailed
from nodeyard.ports.deployer import Deployer, DeploymentPlan
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.ledger import RemovalContext, Remover, removal_order
from nodeyard.ports.node_control import PROTOCOL_OF
from nodeyard.ports.plugins import PluginContext
from nodeyard.testing.fake_control import FakeControl, FakeRemover
from nodeyard.testing.fake_node import PEER_PORT, FakeNode
from nodeyard.testing.fake_world import FakeWorld

BY = "deployer:fake"
REMOVAL_LIMIT = 30.0


class FakeOptions(DeployerOptions):
    """Options of deployer ``fake``."""

    type: Literal["fake"] = "fake"


@dataclass(frozen=True)
class FakePlace:
    """Where a fake node is. ``node`` is ``None`` in a plan, where addresses are not known yet."""

    name: str
    ports: tuple[str, ...]
    node: FakeNode | None = None

    @property
    def data_dir(self) -> str:
        return f"/fake/{self.name}/data"

    @property
    def config_dir(self) -> str:
        return f"/fake/{self.name}/config"

    def listen(self, port: str) -> str:
        return self._address("0.0.0.0", port)

    def advertise(self, port: str) -> str:
        return self._address(f"{self.name}.fake", port)

    def _address(self, host: str, port: str) -> str:
        if port not in self.ports:
            raise KeyError(port)
        if self.node is None:
            return AT_RUN
        return f"{host}:{self.node.port if port == 'api' else PEER_PORT}"


class FakeDeployer:
    """Implements ``Deployer``. What fails, and when, is scripted on the nodes of the world."""

    def __init__(self, world: FakeWorld, context: PluginContext) -> None:
        self._world = world
        self._context = context
        self._controls: dict[str, FakeControl] = {}
        self._ports: dict[str, tuple[str, ...]] = {}
        self._programs: dict[str, str] = {}

    @property
    def source(self) -> str:
        return "fake"

    async def resolve(self, nodes: Sequence[NodePlan], programs: Mapping[str, ProgramSpec]) -> Sequence[str]:
        await asyncio.sleep(self._world.latency)
        self._programs = {node.name: programs[node.kind].program for node in nodes if node.kind in programs}
        unknown = sorted({node.kind for node in nodes} - set(programs))
        return [*self._world.resolve_problems, *(f"kind '{kind}' has no program" for kind in unknown)]

    def plan(self, nodes: Sequence[NodePlan]) -> DeploymentPlan:
        places: dict[str, Place] = {n.name: FakePlace(n.name, tuple(p.name for p in n.ports)) for n in nodes}
        resources = tuple(f"fake node {n.name}" for n in nodes)
        return DeploymentPlan(tuple(nodes), places, dict(self._programs), resources)

    async def provision(self, plan: DeploymentPlan) -> Mapping[str, Place]:
        places: dict[str, Place] = {}
        for planned in plan.nodes:
            node = self._world.node(planned.name)
            await self._context.ledger.record(BY, "node", node=node.name, data={"name": node.name})
            await asyncio.sleep(self._world.latency)
            if "provision" in node.failures:
                raise ProvisioningFailed(node.failures["provision"], node=node.name, operation="provision")
            node.mark = self._context.mark.text
            self._ports[node.name] = tuple(port.name for port in planned.ports)
            self._controls[node.name] = FakeControl(self._world, node, self._context.ledger, BY)
            places[node.name] = FakePlace(node.name, self._ports[node.name], node)
        return places

    async def start(self, launches: Sequence[LaunchPlan]) -> None:
        outcomes = await side_by_side(self._start, launches)
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if failed:
            raise failed[0]

    async def _start(self, launch: LaunchPlan) -> None:
        self.prepare(launch)
        control = self._controls[launch.node]
        try:
            await control.start()
        except NodeyardError as error:
            raise ProvisioningFailed(error.message, node=launch.node, operation="start") from error
        state = await control.state()
        self._context.emit(NodeStarted(node=launch.node, locator=state.locator, argv=launch.argv))

    def prepare(self, launch: LaunchPlan) -> None:
        self._controls[launch.node].launch = launch

    def control(self, node: str) -> FakeControl:
        return self._controls[node]

    def endpoint(self, node: str, port: str) -> Endpoint:
        if port not in self._ports.get(node, ()):
            raise NodeUnreachable(f"has no port '{port}'", node=node)
        found = self._world.node(node)
        return Endpoint(found.url if port == "api" else f"tcp://{node}.fake:{PEER_PORT}")

    def log_files(self, node: str) -> Sequence[Path]:
        """Writes the lines so far into the run's folder."""
        lines = self._world.node(node).lines
        if node not in self._controls or not lines:
            return ()
        path = self._context.folder / "nodes" / node / "output.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return (path,)

    async def destroy(self) -> Sequence[str]:
        context, ledger = self._context, self._context.ledger
        mine = removal_order([entry for entry in ledger.open_entries() if entry.by == BY])
        limit = context.clock.now() + REMOVAL_LIMIT
        removal = RemovalContext(context.mark, context.clock, context.secrets, limit)
        outcomes = await FakeRemover(self._world).remove(mine, removal)
        left = []
        for entry in mine:
            outcome = outcomes[entry.id]
            if isinstance(outcome, NodeyardError):
                left.append(f"{entry.type} {entry.node}: {outcome.message}")
            else:
                ledger.settle(entry)
        return left


class FakeDeployerPlugin:
    """Deployer ``fake`` over one world."""

    name: ClassVar[str] = "fake"
    summary: ClassVar[str] = "starts toy nodes inside a test"
    options: ClassVar[type[DeployerOptions]] = FakeOptions
    capabilities: ClassVar[frozenset[Capability]] = frozenset(PROTOCOL_OF)

    def __init__(self, world: FakeWorld | None = None) -> None:
        self.world = world if world is not None else FakeWorld()

    def create(self, options: DeployerOptions, context: PluginContext) -> Deployer:
        return FakeDeployer(self.world, context)

    def remover(self) -> Remover:
        return FakeRemover(self.world)


__all__ = ["FakeDeployer", "FakeDeployerPlugin", "FakeOptions", "FakePlace"]
