"""The link by itself: watchers that do not start, do not answer, or die; events; ends in any order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ledger.support import header
from nodeyard._aio.clock import SystemClock
from nodeyard.app import reaper_link
from nodeyard.app.reaper_link import ReaperLink
from nodeyard.domain.events import ReaperReady, ReaperReplaced
from nodeyard.errors.bootstrap import ReaperUnavailable, RunFolderUnusable
from nodeyard.ledger.file import read
from nodeyard.ledger.gate import ReaperGate
from nodeyard.ledger.host import new_mark, process_start, this_process
from nodeyard.ledger.ledger import FileLedger
from nodeyard.testing.recording import RecordingObserver

pytestmark = pytest.mark.real

DEAF = """
import os, sys, time
os.write(int(sys.argv[3]), b'ready\\n')
time.sleep(1000)
"""


class Bench:
    """A link over an empty ledger, and what it told."""

    def __init__(self, state: Path) -> None:
        self.gate = ReaperGate()
        self.ledger = FileLedger(state, header(new_mark("r1"), this_process()), gate=self.gate)
        self.seen = RecordingObserver()
        self.link = ReaperLink(
            self.ledger, self.gate, clock=SystemClock(), environment=dict(os.environ), emit=self.seen.see
        )

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[None]:
        """Inside the link; its ledger is closed and its reaper ended afterwards."""
        async with self.link:
            try:
                yield
            finally:
                await self.ledger.lock(clock=SystemClock(), deadline=1e12)
                self.ledger.close()
                await self.link.finish()

    async def failure(self) -> ReaperUnavailable:
        with pytest.raises(ReaperUnavailable) as caught:
            async with asyncio.timeout(30):
                await self.gate()
        return caught.value


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    open_before = len(os.listdir("/proc/self/fd"))
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.abandon()
    assert len(os.listdir("/proc/self/fd")) == open_before, "every descriptor was closed"


def test_the_gate_opens_once_a_reaper_watches(bench: Bench) -> None:
    async def story() -> None:
        async with bench.linked():
            await bench.gate()
            pid = bench.link.pid
            assert pid
            assert read(bench.ledger.path).reaper
            assert [event.pid for event in bench.seen.of(ReaperReady)] == [pid]
        assert bench.link.pid is None
        assert process_start(pid) is None

    asyncio.run(story())
    assert not bench.ledger.path.exists()


def test_a_dead_watcher_shuts_the_gate_and_the_next_one_opens_it(bench: Bench) -> None:
    async def story() -> None:
        async with bench.linked():
            await bench.gate()
            first = bench.link.pid
            assert first
            os.kill(first, signal.SIGKILL)
            while not bench.seen.of(ReaperReplaced):
                await asyncio.sleep(0)
            await bench.gate()
            assert bench.link.pid != first
            (replaced,) = bench.seen.of(ReaperReplaced)
            assert (replaced.pid, replaced.reason) == (bench.link.pid, f"the watching process {first} ended")

    asyncio.run(story())


def test_a_watcher_that_cannot_be_started_is_told_at_the_gate(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/absent/python")

    async def story() -> None:
        async with bench.linked():
            error = await bench.failure()
            assert error.evidence == ("/absent/python cannot be started: No such file or directory",)
            assert error.hint

    asyncio.run(story())


def test_a_watcher_that_ends_at_once_is_told_at_the_gate(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper_link, "WATCHER", tmp_path / "absent.py")

    async def story() -> None:
        async with bench.linked():
            assert "ended before it answered" in (await bench.failure()).evidence[0]

    asyncio.run(story())


def test_a_watcher_that_does_not_answer_is_ended_before_it_takes_us_for_dead(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes down its pid, and that it saw the end of its pipe, which would mean that it carries out a live run."""
    code = "import os, sys\nopen(f'{sys.argv[1]}.{os.getpid()}.pid', 'w')\nos.read(int(sys.argv[2]), 1)\n"
    code += "open(sys.argv[1] + '.end', 'w')\n"
    (tmp_path / "mute.py").write_text(code)
    monkeypatch.setattr(reaper_link, "WATCHER", tmp_path / "mute.py")
    monkeypatch.setattr(reaper_link, "ACK", 0.5)

    async def story() -> None:
        async with bench.linked():
            assert "did not answer within 0.5 s" in (await bench.failure()).evidence[0]

    asyncio.run(story())
    pids = [int(path.name.split(".")[2]) for path in (tmp_path / "ledgers").glob("*.pid")]
    assert len(pids) <= 3
    assert all(process_start(pid) is None for pid in pids)
    assert list((tmp_path / "ledgers").glob("*.end")) == []


def test_a_watcher_that_does_not_end_is_ended(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deaf.py").write_text(
        "import os, sys, time\nos.write(int(sys.argv[3]), b'ready\\n')\ntime.sleep(1000)\n"
    )
    monkeypatch.setattr(reaper_link, "WATCHER", tmp_path / "deaf.py")
    monkeypatch.setattr(reaper_link, "ENDING", 0.05)

    async def story() -> int:
        async with bench.linked():
            await bench.gate()
            assert bench.link.pid
            return bench.link.pid

    assert process_start(asyncio.run(story())) is None


def test_a_watcher_that_never_agrees_is_no_hand_over(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deaf.py").write_text(
        "import os, sys, time\nos.write(int(sys.argv[3]), b'ready\\n')\ntime.sleep(1000)\n"
    )
    monkeypatch.setattr(reaper_link, "WATCHER", tmp_path / "deaf.py")
    monkeypatch.setattr(reaper_link, "ENDING", 0.05)

    async def story() -> None:
        async with bench.linked():
            await bench.gate()
            monkeypatch.setattr(reaper_link, "ACK", 0.05)
            with pytest.raises(ReaperUnavailable, match="did not agree"):
                await bench.link.detach(60)

    asyncio.run(story())
    assert not bench.ledger.path.exists()


def test_finishing_before_the_first_answer_leaves_nobody(bench: Bench) -> None:
    async def story() -> None:
        async with bench.linked():
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(story())
    assert not bench.ledger.path.exists()


def test_finishing_without_having_begun_does_nothing(bench: Bench) -> None:
    async def story() -> None:
        await bench.link.finish()
        await bench.link.finish()
        bench.gate.open()
        with pytest.raises(ReaperUnavailable, match="finished or left"):
            await bench.link.detach(1)

    asyncio.run(story())
    assert bench.link.pid is None


def test_an_observer_that_cannot_write_does_not_stop_the_watch(bench: Bench) -> None:
    def refuse(_: object) -> None:
        raise RunFolderUnusable("the journal is full")

    async def story() -> None:
        bench.link._emit = refuse
        async with bench.linked():
            await bench.gate()
            await asyncio.sleep(0)
            await bench.gate()
            assert bench.link.pid

    asyncio.run(story())


def test_whoever_is_cancelled_at_the_door_leaves_no_task_and_the_run_to_its_reaper(bench: Bench) -> None:
    async def enter() -> None:
        async with bench.link:
            await asyncio.Event().wait()

    async def story() -> None:
        entering = asyncio.create_task(enter())
        await asyncio.sleep(0)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())
    waiting = [thread for thread in threading.enumerate() if thread.name.startswith("reaper-")]
    for thread in waiting:
        thread.join()
    assert bench.ledger.path.exists() != bool(waiting)
