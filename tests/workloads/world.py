"""A replicated map in virtual time, and phases that put one workload on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.events import WorkloadEnded
from nodeyard.domain.history import Call
from nodeyard.domain.node_client import Value
from nodeyard.domain.scenario_spec import RunOptions, RunStep, WorkloadOptions
from nodeyard.errors.provider import NodeTimeout
from nodeyard.runtime.history import History
from nodeyard.runtime.scenario_runtime import Outcome
from nodeyard.testing import run_virtual
from runtime.support import Cluster, ScriptedClient, World


class Store(ScriptedClient):
    """A node that takes ``takes`` seconds for an answer, and acts in the middle of them."""

    def __init__(self, name: str, cluster: Cluster, takes: float) -> None:
        super().__init__(name, cluster)
        self.takes = takes

    async def _answer(self, call: str, timeout: float) -> None:
        await super()._answer(call, timeout)
        if self.takes >= timeout:
            await asyncio.sleep(timeout)
            raise NodeTimeout("no answer in time", node=self.name)
        await asyncio.sleep(self.takes)

    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        await self._answer("local" if local else "get", timeout)
        return Value(self.cluster.data.get(key))

    async def compare_and_set(self, key: str, expected: str | None, value: str, *, timeout: float) -> bool:
        await self._answer("compare_and_set", timeout)
        if self.cluster.data.get(key) != expected:
            return False
        self.cluster.data[key] = value
        return True


@dataclass
class Played:
    """What a phase left."""

    outcome: Outcome
    world: World
    calls: tuple[Call, ...]

    @property
    def ended(self) -> WorkloadEnded:
        [event] = self.world.told(WorkloadEnded)
        assert isinstance(event, WorkloadEnded)
        return event


def play(
    workload: Any,
    options: WorkloadOptions,
    *,
    lasts: float | None = 5.0,
    nodes: int = 3,
    takes: float = 0.01,
    client: Callable[[str, Cluster], Any] | None = None,
    base: Path = Path(),
    meanwhile: Callable[[World], Awaitable[None]] | None = None,
    cut: float | None = None,
) -> Played:
    """One phase with one workload. ``meanwhile`` is done beside it; the run is cancelled after ``cut`` seconds."""

    async def scenario() -> Played:
        world = World.of(nodes, client=client or (lambda name, cluster: Store(name, cluster, takes)))
        clock = SystemClock()
        history = History(clock, start=clock.now())
        phase = RunOptions.model_construct(for_=lasts, workloads=(options,), faults=(), always=())
        steps = [RunStep.model_construct(body=phase)]
        beside = asyncio.create_task(meanwhile(world)) if meanwhile is not None else None
        run = asyncio.create_task(world.run(steps, workloads={options.use: workload}, history=history, base=base))
        if cut is not None:
            await asyncio.sleep(cut)
            run.cancel()
        await asyncio.wait({run})
        outcome = Outcome((), ()) if run.cancelled() else run.result()
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        return Played(outcome, world, history.calls())

    return run_virtual(scenario())
