"""Waiting for a condition that has no event: paced probes, one deadline, an early end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodeyard._aio.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True)
class Pace:
    """How long to wait between probes: ``first`` seconds, growing by ``factor`` up to ``most``."""

    first: float = 0.01
    factor: float = 1.5
    most: float = 0.25

    def next(self, delay: float) -> float:
        return min(delay * self.factor, self.most)


class Timeout(Exception):
    """The deadline passed; ``last`` is what the last finished probe returned."""

    def __init__(self, last: object) -> None:
        super().__init__("the deadline passed")
        self.last = last


@dataclass(frozen=True)
class Done(Generic[T]):
    """Wraps the value that ends a wait, so that a probe can also return what it saw and go on."""

    value: T


@dataclass(frozen=True)
class Moved:
    """Wraps what a probe saw when it saw progress: the next one comes soon, because the rest may follow soon."""

    seen: object


async def until(
    probe: Callable[[], Awaitable[Done[T] | object]],
    *,
    clock: Clock,
    deadline: float,
    pace: Pace = Pace(),
    wake: asyncio.Event | None = None,
) -> T:
    """Probe until it returns ``Done``; the early end is an exception that the probe raises.

    ``deadline`` is a time of ``clock``. The probe itself is cancelled at the deadline. ``wake`` cuts a pause short, and
    the pace starts anew after ``Moved``.
    Raises ``Timeout`` with what the last finished probe saw.
    """
    delay, last = pace.first, None
    try:
        async with asyncio.timeout(max(0.0, deadline - clock.now())) as limit:
            while True:
                seen = await probe()
                if isinstance(seen, Done):
                    return seen.value
                last = seen
                if isinstance(seen, Moved):
                    last, delay = seen.seen, pace.first
                await _pause(delay, clock, wake)
                delay = pace.next(delay)
    except TimeoutError:
        if not limit.expired():
            raise
        raise Timeout(last) from None


async def _pause(delay: float, clock: Clock, wake: asyncio.Event | None) -> None:
    if wake is None:
        await clock.sleep(delay)
        return
    try:
        async with asyncio.timeout(delay):
            await wake.wait()
    except TimeoutError:
        return
    wake.clear()
