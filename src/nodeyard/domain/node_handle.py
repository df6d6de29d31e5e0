"""One node as a value: where it was seen, who it is, what may be done to it. Pure and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from nodeyard.domain.capability import (
    ALWAYS_GRANTED,
    Capability,
    OnConflict,
    Ownership,
    authorize,
)
from nodeyard.domain.identity import HostPort, Identity, NetworkFacts


class OriginClass(StrEnum):
    """How a node came into the inventory. The order of the members is their precedence in naming."""

    MANAGED = "managed"
    ATTACHED = "attached"
    EXTERNAL = "external"


CLASS_ORDER = {member: position for position, member in enumerate(OriginClass)}


@dataclass(frozen=True)
class Origin:
    """One place that a node came from, with what it supports and grants there.

    ``source`` names the deployer, provider or list (``local``, ``static:nodes.yaml``, ``external``); ``locator`` the
    thing inside it (pid, container, pod, line). ``exclusive`` says that a locator is one physical instance, so that
    one peer id at two of them is a conflict and not an alias.
    """

    origin: OriginClass
    source: str
    locator: str
    supported: frozenset[Capability] = ALWAYS_GRANTED
    granted: frozenset[Capability] = ALWAYS_GRANTED
    exclusive: bool = False
    alive: bool = True
    details: tuple[tuple[str, str], ...] = ()
    """What else the source knows of it, for people: who owns a pod, by which way it is reached."""

    @property
    def ownership(self) -> Ownership:
        return Ownership.OWNED if self.origin is OriginClass.MANAGED else Ownership.BORROWED


@dataclass(frozen=True)
class Sighting:
    """What one source said of one node, once. A later ``revision`` of the same sighting replaces an earlier one.

    ``address`` is the API address as the tester uses it; ``None`` while it is not known (a managed node that has not
    started). ``endpoints`` maps port names to URLs. ``former`` holds peer ids and addresses that it had before.
    """

    name: str
    kind: str
    origin: Origin
    address: HostPort | None = None
    peer_id: str | None = None
    endpoints: tuple[tuple[str, str], ...] = ()
    network: NetworkFacts = NetworkFacts()
    role: str | None = None
    former: tuple[str, ...] = ()
    revision: int = 0

    @cached_property
    def key(self) -> tuple[str, str, str]:
        return (self.origin.origin.value, self.origin.source, self.name)

    @property
    def precedence(self) -> tuple[int, str, str]:
        return (CLASS_ORDER[self.origin.origin], self.name, self.origin.source)

    def later(self, other: Sighting) -> Sighting:
        """The one that counts of two sightings with one key; a tie is broken by content, so that order is moot."""
        return max(self, other, key=lambda s: (s.revision, s._content))

    @property
    def _content(self) -> tuple[str, ...]:
        """All fields as texts; sets are sorted, because the text of a set depends on how it was made."""
        sets = (sorted(self.origin.supported), sorted(self.origin.granted))
        plain = replace(self, origin=replace(self.origin, supported=frozenset(), granted=frozenset()))
        return (repr(plain), *map(repr, sets))

    def revised(
        self,
        *,
        peer_id: str | None,
        network: NetworkFacts,
        address: HostPort | None,
        endpoints: tuple[tuple[str, str], ...],
        origin: Origin | None = None,
        role: str | None = None,
    ) -> Sighting:
        """The same sighting after asking again; a peer id or address that changed is remembered as an alias.

        ``None`` is "not said": the peer id or address from before stands.
        """
        peer_id = peer_id if peer_id is not None else self.peer_id
        address = address if address is not None else self.address
        present = {peer_id, str(address)}
        before = (*self.former, self.peer_id, str(self.address) if self.address is not None else None)
        return replace(
            self,
            peer_id=peer_id,
            network=network,
            address=address,
            endpoints=endpoints,
            origin=origin or self.origin,
            role=role if role is not None else self.role,
            former=tuple(dict.fromkeys(old for old in before if old is not None and old not in present)),
            revision=self.revision + 1,
        )


@dataclass(frozen=True)
class NodeHandle:
    """A node of the inventory: one or more sightings of the same node under one stable id.

    ``former_ids`` are ids that parts of it had before they turned out to be this node; they still find it.
    """

    id: str
    sightings: tuple[Sighting, ...] = field(repr=False)
    preference: OnConflict = OnConflict.FAIL
    former_ids: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return self.sightings[0].kind

    @property
    def role(self) -> str | None:
        return next((s.role for s in self.sightings if s.role is not None), None)

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        return tuple(s.origin for s in self.sightings)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.id, *self.former_ids, *(s.name for s in self.sightings))))

    @property
    def ownership(self) -> Ownership:
        """Owned only if nothing borrowed decides; the careful answer where both do."""
        owned = {o.ownership for o in self.origins}
        if self.preference is OnConflict.PREFER_OWNED and Ownership.OWNED in owned:
            return Ownership.OWNED
        return Ownership.BORROWED if Ownership.BORROWED in owned else Ownership.OWNED

    @cached_property
    def peer_ids(self) -> tuple[str, ...]:
        """The peer ids that it is known by now, sorted: more than one is a conflict.

        A sighting that still tells an id which another one knows to be former was only asked earlier.
        """
        told = {s.peer_id for s in self.sightings if s.peer_id is not None}
        former = {old for s in self.sightings for old in s.former}
        return tuple(sorted(told - former or told))

    @cached_property
    def identity(self) -> Identity:
        peers = self.peer_ids
        addresses = list(dict.fromkeys(s.address for s in self.sightings if s.address is not None))
        peer = peers[0] if peers else None
        first = addresses[0] if addresses else None
        aliases = [*peers[1:], *(str(a) for a in addresses if a != first)]
        aliases += [old for s in self.sightings for old in (s.peer_id, *s.former) if old is not None]
        return Identity(peer, first, tuple(sorted(set(aliases) - {peer or "", str(first)})))

    @cached_property
    def network(self) -> NetworkFacts:
        facts = NetworkFacts()
        for sighting in self.sightings:
            facts = facts.merged(sighting.network)
        return facts

    @cached_property
    def endpoints(self) -> Mapping[str, str]:
        merged: dict[str, str] = {}
        for sighting in self.sightings:
            for port, url in sighting.endpoints:
                merged.setdefault(port, url)
        return merged

    @cached_property
    def supported(self) -> frozenset[Capability]:
        return frozenset().union(*(o.supported for o in self.origins))

    @cached_property
    def capabilities(self) -> frozenset[Capability]:
        """What ``authorize`` allows; never more than one single origin supports and grants."""
        return frozenset(c for c in Capability if authorize(self, c).allowed)

    def from_class(self, wanted: OriginClass) -> bool:
        return any(o.origin is wanted for o in self.origins)

    @property
    def origin_class(self) -> OriginClass:
        """The class that counts for policies: managed before attached before external."""
        return min((o.origin for o in self.origins), key=CLASS_ORDER.__getitem__)
