"""Step 6: seeds, network material, rendering, starting, and joining where the network is somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard.bootstrap import peering, validation
from nodeyard.bootstrap.network import Network
from nodeyard.domain import events
from nodeyard.domain.capability import Capability
from nodeyard.domain.identity import HostPort, host_port
from nodeyard.domain.launch_plan import LaunchPlan, NetworkMaterial, NodePlan, Seed
from nodeyard.errors.bootstrap import QuorumUnreachable
from nodeyard.ports.deployer import Deployer, SeesHost
from nodeyard.ports.kind import (
    AdoptRequest,
    CanAdopt,
    CanJoin,
    JoinPoint,
    JoinRequest,
    JoinTicket,
    NodeKind,
    RenderRequest,
)


class Launcher:
    """Starts the managed nodes of a network whose inventory is merged."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._request = network.request
        self._context = network.request.context
        self._seeds: Mapping[str, tuple[peering.SeedCandidate, ...]] = {}

    async def launch(self) -> None:
        """Start every managed node but the on-demand ones; those are prepared.

        Nodes of a kind that joins enter the borrowed network one after the other; all others start side by side.
        """
        plans = list(self._network.plans.values())
        deployer = self._request.deployer
        if deployer is None or not plans:
            return
        self._seeds = choose(self._network, plans)
        for plan in plans:
            chosen = tuple(s.node for s in self._seeds[plan.name])
            self._context.emit(events.SeedsChosen(node=plan.name, seeds=chosen))
        launches: list[LaunchPlan] = []
        for name in sorted({plan.kind for plan in plans}):
            kind = self._request.kind(name)
            mine = [plan for plan in plans if plan.kind == name]
            points = self._join_points(kind)
            material = await self._material(kind, mine)
            if points and isinstance(kind, CanJoin):
                await self._join_one_by_one(deployer, kind, mine, points, material)
            else:
                launches += [self._render(kind, plan, mine, material) for plan in mine]
        idle = {plan.name for plan in plans if plan.on_demand}
        for launch in launches:
            if launch.node in idle:
                deployer.prepare(launch)
        await deployer.start([launch for launch in launches if launch.node not in idle])

    async def _material(self, kind: NodeKind, plans: Sequence[NodePlan]) -> NetworkMaterial:
        """That of the borrowed network where there is one and the kind can enter it so, else that of a new network."""
        mark, seed = self._context.mark, self._request.seed
        borrowed = validation.borrowed_alone(self._network.inventory, kind.name)
        if not borrowed or not isinstance(kind, CanAdopt):
            return kind.material(plans, mark=mark, seed=seed, pins=self._request.spec.network)
        points = [
            JoinPoint(node.id, self._network.bindings[node.id].endpoint)
            for node in borrowed
            if not any(name in self._network.lost for name in node.names)
        ]
        if not points:
            raise QuorumUnreachable(
                f"no borrowed {kind.name} node answers, so its network cannot be entered",
                evidence=[f"{name}: {why}" for name, why in self._network.lost.items()],
                hint="are the borrowed nodes running, and are their addresses right?",
            )
        request = AdoptRequest(
            nodes=plans,
            own=kind.own_material(plans, mark=mark, seed=seed),
            through=points,
            transport=self._context.transport,
            clock=self._context.clock,
            deadline=self._request.deadline,
            inside=self._inside,
        )
        found = await kind.adopt(request)
        self._context.emit(
            events.NetworkAdopted(network=found.material.id, genesis=found.genesis, through=found.through)
        )
        return found.material

    def _inside(self, address: HostPort) -> HostPort:
        deployer = self._request.deployer
        return deployer.from_inside(address) if isinstance(deployer, SeesHost) else address

    def _join_points(self, kind: NodeKind) -> tuple[JoinPoint, ...]:
        borrowed = validation.borrowed_alone(self._network.inventory, kind.name)
        return tuple(
            JoinPoint(node.id, self._network.bindings[node.id].endpoint)
            for node in borrowed
            if Capability.JOIN in node.capabilities and node.id not in self._network.lost
        )

    async def _join_one_by_one(
        self,
        deployer: Deployer,
        kind: CanJoin,
        plans: Sequence[NodePlan],
        points: Sequence[JoinPoint],
        material: NetworkMaterial,
    ) -> None:
        assert isinstance(kind, CanJoin)
        for plan in plans:
            request = JoinRequest(
                node=plan,
                place=self._network.places[plan.name],
                through=points,
                transport=self._context.transport,
                ledger=self._context.ledger,
                clock=self._context.clock,
                deadline=self._request.deadline,
                inside=self._inside,
            )
            ticket = await kind.join(request)
            launch = self._render(self._request.kind(plan.kind), plan, plans, material, ticket)
            await deployer.start([launch])
            await kind.admit(request, ticket)
            self._context.emit(events.NodeJoined(node=plan.name, member=ticket.member, through=ticket.through))

    def _render(
        self,
        kind: NodeKind,
        plan: NodePlan,
        together: Sequence[NodePlan],
        material: NetworkMaterial,
        ticket: JoinTicket | None = None,
    ) -> LaunchPlan:
        places = self._network.places
        request = RenderRequest(
            node=plan,
            place=places[plan.name],
            peers=[(peer, places[peer.name]) for peer in together],
            seeds=[self._seed(candidate) for candidate in self._seeds[plan.name]],
            material=material,
            ticket=ticket,
        )
        self._network.renders[plan.name] = request
        return kind.render(request)

    def _seed(self, candidate: peering.SeedCandidate) -> Seed:
        place = self._network.places.get(candidate.node)
        handle = self._network.inventory.by_name[candidate.node]
        if place is not None:
            kind = self._request.kind(candidate.kind)
            return Seed(candidate.node, handle.identity.peer_id, {p.name: place.advertise(p.name) for p in kind.ports})
        addresses = {port: str(self._inside(host_port(url))) for port, url in handle.endpoints.items()}
        return Seed(candidate.node, handle.identity.peer_id, addresses)


def choose(network: Network, plans: Sequence[NodePlan]) -> Mapping[str, tuple[peering.SeedCandidate, ...]]:
    """The seeds of every managed node, from the merged inventory."""
    idle = {plan.name for plan in plans if plan.on_demand}
    candidates = [c for node in network.inventory if node.id not in idle for c in peering.candidates_of(node)]
    spec, seed = network.request.spec, network.request.seed
    return peering.seeds_of_all({p.name: p.kind for p in plans}, candidates, count=spec.bootstrap.seeds, seed=seed)
