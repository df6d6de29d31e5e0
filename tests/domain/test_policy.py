"""Readiness policies: what they demand, when they are met, and when never again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nodeyard.domain.node_handle import OriginClass
from nodeyard.domain.policy import (
    Impossible,
    Member,
    Need,
    ReadinessSpec,
    Satisfied,
    Waiting,
    evaluate,
    impossible_from_start,
    lost_managed_is_fatal,
    needs,
)
from nodeyard.domain.selectors import parse_selector

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
MEMBERS = st.lists(st.builds(Member, st.sampled_from(list(OriginClass)), st.none() | IDS), max_size=7)
SOME = st.sets(IDS)
MINIMA = st.none() | st.just("all") | st.integers(0, 6)


def _source_aware(managed: Any, attached: Any, external: Any, total: Any) -> dict[str, Any]:
    minima = {"managed": managed, "attached": attached, "external": external, "total": total}
    return {"policy": "source-aware", **minima} if any(v is not None for v in minima.values()) else {"policy": "all"}


SPECS = st.one_of(
    st.just({"policy": "all"}),
    st.just({"policy": "required", "nodes": ["a", "b"]}),
    st.builds(lambda n: {"policy": "quorum", "min": n}, st.integers(1, 7)),
    st.builds(lambda r: {"policy": "quorum", "ratio": r}, st.floats(0, 1, exclude_min=True)),
    st.builds(_source_aware, MINIMA, MINIMA, MINIMA, MINIMA),
).map(ReadinessSpec.model_validate)
DEMANDS = st.builds(lambda spec, members: needs(spec, members, ["a", "b"]), SPECS, MEMBERS)


def met(need: Need, ready: set[str], lost: set[str]) -> bool:
    return sum(m.node in ready - lost for m in need.members) >= need.least


@given(DEMANDS, SOME, SOME)
def test_satisfied_exactly_if_every_need_is_met(demands: tuple[Need, ...], ready: set[str], lost: set[str]) -> None:
    barrier = evaluate(demands, ready, lost)
    assert isinstance(barrier, Satisfied) == all(met(need, ready, lost) for need in demands)


@given(DEMANDS, SOME, SOME)
def test_impossible_exactly_if_no_future_could_satisfy(
    demands: tuple[Need, ...], ready: set[str], lost: set[str]
) -> None:
    everyone = {m.node for need in demands for m in need.members if m.node is not None}
    at_best = isinstance(evaluate(demands, everyone, lost), Satisfied)
    assert isinstance(evaluate(demands, ready, lost), Impossible) == (not at_best)


@given(DEMANDS, SOME, SOME, SOME, SOME)
def test_impossible_stays_impossible(
    demands: tuple[Need, ...], ready: set[str], lost: set[str], later: set[str], more: set[str]
) -> None:
    if isinstance(evaluate(demands, ready, lost), Impossible):
        assert isinstance(evaluate(demands, later, lost | more), Impossible)


@given(DEMANDS, SOME, SOME)
def test_a_wait_names_whom_it_waits_for_and_why(demands: tuple[Need, ...], ready: set[str], lost: set[str]) -> None:
    barrier = evaluate(demands, ready, lost)
    if isinstance(barrier, Waiting):
        assert barrier.laggards
        assert not set(barrier.laggards) & (ready | lost)
        assert barrier.reason
    elif isinstance(barrier, Impossible):
        assert not set(barrier.laggards) & (ready - lost)
        assert "can still become ready" in barrier.reason


@given(SPECS.filter(lambda spec: spec.policy != "required"), MEMBERS)
def test_a_policy_that_is_impossible_from_the_start_is_told_before(spec: ReadinessSpec, members: list[Member]) -> None:
    """Against the barrier itself, with every declared member found and ready."""
    found = [Member(m.origin, m.node or f"found-{i}") for i, m in enumerate(members)]
    everyone = [m.node for m in found if m.node is not None]
    reached = isinstance(evaluate(needs(spec, found), everyone, ()), Satisfied)
    assert (impossible_from_start(spec, found) == "") == reached


def member(node: str | None, origin: OriginClass = OriginClass.MANAGED) -> Member:
    return Member(origin, node)


def spec(**fields: Any) -> ReadinessSpec:
    return ReadinessSpec.model_validate(fields)


def test_denominators_are_what_was_declared_and_not_what_was_found() -> None:
    members = [member("a"), member("b"), member(None, OriginClass.ATTACHED)]
    assert isinstance(evaluate(needs(spec(), members), ["a", "b"], []), Impossible)
    [half] = needs(spec(policy="quorum", ratio=0.5), members)
    assert half.least == 2
    assert isinstance(evaluate([half], ["a", "b"], []), Satisfied)
    barrier = evaluate(needs(spec(), members), ["a"], [])
    assert isinstance(barrier, Impossible)
    assert barrier.laggards == ("(an undiscovered attached node)", "b")


def test_two_members_that_are_one_node_count_once() -> None:
    members = [member("a"), member("a", OriginClass.EXTERNAL), member("b")]
    assert isinstance(evaluate(needs(spec(policy="quorum", min=2), members), ["a"], []), Waiting)
    demands = needs(spec(policy="source-aware", managed="all", external="all"), members)
    assert [need.least for need in demands] == [2, 1]


def test_a_node_that_was_ready_and_is_lost_does_not_count() -> None:
    assert isinstance(evaluate(needs(spec(), [member("a")]), ["a"], ["a"]), Impossible)


def test_required_nodes_that_nobody_is_are_never_ready() -> None:
    demands = needs(spec(policy="required", nodes="x"), [member("a")], [])
    assert isinstance(evaluate(demands, ["a"], []), Impossible)


def test_a_quorum_is_never_nobody() -> None:
    assert needs(spec(policy="quorum", ratio=1e-12), [member("a")])[0].least == 1
    assert needs(spec(policy="quorum", ratio=0.3), [member(str(i)) for i in range(10)])[0].least == 3


def test_source_aware_minima_and_total() -> None:
    members = [member("a"), member("b"), member("x", OriginClass.ATTACHED)]
    demands = needs(spec(policy="source-aware", managed=1, attached="all", total=2), members)
    assert [(need.label, need.least) for need in demands] == [
        ("managed nodes", 1),
        ("attached nodes", 1),
        ("all sources", 2),
    ]
    assert isinstance(evaluate(demands, ["a", "b"], []), Waiting)
    assert isinstance(evaluate(demands, ["b", "x"], ["a"]), Satisfied)


@pytest.mark.parametrize(
    ("fields", "fatal"),
    [
        ({}, True),
        ({"policy": "quorum", "min": 1}, True),
        ({"policy": "source-aware", "total": 1}, True),
        ({"policy": "source-aware", "managed": "all"}, True),
        ({"policy": "source-aware", "managed": 1}, False),
    ],
)
def test_a_lost_managed_node_is_fatal_unless_its_minimum_was_lowered(fields: dict[str, Any], fatal: bool) -> None:
    assert lost_managed_is_fatal(spec(**fields)) is fatal


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"policy": "all", "min": 1}, "'min' does not belong to policy 'all'"),
        ({"policy": "required"}, "needs nodes"),
        ({"policy": "required", "nodes": {"any": 0}}, "a node selector is"),
        ({"policy": "quorum"}, "either min or ratio"),
        ({"policy": "quorum", "min": 1, "ratio": 0.5}, "either min or ratio"),
        ({"policy": "source-aware"}, "needs a minimum"),
        ({"policy": "source-aware", "managed": "most"}, "all"),
        ({"timeout": "0s"}, "greater than 0"),
        ({"consecutive": 0}, "greater than or equal to 1"),
    ],
)
def test_policies_that_make_no_sense(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(**fields)


def test_the_selector_of_required_is_read_once_and_written_as_it_was() -> None:
    made = spec(policy="required", nodes={"any": 2})
    assert made.nodes == parse_selector({"any": 2})
    assert ReadinessSpec.model_validate_json(made.model_dump_json()) == made


def test_more_nodes_than_declared_are_wanted() -> None:
    said = impossible_from_start(spec(policy="quorum", min=4), [member("a")])
    assert said == "readiness wants 4 of the declared nodes, but there are only 1"
