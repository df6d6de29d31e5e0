"""The reaper's own tries, in virtual time: again and again with growing pauses, then left to ``gc``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from ledger.support import file_ledger
from nodeyard.app import reaper
from nodeyard.app.config import Secrets
from nodeyard.app.reaper import PATIENCE, installed_tools, reap
from nodeyard.ledger.file import HeldLedger, read, reaper_log_path, try_hold
from nodeyard.ledger.ledger import FileLedger
from nodeyard.ports.ledger import Remover
from nodeyard.providers.deployer.local.remover import LocalRemover
from nodeyard.testing.virtual_time import VirtualClock, run_virtual

from .support import FakeRemover, equip_with


@pytest.fixture
def ledger(tmp_path: Path) -> FileLedger:
    """Two open entries, and nobody who has the file."""
    made = file_ledger(tmp_path)
    for by in ("deployer:toy", "kind:toy"):
        asyncio.run(made.record(by, "thing", node="n1", data={}, inverse=by == "kind:toy"))
    made.abandon()
    return made


def attempt(path: Path, **removers: Remover) -> tuple[bool, float]:
    """Whether it was carried out, and how many seconds that took."""

    async def act() -> tuple[bool, float]:
        clock = VirtualClock()
        start = clock.now()
        named = {name.replace("_", ":"): remover for name, remover in removers.items()}
        done = await reap(path, equip=equip_with(named), clock=clock)
        return done, clock.now() - start

    return run_virtual(act())


def log(ledger: FileLedger) -> str:
    return reaper_log_path(ledger.path).read_text()


def test_everything_goes_at_the_first_try(ledger: FileLedger) -> None:
    toy, kind = FakeRemover(), FakeRemover()
    assert attempt(ledger.path, deployer_toy=toy, kind_toy=kind) == (True, 0.0)
    assert (toy.calls, kind.calls) == ([["e1"]], [["e2"]])
    assert toy.contexts[0].mark == ledger.mark
    assert list(ledger.path.parent.iterdir()) == []


def test_what_fails_is_tried_again_and_only_that(ledger: FileLedger) -> None:
    toy, kind = FakeRemover(failures=3), FakeRemover()
    done, took = attempt(ledger.path, deployer_toy=toy, kind_toy=kind)
    assert done
    assert 0 < took < 5
    assert (len(toy.calls), len(kind.calls)) == (4, 1)
    assert list(ledger.path.parent.iterdir()) == []


def test_after_a_minute_it_is_left_to_gc_with_the_reasons(ledger: FileLedger) -> None:
    toy, kind = FakeRemover(failures=10_000), FakeRemover()
    done, took = attempt(ledger.path, deployer_toy=toy, kind_toy=kind)
    assert (done, took) == (False, PATIENCE)
    assert 5 < len(toy.calls) < 20, "pauses grow"
    assert "toy thing of n1: it would not go" in log(ledger)
    assert log(ledger).endswith("given up; 'nodeyard gc' tries again\n")
    assert [entry.id for entry in read(ledger.path).entries] == ["e1"]


def test_a_remover_that_hangs_does_not_keep_others_waiting_nor_the_reaper_for_ever(ledger: FileLedger) -> None:
    toy = FakeRemover()

    class Hanging(FakeRemover):
        async def remove(self, *_: object) -> dict[str, object]:  # type: ignore[override]
            await asyncio.Event().wait()
            return {}

    done, took = attempt(ledger.path, deployer_toy=toy, kind_toy=Hanging())
    assert (done, took) == (False, PATIENCE)
    assert toy.calls == [["e1"]]
    assert "kind:toy did not finish in time" in log(ledger)


def test_a_ledger_that_is_gone_is_done(tmp_path: Path) -> None:
    assert attempt(tmp_path / "ledgers/none.jsonl") == (True, 0.0)


def test_a_damaged_ledger_is_reported_and_not_touched(ledger: FileLedger) -> None:
    ledger.path.write_bytes(b"nonsense\n")
    assert attempt(ledger.path) == (False, 0.0)
    assert "without a readable first line" in log(ledger)
    assert ledger.path.read_bytes() == b"nonsense\n"


def held_now(ledger: FileLedger) -> HeldLedger:
    held = try_hold(ledger.path)
    assert held
    return held


def test_somebody_elses_hold_is_respected(ledger: FileLedger) -> None:
    toy = FakeRemover()
    with held_now(ledger):
        assert attempt(ledger.path, deployer_toy=toy) == (False, PATIENCE)
    assert toy.calls == []


def test_whoever_waited_while_somebody_else_did_everything_has_nothing_to_do(ledger: FileLedger) -> None:
    toy, held = FakeRemover(), held_now(ledger)

    async def act() -> bool:
        clock = VirtualClock()
        waiting = asyncio.create_task(reap(ledger.path, equip=equip_with({"deployer:toy": toy}), clock=clock))
        await clock.sleep(1)
        with held:
            for entry in held.open_entries():
                held.settle(entry)
            assert held.close_if_done()
        return await waiting

    assert run_virtual(act())
    assert toy.calls == []


def test_a_log_that_cannot_be_written_keeps_nobody_from_removing(ledger: FileLedger) -> None:
    reaper_log_path(ledger.path).mkdir()
    toy, kind = FakeRemover(failures=1), FakeRemover()
    done, _ = attempt(ledger.path, deployer_toy=toy, kind_toy=kind)
    assert done
    assert (len(toy.calls), len(kind.calls)) == (2, 1)
    assert not ledger.path.exists()


def test_the_installed_tools_find_the_removers_and_start_from_the_ledgers_folder(ledger: FileLedger) -> None:
    state = read(ledger.path)

    async def act() -> None:
        async with installed_tools({"TOKEN": "t"})(state) as tools:
            assert isinstance(tools.remover_of("deployer:local"), LocalRemover)
            assert tools.remover_of("kind:etcd") is not None
            assert tools.remover_of("kind:absent") is tools.remover_of("strange") is None
            assert isinstance(tools.secrets, Secrets)

    asyncio.run(act())


def test_a_defect_stands_in_the_log(ledger: FileLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(reaper, "installed_tools", broken)
    assert reaper.main([str(ledger.path)]) == 1
    assert "ZeroDivisionError: a defect" in log(ledger)
    assert ledger.path.exists()


def test_the_program_ends_with_success_when_there_is_nothing(tmp_path: Path) -> None:
    assert reaper.main([str(tmp_path / "ledgers/none.jsonl")]) == 0
    assert "nodeyard.app.reaper" in sys.modules
