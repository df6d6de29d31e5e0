"""Selectors: reading and writing, what is denied before the run, what is found in it."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from nodeyard.domain.capability import ALL_CAPABILITIES, Capability, authorize
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory, merge
from nodeyard.domain.selectors import (
    RANDOM,
    Selector,
    SelectorField,
    SelectorKind,
    candidates,
    parse_selector,
    planned_denials,
    resolve,
    unknown_names,
    wanted_count,
)

from .strategies import INVENTORIES

ROLES = st.sampled_from([None, "leader", "follower", "learner"])
NAMES = st.sampled_from(["a", "b", "c", "a@external", "nobody", "all", "leader"])
SELECTORS = st.one_of(
    st.sampled_from(["all", "owned", "borrowed", "leader", "followers", "any", "a", "b"]),
    st.sampled_from([f"origin:{origin}" for origin in OriginClass]),
    st.lists(NAMES, min_size=1, max_size=4),
    st.builds(lambda n: {"any": n}, st.integers(1, 5)),
    st.builds(lambda x: {"fraction": x}, st.floats(0, 1, exclude_min=True)),
).map(parse_selector)


@given(SELECTORS)
def test_a_selector_reads_back_as_it_was_written(selector: Selector) -> None:
    assert parse_selector(selector.written()) == selector
    assert parse_selector(selector) is selector
    field: TypeAdapter[Selector] = TypeAdapter(SelectorField)
    assert field.validate_json(field.dump_json(selector)) == selector


@pytest.mark.parametrize(
    "value",
    ["", "origin:cloud", [], ["a", 1], [""], {"any": 0}, {"any": True}, {"any": 1.5}, {"any": "2"}, {"fraction": 0},
     {"fraction": 1.01}, {"fraction": float("nan")}, {"any": 1, "fraction": 1}, {"some": 1}, {}, None, 7, True],
)  # fmt: skip
def test_what_is_no_selector(value: Any) -> None:
    with pytest.raises(ValueError, match="selector"):
        parse_selector(value)
    with pytest.raises(ValidationError):
        TypeAdapter(SelectorField).validate_python(value)


def test_a_node_that_is_called_like_a_word_is_selected_by_a_list() -> None:
    assert parse_selector("leader").kind is SelectorKind.LEADER
    assert parse_selector(["leader"]).names == ("leader",)
    assert parse_selector(["leader"]).written() == ["leader"]


@given(SELECTORS, INVENTORIES, st.sampled_from(list(Capability)), st.data())
def test_what_was_not_denied_before_never_finds_a_forbidden_node(
    selector: Selector, inventory: NodeInventory, capability: Capability, data: st.DataObject
) -> None:
    roles = {node.id: data.draw(ROLES) for node in inventory}
    running = data.draw(st.none() | st.sets(st.sampled_from(sorted(roles)))) if roles else None
    picks = [
        resolve(selector, inventory, capability=capability, roles=roles, random=Random(3), running=running)
        for _ in range(2)
    ]
    assert picks[0] == picks[1], "the seed repeats the pick"
    assert len({node.id for node in picks[0]}) == len(picks[0])
    denied = planned_denials(selector, capability, inventory)
    assert all(not d.allowed and d.reason and d.hint for d in denied)
    if not denied or selector.kind in RANDOM:
        assert all(authorize(node, capability).allowed for node in picks[0])


@given(SELECTORS.filter(lambda s: s.kind in RANDOM), INVENTORIES, st.sampled_from(list(Capability)))
def test_a_random_pick_that_was_not_denied_finds_its_number(
    selector: Selector, inventory: NodeInventory, capability: Capability
) -> None:
    found = resolve(selector, inventory, capability=capability, roles={}, random=Random(1))
    if planned_denials(selector, capability, inventory):
        assert found == ()
    else:
        allowed = sum(authorize(node, capability).allowed for node in inventory)
        assert len(found) == wanted_count(selector, allowed) >= 1
        assert list(found) == [node for node in inventory if node in found], "in the order of the inventory"


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 10_000))
def test_a_fraction_is_rounded_up_and_never_more_than_there_are(share: float, among: int) -> None:
    count = wanted_count(Selector(SelectorKind.FRACTION, share=share), among)
    assert 1 <= count <= among
    assert count >= share * among - 1e-6
    assert count < share * among + 1 or count == 1


def node(name: str, origin: OriginClass, *granted: Capability) -> Sighting:
    return Sighting(name, "kv", Origin(origin, origin.value, name, ALL_CAPABILITIES, frozenset(granted)))


KILL = Capability.KILL
TWO = merge(
    [node("n0", OriginClass.MANAGED, KILL), node("n1", OriginClass.MANAGED, KILL), node("x", OriginClass.ATTACHED)]
)


def found(value: Any, *, roles: dict[str, str | None] | None = None, running: list[str] | None = None) -> list[str]:
    picked = resolve(parse_selector(value), TWO, capability=KILL, roles=roles or {}, random=Random(1), running=running)
    return [n.id for n in picked]


def test_what_each_selector_finds() -> None:
    roles: dict[str, str | None] = {"n1": "leader", "n0": "follower", "x": "follower"}
    assert found("all") == ["n0", "n1", "x"]
    assert found("owned") == found("origin:managed") == ["n0", "n1"]
    assert found("borrowed") == found("origin:attached") == ["x"]
    assert found("origin:external") == []
    assert found("x") == ["x"]
    assert found(["x", "n0", "x"]) == ["x", "n0"]
    assert found("leader", roles=roles) == ["n1"]
    assert found("followers", roles=roles) == ["n0", "x"]
    assert found("leader") == []
    assert found({"any": 2}) == ["n0", "n1"], "only what is authorised"
    assert found({"any": 3}) == []
    assert found("any", running=["n1"]) == ["n1"]
    assert found({"fraction": 0.5}, running=["n0"]) == ["n0"]


@pytest.mark.parametrize(
    "value", ["all", "leader", "followers", "borrowed", "origin:attached", ["n0", "x"], {"any": 3}]
)
def test_certain_nodes_are_denied_if_one_possible_node_is(value: Any) -> None:
    assert [d.node for d in planned_denials(parse_selector(value), KILL, TWO)] == ["x"]


@pytest.mark.parametrize("value", ["owned", ["n0"], "any", {"any": 2}, {"fraction": 1}])
def test_what_is_not_denied(value: Any) -> None:
    assert planned_denials(parse_selector(value), KILL, TWO) == ()


@pytest.mark.parametrize("value", ["origin:external", {"any": 4}])
def test_a_selector_that_no_run_could_meet_is_denied(value: Any) -> None:
    query = Capability.QUERY
    everybody = merge(replace(s, origin=replace(s.origin, granted=ALL_CAPABILITIES)) for s in TWO.sightings)
    [denied] = planned_denials(parse_selector(value), query, everybody)
    assert denied.reason.startswith(f"selector '{denied.node}' needs at least")


def test_unknown_names_are_told_apart() -> None:
    selector = parse_selector(["n0", "nobody"])
    assert unknown_names(selector, TWO) == ("nobody",)
    assert [n.id for n in candidates(selector, TWO)] == ["n0"]
    assert planned_denials(selector, KILL, TWO) == ()
