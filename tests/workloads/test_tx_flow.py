"""The workload ``tx-flow`` on a toy chain: every transaction is unique, and followed on every node to its block."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from nodeyard.domain.history import Outcome
from nodeyard.domain.node_client import Block, ChainReader, TxSubmit
from nodeyard.domain.verdict import Verdict
from nodeyard.errors.provider import NodeTimeout, NodeUnreachable
from nodeyard.runtime.scenario_runtime import Outcome as RunOutcome
from nodeyard.workloads.tx_flow import TxFlow, TxFlowOptions
from runtime.support import Cluster, PlainClient, World

from .world import Played, play

BLOCK = 0.5
"""Seconds between two blocks of the toy chain."""


class Chain(PlainClient):
    """A node of a toy chain: a transaction is in the second block after it, and this node is ``lag`` blocks behind."""

    lag = 0
    down = False
    hanging = False
    loses = False

    def __init__(self, name: str, cluster: Cluster) -> None:
        super().__init__(name)
        self.data = cluster.data
        self.begun = asyncio.get_running_loop().time()

    async def height(self, *, timeout: float) -> int:
        await self._answer(timeout)
        return max(0, int((asyncio.get_running_loop().time() - self.begun) / BLOCK) - self.lag)

    async def block(self, height: int, *, timeout: float) -> Block:
        return Block(height, f"hash-{height}")

    async def submit(self, tx: bytes, *, timeout: float) -> str:
        await self._answer(timeout)
        name = f"id-{tx.decode()}"
        assert name not in self.data
        self.data[name] = str(await Chain.height(self, timeout=timeout) + self.lag + 2)
        return name

    async def included(self, tx_id: str, *, timeout: float) -> int | None:
        height = int(self.data[tx_id])
        return height if height <= await self.height(timeout=timeout) and not self.loses else None

    async def _answer(self, timeout: float) -> None:
        if self.down:
            raise NodeUnreachable("connection refused", node=self.name)
        if self.hanging:
            await asyncio.sleep(timeout)
            raise NodeTimeout("no answer in time", node=self.name)
        await asyncio.sleep(0.002)


def flow(*, meanwhile: Any = None, lasts: float | None = 5.0, **options: Any) -> Played:
    made = TxFlowOptions.model_validate({"use": "tx-flow", **options})
    return play(TxFlow(), made, lasts=lasts, client=Chain, meanwhile=meanwhile)


def test_the_toy_chain_speaks_the_protocols() -> None:
    assert issubclass(Chain, TxSubmit)
    assert issubclass(Chain, ChainReader)


def test_each_transaction_is_followed_on_every_node() -> None:
    played = flow(rate=10.0)
    assert played.outcome == RunOutcome((), ())
    submits = [c for c in played.calls if c.op == "submit"]
    includes = [c for c in played.calls if c.op == "include"]
    assert len(submits) == 50
    assert len({c.value for c in submits}) == 50
    assert all("=" in c.value for c in submits)
    assert Counter(c.key for c in includes) == {c.result: 3 for c in submits}
    assert Counter(c.node for c in includes) == {"n0": 50, "n1": 50, "n2": 50}
    assert {c.outcome for c in includes} == {Outcome.OK}
    heights = {c.key: {d.result for d in includes if d.key == c.key} for c in includes}
    assert all(len(found) == 1 for found in heights.values())


def test_inclusion_counts_from_when_the_transaction_was_due() -> None:
    played = flow(rate=2.0)
    for call in played.calls:
        if call.op == "include":
            assert BLOCK < call.latency < 2 * BLOCK + 0.3
            assert call.invoked >= call.intended


def test_transactions_of_the_last_moment_are_followed_after_the_end() -> None:
    played = flow(rate=10.0, operations=5, lasts=None)
    assert played.ended.after == pytest.approx(1.2, abs=0.4)
    assert {c.outcome for c in played.calls} == {Outcome.OK}


def test_a_node_that_never_has_it_leaves_it_open_and_the_others_are_not_kept() -> None:
    async def lose(world: World) -> None:
        world.clients["n2"].loses = True

    played = flow(rate=4.0, within=3.0, meanwhile=lose)
    by_node = {n: {c.outcome for c in played.calls if c.op == "include" and c.node == n} for n in ("n0", "n1", "n2")}
    assert by_node == {"n0": {Outcome.OK}, "n1": {Outcome.OK}, "n2": {Outcome.INFO}}
    assert played.outcome.checks == ()
    assert "not in a block of n2 within 3s" in {c.result for c in played.calls}
    assert played.ended.after == pytest.approx(8.0, abs=0.5)


def test_a_node_that_was_away_catches_up() -> None:
    async def away(world: World) -> None:
        world.clients["n1"].hanging = True
        await asyncio.sleep(4.0)
        world.clients["n1"].hanging = False
        world.clients["n1"].lag = 3

    played = flow(rate=4.0, meanwhile=away, target="n0")
    late = [c for c in played.calls if c.op == "include" and c.node == "n1"]
    assert {c.outcome for c in late} == {Outcome.OK}
    assert max(c.latency for c in late) > 4.0


def test_a_chain_that_stands_still_is_vacuous() -> None:
    async def lose(world: World) -> None:
        for client in world.clients.values():
            client.loses = True

    played = flow(rate=4.0, within=1.0, meanwhile=lose)
    [check] = played.outcome.checks
    assert check.verdict is Verdict.VACUOUS
    assert check.reason == "20 transactions were accepted, and none of them was seen in a block"


def test_nodes_that_accept_nothing_are_vacuous() -> None:
    async def down(world: World) -> None:
        for client in world.clients.values():
            client.down = True

    played = flow(rate=4.0, meanwhile=down)
    assert [(c.name, c.verdict) for c in played.outcome.checks] == [("tx-flow", Verdict.VACUOUS)]
    assert {c.op for c in played.calls} == {"submit"}


def test_a_transaction_has_the_form_that_the_scenario_gives_it() -> None:
    played = flow(rate=2.0, tx="set {id} 1")
    assert all(c.value.startswith("set tx-flow-") and c.value.endswith(" 1") for c in played.calls)
    with pytest.raises(ValueError, match="pattern"):
        TxFlowOptions.model_validate({"use": "tx-flow", "tx": "always the same"})
