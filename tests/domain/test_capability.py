"""Who may do what: one origin must both support and grant it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain.capability import ALL_CAPABILITIES, ALWAYS_GRANTED, Capability, OnConflict, Ownership, authorize
from nodeyard.domain.node_handle import NodeHandle, Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory

from .strategies import CAPABILITIES, INVENTORIES, origins

ANY_CAPABILITY = st.sampled_from(list(Capability))


@st.composite
def handles(draw: st.DrawFn) -> NodeHandle:
    places = draw(st.lists(origins(), min_size=1, max_size=4))
    sightings = tuple(Sighting(f"s{i}", "kv", place) for i, place in enumerate(places))
    return NodeHandle("n0", sightings, draw(st.sampled_from(list(OnConflict))))


@given(handles())
def test_capabilities_never_exceed_what_one_origin_supports_and_grants(node: NodeHandle) -> None:
    for capability in node.capabilities:
        assert any(capability in o.supported & o.granted for o in node.origins)
    assert node.capabilities <= node.supported


@given(INVENTORIES)
def test_merging_gives_no_new_rights(inventory: NodeInventory) -> None:
    for node in inventory:
        parts = [NodeHandle(s.name, (s,)).capabilities for s in node.sightings]
        assert node.capabilities <= frozenset().union(*parts)


@given(handles(), ANY_CAPABILITY)
def test_a_decision_names_the_origin_or_what_would_allow_it(node: NodeHandle, capability: Capability) -> None:
    decision = authorize(node, capability)
    assert (decision.node, decision.capability) == ("n0", capability)
    if decision.allowed:
        assert decision.origin in node.origins
        assert capability in decision.origin.supported & decision.origin.granted
    else:
        assert decision.origin is None
        assert decision.reason
        assert decision.hint


@given(handles(), CAPABILITIES, ANY_CAPABILITY, st.integers(0, 3))
def test_more_grants_never_forbid_what_was_allowed(
    node: NodeHandle, more: frozenset[Capability], capability: Capability, which: int
) -> None:
    sightings = list(node.sightings)
    position = which % len(sightings)
    origin = sightings[position].origin
    sightings[position] = replace(sightings[position], origin=replace(origin, granted=origin.granted | more))
    after = replace(node, sightings=tuple(sightings))
    assert authorize(after, capability).allowed >= authorize(node, capability).allowed


@given(handles(), ANY_CAPABILITY)
def test_a_preference_lets_only_its_side_decide(node: NodeHandle, capability: Capability) -> None:
    sides = {
        OnConflict.PREFER_OWNED: Ownership.OWNED,
        OnConflict.PREFER_BORROWED: Ownership.BORROWED,
    }
    for rule, side in sides.items():
        decision = authorize(replace(node, preference=rule), capability)
        if decision.origin is not None and any(o.ownership is side for o in node.origins):
            assert decision.origin.ownership is side


def mixed(rule: OnConflict) -> NodeHandle:
    owned = Origin(OriginClass.MANAGED, "local", "1", supported=ALL_CAPABILITIES, granted=ALL_CAPABILITIES)
    borrowed = Origin(OriginClass.EXTERNAL, "external", "0")
    return NodeHandle("n0", (Sighting("n0", "kv", owned), Sighting("a", "kv", borrowed)), rule)


def test_prefer_borrowed_takes_the_owners_rights_away() -> None:
    node = mixed(OnConflict.PREFER_BORROWED)
    assert node.capabilities == ALWAYS_GRANTED
    assert node.ownership is Ownership.BORROWED
    decision = authorize(node, Capability.KILL)
    assert not decision.allowed
    assert decision.reason == "'kill' is not supported on n0 by its external source 'external'"


def test_prefer_owned_keeps_them() -> None:
    node = mixed(OnConflict.PREFER_OWNED)
    assert node.capabilities == ALL_CAPABILITIES
    assert node.ownership is Ownership.OWNED


def test_support_of_one_origin_and_grant_of_another_is_neither() -> None:
    supports = Origin(
        OriginClass.ATTACHED,
        "compose:dev",
        "c",
        supported=ALWAYS_GRANTED | {Capability.RESTART},
        granted=ALWAYS_GRANTED,
    )
    grants = Origin(OriginClass.EXTERNAL, "external", "0", granted=ALWAYS_GRANTED | {Capability.RESTART})
    node = NodeHandle("a", (Sighting("a", "kv", supports), Sighting("b", "kv", grants)))
    decision = authorize(node, Capability.RESTART)
    assert not decision.allowed
    assert decision.reason == "'restart' is not granted on borrowed node a (source 'compose:dev')"
    assert decision.hint == "add 'allow: [restart]' to source 'compose:dev' if its owner agrees"


@pytest.mark.parametrize("capability", sorted(ALL_CAPABILITIES - ALWAYS_GRANTED))
def test_a_borrowed_node_permits_questions_and_submissions_only(capability: Capability) -> None:
    origin = Origin(OriginClass.ATTACHED, "static:f", "0", supported=ALL_CAPABILITIES)
    assert not authorize(NodeHandle("a", (Sighting("a", "kv", origin),)), capability).allowed
