"""The network while it is being brought up and after: current inventory, what is behind it, and who says what.

The one mutable place of bootstrap. Everything that changes the inventory goes through ``Network`` and is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from nodeyard.bootstrap import normalize, validation
from nodeyard.bootstrap.normalize import Answer, Found
from nodeyard.bootstrap.request import BootstrapRequest
from nodeyard.domain import events
from nodeyard.domain.capability import Capability, Ownership
from nodeyard.domain.launch_plan import NodePlan, Place
from nodeyard.domain.node_handle import Sighting
from nodeyard.domain.node_inventory import Conflict, NodeInventory
from nodeyard.ports.bootstrapped import Binding
from nodeyard.ports.kind import RenderRequest


class Network:
    """Holds the current inventory of a run and the ways to its nodes."""

    def __init__(self, request: BootstrapRequest) -> None:
        self.request = request
        self.inventory = NodeInventory(on_conflict=request.spec.ownership.on_conflict)
        self.found: dict[tuple[str, str, str], Found] = {}
        self.bindings: Mapping[str, Binding] = {}
        self.renders: dict[str, RenderRequest] = {}
        self.places: dict[str, Place] = {}
        self.lost: dict[str, str] = {}
        """Borrowed nodes that did not answer when they were first asked, with the error."""
        self.identified: set[str] = set()
        self._overridden: set[tuple[str, str]] = set()

    @property
    def plans(self) -> Mapping[str, NodePlan]:
        return {f.sighting.name: f.plan for f in self.found.values() if f.plan is not None}

    def add(self, found: Iterable[Found]) -> None:
        """Take in what sources found and merge it."""
        new = list(found)
        self.found.update({f.sighting.key: f for f in new})
        self.merge(f.sighting for f in new)

    def merge(self, sightings: Iterable[Sighting]) -> None:
        """Merge sightings, judge conflicts, tell the new revision. Raises the conflict errors of ``validation``."""
        self.inventory = self.inventory.merged(sightings)
        for sighting in self.inventory.sightings:
            held = self.found.get(sighting.key)
            if held is not None and held.sighting is not sighting:
                self.found[sighting.key] = replace(held, sighting=sighting)
        overridden = validation.raise_conflicts(self.inventory)
        self.refresh_bindings()
        for conflict in overridden:
            self._tell_overridden(conflict)

    def refresh_bindings(self) -> None:
        """Join the inventory with what is behind it: clients, controls, and how managed nodes were launched."""
        self.bindings = {
            name: replace(binding, render=self.renders.get(binding.plan.name) if binding.plan else None)
            for name, binding in normalize.bindings(self.inventory, self.found, self.request).items()
        }

    def _tell_overridden(self, conflict: Conflict) -> None:
        if (conflict.kind.value, conflict.node) in self._overridden:
            return
        self._overridden.add((conflict.kind.value, conflict.node))
        self._tell(
            events.ConflictOverridden(
                node=conflict.node,
                conflict=conflict.kind.value,
                preference=self.inventory.on_conflict.value,
                facts=conflict.facts,
            )
        )

    def tell_merged(self) -> None:
        owned = sum(1 for n in self.inventory if n.ownership is Ownership.OWNED)
        self._tell(
            events.InventoryMerged(
                revision=self.inventory.revision,
                nodes=len(self.inventory),
                owned=owned,
                borrowed=len(self.inventory) - owned,
            )
        )

    def check_compatible(self) -> tuple[str, ...]:
        """Warnings about differences that do not matter enough. Raises ``Incompatible`` for those that do."""
        spec = self.request.spec
        mismatches = validation.compare(self.inventory, spec.network, self.request.kinds)
        mismatches += validation.compare_recorded(
            {self.node_of(f.sighting): (f.recorded.network, f.sighting) for f in self.found.values() if f.recorded}
        )
        warnings = validation.raise_mismatches(mismatches)
        return tuple(f"{m.node}: {m.fact} is {m.found}, others say {m.expected}" for m in warnings)

    def take_answers(self, answers: Collection[Answer], *, locators: Mapping[str, str] | None = None) -> None:
        """Merge what nodes said of themselves, tell each, and remember those that gave no answer."""
        revised: list[Sighting] = []
        for answer in answers:
            sighting = answer.found.sighting
            if answer.identification is None:
                self.lost[sighting.name] = str(answer.error)
                continue
            kind = self.request.kind(sighting.kind)
            locator = (locators or {}).get(sighting.name)
            revised.append(normalize.revised(answer.found, answer.identification, kind, locator=locator))
        self.merge(revised)
        for answer, said in ((a, a.identification) for a in answers if a.identification is not None):
            node = self.node_of(answer.found.sighting)
            self.identified.add(node)
            recorded = answer.found.recorded
            if recorded is not None and recorded.peer_id not in (None, said.peer_id):
                reason = f"source '{answer.found.sighting.origin.source}' recorded another peer id"
                self._tell(
                    events.IdentityChanged(node=node, before=recorded.peer_id, after=said.peer_id, reason=reason)
                )
            self._tell(
                events.NodeIdentified(
                    node=node, peer_id=said.peer_id, network=said.network.id, role=said.role, api=said.network.api
                )
            )

    def node_of(self, sighting: Sighting) -> str:
        """The id of the node that a sighting belongs to now."""
        return self.inventory.id_of.get(sighting.key, sighting.name)

    def borrowed_changed(self, answer: Answer, before: Sighting) -> Sighting | None:
        """A borrowed sighting whose identity changed without us, without its grants; ``None`` where nothing changed."""
        said = answer.identification
        if said is None or before.peer_id is None or said.peer_id == before.peer_id:
            return None
        kind = self.request.kind(before.kind)
        fresh = normalize.revised(answer.found, said, kind)
        node = self.node_of(before)
        self._tell(
            events.IdentityChanged(
                node=node, before=before.peer_id, after=said.peer_id, reason="it changed without this run's doing"
            )
        )
        self._tell(
            events.GrantsRevoked(node=node, source=before.origin.source, reason="its identity changed without us")
        )
        return replace(fresh, origin=replace(fresh.origin, granted=frozenset({Capability.QUERY})))

    def _tell(self, event: events.Event) -> None:
        self.request.context.emit(event)
