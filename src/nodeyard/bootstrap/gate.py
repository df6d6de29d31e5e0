"""The readiness gate: the barrier over the live network, at bootstrap and again whenever a step asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from random import Random

from nodeyard._aio.batches import Batches
from nodeyard.bootstrap import normalize, planning
from nodeyard.bootstrap.network import Network
from nodeyard.bootstrap.normalize import Answer
from nodeyard.bootstrap.readiness import Barrier, Watched
from nodeyard.domain import events, policy, selectors
from nodeyard.domain.capability import Capability
from nodeyard.domain.node_handle import OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.ports.node_control import NoControl
from nodeyard.ports.transport import CanPrepare

Named = tuple[Sequence[Answer], Mapping[str, str]]
"""What the sightings of one node answered, and the locators that they have now by their names."""


class Gate:
    """Implements ``ports.readiness.ReadinessGate`` over a ``Network``."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._context = network.request.context

    async def wait(self, nodes: Collection[str] | None, spec: policy.ReadinessSpec, *, deadline: float) -> None:
        """See the port. ``None`` means the declared membership of the run."""
        network, clock = self._network, self._context.clock
        if isinstance(self._context.transport, CanPrepare):
            self._context.transport.prepare()
        started = clock.now()
        members = self._members(nodes)
        required = self._required(spec)
        demands = policy.needs(spec, members, required)
        watched = [self._watched(m.node) for m in members if m.node is not None]
        answered = Batches(self._take_first, clock=clock)
        barrier = Barrier(
            nodes=watched,
            demands=demands,
            spec=spec,
            clock=clock,
            emit=self._context.emit,
            deadline=min(deadline, started + spec.timeout),
            exit_is_fatal=policy.lost_managed_is_fatal(spec),
            on_answer=partial(self._identify_first, answered=answered),
        )
        ready = await barrier.wait()
        for name in ready:
            network.lost.pop(name, None)
        self._context.emit(
            events.ReadinessReached(
                policy=spec.policy, ready=len(ready), declared=len(members), after=clock.now() - started
            )
        )

    async def identify_again(self, nodes: Collection[str], *, reason: str) -> NodeInventory:
        """See the port."""
        network = self._network
        handles = [network.inventory.by_name[name] for name in nodes]
        before = {s.key: s for handle in handles for s in handle.sightings}
        asked = [network.found[key] for key in before if key in network.found]
        answers = await normalize.ask(asked, network.request)
        revised: list[Sighting] = []
        for answer in answers:
            sighting = before[answer.found.sighting.key]
            if sighting.origin.origin is not OriginClass.MANAGED:
                changed = network.borrowed_changed(answer, sighting)
                revised += [changed] if changed is not None else []
            elif answer.identification is not None:
                state = await answer.found.control.state()
                kind = network.request.kind(sighting.kind)
                fresh = normalize.revised(answer.found, answer.identification, kind, locator=state.locator)
                self._tell_change(sighting, fresh, reason)
                revised.append(fresh)
        if revised:
            network.merge(revised)
            network.check_compatible()
            network.tell_merged()
        return network.inventory

    async def _identify_first(self, node: str, *, answered: Batches[Named]) -> None:
        """Ask a node who it is and merge its answer, together with those of others that answer now."""
        network = self._network
        handle = network.inventory.by_name[node]
        unasked = [network.found[s.key] for s in handle.sightings if s.peer_id is None and s.key in network.found]
        if not unasked or node in network.identified:
            return
        locators: dict[str, str] = {}
        answers = await normalize.ask(unasked, network.request)
        for answer in answers:
            if answer.error is not None:
                raise answer.error
            state = await answer.found.control.state()
            if state.locator:
                locators[answer.found.sighting.name] = state.locator
        await answered.add((answers, locators))

    def _take_first(self, named: Sequence[Named]) -> None:
        """Each merge goes over the whole inventory, so that one per node would take quadratic time."""
        answers = [answer for said, _ in named for answer in said]
        locators = {name: locator for _, known in named for name, locator in known.items()}
        self._network.take_answers(answers, locators=locators)
        self._network.check_compatible()

    def _members(self, nodes: Collection[str] | None) -> tuple[policy.Member, ...]:
        network = self._network
        idle = [p.name for p in network.plans.values() if p.on_demand]
        return planning.declared_members(network.request.spec, network.inventory, on_demand=idle, among=nodes)

    def _required(self, spec: policy.ReadinessSpec) -> tuple[str, ...]:
        if spec.policy != "required":
            return ()
        selector = selectors.parse_selector(spec.nodes)
        chosen = selectors.resolve(
            selector,
            self._network.inventory,
            capability=Capability.QUERY,
            roles={},
            random=Random(self._network.request.seed),
        )
        return tuple(n.id for n in chosen)

    def _watched(self, name: str) -> Watched:
        network = self._network
        handle = network.inventory.by_name[name]
        binding = network.bindings[handle.id]
        control = binding.managed_control
        lost = next((network.lost[n] for n in handle.names if n in network.lost), None)
        return Watched(
            id=handle.id,
            client=binding.client,
            control=control or next(iter(binding.controls.values()), NoControl()),
            managed=control is not None,
            lost=lost if control is None else None,
        )

    def _tell_change(self, before: Sighting, after: Sighting, reason: str) -> None:
        node = self._network.node_of(before)
        if before.peer_id is not None and before.peer_id != after.peer_id:
            self._context.emit(
                events.IdentityChanged(node=node, before=before.peer_id, after=after.peer_id, reason=reason)
            )
        if before.address is not None and before.address != after.address:
            self._context.emit(
                events.IdentityChanged(node=node, before=str(before.address), after=str(after.address), reason=reason)
            )
