"""The checker of linearizability against the definition itself, tried in every order, on small histories."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain.history import Call, Outcome
from nodeyard.expectations._linearizability import zones
from nodeyard.expectations._linearizability.checking import checked
from nodeyard.expectations._linearizability.deciding import ANY, decided
from nodeyard.expectations._linearizability.operations import Unreadable, by_key
from nodeyard.expectations._linearizability.search import Answer, Budget, search

from .histories import call, has_order, true_history

SEEDS = st.integers(0, 2**32)


def answer_of(calls: list[Call], **options: Any) -> Answer:
    return checked(calls, **options).answer


@given(SEEDS, st.integers(1, 60), st.integers(1, 8), st.sampled_from([None, 2, 4]), st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=300, deadline=None)
def test_what_a_register_really_did_is_accepted(
    seed: int, operations: int, clients: int, values: int | None, info: float
) -> None:
    calls = true_history(
        Random(seed), operations=operations, clients=clients, keys=("a", "b"), values=values, info=info
    )
    assert answer_of(calls) is Answer.YES
    assert answer_of(calls, initial=ANY) is Answer.YES
    for ops in by_key(calls).values():
        assert search(ops, None, Budget()).answer is Answer.YES


@st.composite
def broken_histories(draw: st.DrawFn) -> list[Call]:
    """A true history of a few operations in which some answers and times were changed."""
    random = Random(draw(SEEDS))
    calls = true_history(
        random,
        operations=draw(st.integers(1, 6)),
        clients=draw(st.integers(1, 4)),
        values=draw(st.sampled_from([None, 2, 3])),
        info=draw(st.sampled_from([0.0, 0.3])),
        cas=draw(st.sampled_from([0.0, 0.3, 0.7])),
    )
    for _ in range(draw(st.integers(0, 2))):
        index = random.randrange(len(calls))
        calls[index] = changed(calls[index], calls, random)
    return calls


def changed(one: Call, calls: list[Call], random: Random) -> Call:
    """Another answer, or other times; some of them make no difference."""
    if random.random() < 0.3:
        shift = random.choice([-1.5, -0.5, 0.5, 1.5])
        return replace(one, invoked=one.invoked + shift, completed=one.completed + shift)
    if one.op == "read":
        written = [c.value if c.op == "write" else c.value[1] for c in calls if c.op != "read"]
        return replace(one, result=random.choice([*written, None, "never"]))
    if one.op == "cas" and one.outcome is Outcome.OK:
        return replace(one, result=not one.result)
    return replace(one, outcome=Outcome.FAIL)


@given(broken_histories())
@settings(max_examples=1500, deadline=None)
def test_answers_are_those_of_the_definition(calls: list[Call]) -> None:
    truth = Answer.YES if has_order(calls) else Answer.NO
    assert answer_of(calls) is truth
    for ops in by_key(calls).values():
        assert search(ops, None, Budget()).answer is truth
        known = zones.decide(ops, None)
        if known is not None and not known.doubtful:
            assert bool(known.conflict) == (truth is Answer.NO)


@given(broken_histories())
@settings(max_examples=300, deadline=None)
def test_an_unknown_first_value_is_any_that_fits(calls: list[Call]) -> None:
    seen = {c.result for c in calls if c.op == "read"} | {c.value[0] for c in calls if c.op == "cas"}
    truth = any(has_order(calls, initial) for initial in [*seen, "a value that nobody saw"])
    assert answer_of(calls, initial=ANY) is (Answer.YES if truth else Answer.NO)


@given(broken_histories())
@settings(max_examples=400, deadline=None)
def test_a_counterexample_has_no_order_and_would_have_one_without_any_of_its_reads(calls: list[Call]) -> None:
    found = checked(calls).counterexample
    if found is None:
        return
    assert {c.index for c in found.calls} <= {c.index for c in calls}
    assert found.stuck is None or found.stuck in found.calls
    if not any(c.op == "cas" for c in calls):  # a compare-and-set may have been taken for a write
        assert not has_order(found.calls)
        for look in (c for c in found.calls if c.op == "read"):
            assert has_order([c for c in found.calls if c is not look])


def test_a_stale_read_among_many_operations_is_shown_with_the_two_writes_around_it() -> None:
    calls = true_history(Random(3), operations=20_000, clients=10, keys=[f"k{i}" for i in range(20)])
    writes = [c for c in calls if c.key == "k7" and c.op == "write" and c.outcome is Outcome.OK]
    old, new = writes[40], next(c for c in writes[41:] if c.invoked > writes[40].completed)
    at = new.completed + 0.001
    calls.append(call(99_999, "read", None, at, at + 0.001, result=old.value, key="k7", client=11, node="n2"))
    found = checked(calls)
    assert found.broken == ("k7",)
    assert found.counterexample is not None
    assert len(found.counterexample.calls) == 3
    assert found.counterexample.stuck == calls[-1]
    assert old.value not in found.counterexample.possible


def test_an_operation_without_an_answer_may_have_its_effect_at_any_later_time_or_never() -> None:
    lost = call(0, "write", "a", 0, float("inf"), outcome=Outcome.INFO)
    nothing, it = call(1, "read", None, 1, 2, result=None), call(2, "read", None, 3, 4, result="a")
    again = call(3, "read", None, 5, 6, result=None)
    assert answer_of([lost, nothing]) is Answer.YES
    assert answer_of([lost, nothing, it]) is Answer.YES
    assert answer_of([lost, nothing, it, again]) is Answer.NO


def test_a_failed_operation_never_had_an_effect() -> None:
    refused = call(0, "write", "a", 0, 1, outcome=Outcome.FAIL)
    assert answer_of([refused, call(1, "read", None, 2, 3, result=None)]) is Answer.YES
    assert answer_of([refused, call(1, "read", None, 2, 3, result="a")]) is Answer.NO


@pytest.mark.parametrize("limits", [{"steps": 10}, {"states": 3}])
def test_a_search_that_ran_out_does_not_know(limits: dict[str, int]) -> None:
    writes = [call(i, "write", f"v{i % 3}", 0, 10, client=i) for i in range(12)]
    read = call(99, "read", None, 11, 12, result="never")
    assert answer_of([*writes, read], budget=Budget(**limits)) is Answer.UNKNOWN
    assert answer_of([*writes, read], budget=Budget(over=lambda: True)) in (Answer.UNKNOWN, Answer.NO)
    assert answer_of([*writes, read]) is Answer.NO


@pytest.mark.parametrize("wrong", [call(0, "cas", "a", 0, 1, result=True), call(0, "cas", ["a", "b"], 0, 1)])
def test_what_no_register_says_is_not_guessed_at(wrong: Call) -> None:
    with pytest.raises(Unreadable, match="operation 0"):
        checked([wrong])


def test_registers_are_decided_one_by_one() -> None:
    good = [call(0, "write", "a", 0, 1, key="x"), call(1, "read", None, 2, 3, result="a", key="x")]
    bad = [call(2, "write", "a", 0, 1, key="y"), call(3, "read", None, 2, 3, result=None, key="y")]
    found = checked([*good, *bad, call(4, "submit", "tx", 0, 1, key=None)])
    assert found.registers == {"x": 2, "y": 2}
    assert found.broken == ("y",)
    assert not decided(by_key(good)["x"], None, Budget()).suspects
