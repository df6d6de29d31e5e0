"""How fast traffic goes now, and how that stands on a terminal."""

from __future__ import annotations

from nodeyard.domain.history import INVOKE, HistoryRecord
from nodeyard.observability.live import Picture, picture_block, traffic_text
from nodeyard.observability.meter import Meter, Reading


def operation(meter: Meter, at: float, *, took: float = 0.01, outcome: str = "ok", due: float | None = None) -> None:
    intended = at if due is None else due
    meter.record(HistoryRecord(0, INVOKE, 0, "n0", "read", "k", None, intended, at))
    meter.record(HistoryRecord(0, outcome, 0, "n0", "read", "k", None, intended, at + took))


def test_nothing_is_shown_before_the_first_operation() -> None:
    assert Meter().read(3.0) is None


def test_a_rate_is_of_the_last_seconds_and_counts_are_of_the_run() -> None:
    meter = Meter()
    for index in range(1000):
        operation(meter, index / 100)
    reading = meter.read(10.0)
    assert reading is not None
    assert 99 <= reading.rate <= 101
    assert (reading.ok, reading.open) == (1000, 0)
    assert reading.p50 is not None
    assert abs(reading.p50 - 0.01) < 1e-9


def test_a_stalled_system_shows_no_rate_and_what_waits() -> None:
    meter = Meter()
    operation(meter, 1.0)
    meter.record(HistoryRecord(1, INVOKE, 0, "n0", "read", "k", None, 1.5, 1.5))
    reading = meter.read(60.0)
    assert reading == Reading(0.0, None, None, 1, 0, 0, 1)


def test_latency_counts_from_the_intended_time_and_of_successes_alone() -> None:
    meter = Meter()
    operation(meter, 2.0, due=1.0, took=0.5)
    operation(meter, 2.0, took=9.0, outcome="info")
    reading = meter.read(2.9)
    assert reading is not None
    assert reading.p99 == 1.5
    assert reading.info == 1


def test_traffic_is_one_line_of_the_picture() -> None:
    from rich.console import Console

    text = traffic_text(Reading(812.4, 0.0021, 1.5, 12345, 3, 0, 8))
    assert text == "812/s  p50 2.1 ms, p99 1.5 s  12,345 ok  3 fail  8 under way"
    console = Console(width=60, force_terminal=False)
    with console.capture() as shown:
        console.print(picture_block(Picture(), 3.0, 10.0, Reading(1.0, None, None, 1, 0, 0, 1)))
    assert "traffic: 1/s  1 ok  1 under way" in shown.get()
