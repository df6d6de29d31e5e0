"""The file: written before the act, whole lines only, one holder at a time, gone when nothing remains."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeyard._aio.clock import SystemClock
from nodeyard.errors.bootstrap import ReaperUnavailable, RunFolderUnusable
from nodeyard.errors.provider import CleanupIncomplete, LedgerInvalid
from nodeyard.ledger import file as files
from nodeyard.ledger.file import hold, ledger_path, read, reaper_log_path, try_hold
from nodeyard.ledger.gate import ReaperGate
from nodeyard.ledger.host import ProcessRef
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.testing.virtual_time import VirtualClock, run_virtual

from .support import MARK, disk_full_after, file_ledger, header, open_gate

BY = "deployer:local"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[FileLedger]:
    made = file_ledger(tmp_path)
    yield made
    made.abandon()


def record(ledger: FileLedger, **data: int) -> LedgerEntry:
    return asyncio.run(ledger.record(BY, "process", node="n1", data=data))


def test_a_ledger_is_outside_the_runs_folder_and_for_its_user_alone(tmp_path: Path, ledger: FileLedger) -> None:
    assert ledger.path == ledger_path(tmp_path, "r1") == tmp_path / "ledgers/r1.jsonl"
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert os.listdir(ledger.path.parent) == ["r1.jsonl"]
    assert ledger.mark == MARK
    assert read(ledger.path).header == header()


def test_what_is_recorded_is_what_others_read(ledger: FileLedger) -> None:
    first, second = record(ledger, port=1), record(ledger, port=2)
    amended = ledger.amend(first, {"pid": 5})
    ledger.note_reaper(ProcessRef(1, 2))
    assert amended.data == {"port": 1, "pid": 5}
    assert read(ledger.path).entries == ledger.open_entries() == (amended, second)
    assert read(ledger.path).reaper == ProcessRef(1, 2)
    ledger.settle(first)
    ledger.settle(first)
    assert ledger.amend(first, {"late": 1}).data == {"port": 1, "late": 1}
    assert read(ledger.path).entries == ledger.open_entries() == (second,)
    ledger.note_over()
    assert read(ledger.path).over
    assert ledger.note_detached(60.0).ttl == 60.0
    assert read(ledger.path).detached


def test_an_entry_is_written_before_the_gate_and_settled_when_the_gate_refuses(tmp_path: Path) -> None:
    gate = ReaperGate()
    ledger = FileLedger(tmp_path, header(), gate=gate)

    async def story() -> None:
        waiting = asyncio.create_task(ledger.record(BY, "process", node=None, data={}))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert len(read(ledger.path).entries) == 1
        gate.fail(ReaperUnavailable("none"))
        with pytest.raises(ReaperUnavailable):
            await waiting

    asyncio.run(story())
    ledger.abandon()
    assert read(ledger.path).entries == ledger.open_entries() == ()


def test_whoever_is_cancelled_at_the_gate_leaves_no_entry(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path, header(), gate=ReaperGate())

    async def story() -> None:
        waiting = asyncio.create_task(ledger.record(BY, "process", node=None, data={}))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(story())
    ledger.abandon()
    assert read(ledger.path).entries == ()


def test_the_gate_opens_shuts_and_fails_for_good() -> None:
    async def story() -> None:
        gate = ReaperGate()
        waiting = asyncio.create_task(gate())
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.open()
        await waiting
        await gate()
        gate.shut()
        late = asyncio.create_task(gate())
        await asyncio.sleep(0)
        assert not late.done()
        gate.fail(ReaperUnavailable("first"))
        gate.fail(ReaperUnavailable("second"))
        gate.shut()
        gate.open()
        for attempt in (late, gate()):
            with pytest.raises(ReaperUnavailable, match="first"):
                await attempt

    asyncio.run(story())


def test_what_outlives_the_boot_is_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    ledger = file_ledger(tmp_path)
    record(ledger)
    assert synced == []
    asyncio.run(ledger.record("kind:etcd", "member", node=None, data={}, inverse=True))
    assert len(synced) == 1
    ledger.abandon()


def test_two_runs_cannot_have_one_ledger(tmp_path: Path, ledger: FileLedger) -> None:
    before = ledger.path.read_bytes()
    with pytest.raises(RunFolderUnusable, match="exists already"):
        file_ledger(tmp_path)
    assert ledger.path.read_bytes() == before
    assert os.listdir(ledger.path.parent) == ["r1.jsonl"]


def test_a_state_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(RunFolderUnusable, match="cannot be written") as caught:
        file_ledger(tmp_path / "state")
    assert caught.value.hint


def test_no_half_header_appears_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with disk_full_after(tmp_path / "empty", 10), pytest.raises(RunFolderUnusable, match="cannot be written") as caught:
        file_ledger(tmp_path)
    assert caught.value.hint == "free some space"
    assert list((tmp_path / "ledgers").iterdir()) == []


@pytest.mark.parametrize("room", [0, 1, 20])
def test_on_a_full_disk_nothing_may_be_made_and_nothing_is_lost(ledger: FileLedger, room: int) -> None:
    first = record(ledger, port=1)
    with disk_full_after(ledger.path, room):
        with pytest.raises(RunFolderUnusable) as caught:
            record(ledger, port=2)
        amended = ledger.amend(first, {"pid": 5})
        assert ledger.open_entries() == (amended,)
    assert caught.value.hint == "free some space"
    third = record(ledger, port=3)  # there is room again; what was owed goes first
    assert read(ledger.path).entries == ledger.open_entries() == (amended, third)
    with disk_full_after(ledger.path, room):
        ledger.settle(first)
        ledger.settle(third)
    assert ledger.open_entries() == ()
    asyncio.run(ledger.lock(clock=SystemClock(), deadline=1e12))
    assert ledger.close()
    assert not ledger.path.exists()


def test_every_name_is_given_once_also_after_a_failure(ledger: FileLedger) -> None:
    ids = [record(ledger).id]
    with disk_full_after(ledger.path, 0), pytest.raises(RunFolderUnusable):
        record(ledger)
    ids.append(record(ledger).id)
    assert len(set(ids)) == 2


def test_a_closed_ledger_is_gone_with_the_log_of_its_reaper(ledger: FileLedger) -> None:
    entry = record(ledger)
    reaper_log_path(ledger.path).write_text("trouble")
    asyncio.run(ledger.lock(clock=SystemClock(), deadline=1e12))
    ledger.settle(entry)
    assert ledger.close()
    assert ledger.close()
    assert list(ledger.path.parent.iterdir()) == []


def test_a_ledger_with_open_entries_stays(ledger: FileLedger) -> None:
    entry = record(ledger)
    asyncio.run(ledger.lock(clock=SystemClock(), deadline=1e12))
    assert try_hold(ledger.path) is None
    assert not ledger.close()
    assert not ledger.close()
    ledger.note_over()
    assert read(ledger.path).entries == (entry,)
    assert read(ledger.path).over


def test_one_holder_at_a_time(ledger: FileLedger) -> None:
    entry = record(ledger)
    held = try_hold(ledger.path)
    assert held is not None
    with held:
        assert held.path == ledger.path
        assert held.open_entries() == (entry,)
        assert try_hold(ledger.path) is None
        assert not held.close_if_done()
    again = try_hold(ledger.path)
    assert again is not None
    with again:
        again.settle(entry)
        again.settle(entry)
        assert again.open_entries() == ()
        assert read(ledger.path).entries == ()
        assert again.close_if_done()
    with pytest.raises(FileNotFoundError):
        try_hold(ledger.path)


def test_whoever_waits_for_a_ledger_that_is_then_closed_learns_it(ledger: FileLedger) -> None:
    """The runner had the file open all along; the reaper removes it. Its lock must not be taken for the ledger's."""
    held = try_hold(ledger.path)
    assert held is not None

    async def story() -> None:
        waiting = asyncio.create_task(ledger.lock(clock=SystemClock(), deadline=1e12))
        await asyncio.sleep(0)
        with held:
            assert held.close_if_done()
        with pytest.raises(FileNotFoundError):
            await waiting

    asyncio.run(story())


def test_a_new_ledger_of_the_same_name_is_not_the_old_one(tmp_path: Path, ledger: FileLedger) -> None:
    held = try_hold(ledger.path)
    assert held is not None
    with held:
        assert held.close_if_done()
    new = file_ledger(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.try_lock(ledger._file.fd, ledger.path)
    assert read(new.path).entries == ()
    new.abandon()


def test_waiting_for_a_holder_ends_at_the_deadline(ledger: FileLedger) -> None:
    held = try_hold(ledger.path)
    assert held is not None

    async def story() -> None:
        clock = VirtualClock()
        with pytest.raises(CleanupIncomplete, match="somebody else"):
            await hold(ledger.path, clock=clock, deadline=clock.now() + 5)
        with pytest.raises(CleanupIncomplete, match="somebody else"):
            await ledger.lock(clock=clock, deadline=clock.now() + 5)

    with held:
        run_virtual(story())


def test_a_damaged_ledger_is_not_held(ledger: FileLedger) -> None:
    ledger.path.write_bytes(b"nonsense\n")
    for _ in range(2):  # the lock was let go with the first error
        with pytest.raises(LedgerInvalid):
            try_hold(ledger.path)
    assert ledger.path.read_bytes() == b"nonsense\n"


def test_a_holder_goes_on_after_a_torn_line(ledger: FileLedger) -> None:
    first, second = record(ledger), record(ledger)
    with ledger.path.open("ab") as file:
        file.write(b'{"settle":"e1')
    held = try_hold(ledger.path)
    assert held is not None
    with held:
        assert held.state.torn == 1
        assert held.open_entries() == (first, second)
        held.settle(second)
    assert read(ledger.path).entries == (first,)


def test_many_hold_in_turn_and_one_closes(tmp_path: Path) -> None:
    ledger = file_ledger(tmp_path)
    for _ in range(8):
        record(ledger)
    ledger.abandon()
    path, outcomes, inside, lock = ledger.path, list[str](), list[int](), threading.Lock()

    async def take() -> str:
        try:
            with await hold(path, clock=SystemClock(), deadline=1e12) as held:
                assert lock.acquire(blocking=False)
                inside.append(len(held.open_entries()))
                held.settle(held.open_entries()[0])
                await asyncio.sleep(0)
                lock.release()
                return "closed" if held.close_if_done() else "settled"
        except FileNotFoundError:
            return "late"

    threads = [threading.Thread(target=lambda: outcomes.append(asyncio.run(take()))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["closed", "late", "late"] + ["settled"] * 7
    assert inside == [8, 7, 6, 5, 4, 3, 2, 1]


def test_a_ledger_that_this_user_may_not_open_is_a_typed_error(
    ledger: FileLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(RunFolderUnusable, match="Permission denied"):
        try_hold(ledger.path)


def test_the_log_of_a_reaper_and_its_ledger_name_each_other(tmp_path: Path) -> None:
    path = ledger_path(tmp_path, "a.b-1")
    assert reaper_log_path(path).name == "a.b-1.reaper.log"
    assert files.ledger_of_log(reaper_log_path(path)) == path
    assert asyncio.run(open_gate()) is None


@pytest.mark.parametrize("nameless", [True, False])
def test_whoever_is_killed_while_making_a_ledger_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    seen: list[list[str]] = []
    write = files.AppendFile.write

    def watched(self: files.AppendFile, line: bytes) -> None:
        seen.append([path.name for path in tmp_path.iterdir()])
        write(self, line)

    monkeypatch.setattr(files.AppendFile, "write", watched)
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    files.create(tmp_path / "r1.jsonl", b"{}\n").close()
    assert seen == [[] if nameless else [f".r1.jsonl.{os.getpid()}.new"]]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("r1.jsonl", b"{}\n")]
