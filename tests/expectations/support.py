"""One expectation asked about a given history, over a network of scripted nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.history import Call
from nodeyard.domain.verdict import Check
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.fault_watch import FaultWatch
from nodeyard.runtime.history import History
from runtime.support import World


class Recorded(History):
    """A history that was made elsewhere."""

    def __init__(self, calls: Sequence[Call], now: float | None = None) -> None:
        super().__init__(SystemClock())
        self._given = tuple(calls)
        self._at = now

    def now(self) -> float:
        return self._at if self._at is not None else super().now()

    def calls(self) -> tuple[Call, ...]:
        return self._given


def context(world: World, history: History, faults: FaultWatch | None = None, **more: Any) -> StepContext:
    clock = SystemClock()
    return StepContext(
        network=world.network,
        clock=clock,
        deadline=clock.now() + 10,
        emit=world.cluster.events.append,
        random=Random(0),
        exits=world.exits,
        faults=faults if faults is not None else FaultWatch(clock),
        label="check",
        history=history,
        report=lambda check: None,
        **more,
    )


def decide(expectation: Any, calls: Sequence[Call], world: World | None = None, **options: Any) -> Check:
    """What the expectation says of a history, with options as in a scenario."""
    made = expectation.options.model_validate({"use": expectation.word, **options})

    async def ask() -> Check:
        found = world if world is not None else World.of()
        check: Check = await expectation.check(made, context(found, Recorded(calls)))
        return check

    return asyncio.run(ask())
