"""Merging: properties over small colliding worlds, then the cases that matter by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.capability import Capability, OnConflict, Ownership
from nodeyard.domain.identity import HostPort, NetworkFacts, host_port
from nodeyard.domain.node_handle import NodeHandle, Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import (
    Conflict,
    ConflictKind,
    NodeInventory,
    find_conflicts,
    is_owned_alone,
    merge,
)

from .strategies import MANY, ON_CONFLICT, SIGHTINGS, groups

MANAGED, ATTACHED, EXTERNAL = OriginClass.MANAGED, OriginClass.ATTACHED, OriginClass.EXTERNAL


def seen(
    name: str,
    origin: OriginClass = EXTERNAL,
    *,
    peer: str | None = None,
    at: str | None = None,
    kind: str = "kv",
    source: str | None = None,
    locator: str | None = None,
    exclusive: bool = False,
    alive: bool = True,
) -> Sighting:
    place = Origin(origin, source or origin.value, locator or name, exclusive=exclusive, alive=alive)
    return Sighting(name, kind, place, address=host_port(at) if at else None, peer_id=peer)


def ids(inventory: NodeInventory) -> list[str]:
    return [node.id for node in inventory]


def kinds_of(conflicts: Iterable[Conflict]) -> list[ConflictKind]:
    return [conflict.kind for conflict in conflicts]


# ── algebra ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(MANY, st.randoms(use_true_random=False), ON_CONFLICT)
def test_the_order_of_sightings_does_not_matter(found: list[Sighting], random: object, rule: OnConflict) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge(shuffled, on_conflict=rule) == merge(found, on_conflict=rule)


@given(MANY, MANY, MANY)
def test_merging_is_associative_over_any_split(a: list[Sighting], b: list[Sighting], c: list[Sighting]) -> None:
    left = merge((*merge((*a, *b)).sightings, *c))
    right = merge((*a, *merge((*b, *c)).sightings))
    assert left == right == merge((*a, *b, *c))


@given(MANY)
def test_merging_again_changes_nothing(found: list[Sighting]) -> None:
    once = merge(found)
    assert merge((*once.sightings, *found)) == once
    again = once.merged(found)
    assert again.nodes == once.nodes
    assert again.known_ids == once.known_ids
    assert again.revision == once.revision + 1


@given(st.lists(MANY, max_size=4))
def test_later_merges_group_as_one_merge_would(batches: list[list[Sighting]]) -> None:
    inventory = NodeInventory()
    for batch in batches:
        inventory = inventory.merged(batch)
    assert groups(inventory) == groups(merge(s for batch in batches for s in batch))


@given(MANY)
def test_nobody_is_lost_and_nobody_is_twice(found: list[Sighting]) -> None:
    inventory = merge(found)
    assert sorted(s.key for s in inventory.sightings) == sorted({s.key for s in found})
    assert len(set(ids(inventory))) == len(inventory)


@given(MANY, MANY)
def test_every_sighting_belongs_to_the_node_that_holds_it(first: list[Sighting], more: list[Sighting]) -> None:
    inventory = merge(first).merged(more)
    assert inventory.id_of == {s.key: node.id for node in inventory for s in node.sightings}
    assert all(s in inventory.by_name[inventory.id_of[s.key]].sightings for s in inventory.sightings)


@given(MANY)
def test_nodes_of_two_kinds_are_never_one(found: list[Sighting]) -> None:
    assert all(len({s.kind for s in node.sightings}) == 1 for node in merge(found))


@given(MANY)
def test_one_node_exactly_if_a_chain_of_equal_keys_joins_them(found: list[Sighting]) -> None:
    """Against the plain definition, by repeated joining of whatever shares a key."""
    parts = [{s} for s in merge(found).sightings]
    joined = True
    while joined:
        joined = False
        for one in parts:
            other = next((o for o in parts if o is not one and any(_same(x, y) for x in one for y in o)), None)
            if other is not None:
                parts = [p for p in parts if p is not one and p is not other] + [one | other]
                joined = True
                break
    assert groups(merge(found)) == {frozenset(part) for part in parts}


def _same(one: Sighting, other: Sighting) -> bool:
    return one.kind == other.kind and (
        (one.peer_id is not None and one.peer_id == other.peer_id)
        or (one.address is not None and one.address == other.address)
    )


@given(SIGHTINGS, SIGHTINGS)
def test_the_later_sighting_is_the_same_from_both_sides(one: Sighting, other: Sighting) -> None:
    assert one.later(other) == other.later(one)
    assert one.later(other).revision == max(one.revision, other.revision)


def test_a_tie_does_not_depend_on_how_a_set_was_made() -> None:
    every = list(Capability)
    ways = [frozenset(every), frozenset(reversed(every)), frozenset(every[:6]) | frozenset(every[6:])]
    texts = set()
    for way in ways:
        origin = Origin(EXTERNAL, "external", "x", supported=way, granted=frozenset({Capability.QUERY}))
        texts.add(Sighting("a", "kv", origin)._content)
    assert len(texts) == 1


# ── ids ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(MANY, MANY)
def test_an_id_goes_on_to_find_a_node_with_its_sightings(first: list[Sighting], more: list[Sighting]) -> None:
    """A later merge may join nodes or (by revised facts) part them; the id still finds one of its own sightings."""
    before = merge(first)
    after = before.merged(more)
    for node in before:
        keys = {s.key for s in node.sightings}
        found = after.get(node.id)
        assert found is not None
        assert keys & {s.key for s in found.sightings}


@given(MANY, MANY)
def test_a_node_that_later_sightings_leave_alone_keeps_its_id(first: list[Sighting], more: list[Sighting]) -> None:
    before = merge(first)
    after = before.merged(more)
    same = {frozenset(node.sightings): node.id for node in after}
    for node in before:
        assert same.get(frozenset(node.sightings), node.id) == node.id


@given(MANY, MANY, MANY)
def test_ids_are_unique_and_never_change_hands(a: list[Sighting], b: list[Sighting], c: list[Sighting]) -> None:
    inventory, owners = NodeInventory(), dict[str, set[tuple[str, str, str]]]()
    for batch in (a, b, c):
        inventory = inventory.merged(batch)
        assert len(set(ids(inventory))) == len(inventory)
        for node in inventory:
            held = owners.setdefault(node.id, {s.key for s in node.sightings})
            assert held & {s.key for s in node.sightings}
            held |= {s.key for s in node.sightings}


def test_a_newcomer_gets_its_name_and_the_second_of_a_name_its_source() -> None:
    found = merge([seen("n0", ATTACHED, peer="p1", source="static:a"), seen("n0", EXTERNAL, peer="p2")])
    assert ids(found) == ["n0", "n0@external"]
    assert found.get("n0") is found.nodes[0]


def test_two_known_ids_meet_and_both_still_find_the_node() -> None:
    apart = merge([seen("n0", MANAGED), seen("a", EXTERNAL, at="h:1", peer="p1")])
    assert ids(apart) == ["n0", "a"]
    managed = replace(seen("n0", MANAGED, at="h:2", peer="p1"), revision=1)
    together = apart.merged([managed])
    assert ids(together) == ["n0"]
    assert together.nodes[0].former_ids == ("a",)
    assert together.get("a") is together.get("n0") is together.nodes[0]
    assert together.merged([]).nodes == together.nodes
    assert set(together.id_of.values()) == {"n0"}, "a former id is no id"


def test_a_qualified_id_that_went_into_another_node_still_finds_it() -> None:
    apart = merge([seen("n0", MANAGED), seen("n0", EXTERNAL, peer="p1")])
    assert ids(apart) == ["n0", "n0@external"]
    together = apart.merged([replace(seen("n0", MANAGED, peer="p1"), revision=1)])
    assert together.get("n0@external") is together.get("n0")


def test_parts_that_turn_out_to_be_two_nodes_get_their_ids_back() -> None:
    apart = merge([seen("n0", MANAGED, at="h:1"), seen("a", EXTERNAL, at="h:2")])
    together = apart.merged([replace(seen("n0", MANAGED, at="h:2"), revision=1)])
    assert ids(together) == ["n0"]
    parted = together.merged([replace(seen("n0", MANAGED, at="h:3"), revision=2)])
    assert ids(parted) == ["n0", "a"]
    assert [node.former_ids for node in parted] == [(), ()]


def test_an_attached_id_stays_when_a_managed_node_turns_out_to_be_it() -> None:
    first = merge([seen("x", ATTACHED, peer="p1")])
    later = first.merged([seen("n0", MANAGED, peer="p1")])
    assert ids(later) == ["x"]
    assert later.get("n0") is later.get("x")


def test_a_newcomer_never_takes_a_name_that_finds_an_earlier_node() -> None:
    first = merge([seen("n0", MANAGED, peer="p1"), seen("a", EXTERNAL, peer="p1")])
    later = first.merged([seen("a", ATTACHED, peer="p2", source="static:f")])
    assert ids(later) == ["n0", "a@static:f"]
    found = later.get("a")
    assert found is None, "the name is ambiguous now, and no guess is made"


def test_a_former_id_goes_before_a_name_that_came_later() -> None:
    apart = merge([seen("n0", MANAGED, peer="p1"), seen("a", EXTERNAL, peer="p2")])
    newcomer = seen("a", ATTACHED, peer="p3", source="static:f")
    later = apart.merged([newcomer, replace(seen("a", EXTERNAL, peer="p1"), revision=1)])
    assert ids(later) == ["n0", "a@static:f"]
    assert later.get("a") is later.get("n0")


def test_an_ambiguous_name_finds_nobody_and_an_id_always_wins() -> None:
    found = merge(
        [
            seen("n0", MANAGED, peer="p1"),
            seen("n1", MANAGED, peer="p2"),
            seen("x", ATTACHED, peer="p1"),
            seen("x", EXTERNAL, peer="p2"),
        ]
    )
    assert ids(found) == ["n0", "n1"]
    assert found.get("x") is None
    assert found.get("nobody") is None


# ── the same node from several sources ───────────────────────────────────────────────────────────────────────────


def test_two_addresses_and_static_attach_with_one_peer_id_are_one_handle() -> None:
    found = merge(
        [
            seen("a", EXTERNAL, at="http://localhost:2379", peer="p1", locator="source.external.0"),
            seen("b", EXTERNAL, at="http://[::ffff:10.0.0.1]:2379", peer="p1", locator="source.external.1"),
            seen("kv", ATTACHED, at="http://10.0.0.1:2379/", peer="p1", source="static:nodes.yaml"),
        ]
    )
    [node] = found
    assert node.id == "kv"
    assert [(o.origin, o.source) for o in node.origins] == [
        (ATTACHED, "static:nodes.yaml"),
        (EXTERNAL, "external"),
        (EXTERNAL, "external"),
    ]
    assert node.identity.peer_id == "p1"
    assert node.identity.endpoint == HostPort("10.0.0.1", 2379)
    assert node.identity.aliases == ("127.0.0.1:2379",)
    assert find_conflicts(found) == ()


def test_one_endpoint_with_one_peer_id_unknown_is_one_handle() -> None:
    found = merge([seen("a", at="h:1"), seen("b", ATTACHED, at="H.:1", peer="p1")])
    assert len(found) == 1
    assert find_conflicts(found) == ()


def test_unknown_addresses_and_peer_ids_join_nobody() -> None:
    assert len(merge([seen("a"), seen("b"), seen("c", MANAGED)])) == 3


def test_facts_and_endpoints_come_from_whoever_knows() -> None:
    one = replace(seen("a", peer="p1"), network=NetworkFacts(id="n"), endpoints=(("client", "http://h:1"),))
    two = replace(seen("b", peer="p1"), network=NetworkFacts(api="3.5"), endpoints=(("client", "x"), ("peer", "y")))
    [node] = merge([two, one])
    assert node.network == NetworkFacts(id="n", api="3.5")
    assert node.endpoints == {"client": "http://h:1", "peer": "y"}


# ── conflicts ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_endpoint_with_two_peer_ids() -> None:
    found = merge([seen("a", at="h:1", peer="p1"), seen("b", at="h:1", peer="p2")])
    [conflict] = find_conflicts(found)
    assert conflict.kind is ConflictKind.TWO_PEERS_AT_ENDPOINT
    assert conflict.node == "a"
    assert conflict.facts == (
        "peer id p1 at h:1 from external source 'external' (a)",
        "peer id p2 at h:1 from external source 'external' (b)",
    )


@pytest.mark.parametrize("addresses", [("h:1", "h:2"), (None, None), ("h:1", None)])
def test_one_peer_id_at_two_live_places_of_one_source(addresses: tuple[str | None, str | None]) -> None:
    copies = [
        seen(name, ATTACHED, peer="p1", at=at, source="compose:dev", exclusive=True)
        for name, at in zip("ab", addresses, strict=True)
    ]
    [conflict] = find_conflicts(merge(copies))
    assert conflict == Conflict(
        ConflictKind.ONE_PEER_AT_TWO_PLACES,
        "a",
        ("peer id p1 is alive at 2 places of source 'compose:dev'", "a", "b"),
    )


def test_one_address_of_two_live_instances_of_one_source() -> None:
    copies = [seen(name, ATTACHED, at="lb:80", source="k8s:dev", exclusive=True) for name in "ab"]
    [conflict] = find_conflicts(merge(copies))
    assert conflict.kind is ConflictKind.ONE_PEER_AT_TWO_PLACES
    assert conflict.facts[0] == "address lb:80 is alive at 2 places of source 'k8s:dev'"


@pytest.mark.parametrize(
    "change",
    [{"alive": False}, {"exclusive": False}, {"source": "compose:other"}, {"locator": "a"}],
)
def test_what_is_no_second_place(change: dict[str, object]) -> None:
    one = seen("a", ATTACHED, peer="p1", source="compose:dev", exclusive=True)
    told: dict[str, object] = {"source": "compose:dev", "exclusive": True} | change
    two = seen("b", ATTACHED, peer="p1", **told)  # type: ignore[arg-type]
    found = merge([one, two])
    assert len(found) == 1
    assert find_conflicts(found) == ()


@pytest.mark.parametrize("rule", list(OnConflict))
def test_owned_and_borrowed_is_listed_whatever_was_decided(rule: OnConflict) -> None:
    found = merge([seen("n0", MANAGED, at="h:1"), seen("a", at="h:1")], on_conflict=rule)
    [conflict] = find_conflicts(found)
    assert conflict.kind is ConflictKind.OWNED_AND_BORROWED
    assert conflict.facts == (
        "owned by managed source 'managed' (n0)",
        "borrowed by external source 'external' (a)",
    )
    assert found.nodes[0].preference is rule
    assert not is_owned_alone(found.nodes[0])
    wanted = Ownership.OWNED if rule is OnConflict.PREFER_OWNED else Ownership.BORROWED
    assert found.nodes[0].ownership is wanted


def test_the_rule_stays_with_the_inventory_and_touches_only_mixed_nodes() -> None:
    first = merge([seen("n0", MANAGED, at="h:1"), seen("b", at="h:9")], on_conflict=OnConflict.PREFER_BORROWED)
    later = first.merged([seen("a", at="h:1")])
    assert [(n.id, n.preference) for n in later] == [("n0", OnConflict.PREFER_BORROWED), ("b", OnConflict.FAIL)]


@given(MANY)
def test_conflicts_do_not_depend_on_the_order(found: list[Sighting]) -> None:
    assert find_conflicts(merge(found)) == find_conflicts(merge(reversed(found)))


# ── asking again ─────────────────────────────────────────────────────────────────────────────────────────────────


def revised(old: Sighting, *, peer: str | None = None, at: str | None = None) -> Sighting:
    address = host_port(at) if at else None
    return old.revised(peer_id=peer, network=NetworkFacts(), address=address, endpoints=())


def test_a_changed_peer_id_and_port_are_aliases_under_the_same_id() -> None:
    old = seen("n0", MANAGED, at="h:1", peer="p1")
    inventory = merge([old]).merged([revised(old, peer="p2", at="h:2")])
    [node] = inventory
    assert node.id == "n0"
    assert node.identity.peer_id == "p2"
    assert node.identity.aliases == ("h:1", "p1")
    assert inventory.revision == 1


def test_an_answer_that_is_missing_is_not_a_change() -> None:
    old = seen("n0", MANAGED, at="h:1", peer="p1")
    again = revised(old)
    assert (again.peer_id, again.address, again.former, again.revision) == ("p1", old.address, (), 1)


def test_what_came_back_is_no_alias_of_itself() -> None:
    old = seen("n0", MANAGED, at="h:1", peer="p1")
    again = revised(revised(old, peer="p2", at="h:2"), peer="p1", at="h:1")
    assert again.former == ("p2", "h:2")


def test_a_source_that_still_tells_the_former_peer_id_is_no_conflict() -> None:
    old = seen("n0", MANAGED, at="h:1", peer="p1")
    other = seen("a", at="h:1", peer="p1")
    rule = OnConflict.PREFER_OWNED
    inventory = merge([old, other], on_conflict=rule).merged([revised(old, peer="p0", at="h:1")])
    [node] = inventory
    assert kinds_of(find_conflicts(inventory)) == [ConflictKind.OWNED_AND_BORROWED]
    assert node.identity.peer_id == "p0"
    assert node.identity.aliases == ("p1",)
    later = inventory.merged([revised(revised(old, peer="p0", at="h:1"), peer="p9", at="h:1")])
    assert later.nodes[0].identity.peer_id == "p9"


def test_swapped_peer_ids_leave_two_nodes() -> None:
    one, two = seen("n0", MANAGED, at="h:1", peer="p1"), seen("n1", MANAGED, at="h:2", peer="p2")
    later = merge([one, two]).merged([revised(one, peer="p2", at="h:1"), revised(two, peer="p1", at="h:2")])
    assert [(n.id, n.identity.peer_id) for n in later] == [("n0", "p2"), ("n1", "p1")]
    assert find_conflicts(later) == ()


def test_an_older_revision_never_comes_back() -> None:
    old = seen("n0", MANAGED, at="h:1", peer="p1")
    new = revised(old, peer="p2", at="h:2")
    assert merge([new]).merged([old]).nodes == merge([new]).nodes


# ── counts and size ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_merged_node_counts_once_in_the_class_that_precedes() -> None:
    found = merge([seen("n0", MANAGED, at="h:1"), seen("a", at="h:1"), seen("b", at="h:2"), seen("x", ATTACHED)])
    assert found.counts() == {MANAGED: 1, EXTERNAL: 1, ATTACHED: 1}
    assert found.sighting("n0", EXTERNAL) == seen("a", at="h:1")
    assert found.sighting("b", MANAGED) is None
    assert found.sighting("nobody", MANAGED) is None


class CountedName(str):
    """A text that counts how often it is hashed or compared: the work of a merge, without a clock."""

    work = 0
    __slots__ = ()

    def __hash__(self) -> int:
        CountedName.work += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        CountedName.work += 1
        return super().__eq__(other)

    def __lt__(self, other: str) -> bool:
        CountedName.work += 1
        return super().__lt__(other)


def _work(count: int) -> int:
    """Operations on peer ids for ``count`` nodes, each seen by two sources under two addresses, in a bad order."""
    found = [seen(f"n{i:05}", ATTACHED, peer=CountedName(f"p{i}"), at=f"10.0.0.1:{i + 1}") for i in range(count)]
    found += [seen(f"e{i:05}", EXTERNAL, peer=CountedName(f"p{i}")) for i in reversed(range(count))]
    # one long chain: each address is shared with the neighbour
    found += [seen(f"c{i:05}", EXTERNAL, at=f"10.0.0.1:{i + 1}") for i in range(count)]
    CountedName.work = 0
    inventory = merge(found)
    assert len(inventory) == count
    assert find_conflicts(inventory) == ()
    assert all(inventory.get(node.id) is node for node in inventory)
    return CountedName.work


def test_ten_thousand_nodes_merge_in_linear_work() -> None:
    assert _work(10_000) < 2 * 5 * _work(2_000)


def test_a_node_is_found_by_all_its_names() -> None:
    node = NodeHandle("n0", (seen("a"), seen("b")), former_ids=("old",))
    assert node.names == ("n0", "old", "a", "b")
