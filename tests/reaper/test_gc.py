"""Which runs ``gc`` and ``down`` may touch, and what they say of each."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.support import header
from nodeyard._aio.clock import SystemClock
from nodeyard.app.gc import LITTER_AGE, Action, GcReport, GcRow, Judgement, collect, judge, take_down
from nodeyard.bootstrap.cleanup import CleanupReport
from nodeyard.domain.events import Event, ResourceRemoved
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.bootstrap import RunFolderUnusable
from nodeyard.errors.provider import CleanupIncomplete
from nodeyard.errors.validation import UsageError
from nodeyard.ledger import file as files
from nodeyard.ledger.file import reaper_log_path, try_hold
from nodeyard.ledger.gate import ReaperGate
from nodeyard.ledger.host import Host, ProcessRef, is_alive, process_start, this_host, this_process
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ledger.state import Detached, LedgerState
from nodeyard.ports.ledger import Remover

from .support import FakeRemover, equip_with

HERE = this_host()
NOBODY = ProcessRef(2**22 + 1, 1)
"""A pid above the largest that there can be."""

states = st.builds(
    LedgerState,
    st.builds(
        header,
        st.builds(RunMark, st.just("r1"), st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"])),
        st.sampled_from([ProcessRef(1, 1), ProcessRef(1, 2)]),
    ),
    detached=st.none() | st.builds(Detached, st.just(10.0), st.floats(0, 100)),
    over=st.booleans(),
    closed=st.booleans(),
)
times = st.floats(0, 100)


def judged(state: LedgerState, now: float) -> Judgement:
    return judge(state, Host("a", "x"), lambda who: who == ProcessRef(1, 1), now)


@settings(deadline=None)
@given(states, times)
def test_nothing_of_another_host_is_removable(state: LedgerState, now: float) -> None:
    assert (judged(state, now) is Judgement.FOREIGN_HOST) == (state.header.mark.host != "a")
    assert not Judgement.FOREIGN_HOST.removable


@settings(deadline=None)
@given(states, times)
def test_a_living_runner_of_this_boot_is_safe_unless_it_gave_its_run_up(state: LedgerState, now: float) -> None:
    lives = (state.header.runner, state.header.mark.boot) == (ProcessRef(1, 1), "x")
    if lives and not (state.over or state.closed or state.detached):
        assert not judged(state, now).removable


@settings(deadline=None)
@given(states, times)
def test_a_handed_over_run_is_safe_until_its_time_and_not_after(state: LedgerState, now: float) -> None:
    mark = state.header.mark
    if state.detached and (mark.host, mark.boot) == ("a", "x") and not (state.over or state.closed):
        assert judged(state, now).removable == (now >= state.detached.until)


@settings(deadline=None)
@given(states, times)
def test_a_pid_of_another_boot_proves_nothing(state: LedgerState, now: float) -> None:
    other = replace(state, header=replace(state.header, mark=RunMark("r1", "a", "y")))
    assert judged(other, now) in (Judgement.OTHER_BOOT, Judgement.OVER)


@settings(deadline=None)
@given(states, times, times)
def test_what_may_be_removed_once_may_be_removed_later(state: LedgerState, now: float, more: float) -> None:
    assert not judged(state, now).removable or judged(state, now + more).removable


@pytest.fixture
def equipment() -> FakeRemover:
    return FakeRemover()


def make(
    state: Path, run: str = "r1", *, mark: RunMark | None = None, runner: ProcessRef = NOBODY, age: float = 60.0,
    entries: int = 2, by: str = "deployer:toy", then: Callable[[FileLedger], object] = FileLedger.abandon,
) -> Path:  # fmt: skip
    """The ledger of a run on this host, dead by default."""
    gate = ReaperGate()
    gate.open()
    known = replace(
        header(mark or RunMark(run, HERE.host, HERE.boot), runner), started=datetime.now(UTC) - timedelta(seconds=age)
    )
    ledger = FileLedger(state, known, gate=gate)
    for index in range(entries):
        asyncio.run(ledger.record(by, "thing", node=f"n{index}", data={}))
    then(ledger)
    ledger.abandon()
    return ledger.path


def gc(state: Path, *, dry_run: bool = False, older_than: float = 0.0, **removers: Remover) -> GcReport:
    named = {name.replace("_", ":"): remover for name, remover in removers.items()}
    return asyncio.run(
        collect(
            state, equip=equip_with(named), clock=SystemClock(), emit=lambda _: None, dry_run=dry_run,
            older_than=older_than,
        )
    )  # fmt: skip


def only(report: GcReport) -> GcRow:
    (row,) = report.rows
    return row


DEAD = {
    "dead": {},
    "other-boot": {"mark": RunMark("r1", HERE.host, "another-boot"), "runner": this_process()},
    "over": {"runner": this_process(), "then": FileLedger.note_over},
    "expired": {"runner": this_process(), "then": lambda ledger: ledger.note_detached(-1.0)},
}
ALIVE = {
    "live": {"runner": this_process()},
    "foreign-host": {"mark": RunMark("r1", "elsewhere", HERE.boot)},
    "detached": {"then": lambda ledger: ledger.note_detached(600.0)},
}


@pytest.mark.parametrize("what", DEAD)
def test_what_a_dead_run_left_is_removed(tmp_path: Path, equipment: FakeRemover, what: str) -> None:
    path = make(tmp_path, **DEAD[what])  # type: ignore[arg-type]
    row = only(gc(tmp_path, deployer_toy=equipment))
    assert (row.run, row.action, row.judgement) == ("r1", Action.REMOVED, Judgement(what))
    assert row.resources == ("toy thing of n1", "toy thing of n0")
    assert row.header
    assert row.header.scenario == "a scenario"
    assert not path.exists()
    assert gc(tmp_path) == GcReport()


@pytest.mark.parametrize("what", ALIVE)
def test_a_run_that_is_not_dead_is_not_touched(tmp_path: Path, equipment: FakeRemover, what: str) -> None:
    path = make(tmp_path, **ALIVE[what])  # type: ignore[arg-type]
    before = path.read_bytes()
    report = gc(tmp_path, deployer_toy=equipment)
    assert (only(report).action, only(report).judgement) == (Action.KEPT, Judgement(what))
    assert report.error() is None
    assert path.read_bytes() == before
    assert equipment.calls == []


def test_a_dry_run_says_what_would_go_and_changes_nothing(tmp_path: Path, equipment: FakeRemover) -> None:
    path = make(tmp_path)
    before = path.read_bytes()
    row = only(gc(tmp_path, dry_run=True, deployer_toy=equipment))
    assert (row.action, row.resources) == (Action.WOULD_REMOVE, ("toy thing of n0", "toy thing of n1"))
    assert (path.read_bytes(), equipment.calls) == (before, [])


def test_only_runs_that_are_old_enough_are_removed(tmp_path: Path, equipment: FakeRemover) -> None:
    make(tmp_path, "young", age=60)
    make(tmp_path, "old", age=3600)
    old, young = gc(tmp_path, older_than=600, deployer_toy=equipment).rows
    assert (old.run, old.action) == ("old", Action.REMOVED)
    assert (young.run, young.action, young.reason) == ("young", Action.KEPT, "it is not old enough")


def test_a_damaged_ledger_is_reported_and_not_touched(tmp_path: Path, equipment: FakeRemover) -> None:
    good, bad = make(tmp_path, "good"), make(tmp_path, "bad")
    bad.write_bytes(b"nonsense\n")
    report = gc(tmp_path, deployer_toy=equipment)
    assert [(row.run, row.action) for row in report.rows] == [("bad", Action.DAMAGED), ("good", Action.REMOVED)]
    error = report.error()
    assert error
    assert error.message == "what 1 run left could not be removed"
    assert error.evidence == ("bad: a ledger without a readable first line",)
    assert bad.read_bytes() == b"nonsense\n"
    assert not good.exists()


def test_a_run_that_somebody_carries_out_is_busy(tmp_path: Path, equipment: FakeRemover) -> None:
    held = try_hold(make(tmp_path))
    assert held
    with held:
        report = gc(tmp_path, deployer_toy=equipment)
    assert only(report).action is Action.BUSY
    assert report.error() is None
    assert equipment.calls == []


def test_what_could_not_be_removed_stays_and_is_named(tmp_path: Path) -> None:
    path = make(tmp_path)
    make(tmp_path, "r2", by="deployer:absent", entries=1)
    report = gc(tmp_path, deployer_toy=FakeRemover(failures=1))
    assert [row.action for row in report.rows] == [Action.INCOMPLETE] * 2
    assert report.rows[0].failed == (("toy thing of n1", "it would not go"), ("toy thing of n0", "it would not go"))
    error = report.error()
    assert error
    assert error.message == "what 2 runs left could not be removed"
    assert "r2: absent thing of n0: the plugin 'deployer:absent' that made it is not installed here" in error.evidence
    assert path.exists()
    again = gc(tmp_path, deployer_toy=FakeRemover())
    assert [row.action for row in again.rows] == [Action.REMOVED, Action.INCOMPLETE]


def test_a_ledger_that_cannot_be_removed_is_an_incomplete_row(
    tmp_path: Path, equipment: FakeRemover, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)

    def refuse(file: files.AppendFile) -> None:
        raise RunFolderUnusable(f"{file.path.name} stays")

    monkeypatch.setattr(files, "remove", refuse)
    row = only(gc(tmp_path, deployer_toy=equipment))
    assert (row.action, row.reason) == (Action.INCOMPLETE, "r1.jsonl stays")


def test_a_ledger_that_cannot_be_opened_is_an_incomplete_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)

    def refuse(path: Path) -> None:
        raise RunFolderUnusable("not for you")

    monkeypatch.setattr(files, "try_hold", refuse)
    row = only(gc(tmp_path))
    assert (row.action, row.reason, row.judgement) == (Action.INCOMPLETE, "not for you", Judgement.DEAD)


def test_a_run_that_was_handed_over_between_look_and_lock_is_kept(
    tmp_path: Path, equipment: FakeRemover, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)
    stale = files.read(path)
    monkeypatch.setattr(files, "read", lambda _: stale)
    path.write_bytes(path.read_bytes() + b'{"detached": {"ttl": 1, "until": 99999999999}}\n')
    row = only(gc(tmp_path, deployer_toy=equipment))
    assert (row.action, row.judgement, equipment.calls) == (Action.KEPT, Judgement.DETACHED, [])


def test_several_at_once_remove_each_thing_once(tmp_path: Path, equipment: FakeRemover) -> None:
    for index in range(6):
        make(tmp_path, f"r{index}", entries=1)

    async def all_at_once() -> list[GcReport]:
        tools = equip_with({"deployer:toy": equipment})
        return await asyncio.gather(
            *(collect(tmp_path, equip=tools, clock=SystemClock(), emit=lambda _: None) for _ in range(4))
        )

    reports = asyncio.run(all_at_once())
    removed = [row.run for report in reports for row in report.rows if row.action is Action.REMOVED]
    assert sorted(removed) == [f"r{index}" for index in range(6)]
    assert len(equipment.calls) == 6
    assert all(report.error() is None for report in reports)
    assert list((tmp_path / "ledgers").iterdir()) == []


def test_nothing_at_all_is_an_empty_report(tmp_path: Path) -> None:
    assert gc(tmp_path / "absent") == GcReport()
    assert not (tmp_path / "absent").exists()


def test_old_litter_goes_and_nothing_else(tmp_path: Path) -> None:
    path = make(tmp_path, runner=this_process())
    folder = path.parent
    log = reaper_log_path(path)
    old = [folder / ".r9.jsonl.77.new", folder / "r9.reaper.log"]
    kept = [folder / ".r8.jsonl.77.new", folder / "r8.reaper.log", log, folder / "notes.txt"]
    for file in (*old, *kept):
        file.write_text("x")
    long_ago = time.time() - LITTER_AGE - 60
    for file in (*old, log, kept[3]):
        os.utime(file, (long_ago, long_ago))
    gc(tmp_path, dry_run=True)
    assert all(file.exists() for file in old)
    gc(tmp_path)
    assert not any(file.exists() for file in old)
    assert all(file.exists() for file in kept)


def down(path: Path, *, within: float = 30.0, **removers: Remover) -> tuple[CleanupReport, list[Event]]:
    events: list[Event] = []

    async def act() -> CleanupReport:
        named = {name.replace("_", ":"): remover for name, remover in removers.items()}
        clock = SystemClock()
        return await take_down(
            path, equip=equip_with(named), clock=clock, deadline=clock.now() + within, emit=events.append
        )

    return asyncio.run(act()), events


def test_down_returns_when_the_process_that_watched_over_the_run_is_gone(
    tmp_path: Path, equipment: FakeRemover
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as watcher:
        who = ProcessRef(watcher.pid, process_start(watcher.pid) or 0)
        path = make(tmp_path, then=lambda ledger: ledger.note_reaper(who))
        report, _ = down(path, deployer_toy=equipment)
        assert report.complete
        assert not is_alive(who)
        assert watcher.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("what", [*DEAD, "detached"])
def test_down_takes_down_what_was_handed_over_or_died(tmp_path: Path, equipment: FakeRemover, what: str) -> None:
    path = make(tmp_path, **{**DEAD, **ALIVE}[what])  # type: ignore[arg-type]
    report, events = down(path, deployer_toy=equipment)
    assert report.complete
    assert len([event for event in events if isinstance(event, ResourceRemoved)]) == 2
    assert not path.exists()


@pytest.mark.parametrize(
    ("what", "fact"),
    [("live", "is driven by process {pid}"), ("foreign-host", "belongs to another host, elsewhere")],
)
def test_down_refuses_what_is_not_its_to_end(tmp_path: Path, equipment: FakeRemover, what: str, fact: str) -> None:
    path = make(tmp_path, **ALIVE[what])  # type: ignore[arg-type]
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        down(path, deployer_toy=equipment)
    assert caught.value.message == f"the run 'r1' {fact.format(pid=os.getpid())}"
    assert caught.value.hint
    assert (path.read_bytes(), equipment.calls) == (before, [])


def test_down_of_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run 'r7' to take down"):
        down(tmp_path / "ledgers/r7.jsonl")


def test_down_reports_what_stays(tmp_path: Path) -> None:
    path = make(tmp_path)
    report, _ = down(path, deployer_toy=FakeRemover(failures=1))
    assert len(report.failed) == 2
    assert path.exists()
    again = try_hold(path)
    assert again, "the lock is free again"
    with again:
        assert len(again.open_entries()) == 2


def test_down_waits_for_whoever_is_at_it_and_not_for_ever(tmp_path: Path, equipment: FakeRemover) -> None:
    path = make(tmp_path)
    held = try_hold(path)
    assert held
    with held:
        with pytest.raises(CleanupIncomplete, match="somebody else"):
            down(path, within=0.05, deployer_toy=equipment)

        async def while_waiting() -> CleanupReport:
            clock = SystemClock()
            waiting = asyncio.create_task(
                take_down(path, equip=equip_with({}), clock=clock, deadline=clock.now() + 60, emit=lambda _: None)
            )
            await asyncio.sleep(0)
            for entry in held.open_entries():
                held.settle(entry)
            assert held.close_if_done()
            held.__exit__()
            return await waiting

        assert asyncio.run(while_waiting()) == CleanupReport()
    assert equipment.calls == []
