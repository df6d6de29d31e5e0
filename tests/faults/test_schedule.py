"""When faults are due, and what they must leave alone: pure rules."""

from __future__ import annotations

from itertools import islice, pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nodeyard.domain.capability import Capability
from nodeyard.domain.fault_schedule import Keep, least_members, left_alone, slots, too_many
from nodeyard.faults.options import TargetedFault

times = st.floats(0.0, 100.0, allow_nan=False)
spans = st.floats(0.1, 100.0, allow_nan=False)


@given(at=st.none() | times, every=st.none() | spans, share=st.none() | st.floats(0.01, 0.99), length=spans)
def test_injections_follow_each_other_within_the_phase(
    at: float | None, every: float | None, share: float | None, length: float
) -> None:
    lasting = None if share is None else share * (every if every is not None else 10.0)
    found = list(slots(at=at, every=every, lasting=lasting, length=length))
    assert all(0 <= slot.start < slot.end <= length for slot in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert [slot.number for slot in found] == list(range(len(found)))
    if (at or 0.0) < length:
        assert found[0].start == (at or 0.0)
        assert len(found) == 1 or every is not None
    else:
        assert not found


def test_a_phase_without_an_end_has_injections_without_an_end() -> None:
    found = list(islice(slots(at=1.0, every=2.0, lasting=None, length=inf), 1000))
    assert found[999].start == 1999.0
    assert found[999].end == 2000.0


def test_without_a_duration_a_fault_lasts_to_the_end_of_the_phase() -> None:
    (only,) = slots(at=2.0, every=None, lasting=None, length=9.0)
    assert (only.start, only.end) == (2.0, 9.0)


keeps = st.lists(st.none() | st.just("quorum") | st.integers(0, 6), max_size=3)


@given(
    count=st.integers(1, 9),
    keep=keeps,
    script=st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 8), max_size=4)), max_size=20),
)
def test_no_order_of_faults_leaves_too_few_alone(
    count: int, keep: list[Keep | None], script: list[tuple[bool, set[int]]]
) -> None:
    members = [f"n{i}" for i in range(count)]
    down: set[str] = set()
    for strikes, numbers in script:
        names = {f"n{i}" for i in numbers if i < count}
        if not strikes:
            down -= names
        elif names and not too_many(names, members=members, down=down, keeps=keep):
            down |= names
            assert count - len(down) >= left_alone(keep, count)
        elif names:
            assert count - len(down | names) < left_alone(keep, count), "refused without need"


def test_a_quorum_is_a_majority_of_all_and_the_strictest_word_counts() -> None:
    assert [left_alone(["quorum"], n) for n in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
    assert left_alone([None, 1, "quorum"], 3) == 2
    assert left_alone([], 3) == 0
    why = too_many(["n1"], members=["n0", "n1", "n2"], down=["n0"], keeps=["quorum"])
    assert why == "n1 would leave 1 of 3 nodes alone, and 2 must be (down already: n0)"


def test_a_fault_that_would_meet_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="shorter than 'every'"):
        TargetedFault.model_validate({"use": "kill", "target": "any", "every": "5s", "for": "5s"})


@given(victims=st.integers(1, 5), keep=st.none() | st.just("quorum") | st.integers(0, 6))
def test_so_few_nodes_that_it_could_never_be_are_told_before_the_run(victims: int, keep: Keep | None) -> None:
    least = least_members(victims, keep)
    for count in range(victims, 20):
        members = [f"n{i}" for i in range(count)]
        possible = not too_many(members[:victims], members=members, down=(), keeps=[keep])
        assert possible == (count >= least)


def test_a_fault_says_how_many_nodes_it_takes() -> None:
    for target, least in (({"any": 2}, 5), ("leader", 3), ("all", 1), ("n1", 1)):
        options = TargetedFault.model_validate({"use": "kill", "target": target, "keep": "quorum"})
        assert options.needs(Capability.KILL).least == least
