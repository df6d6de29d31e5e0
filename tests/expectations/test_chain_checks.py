"""What heights and blocks of nodes mean: the pure rules of the chain checks."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nodeyard.domain.node_client import Block
from nodeyard.domain.verdict import Verdict
from nodeyard.expectations import agreement, catches_up, halts, height_advances, resumes
from nodeyard.expectations._asking import Answers

PASS, FAIL, UNKNOWN, VACUOUS = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN, Verdict.VACUOUS


def chain(top: int, *, first: int = 1, fork: Mapping[int, str] | None = None) -> dict[int, Block]:
    forks = fork or {}
    return {h: Block(h, forks.get(h, f"block-{h}"), f"state-{h}") for h in range(first, top + 1)}


def same_kind(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "k")


def agree(chains: Mapping[str, Mapping[int, Block]], silent: Mapping[str, str] | None = None) -> tuple[Verdict, str]:
    check = agreement.judged("agreement", same_kind(*chains), chains, silent or {})
    return check.verdict, check.reason


# --- agreement ------------------------------------------------------------------------------------------------------


def test_equal_chains_agree_however_long_each_is() -> None:
    assert agree({"a": chain(9), "b": chain(5), "c": chain(9, first=4)}) == (PASS, "3 nodes agree at 9 heights")


def test_who_deviates_is_named() -> None:
    verdict, reason = agree({"a": chain(9), "b": chain(9, fork={7: "x"}), "c": chain(9)})
    assert (verdict, reason) == (FAIL, "b differs from the others at height 7")


def test_the_state_counts_as_well_as_the_block() -> None:
    other = {**chain(3), 3: Block(3, "block-3", "another")}
    assert agree({"a": chain(3), "b": other, "c": chain(3)}) == (FAIL, "b differs from the others at height 3")


def test_two_that_differ_are_both_named() -> None:
    assert agree({"a": chain(2), "b": chain(2, fork={1: "x", 2: "y"})}) == (
        FAIL,
        "a, b differ from each other at 2 heights from 1 on",
    )


def test_a_difference_counts_whoever_is_silent() -> None:
    assert agree({"a": chain(2), "b": chain(2, fork={2: "x"}), "c": {}}, {"c": "no answer"})[0] is FAIL
    assert agree({"a": chain(2), "b": chain(2), "c": {}}, {"c": "no answer"}) == (UNKNOWN, "no chain from c")


def test_nothing_in_common_is_not_agreement() -> None:
    assert agree({"a": chain(2), "b": chain(2), "c": {}}) == (UNKNOWN, "c shares no height with another node")
    assert agree({"a": chain(2)})[0] is VACUOUS


def test_nodes_of_two_kinds_are_not_compared() -> None:
    chains = {"a": chain(2), "b": chain(2, fork={1: "x"})}
    assert agreement.judged("agreement", {"a": "k", "b": "l"}, chains, {}).verdict is VACUOUS


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 12), min_size=2), st.integers(1, 20))
def test_what_is_read_can_be_compared_and_nothing_that_can_is_left_out(heights: dict[str, int], most: int) -> None:
    spans = agreement.spans(heights, same_kind(*heights), most)
    top = sorted(heights.values())[-2]
    for height in range(1, max(heights.values()) + 1):
        who = {node for node, span in spans.items() if height in span}
        expected = {node for node, known in heights.items() if known >= height}
        assert who == (expected if top - most < height <= top else set())


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5000), min_size=2), st.integers(1, 6000))
def test_a_sample_is_of_the_same_few_revisions_on_each_node(heights: dict[str, int], most: int) -> None:
    whole = agreement.spans(heights, same_kind(*heights), most)
    sample = agreement.spans(heights, same_kind(*heights), most, sampled={"k"})
    top = sorted(heights.values())[-2]
    longest = max(sample.values(), key=len)
    for node, span in sample.items():
        assert set(span) == {height for height in longest if height <= heights[node]}
        assert set(span) <= set(whole[node])
    assert len(longest) <= agreement.SAMPLES
    assert not top or longest[-1] == top


@given(
    st.lists(st.integers(1, 10), min_size=2, max_size=6),
    st.dictionaries(st.tuples(st.integers(0, 5), st.integers(1, 10)), st.sampled_from("xy")),
)
def test_agreement_fails_exactly_if_two_blocks_differ(tops: list[int], forks: dict[tuple[int, int], str]) -> None:
    chains = {
        f"n{i}": chain(top, fork={h: block for (node, h), block in forks.items() if node == i})
        for i, top in enumerate(tops)
    }
    differ = any(len({c[h].hash for c in chains.values() if h in c}) > 1 for h in range(1, 11))
    assert (agree(chains)[0] is FAIL) == differ
    for split in agreement.find_splits(chains):
        assert split.deviating
        assert f"height {split.height}" in str(split)


# --- halts, resumes, catches-up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "silent", "still", "down", "verdict"),
    [
        ({"a": 5, "b": 5}, {}, {"a": 9.0, "b": 6.0}, {}, PASS),
        ({"a": 5, "b": 6}, {}, {"a": 9.0, "b": 1.0}, {}, FAIL),
        ({"a": 5}, {}, {"a": 9.0}, {"b": "paused"}, PASS),
        ({"a": 5}, {"b": "no answer"}, {"a": 9.0}, {}, UNKNOWN),
        ({"a": 5}, {"b": "no answer"}, {"a": 1.0}, {}, FAIL),
        ({}, {}, {}, {"a": "stopped"}, UNKNOWN),
    ],
)
def test_halts(
    said: dict[str, int], silent: dict[str, str], still: dict[str, float], down: dict[str, str], verdict: Verdict
) -> None:
    assert halts.judged("halts", 5.0, Answers(said, silent), still, down).verdict is verdict


def test_a_halt_longer_than_its_time_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="'for' must be shorter than 'within'"):
        halts.HaltsOptions.model_validate({"use": "halts", "for": "30s", "within": "10s"})


@pytest.mark.parametrize(
    ("best", "said", "silent", "verdict"),
    [
        (5, {"a": 6, "b": 7}, {}, PASS),
        (5, {"a": 6, "b": 5}, {}, FAIL),
        (5, {"a": 6}, {"b": "no answer"}, UNKNOWN),
        (None, {}, {"a": "no answer"}, UNKNOWN),
    ],
)
def test_resumes(best: int | None, said: dict[str, int], silent: dict[str, str], verdict: Verdict) -> None:
    assert resumes.judged("resumes", 1, best, Answers(said, silent)).verdict is verdict


@pytest.mark.parametrize(
    ("selected", "said", "silent", "verdict"),
    [
        (["a"], {"a": 8, "b": 10}, {}, PASS),
        (["a"], {"a": 7, "b": 10}, {}, FAIL),
        (["a"], {"b": 10}, {"a": "no answer"}, UNKNOWN),
        (["a"], {"a": 10}, {"b": "no answer"}, VACUOUS),
        (["a", "b"], {"a": 10, "b": 9}, {}, PASS),
    ],
)
def test_catches_up(selected: list[str], said: dict[str, int], silent: dict[str, str], verdict: Verdict) -> None:
    kinds = same_kind("a", "b")
    assert catches_up.judged("catches-up", 2, selected, kinds, Answers(said, silent)).verdict is verdict


def test_the_best_height_is_that_of_the_same_kind() -> None:
    kinds = {"a": "k", "b": "k", "c": "l"}
    answers = Answers({"a": 5, "b": 5, "c": 500}, {})
    assert catches_up.judged("catches-up", 0, ["a"], kinds, answers).verdict is PASS


@pytest.mark.parametrize(
    ("most", "silent", "verdict"),
    [
        ({"a": 2, "b": 1, "c": 2}, {}, PASS),
        ({"a": 1, "b": 1, "c": 2}, {}, FAIL),
        ({"a": 2, "b": 1, "c": 1}, {"c": "no answer"}, UNKNOWN),
        ({"a": 2, "b": 1, "c": 2}, {"b": "no answer"}, PASS),
    ],
)
def test_heights_as_seen_through_each_origin(most: dict[str, int], silent: dict[str, str], verdict: Verdict) -> None:
    origins = {"a": "managed", "b": "managed", "c": "external"}
    first = dict.fromkeys(origins, 1)
    answers = Answers({node: most[node] for node in origins if node not in silent}, silent)
    check = height_advances.judged_per_origin("height-advances", 1, first, most, origins, answers)
    assert check.verdict is verdict
