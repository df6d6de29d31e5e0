"""Several runs of one scenario: the pass rate, whose the failures are, and what people read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodeyard.errors.base import ExitStatus
from nodeyard.observability.repeats import CLASS_OF, Repeated, Repeats, reason_of


def test_failures_are_told_by_class_with_the_command_that_repeats_the_first() -> None:
    runs = (
        Repeated(ExitStatus.PASS, 1),
        Repeated(ExitStatus.FAIL, 2, "linearizable: no order", "nodeyard run s.yaml --seed 2"),
        Repeated(ExitStatus.FAIL, 3, "no-crash: n1 ended", "nodeyard run s.yaml --seed 3"),
        Repeated(ExitStatus.INFRASTRUCTURE, 4, "n0 did not start", "nodeyard run s.yaml --seed 4"),
        Repeated(ExitStatus.INTERNAL, 5),
    )
    repeats = Repeats("kv", runs)
    assert repeats.document() == {
        "scenario": "kv", "runs": 5, "passed": 1, "pass_rate": 0.2,
        "failures": {"node": 2, "framework": 1, "infrastructure": 1},
    }  # fmt: skip
    assert [line.text for line in repeats.lines()] == [
        "1 of 5 runs of kv passed (20 %)",
        "  failure class node: 2 runs, the first with seed 2: linearizable: no order",
        "    again: nodeyard run s.yaml --seed 2",
        "  failure class framework: 1 run, the first with seed 5",
        "  failure class infrastructure: 1 run, the first with seed 4: n0 did not start",
        "    again: nodeyard run s.yaml --seed 4",
    ]


@given(st.lists(st.sampled_from(list(ExitStatus)), min_size=1))
def test_every_run_is_counted_once(statuses: list[ExitStatus]) -> None:
    repeats = Repeats("s", tuple(Repeated(status) for status in statuses))
    assert repeats.passed + sum(repeats.classes.values()) == len(statuses)
    assert set(CLASS_OF) == set(ExitStatus) - {ExitStatus.PASS}


def test_the_reason_is_the_first_error_or_the_worst_check() -> None:
    checks = [("a", "pass", "x"), ("b", "vacuous", "nothing"), ("c", "fail", "wrong"), ("d", "unknown", "who knows")]
    assert reason_of(checks, []) == "c: wrong"
    assert reason_of(checks, ["n0 is gone\nmore"]) == "n0 is gone"
    assert reason_of([("a", "pass", "x")], []) == ""
