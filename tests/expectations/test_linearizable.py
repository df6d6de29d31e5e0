"""``linearizable`` as an expectation: its verdicts, and what it shows for them."""

from __future__ import annotations

from random import Random

from nodeyard.domain.events import CounterexampleFound
from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.verdict import Verdict
from nodeyard.expectations.linearizable import Linearizable
from runtime.support import World

from .histories import call, true_history
from .support import decide

STALE = [
    call(0, "write", "old", 0.0, 1.0, client=1, node="n0"),
    call(1, "write", "new", 2.0, 3.0, client=2, node="n1"),
    call(2, "read", None, 4.0, 5.0, result="old", client=3, node="n2"),
]


def test_a_history_with_an_order_passes_and_is_counted() -> None:
    check = decide(Linearizable(), true_history(Random(1), operations=200, keys=("a", "b"), info=0.1))
    assert check.verdict is Verdict.PASS
    assert "on 2 keys have an order" in check.reason
    assert any(line.startswith("read: ") and "info" in line for line in check.evidence)


def test_a_stale_read_fails_and_names_who_saw_what_where_and_when() -> None:
    world = World.of()
    check = decide(Linearizable(), STALE, world, name="registers")
    assert check.verdict is Verdict.FAIL
    assert check.name == "registers"
    assert check.evidence == (
        "client 3 at n2 was told 'read k -> 'old'', when the value could only be 'new'",
        "0.000-1.000 s, client 1 at n0: write k 'old'",
        "2.000-3.000 s, client 2 at n1: write k 'new'",
        "4.000-5.000 s, client 3 at n2: read k -> 'old'",
    )
    (told,) = world.told(CounterexampleFound)
    assert isinstance(told, CounterexampleFound)
    assert (told.check, told.key, [one["index"] for one in told.calls]) == ("registers", "k", [0, 1, 2])


def test_nothing_that_was_read_shows_nothing() -> None:
    lost = call(1, "read", None, 2, float("inf"), outcome=Outcome.INFO)
    histories: list[list[Call]] = [[], [call(0, "submit", "tx", 0, 1)], [call(0, "write", "a", 0, 1), lost]]
    assert [decide(Linearizable(), calls).verdict for calls in histories] == [Verdict.VACUOUS] * 3


def test_a_search_without_an_end_is_unknown() -> None:
    writes = [call(i, "write", f"v{i % 3}", 0, 10, client=i) for i in range(12)]
    check = decide(Linearizable(), [*writes, call(99, "read", None, 11, 12, result="never")], max_states=3)
    assert check.verdict is Verdict.UNKNOWN
    assert "max_states" in check.evidence[-1]


def test_what_a_key_held_before_may_be_unknown() -> None:
    leftover = [call(0, "read", None, 0, 1, result="from before"), call(1, "read", None, 2, 3, result="from before")]
    assert decide(Linearizable(), leftover).verdict is Verdict.FAIL
    assert decide(Linearizable(), leftover, initial="unknown").verdict is Verdict.PASS
