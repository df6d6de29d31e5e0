"""What people see while a run goes on: one plain line per change, or a picture on a terminal that can be left alone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain import events as ev
from nodeyard.observability.drawing import CONTROL, drawn
from nodeyard.observability.live import ROWS, LiveProgress, Picture, picture_block
from nodeyard.observability.progress import TOLD, PlainProgress, progress, told
from nodeyard.observability.wording import PHASES, phase_text, seconds, sentence

from . import stories
from .samples import HandClock, any_event, example
from .stories import Timed


def plain(events: Sequence[Timed], clock: HandClock) -> list[str]:
    out = io.StringIO()
    with progress(out, terminal=False, clock=clock) as shown:
        for at, event in events:
            clock.seconds = 100.0 + at
            shown.see(event)
    return out.getvalue().splitlines()


def picture(events: Sequence[ev.Event], *, width: int = 80, remaining: float | None = None) -> list[str]:
    kept = Picture()
    for event in events:
        kept.see(event)
    return drawn(picture_block(kept, 8.0, remaining), width=width, colour=False).splitlines()


def test_a_run_elsewhere_than_on_a_terminal_is_one_line_per_change(clock: HandClock) -> None:
    lines = plain(stories.failing(), clock)
    assert lines[0] == "[   0.000s] run kv-20300102-1a2b of 'kv-under-restart', seed 7"
    assert "[   0.300s] 7/9 waiting for readiness" in lines
    assert "[   1.200s] n0 ready after 1.1 s: height 4" in lines
    assert "[   4.150s] step 1 put 40 keys: done after 2 s" in lines
    assert "[  10.250s] n2 ended by itself (killed by SIGABRT): goroutine 1 [running]:" in lines
    assert "[  10.750s] check no-crash: fail: n2 ended by itself: killed by SIGABRT" in lines
    assert not [line for line in lines if "\x1b" in line]


def test_a_probe_is_told_only_when_its_answer_changes(clock: HandClock) -> None:
    answers = ["refused", "refused", "not healthy", "not healthy", "refused"]
    probes = [
        (float(i), ev.NodeProbed(node=node, rung="API answers", detail=detail, attempt=i))
        for i, detail in enumerate(answers)
        for node in ("n0", "n1")
    ]
    lines = [line.split("] ")[1] for line in plain(probes, clock)]
    assert lines == [
        f"{node} API answers: {detail} (try {attempt})"
        for detail, attempt in (("refused", 0), ("not healthy", 2), ("refused", 4))
        for node in ("n0", "n1")
    ]


def test_a_height_that_grows_is_no_news_and_a_new_leader_is(clock: HandClock) -> None:
    details = ["leader 9a, index 7", "leader 9a, index 8", "leader b1, index 9", "leader b1, index 10"]
    probes = [
        (float(i), ev.NodeProbed(node="n0", rung=rung, detail=detail, attempt=i))
        for rung in ("nothing", "height")
        for i, detail in enumerate(details)
    ]
    assert [line.split("] ")[1] for line in plain(probes, clock)] == [
        "n0 no sign of life: leader 9a, index 7 (try 0)",
        "n0 no sign of life: leader b1, index 9 (try 2)",
        "n0 height: leader 9a, index 7 (try 0)",
        "n0 height: leader b1, index 9 (try 2)",
    ]


@pytest.mark.parametrize("cls", ev.event_types())
def test_every_event_type_has_words_and_a_place(cls: type[ev.Event], clock: HandClock) -> None:
    event = example(cls, node="n0")
    assert sentence(event) or cls is ev.InventoryPublished
    lines = plain([(0.0, event)], clock)
    assert len(lines) == (cls in TOLD)
    assert all(line.startswith("[   0.000s] n0 ") or "9 n0" in line or "/9" in line for line in lines)
    assert picture([event])


@settings(deadline=None, max_examples=100)
@given(st.lists(any_event(), max_size=8))
def test_any_event_is_one_line_that_moves_no_cursor(events: list[ev.Event]) -> None:
    out = io.StringIO()
    shown = PlainProgress(out, clock=HandClock())
    for event in events:
        shown.see(event)
        assert "\n" not in told(event)
    assert not CONTROL.search(out.getvalue())
    assert all(line.startswith("[") for line in out.getvalue().split("\n")[:-1])
    assert not [line for line in picture(events) if CONTROL.search(line)]


def test_a_reader_that_went_away_does_not_end_the_run(clock: HandClock) -> None:
    class Gone(io.StringIO):
        writes = 0

        def write(self, text: str, /) -> int:
            self.writes += 1
            raise BrokenPipeError(32, "Broken pipe")

    out = Gone()
    shown = PlainProgress(out, clock=clock)
    for _ in range(3):
        shown.see(example(ev.NodeReady))
    shown.close()
    assert out.writes == 1


def test_a_stream_of_few_characters_gets_what_it_can_show(clock: HandClock) -> None:
    raw = io.BytesIO()
    shown = PlainProgress(io.TextIOWrapper(raw, encoding="ascii"), clock=clock)
    shown.see(ev.NodeReady(node="nö", after=1.0, detail="\udc80 ✓"))
    assert raw.getvalue() == b"[   0.000s] n? ready after 1 s: ? ?\n"


def test_the_picture_shows_where_the_run_is_and_laggards_first() -> None:
    events = [event for at, event in stories.begin(3) if at < 1.3]
    lines = picture(events, remaining=51.0)
    assert lines[0] == "7/9 waiting for readiness  8 s, 51 s left"
    assert lines[1] == "  nodes: 1 found  2 ready  1 started"
    assert [line.split()[0] for line in lines[2:]] == ["n2", "outside", "n0", "n1"]


def test_the_picture_follows_operations_faults_and_exits() -> None:
    begun = [event for _, event in stories.begin(3)]
    step = ev.StepStarted(index=1, step="pause", label="pause n0")
    paused = [step, ev.FaultInjected(node="n0", fault="pause"),
              ev.OperationEnded(node="n0", operation="pause", outcome="done", after=0.1)]  # fmt: skip
    text = "\n".join(picture([*begun, *paused]))
    assert "step 2: pause n0" in text
    assert "fault: pause on n0" in text
    assert "n0       paused" in text
    healed = [ev.FaultHealed(node="n0", fault="pause", evidence="answers"),
              ev.OperationStarted(node="n0", operation="resume"),
              ev.OperationEnded(node="n0", operation="resume", outcome="failed", after=0.1, reason="no such process"),
              ev.NodeExited(node="n1", status="exit status 2", expected=False),
              ev.ResourceRemoved(node="n2", resource="process", locator="pid 9")]  # fmt: skip
    text = "\n".join(picture([*begun, *paused, *healed]))
    assert "fault:" not in text
    assert "n0       paused    no such process" in text
    assert "n1       exited    exit status 2" in text
    assert "n2       removed" in text


def test_the_picture_of_a_large_network_stays_small_and_never_wider_than_the_terminal() -> None:
    events = [event for _, event in stories.begin(500)]
    lines = picture(events, width=40)
    assert len(lines) == ROWS + 3
    assert lines[-1] == f"  and {501 - ROWS} more"
    assert max(map(len, lines)) <= 40


def test_a_live_picture_leaves_the_terminal_as_it_was() -> None:
    master, slave = os.openpty()
    with open(slave, "w", encoding="utf-8") as stream:
        with LiveProgress(stream, remaining=60.0, width=80) as shown:
            for _, event in stories.failing():
                shown.see(event)
            shown.line("a word beside it")
        shown.see(example(ev.ErrorRecorded, message="told after the end"))
        shown.close()
        written = _drained(master)
    os.close(master)
    text = written.decode()
    assert "run kv-20300102-1a2b of 'kv-under-restart', seed 7" in text
    assert "a word beside it" in text
    assert "told after the end" in text
    assert "n0 ready after" not in text  # that is in the picture
    assert "\x1b[?25l" not in text  # the cursor was never hidden
    assert "\x1b[?1049h" not in text  # no other screen
    assert text.rstrip().endswith("told after the end")


def _drained(master: int) -> bytes:
    os.set_blocking(master, False)
    parts: list[bytes] = []
    while True:
        try:
            parts.append(os.read(master, 65536))
        except BlockingIOError:
            return b"".join(parts)


def test_the_picture_below_a_line_is_the_present_one() -> None:
    out = io.StringIO()
    with LiveProgress(out, width=80) as shown:
        shown.see(ev.PhaseStarted(phase="readiness", number=7))
        shown.see(ev.PhaseStarted(phase="steps"))
        shown.line("a word")
        after = out.getvalue().rpartition("a word")[2]
    assert "running the steps" in after.partition("a word")[0]
    assert "waiting for readiness" not in after


def test_a_terminal_gets_a_picture_and_a_pipe_gets_lines(clock: HandClock) -> None:
    with progress(io.StringIO(), terminal=True, clock=clock, deadline=clock.now() + 5) as live:
        assert isinstance(live, LiveProgress)
    with progress(io.StringIO(), terminal=False, clock=clock) as lines:
        assert isinstance(lines, PlainProgress)


def test_plain_lines_and_reports_need_no_terminal_library() -> None:
    program = "import sys, nodeyard.observability.progress, nodeyard.observability.report, nodeyard.observability.junit"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nsys.exit('rich' in sys.modules or 'jinja2' in sys.modules)"], check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ms"), (0.04, "40 ms"), (0.9996, "1 s"), (1.25, "1.25 s"), (59.99, "60 s"), (59.999, "1 min"),
     (125.2, "2 min 5 s"), (3600, "60 min")],
)  # fmt: skip
def test_times_are_said_as_people_say_them(value: float, text: str) -> None:
    assert seconds(value) == text


def test_phases_have_plain_words_and_unknown_ones_their_own_name() -> None:
    assert phase_text("readiness") == PHASES["readiness"]
    assert phase_text("a-later-phase") == "a-later-phase"
