"""A kind for the toy software of ``FakeWorld``, complete with ``join``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from nodeyard._aio import poll
from nodeyard.domain.launch_plan import FileToWrite, LaunchPlan, NetworkMaterial, NodePlan, PortSpec, Scheme, StopPolicy
from nodeyard.domain.node_client import CompareAndSet, KeyValue, PeerView, ReportsHeight, ReportsRole, StateDigest
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Scalar
from nodeyard.errors import provider as errors
from nodeyard.errors.base import NodeyardError
from nodeyard.ports.kind import EndpointOf, JoinRequest, JoinTicket, Matters, ProgramSpec, RenderRequest
from nodeyard.ports.ledger import LedgerEntry, RemovalContext, Removed, Remover
from nodeyard.ports.transport import Transport
from nodeyard.testing.fake_client import FakeClient
from nodeyard.testing.fake_node import API_PORT, PEER_PORT
from nodeyard.testing.fake_world import FakeWorld

CONFIG_KEYS = ("block-time", "log-level")


class FakeKind:
    """Kind ``fake``: nodes of the toy software. All instances for one test share its world."""

    name: ClassVar[str] = "fake"
    summary: ClassVar[str] = "a toy replicated map that lives in a test"
    ports: ClassVar[tuple[PortSpec, ...]] = (PortSpec("api", API_PORT), PortSpec("peer", PEER_PORT, Scheme.TCP))
    api_port: ClassVar[str] = "api"
    program: ClassVar[ProgramSpec | None] = ProgramSpec("fake-node", "NODEYARD_FAKE_NODE")
    roles: ClassVar[tuple[str, ...]] = ("member", "observer")
    protocols: ClassVar[tuple[type, ...]] = (
        KeyValue,
        CompareAndSet,
        ReportsHeight,
        ReportsRole,
        StateDigest,
        PeerView,
    )
    matters: ClassVar[Mapping[str, Matters]] = {
        "id": Matters.FATAL,
        "genesis": Matters.FATAL,
        "protocol": Matters.FATAL,
        "api": Matters.WARNING,
        "auth": Matters.IGNORED,
    }

    def __init__(self, world: FakeWorld | None = None) -> None:
        self.world = world if world is not None else FakeWorld()

    def config_problems(self, config: Mapping[str, Scalar]) -> Sequence[tuple[str, str]]:
        known = ", ".join(CONFIG_KEYS)
        return [(key, f"not an option of fake nodes; options are {known}") for key in config if key not in CONFIG_KEYS]

    def material(self, nodes: Sequence[NodePlan], *, mark: RunMark, seed: int, pins: NetworkPins) -> NetworkMaterial:
        return NetworkMaterial(pins.id or f"fake-{mark.run}", {"genesis": pins.genesis or f"seed-{seed}"})

    def render(self, request: RenderRequest) -> LaunchPlan:
        node, place, ticket = request.node, request.place, request.ticket
        network = ticket.facts["network"] if ticket is not None else request.material.id
        args = ["--name", node.name, "--network", network]
        args += ["--listen", place.listen("api"), "--advertise", place.advertise("peer"), "--data", place.data_dir]
        args += [text for seed in request.seeds for text in ("--seed", seed.addresses.get("peer", seed.node))]
        if ticket is not None:
            args += ["--join", ticket.member]
        lines = "".join(f"{key} = {value}\n" for key, value in sorted(node.config.items()))
        files = (FileToWrite("node.conf", lines.encode()),)
        return LaunchPlan(node.name, "fake-node", tuple(args), dict(node.env), files, StopPolicy(grace=5.0))

    def client(self, endpoint: EndpointOf, transport: Transport) -> FakeClient:
        return FakeClient(self.world, endpoint)

    def join_problem(self, *, borrowed: int, joining: int) -> str:
        return "" if joining <= borrowed else f"{joining} fake nodes must not join {borrowed}: they would be a majority"

    async def join(self, request: JoinRequest) -> JoinTicket:
        point = request.through[0]
        url = point.endpoint("api").url
        host = self.world.at(url)
        if host is None:
            raise errors.NodeUnreachable(f"{url} refuses connections", node=point.node, operation="join")
        network = self.world.network(host.network_id)
        member = {"network": network.id, "member": request.node.name}
        await request.ledger.record("kind:fake", "member", node=request.node.name, data=member, inverse=True)
        await asyncio.sleep(self.world.latency)
        network.members.add(request.node.name)
        network.learners.add(request.node.name)
        return JoinTicket({"network": network.id}, point.node, request.node.name)

    async def admit(self, request: JoinRequest, ticket: JoinTicket) -> None:
        node = self.world.node(ticket.member)

        async def serving() -> poll.Done[None] | str:
            return poll.Done(None) if node.serves else node.life.value

        try:
            await poll.until(serving, clock=request.clock, deadline=request.deadline)
        except poll.Timeout as timeout:
            raise errors.OperationFailed(
                f"did not catch up: it is {timeout.last}", node=ticket.member, operation="join"
            ) from None
        network = self.world.network(ticket.facts["network"])
        network.learners.discard(ticket.member)
        network.touch()

    def remover(self, transport: Transport) -> Remover:
        return _Leave(self.world)


class _Leave:
    """Undoes ``join``: takes the member out of the borrowed network."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        await asyncio.sleep(self._world.latency)
        return {entry.id: self._leave(entry) for entry in entries}

    def _leave(self, entry: LedgerEntry) -> Removed:
        network, member = self._world.network(str(entry.data["network"])), str(entry.data["member"])
        absent = member not in network.members
        network.members.discard(member)
        network.learners.discard(member)
        network.touch()
        self._world.acts.append((member, "left"))
        return Removed(absent)


__all__ = ["FakeKind"]
