"""Checks that decide from the history: availability, latency, throughput, recovers, no-lost-writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.expectations import availability, latency, no_lost_writes, recovers, throughput
from nodeyard.expectations.availability import Availability
from nodeyard.expectations.latency import Latency
from nodeyard.expectations.no_lost_writes import NoLostWrites
from nodeyard.expectations.recovers import Moment, RecoversOptions
from nodeyard.expectations.throughput import Throughput
from runtime.support import World

from .histories import call
from .support import decide

FROM_HISTORY = (
    (Availability(), {"min": 0.5}),
    (Latency(), {"p99": "1s"}),
    (Throughput(), {"min": "1/s"}),
    (recovers.Recovers(), {"within": "1s"}),
    (NoLostWrites(), {}),
)


def steady(count: int, *, rate: float = 10.0, took: float = 0.01, op: str = "read", start: float = 0.0) -> list[Call]:
    """Operations at a rate, all answered."""
    return [
        call(n, op, None, start + n / rate, start + n / rate + took, result="x", client=n % 3) for n in range(count)
    ]


def broken(calls: Sequence[Call], begin: float, end: float, outcome: Outcome = Outcome.INFO) -> list[Call]:
    """The same, where those due within a time did not succeed."""
    return [
        replace(c, outcome=outcome, result="no answer within 1 s", completed=c.completed + 1)
        if begin <= c.intended < end
        else c
        for c in calls
    ]


@pytest.mark.parametrize(("check", "options"), FROM_HISTORY, ids=lambda value: getattr(value, "word", ""))
def test_without_operations_nothing_is_shown(check: Any, options: dict[str, Any]) -> None:
    assert decide(check, [], **options).verdict is Verdict.VACUOUS
    if "op" in check.options.model_fields:
        assert decide(check, steady(20), op="submit", **options).verdict is Verdict.VACUOUS


def test_availability_counts_what_nobody_knows_against_it() -> None:
    calls = broken(steady(100), 2, 4)
    assert decide(Availability(), calls, min=0.8).verdict is Verdict.PASS
    failed = decide(Availability(), calls, min=0.81)
    assert failed.verdict is Verdict.FAIL
    assert failed.reason.startswith("80.00% of 100 operations succeeded")
    assert "20 x info at n0: no answer within 1 s" in failed.evidence


def test_availability_in_each_window_finds_the_bad_second() -> None:
    check = decide(Availability(), broken(steady(100), 2, 2.5), min=0.9, window="1s")
    assert check.verdict is Verdict.FAIL
    assert check.evidence[0] == "from 2.000 s: 50.00% of 10"
    assert decide(Availability(), broken(steady(100), 2, 2.5), min=0.5, window="1s").verdict is Verdict.PASS


def test_latency_counts_from_when_an_operation_was_due() -> None:
    late = [replace(c, intended=c.intended - 2) if c.index == 50 else c for c in steady(100)]
    check = decide(Latency(), late, max="1s", p50="100ms")
    assert check.verdict is Verdict.FAIL
    assert check.reason == "read max is 2010.0 ms, over 1s"
    assert any(line.startswith("2010.0 ms after it was due: 5.000-5.010 s, client 2") for line in check.evidence)
    assert decide(Latency(), late, p90="100ms").verdict is Verdict.PASS


def test_latency_holds_for_each_kind_by_itself_and_a_time_out_is_no_quick_answer() -> None:
    slow = [replace(c, op="write", completed=c.invoked + 0.5) for c in steady(5)]
    check = decide(Latency(), [*steady(100), *slow], p99="100ms")
    assert check.reason.startswith("write p99 is 500.0 ms")
    assert decide(Latency(), broken(steady(100), 0, 5), p90="100ms").verdict is Verdict.FAIL
    refused = broken(steady(100), 0, 5, Outcome.FAIL)
    assert decide(Latency(), refused, p90="100ms").verdict is Verdict.PASS
    assert decide(Latency(), broken(steady(10), 0, 5), p90="9s").verdict is Verdict.VACUOUS


@pytest.mark.parametrize("options", [{}, {"p99": "0s"}, {"p95": "1s"}])
def test_latency_needs_a_limit_that_can_be_kept(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        latency.LatencyOptions.model_validate({"use": "latency", **options})


def test_throughput_counts_what_succeeded() -> None:
    assert decide(Throughput(), steady(101), min="10/s").verdict is Verdict.PASS
    half = broken(steady(101), 5, 20, Outcome.FAIL)
    assert decide(Throughput(), half, min="9/s").verdict is Verdict.FAIL
    window = decide(Throughput(), broken(steady(101), 5, 6, Outcome.FAIL), min="9/s", window="1s")
    assert window.verdict is Verdict.FAIL
    assert any(line.startswith("from 5.000 s: ") for line in window.evidence)


HEALED = (Moment("kill", "n0", 2.0, False), Moment("kill", "n0", 4.0, True))


def recovery(calls: Sequence[Call], moments: Sequence[Moment] = HEALED, **options: Any) -> Check:
    made = RecoversOptions.model_validate({"use": "recovers", "within": "1s", **options})
    return recovers.judged(made, moments, calls)


def test_recovery_is_measured_from_the_heal_to_the_first_good_window() -> None:
    check = recovery(broken(steady(100), 2, 4.55))
    assert (check.verdict, check.evidence) == (
        Verdict.PASS,
        ("kill on n0, healed at 4.000 s: back to normal after 0.600 s",),
    )


def test_recovery_that_comes_late_or_never_fails() -> None:
    assert recovery(broken(steady(100), 2, 6)).verdict is Verdict.FAIL
    never = recovery(broken(steady(100), 2, 100))
    assert never.verdict is Verdict.FAIL
    assert "never back to normal" in never.evidence[0]
    slow = [replace(c, completed=c.completed + 0.5) if c.intended > 4 else c for c in steady(100)]
    assert recovery(slow).verdict is Verdict.PASS
    assert recovery(slow, latency="100ms").verdict is Verdict.FAIL


def test_recovery_that_could_not_be_seen_is_no_pass() -> None:
    assert recovery(steady(100), ()).verdict is Verdict.VACUOUS
    assert recovery(steady(30)).verdict is Verdict.VACUOUS
    assert recovery(broken(steady(56), 2, 9)).verdict is Verdict.UNKNOWN
    again = (*HEALED, Moment("kill", "n0", 5.5, False), Moment("kill", "n0", 7.0, True))
    assert recovery(broken(steady(100), 2, 7), again).verdict is Verdict.UNKNOWN
    assert recovery(broken(steady(100), 5.5, 7), again).verdict is Verdict.PASS


def test_a_fault_on_several_nodes_is_healed_once() -> None:
    moments = [Moment("pause", node, 4.0, True) for node in ("n0", "n1")]
    assert recovers.together(moments) == [Moment("pause", "n0, n1", 4.0, True)]


def writes(*values: str) -> list[Call]:
    return [call(n, "write", value, n, n + 0.5, client=n) for n, value in enumerate(values)]


def lost(calls: Sequence[Call], **data: str) -> Check:
    world = World.of()
    world.cluster.data.update(data)
    return decide(NoLostWrites(), calls, world, within="100ms")


def test_a_key_must_hold_its_last_acknowledged_write() -> None:
    assert lost(writes("a", "b"), k="b").verdict is Verdict.PASS
    older = lost(writes("a", "b"), k="a")
    assert older.verdict is Verdict.FAIL
    assert "acknowledged and lost: 1.000-1.500 s, client 1 at n0: write k 'b'" in older.evidence[0]
    assert lost(writes("a", "b")).verdict is Verdict.FAIL


def test_a_write_that_overlaps_or_whose_outcome_nobody_knows_may_be_the_last() -> None:
    first, second = writes("a", "b")
    overlapping = [replace(first, completed=1.2), second]
    assert lost(overlapping, k="a").verdict is Verdict.PASS
    unknown = [replace(first, outcome=Outcome.INFO), second]
    assert lost(unknown, k="a").verdict is Verdict.PASS
    assert lost([replace(first, outcome=Outcome.INFO)], k="a").verdict is Verdict.VACUOUS
    assert lost(writes("a"), k="from elsewhere").verdict is Verdict.UNKNOWN


def test_silent_nodes_leave_it_open() -> None:
    world = World.of()
    for client in world.clients.values():
        client.down = True
    check = decide(NoLostWrites(), writes("a"), world, within="100ms")
    assert check.verdict is Verdict.UNKNOWN
    assert "connection refused" in check.evidence[0]
    world.clients["n2"].down = False
    world.cluster.data["k"] = "a"
    assert decide(NoLostWrites(), writes("a"), world, within="100ms").verdict is Verdict.PASS


def test_a_transaction_that_was_taken_must_be_in_a_block() -> None:
    submit = call(0, "submit", "tx", 0, 1, result="ID", key=None)
    held = {"ID": no_lost_writes.Held("ID", "n0", None)}
    check = no_lost_writes.judged("check", {}, no_lost_writes.accepted([submit]), held)
    assert check.verdict is Verdict.FAIL
    held = {"ID": no_lost_writes.Held("ID", "n0", "7", settled=True)}
    assert no_lost_writes.judged("check", {}, {"ID": submit}, held).verdict is Verdict.PASS


def test_windows_leave_out_a_tail_that_traffic_did_not_fill() -> None:
    assert availability.share([]) == 0.0
    assert throughput.window_rates([0.5, 1.5], 0.0, 2.5, 1.0) == [(0.0, 1.0), (1.0, 1.0)]
    assert throughput.window_rates([0.1], 0.0, 0.5, 1.0) == [(0.0, 2.0)]
