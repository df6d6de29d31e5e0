"""What a history comes to: nothing is lost in counting, and a page of it stays small and quick."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from nodeyard.domain import events as ev
from nodeyard.domain.history import INVOKE, Call, HistoryRecord, Outcome
from nodeyard.expectations._history import ended
from nodeyard.expectations.latency import LatencyOptions, judged
from nodeyard.observability.counterexample import drawing
from nodeyard.observability.report import report_from_journal, write_report
from nodeyard.observability.traffic import COLUMNS, ROWS, Traffic, row_of, summarised, traffic_of, waited

from . import stories

times = st.floats(0, 1000, allow_nan=False)
calls = st.builds(
    lambda op, at, took, outcome: Call(
        0, 1, "n0", op, "k", "v", at, at, at + took, outcome if took < inf else Outcome.INFO, None
    ),
    st.sampled_from(["read", "write"]),
    times,
    times | st.just(inf),
    st.sampled_from(Outcome),
)


def load(count: int, *, seed: int = 1) -> list[Call]:
    """A minute of ``count`` operations."""
    random, made = Random(seed), []
    for index in range(count):
        at, took = 60 * index / count, random.lognormvariate(-5, 1)
        outcome = Outcome.OK if random.random() < 0.98 else random.choice([Outcome.FAIL, Outcome.INFO])
        made.append(Call(index, index % 8, f"n{index % 3}", random.choice(["read", "write", "cas"]), f"k{index % 50}",
                         str(index), at, at, at + took, outcome, None))  # fmt: skip
    return made


def summary(found: list[Call]) -> Traffic:
    made = summarised(found)
    assert made is not None
    return made


@given(st.lists(calls, min_size=1, max_size=60))
def test_every_operation_is_counted_once(found: list[Call]) -> None:
    made = summary(found)
    for outcome, counts in ((Outcome.OK, made.ok), (Outcome.FAIL, made.fail), (Outcome.INFO, made.info)):
        assert sum(counts) == sum(call.outcome is outcome for call in found)
    assert made.count == len(found)
    assert sum(count for _, _, count in made.cells) == sum(map(waited, found))
    assert len(made.marks) + made.left_out == sum(call.outcome is not Outcome.OK for call in found)
    assert len(made.ok) <= COLUMNS
    assert all(0 <= x < COLUMNS and 0 <= y < ROWS for x, y, _ in made.cells)


@given(st.lists(calls, min_size=1, max_size=60))
def test_a_summary_comes_back_from_the_journal_as_it_was(found: list[Call]) -> None:
    made = summary(found)
    assert traffic_of(made.document()) == made


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.lists(st.none())))
def test_a_summary_of_another_shape_is_none(document: dict[str, object]) -> None:
    assert traffic_of(document) is None


def test_an_empty_history_has_no_summary() -> None:
    assert summarised([]) is None


def test_a_stall_that_ended_info_shows_as_the_latency_check_counts_it(tmp_path: Path) -> None:
    found = [Call(i, 0, None, "read", "k", None, i * 0.01, i * 0.01, i * 0.01 + 0.005, Outcome.OK) for i in range(50)]
    found.append(Call(50, 0, None, "read", "k", None, 0.5, 0.5, 1.5, Outcome.INFO))
    found.append(Call(51, 0, None, "read", "k", None, 0.5, 0.5, inf, Outcome.INFO))
    made = summary(found)
    [row] = made.operations
    assert (row.p50, row.p99, row.most) == (0.005, 1.0, 1.0)
    checked = judged(LatencyOptions.model_validate({"use": "latency", "max": "900ms"}), ended(found, None))
    assert "read max is 1000.0 ms, over 900ms" in checked.reason
    assert max(value for value in made.p99 if value is not None) == 1.0
    assert row_of(1.0) in {y for _, y, _ in made.cells}
    page = report_from_journal(
        stories.records([(1.5, ev.HistorySummarised(operations=made.count, summary=made.document()))], tmp_path)
    )
    assert "info with the time that it was waited for" in page


def test_percentiles_are_from_the_intended_time_and_leave_out_refusals() -> None:
    found = [Call(i, 0, None, "read", "k", None, 0.0, 0.5, 0.001 * i, Outcome.OK) for i in range(1, 101)]
    found.append(Call(0, 0, None, "read", "k", None, 0.0, 0.0, 99.0, Outcome.FAIL))
    [row] = summary(found).operations
    assert (row.p50, row.p90, row.p99, row.most) == (0.05, 0.09, 0.099, 0.1)
    assert (row.ok, row.fail) == (100, 1)


def test_the_scale_holds_every_latency() -> None:
    assert row_of(0.0) == 0
    assert row_of(-1.0) == 0
    assert row_of(1e9) == ROWS - 1
    assert [row_of(latency) for latency in (0.001, 0.01, 0.1, 1.0)] == [8, 16, 24, 32]


def test_a_hundred_thousand_operations_are_a_small_page(tmp_path: Path) -> None:
    made = summary(load(100_000))
    told = [(60.0, ev.HistorySummarised(operations=made.count, summary=made.document()))]
    page = report_from_journal(stories.records(told, tmp_path))
    assert "100000 operations" in page
    assert len(page) < 1_000_000


CALLS = (
    {"client": 0, "node": "n0", "op": "write", "key": "k", "value": "2", "invoked": 1.0, "completed": 2.0,
     "outcome": "ok", "result": None},
    {"client": 1, "node": "n1", "op": "read", "key": "k", "value": None, "invoked": 3.0, "completed": 4.0,
     "outcome": "ok", "result": "1"},
    {"client": 2, "node": "n1", "op": "cas", "key": "k", "value": ["1", "<b>"], "invoked": 1.5, "completed": None,
     "outcome": "info", "result": None},
)  # fmt: skip


def test_a_counterexample_is_drawn_with_a_lane_for_each_client(tmp_path: Path) -> None:
    found = ev.CounterexampleFound(check="linearizable", key="k", calls=CALLS, explained="nobody wrote 1 after 2")
    drawn = drawing(found)
    assert drawn is not None
    assert [label for _, label in drawn.lanes] == ["client 0", "client 1", "client 2"]
    write, read, cas = drawn.bars
    assert write.x + write.width <= read.x, "one ended before the other began"
    assert cas.x < write.x + write.width, "they ran at the same time"
    assert cas.open
    page = report_from_journal(stories.records([(5.0, found)], tmp_path))
    assert "nobody wrote 1 after 2" in page
    assert "<b>" not in page.split("<h2>Counterexample", 1)[1].split("</svg>", 1)[0]


def test_calls_of_another_shape_are_not_drawn() -> None:
    assert drawing(ev.CounterexampleFound(check="c", key=None, calls=({"op": "read"},))) is None


def test_a_run_that_was_killed_has_its_traffic_from_the_history(tmp_path: Path) -> None:
    stories.records([(1.0, ev.PhaseStarted(phase="steps"))], tmp_path)
    lines = []
    for call in load(50):
        first = HistoryRecord(
            call.index, INVOKE, 0, call.node, call.op, call.key, call.value, call.invoked, call.invoked
        )
        last = replace(first, type=call.outcome.value, at=call.completed)
        lines += [json.dumps(record.document()) for record in (first, last)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + '\n{"index": 99, "ty', encoding="utf-8")
    write_report(tmp_path / "journal.jsonl", tmp_path / "report.html")
    assert "50 operations" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_damaged_history_keeps_nobody_from_a_report(tmp_path: Path) -> None:
    stories.records([(1.0, ev.PhaseStarted(phase="steps"))], tmp_path)
    (tmp_path / "history.jsonl").write_text("nonsense\n{}\n", encoding="utf-8")
    write_report(tmp_path / "journal.jsonl", tmp_path / "report.html")
    assert (tmp_path / "report.html").exists()
