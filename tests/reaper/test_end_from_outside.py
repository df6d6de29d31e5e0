"""``down`` and ``gc`` beside real runners and reapers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from nodeyard._aio.clock import SystemClock
from nodeyard.app.gc import Action, GcReport, Judgement, collect, take_down
from nodeyard.app.reaper import installed_tools, quiet
from nodeyard.bootstrap.cleanup import CleanupReport
from nodeyard.errors.validation import UsageError

from .support import RunnerProcess, Watched

pytestmark = pytest.mark.real


def gc(state: Path) -> GcReport:
    return asyncio.run(collect(state, equip=installed_tools({}), clock=SystemClock(), emit=quiet))


def down(path: Path) -> CleanupReport:
    async def act() -> CleanupReport:
        clock = SystemClock()
        return await take_down(path, equip=installed_tools({}), clock=clock, deadline=clock.now() + 30, emit=quiet)

    return asyncio.run(act())


def test_down_ends_a_handed_over_run_and_its_reaper_goes_by_itself(runner: RunnerProcess, tmp_path: Path) -> None:
    folder = Path(runner.ask("make"))
    node, reaper = runner.node(), runner.reaper()
    assert runner.ask("detach 600") == "detached"
    assert runner.end() == 0
    (row,) = gc(tmp_path).rows
    assert (row.action, row.judgement) == (Action.KEPT, Judgement.DETACHED)
    report = down(runner.ledger)
    assert report.complete
    assert [removed.detail for _, removed in report.removed if "killed" in removed.detail] == ["killed 1"]
    assert not node.runs
    assert not (folder / "data").exists()
    assert not runner.ledger.exists()
    assert reaper.ends()
    assert list(runner.ledger.parent.iterdir()) == []


def test_a_live_run_is_nobody_elses_to_end(runner: RunnerProcess, tmp_path: Path) -> None:
    node, reaper = runner.node(), runner.reaper()
    (row,) = gc(tmp_path).rows
    assert (row.action, row.judgement) == (Action.KEPT, Judgement.LIVE)
    with pytest.raises(UsageError, match=f"driven by process {runner.process.pid}"):
        down(runner.ledger)
    assert node.runs
    assert reaper.runs


def kill_both(runner: RunnerProcess, reaper: Watched) -> None:
    """As a crash would: the runner has no time to start another reaper."""
    os.kill(runner.process.pid, signal.SIGSTOP)
    reaper.signal(signal.SIGKILL)
    assert reaper.ends()
    runner.kill()


def test_gc_removes_what_is_left_when_runner_and_reaper_were_killed(runner: RunnerProcess, tmp_path: Path) -> None:
    folder = Path(runner.ask("make"))
    nodes = [runner.node(), runner.node("forget")]
    kill_both(runner, runner.reaper())
    assert all(node.runs for node in nodes)
    (row,) = gc(tmp_path).rows
    assert (row.run, row.action, row.judgement) == (runner.run, Action.REMOVED, Judgement.DEAD)
    assert row.failed == ()
    assert not any(node.runs for node in nodes)
    assert not (folder / "data").exists()
    assert list(runner.ledger.parent.iterdir()) == []
    assert gc(tmp_path).rows == ()


def test_gc_and_a_reaper_at_the_same_time_agree(runner: RunnerProcess, tmp_path: Path) -> None:
    node, reaper = runner.node(), runner.reaper()
    runner.kill()
    report = gc(tmp_path)
    assert {row.action for row in report.rows} <= {Action.REMOVED, Action.BUSY}
    assert reaper.ends()
    assert not node.runs
    assert list(runner.ledger.parent.iterdir()) == []
