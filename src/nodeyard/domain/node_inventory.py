"""The single list of all nodes of a run: an immutable value with a revision.

Merging is the union of sightings followed by grouping, so it is associative, commutative and idempotent by
construction, and linear by union-find. Conflicts are found on the result, never decided while merging.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from nodeyard.domain.capability import OnConflict, Ownership
from nodeyard.domain.node_handle import NodeHandle, OriginClass, Sighting


class ConflictKind(StrEnum):
    """Why a merged node cannot be taken as it is."""

    TWO_PEERS_AT_ENDPOINT = "two-peers-at-endpoint"
    ONE_PEER_AT_TWO_PLACES = "one-peer-at-two-places"
    OWNED_AND_BORROWED = "owned-and-borrowed"


@dataclass(frozen=True, order=True)
class Conflict:
    """One conflict, on one node, with the facts that make it."""

    kind: ConflictKind
    node: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class NodeInventory:
    """All nodes of a run, by precedence of their first sightings. ``revision`` counts the values that came before.

    ``known_ids`` says which id each sighting was first given: the memory that keeps ids stable.
    """

    nodes: tuple[NodeHandle, ...] = ()
    revision: int = 0
    on_conflict: OnConflict = OnConflict.FAIL
    known_ids: tuple[tuple[tuple[str, str, str], str], ...] = field(default=(), repr=False)

    def __iter__(self) -> Iterator[NodeHandle]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def by_name(self) -> Mapping[str, NodeHandle]:
        """Every id, present or former, and, where it is not ambiguous, every other name of a node."""
        uses = Counter(name for node in self.nodes for name in node.names)
        found = {name: n for n in self.nodes for name in n.names if uses[name] == 1}
        former = {name: n for n in self.nodes for name in n.former_ids}
        return {**found, **former, **{n.id: n for n in self.nodes}}

    @cached_property
    def id_of(self) -> Mapping[tuple[str, str, str], str]:
        """The id of the node that each sighting belongs to, by the sighting's key."""
        return {s.key: node.id for node in self.nodes for s in node.sightings}

    def get(self, name: str) -> NodeHandle | None:
        return self.by_name.get(name)

    @cached_property
    def sightings(self) -> tuple[Sighting, ...]:
        return tuple(s for node in self.nodes for s in node.sightings)

    def counts(self) -> Mapping[OriginClass, int]:
        """Nodes per origin class; a merged node counts once, in the class that precedes."""
        return Counter(node.origin_class for node in self.nodes)

    def merged(self, sightings: Iterable[Sighting]) -> NodeInventory:
        """The inventory with more sightings; ids that were given out stay with their nodes."""
        fresh = merge((*self.sightings, *sightings), on_conflict=self.on_conflict, known_ids=dict(self.known_ids))
        return replace(fresh, revision=self.revision + 1)

    def sighting(self, node: str, origin: OriginClass) -> Sighting | None:
        handle = self.get(node)
        if handle is None:
            return None
        return next((s for s in handle.sightings if s.origin.origin is origin), None)


def merge(
    sightings: Iterable[Sighting],
    *,
    on_conflict: OnConflict = OnConflict.FAIL,
    known_ids: Mapping[tuple[str, str, str], str] | None = None,
) -> NodeInventory:
    """Group sightings of the same node: within one kind, by peer id or by the address that the tester uses.

    Of two sightings with one key (class, source, name) only the later one counts: a source names its nodes uniquely.
    ``known_ids`` maps sighting keys to ids that were given out before. They win over newly chosen ones; where two of
    them meet in one node, the id of its first sighting stays and the other one still finds the node.
    """
    latest: dict[tuple[str, str, str], Sighting] = {}
    for sighting in sightings:
        held = latest.get(sighting.key)
        latest[sighting.key] = sighting if held is None else held.later(sighting)
    groups = _groups(sorted(latest.values(), key=lambda s: s.precedence))
    known = known_ids or {}
    ids = _ids(groups, known)
    taken = frozenset(ids)
    nodes = tuple(
        NodeHandle(
            node_id,
            tuple(group),
            on_conflict if _is_mixed(group) else OnConflict.FAIL,
            tuple(dict.fromkeys(known[s.key] for s in group if known.get(s.key, node_id) not in taken)),
        )
        for node_id, group in zip(ids, groups, strict=True)
    )
    # A former id is remembered as it was, so that a part gets it back if it turns out to be a node of its own.
    given = {
        s.key: node.id if known.get(s.key, node.id) in taken else known[s.key] for node in nodes for s in node.sightings
    }
    return NodeInventory(nodes, on_conflict=on_conflict, known_ids=tuple(sorted({**known, **given}.items())))


def _is_mixed(group: Iterable[Sighting]) -> bool:
    return len({s.origin.ownership for s in group}) > 1


def _groups(ordered: list[Sighting]) -> list[list[Sighting]]:
    parent = list(range(len(ordered)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first_with: dict[Hashable, int] = {}
    for i, sighting in enumerate(ordered):
        keys: list[Hashable] = []
        if sighting.peer_id is not None:
            keys.append(("peer", sighting.kind, sighting.peer_id))
        if sighting.address is not None:
            keys.append(("address", sighting.kind, sighting.address))
        for key in keys:
            parent[find(i)] = find(first_with.setdefault(key, i))
    groups: defaultdict[int, list[Sighting]] = defaultdict(list)
    for i, sighting in enumerate(ordered):
        groups[find(i)].append(sighting)
    return sorted(groups.values(), key=lambda group: group[0].precedence)


def _ids(groups: list[list[Sighting]], known: Mapping[tuple[str, str, str], str]) -> list[str]:
    """A known id where there is one, else the name of the first sighting, made unique by its source and a number.

    A newcomer never gets an id or a name that finds an earlier node.
    """
    kept: dict[int, str] = {}
    used: set[str] = set()
    for position, group in enumerate(groups):
        keep = next((known[s.key] for s in group if s.key in known and known[s.key] not in used), None)
        if keep is not None:
            kept[position] = keep
            used.add(keep)
    taken = used | set(known.values()) | {s.name for position in kept for s in groups[position]}
    for position, group in enumerate(groups):
        if position not in kept:
            kept[position] = _unique(group[0], taken)
            taken.add(kept[position])
    return [kept[position] for position in range(len(groups))]


def _unique(first: Sighting, taken: set[str]) -> str:
    if first.name not in taken:
        return first.name
    qualified = f"{first.name}@{first.origin.source}"
    candidate, number = qualified, 2
    while candidate in taken:
        candidate, number = f"{qualified}#{number}", number + 1
    return candidate


def find_conflicts(inventory: NodeInventory) -> tuple[Conflict, ...]:
    """Every conflict of an inventory, in a stable order. Ownership conflicts are listed even where they are decided."""
    found: list[Conflict] = []
    for node in inventory:
        if len(node.peer_ids) > 1:
            found.append(Conflict(ConflictKind.TWO_PEERS_AT_ENDPOINT, node.id, _peer_facts(node)))
        found.extend(Conflict(ConflictKind.ONE_PEER_AT_TWO_PLACES, node.id, facts) for facts in _copies(node))
        if len({o.ownership for o in node.origins}) > 1:
            facts = tuple(f"{o.ownership} by {o.origin} source '{o.source}' ({o.locator})" for o in node.origins)
            found.append(Conflict(ConflictKind.OWNED_AND_BORROWED, node.id, facts))
    return tuple(sorted(found))


def _peer_facts(node: NodeHandle) -> tuple[str, ...]:
    return tuple(
        f"peer id {s.peer_id} at {s.address or 'an unknown address'} from {s.origin.origin} source "
        f"'{s.origin.source}' ({s.origin.locator})"
        for s in node.sightings
        if s.peer_id in node.peer_ids
    )


def _copies(node: NodeHandle) -> Iterator[tuple[str, ...]]:
    """A node is one instance: two exclusive live locators of one source in it cannot both be right."""
    places: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for s in node.sightings:
        if s.origin.exclusive and s.origin.alive:
            places[s.origin.origin.value, s.origin.source].add(s.origin.locator)
    for (_, source), locators in sorted(places.items()):
        if len(locators) > 1:
            who = f"peer id {', '.join(node.peer_ids)}" if node.peer_ids else f"address {node.identity.endpoint}"
            yield (f"{who} is alive at {len(locators)} places of source '{source}'", *sorted(locators))


def is_owned_alone(node: NodeHandle) -> bool:
    """Nothing borrowed is merged into this node."""
    return all(o.ownership is Ownership.OWNED for o in node.origins)
