"""Each fault on fake nodes in virtual time: its proof, its healing, and every way in which either does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nodeyard.domain.capability import Capability
from nodeyard.domain.events import FaultHealed, FaultInjected, FaultProven, OperationDenied
from nodeyard.faults.options import MomentaryFault
from nodeyard.runtime.steps.faulting import run_faults
from nodeyard.testing import run_virtual
from nodeyard.testing.fake_control import FakeControl

from .world import FAIL, FAULTS, LASTING, PASS, UNKNOWN, VACUOUS, Network, network, use

ALL_FAULTS = sorted(FAULTS)
HARM = {
    "kill": "kill",
    "stop": "stop",
    "restart": "restart",
    "pause": "pause",
    "crash-loop": "kill",
    "wipe": "wipe",
    "patch": "apply",
    "partition": "shape",
    "delay": "shape",
    "loss": "shape",
    "bandwidth": "shape",
}
"""The act of a control that does each fault's harm."""


def played(tmp_path: Path, body: Callable[[Network], Awaitable[None]], count: int = 3, **more: Any) -> None:
    async def whole() -> None:
        net = await network(tmp_path, count, **more)
        await body(net)
        await net.live.ops.close()

    run_virtual(whole())


@pytest.mark.parametrize("word", ALL_FAULTS)
def test_a_fault_is_injected_proven_and_healed(word: str, tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        lasting = {"for": "5s"} if word in LASTING else {}
        (check,) = await net.phase(20, {"word": word, "target": "n1", "at": "2s", **lasting})
        assert check.verdict is PASS, check
        assert check.name == f"fault {word} n1"
        assert [type(e) for e in net.seen.events if isinstance(e, FaultInjected | FaultProven | FaultHealed)] == [
            FaultInjected, FaultProven, FaultHealed
        ]  # fmt: skip
        assert {e.node for e in net.seen.of(FaultHealed)} == {"n1"}
        assert [net.state(n) for n in ("n0", "n1", "n2")] == ["running"] * 3
        assert not any(entry.inverse for entry in net.ledger.open_entries())

    played(tmp_path, body)


@pytest.mark.parametrize("word", ALL_FAULTS)
def test_harm_that_is_not_done_is_vacuous(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*args: object) -> None:
        """The injection, disabled."""

    monkeypatch.setattr(FakeControl, HARM[word], nothing)

    async def body(net: Network) -> None:
        (check,) = await net.phase(10, {"word": word, "target": "n1"})
        assert check.verdict is VACUOUS, check
        assert "not seen to take effect" in check.reason
        assert not net.seen.of(FaultProven)
        assert net.state("n1") == "running"

    played(tmp_path, body)


@pytest.mark.parametrize("word", ALL_FAULTS)
def test_harm_that_cannot_be_done_is_vacuous_and_says_why(word: str, tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        net.world.node("n1").fails_at(HARM[word], "the backend said no")
        if word == "restart":
            net.world.node("n1").fails_at("stop", "the backend said no")
        (check,) = await net.phase(10, {"word": word, "target": "n1"})
        assert check.verdict is VACUOUS, check
        assert "the backend said no" in check.reason
        assert net.state("n1") == "running"

    played(tmp_path, body)


@pytest.mark.parametrize("word", ["kill", "stop", "crash-loop", "wipe"])
def test_a_node_that_cannot_be_started_again_leaves_it_undecided(word: str, tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        async def breaks() -> None:
            await asyncio.sleep(3)
            net.world.node("n1").fails_at("start", "the disk is gone")

        breaking = asyncio.ensure_future(breaks())
        (check,) = await net.phase(10, {"word": word, "target": "n1", "for": "5s"})
        await breaking
        assert check.verdict is UNKNOWN, check
        assert "the disk is gone" in check.reason

    played(tmp_path, body)


@pytest.mark.parametrize("word", ["kill", "stop", "crash-loop", "wipe", "patch"])
def test_a_node_that_does_not_come_back_fails(word: str, tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        async def breaks() -> None:
            await asyncio.sleep(3)
            net.world.node("n1").ready_after(1).fails_at_boot(status=2, last_lines=["panic: no data"])

        breaking = asyncio.ensure_future(breaks())
        (check,) = await net.phase(10, {"word": word, "target": "n1", "for": "5s"})
        await breaking
        assert check.verdict is FAIL, check
        assert "did not recover" in check.reason
        assert not net.seen.of(FaultHealed)

    played(tmp_path, body)


def test_a_node_that_ends_while_it_is_frozen_fails(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        asyncio.get_running_loop().call_later(3, net.world.node("n1").killed)
        (check,) = await net.phase(10, {"word": "pause", "target": "n1", "for": "5s"})
        assert check.verdict is FAIL, check
        assert "n1 is exited" in check.reason

    played(tmp_path, body)


def test_a_node_that_still_answers_is_not_frozen(tmp_path: Path) -> None:
    """The backend says frozen, and the API answers: one of both is wrong, so nothing was shown."""

    async def body(net: Network) -> None:
        node = net.world.node("n1")

        async def looks_frozen(control: FakeControl) -> object:
            return type(node.seen())("paused", "pid 1")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeControl, "state", looks_frozen)
            patch.setattr(FakeControl, "pause", lambda self: asyncio.sleep(0))
            seen = await FAULTS["pause"].guard(None, [net.live["n1"]], net.context(10)).prove()
        assert not seen.proven
        assert "its API" in seen.evidence

    played(tmp_path, body)


@pytest.mark.parametrize("word", LASTING)
def test_whatever_stage_is_cancelled_the_node_runs_again(word: str, tmp_path: Path) -> None:
    """Cancelled at many moments: while choosing, injecting, proving, holding, healing, and waiting for recovery."""
    stages: set[str] = set()
    for fifth in range(38):

        async def body(net: Network, after: float = fifth / 5) -> None:
            for name in ("n0", "n1", "n2"):
                net.world.node(name).ready_delay = 1.0
            net.world.latency = 0.15
            told = len(net.seen.events)
            task = asyncio.ensure_future(run_faults([use(word, target="n1", **{"for": "2s"})], net.context(20)))
            await asyncio.sleep(after)
            stages.add(next((e.name for e in reversed(net.seen.events[told:]) if e.name.startswith("fault")), "none"))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert net.state("n1") == "running", after
            assert not any(entry.inverse for entry in net.ledger.open_entries())
            (check,) = net.checks
            assert check.verdict is not FAIL, check

        played(tmp_path / str(fifth), body)
    assert stages >= {"none", "fault-proven", "fault-healed"}


def test_a_run_that_ends_before_a_node_is_back_decides_nothing(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        net.world.node("n1").ready_after(100)
        task = asyncio.ensure_future(run_faults([use("kill", target="n1", **{"for": "2s"})], net.context(20)))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (check,) = net.checks
        assert check.verdict is UNKNOWN, check
        assert "the run ended before" in check.reason

    played(tmp_path, body)


@pytest.mark.parametrize("word", ["kill", "crash-loop", "partition"])
def test_a_deadline_that_leaves_a_node_too_little_time_decides_nothing(word: str, tmp_path: Path) -> None:
    """The phase ended in time, and the run's deadline came before the time that nodes have to be ready."""

    async def body(net: Network) -> None:
        net.world.node("n1").ready_after(100)
        (check,) = await net.phase(5, {"word": word, "target": "n1", "for": "2s"})
        assert check.verdict is UNKNOWN, check

    played(tmp_path, body, deadline=10.0)


def test_healing_that_hangs_is_bounded(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        net.world.node("n1").starts_after(1000)
        begun = asyncio.get_running_loop().time()
        task = asyncio.ensure_future(run_faults([use("kill", target="n1", **{"for": "2s"})], net.context(20)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asyncio.get_running_loop().time() - begun < 15
        assert net.checks[0].verdict is UNKNOWN

    played(tmp_path, body)


def test_a_borrowed_node_is_harmed_only_if_it_may_be_healed(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        (check,) = await net.phase(10, {"word": "kill", "target": "n1"})
        assert check.verdict is VACUOUS
        assert "'start' is not granted" in check.reason
        assert not net.acts("stopped")
        assert not net.seen.of(OperationDenied), "nothing was tried"

    played(tmp_path, body, granted={"n1": [Capability.KILL]})


def test_a_momentary_fault_takes_no_duration() -> None:
    with pytest.raises(ValidationError, match="'for' says nothing"):
        MomentaryFault.model_validate({"use": "restart", "target": "any", "for": "5s"})
