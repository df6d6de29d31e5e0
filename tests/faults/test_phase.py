"""Several faults of one phase: their schedule, their picks, and what they leave alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeyard.domain.events import FaultHealed, FaultInjected
from nodeyard.runtime.steps.faulting import FaultScheduler
from nodeyard.testing import run_virtual

from .world import FAULTS, PASS, VACUOUS, Network, network, use


def played(tmp_path: Path, body: Callable[[Network], Awaitable[None]], count: int = 3, **more: Any) -> None:
    async def whole() -> None:
        await body(await network(tmp_path, count, **more))

    run_virtual(whole())


def test_each_injection_happens_when_it_is_due(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        begun = net.world.now()
        times: list[float] = []
        net.seen.see = _noting(net.seen.see, times, begun)  # type: ignore[method-assign]
        (check,) = await net.phase(20, {"word": "pause", "target": "any", "at": "2s", "every": "5s", "for": "1s"})
        assert check.verdict is PASS
        assert check.reason == "4 injections proven and healed"
        assert times == [pytest.approx(due, abs=0.05) for due in (2, 7, 12, 17)]

    played(tmp_path, body)


def _noting(see: Callable[..., None], times: list[float], begun: float) -> Callable[..., None]:
    def noted(event: object) -> None:
        if isinstance(event, FaultInjected):
            times.append(asyncio.get_running_loop().time() - begun)
        see(event)

    return noted


def test_the_seed_repeats_the_picks(tmp_path: Path) -> None:
    picks: dict[int, list[list[str | None]]] = {1: [], 2: []}
    for turn, seed in enumerate((1, 1, 2, 2)):

        async def body(net: Network, seed: int = seed) -> None:
            await net.phase(40, {"word": "pause", "target": "any", "every": "2s", "for": "1s"}, seed=seed)
            picks[seed].append([e.node for e in net.seen.of(FaultInjected)])

        played(tmp_path / str(turn), body, 5)
    assert picks[1][0] == picks[1][1]
    assert picks[2][0] == picks[2][1]
    assert picks[1][0] != picks[2][0]
    assert len(set(picks[1][0])) > 1, "not always the same node"


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(2, 5),
    seed=st.integers(0, 1000),
    uses=st.lists(
        st.fixed_dictionaries(
            {
                "word": st.sampled_from(["kill", "pause", "stop", "restart"]),
                "target": st.sampled_from(["any", "n0", "n1", "leader", "followers", "all", {"any": 2}]),
                "every": st.sampled_from(["2s", "3s"]),
            }
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_quorum_is_left_alone_whatever_faults_meet(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int, uses: list[dict[str, Any]]
) -> None:
    async def body(net: Network) -> None:
        open_now: set[str] = set()
        worst = 0
        see = net.seen.see

        def watch(event: object) -> None:
            nonlocal worst
            if isinstance(event, FaultInjected) and event.node:
                open_now.add(event.node)
            if isinstance(event, FaultHealed) and event.node:
                open_now.discard(event.node)
            worst = max(worst, len(open_now))
            see(event)  # type: ignore[arg-type]

        net.seen.see = watch  # type: ignore[method-assign]
        checks = await net.phase(15, *({**one, "keep": "quorum"} for one in uses), seed=seed)
        assert worst <= count - (count // 2 + 1)
        assert all(check.verdict in (PASS, VACUOUS) for check in checks), checks
        assert all(net.state(f"n{i}") == "running" for i in range(count))

    played(tmp_path_factory.mktemp("phase"), body, count)


def test_a_fault_waits_for_the_one_that_is_open(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        checks = await net.phase(
            20,
            {"word": "kill", "target": "n0", "for": "3s", "keep": "quorum"},
            {"word": "pause", "target": "n1", "at": "1s", "for": "4s"},
        )
        assert [check.verdict for check in checks] == [PASS, PASS]
        order = [(type(e).__name__, e.node) for e in net.seen.events if isinstance(e, FaultInjected | FaultHealed)]
        assert order == [
            ("FaultInjected", "n0"), ("FaultHealed", "n0"), ("FaultInjected", "n1"), ("FaultHealed", "n1")
        ]  # fmt: skip

    played(tmp_path, body)


def test_a_node_that_is_down_already_counts_and_is_named(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        await net.live["n2"].stop()
        (check,) = await net.phase(10, {"word": "pause", "target": "n0", "for": "2s", "keep": "quorum"})
        assert check.verdict is VACUOUS
        assert "n0 would leave 1 of 3 nodes alone, and 2 must be (down already: n2)" in check.reason
        assert not net.acts("paused")

    played(tmp_path, body)


def test_a_phase_that_is_over_early_heals_and_decides(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        over = asyncio.Event()
        options = [use("kill", target="n1").options, use("pause", target="n0", at="10s").options]
        running = asyncio.ensure_future(FaultScheduler(FAULTS)(options, net.context(60), over=over))
        await asyncio.sleep(5)
        over.set()
        await running
        assert [check.verdict for check in net.checks] == [VACUOUS, PASS]
        assert net.world.now() - net.world.node("n1").booted_at < 10
        assert "never injected" in net.checks[0].reason

    played(tmp_path, body)


def test_a_leader_that_is_not_there_is_left_out_with_what_was_seen(tmp_path: Path) -> None:
    async def body(net: Network) -> None:
        for name in ("n0", "n1"):
            await net.live[name].stop()
        (check,) = await net.phase(10, {"word": "kill", "target": "leader", "at": "1s", "for": "2s"})
        assert check.verdict is VACUOUS
        assert "'leader' finds no node" in check.reason

    played(tmp_path, body)
