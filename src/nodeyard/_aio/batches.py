"""Many tasks hand something in, one act takes it all: for acts that cost the more, the more there is already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodeyard._aio.clock import Clock
from nodeyard._aio.tasks import give_way

A = TypeVar("A")
REST = 4.0
"""After an act this many times its own duration passes before the next: acting takes a fifth of the time at most, and
whoever hands something in waits that much at most. Where acts are quick, neither can be noticed."""


@dataclass
class _Entry(Generic[A]):
    item: A
    done: bool = False
    error: Exception | None = None


class Batches(Generic[A]):
    """Calls ``act``, which does not wait, with everything that was handed in since its last call."""

    def __init__(self, act: Callable[[Sequence[A]], None], *, clock: Clock) -> None:
        self._act = act
        self._clock = clock
        self._waiting: list[_Entry[A]] = []
        self._turn = asyncio.Lock()
        self._rested = clock.now()

    async def add(self, item: A) -> None:
        """Hand in ``item``; returns once it was acted on. Raises what that call of ``act`` raised.

        Whoever comes first acts for all who wait. A caller that is cancelled leaves its item to the next one.
        """
        entry = _Entry(item)
        self._waiting.append(entry)
        async with self._turn:
            if not entry.done:
                await give_way()
                await self._clock.sleep(max(0.0, self._rested - self._clock.now()))
                self._act_on_all()
        if entry.error is not None:
            raise entry.error

    def _act_on_all(self) -> None:
        batch, self._waiting = self._waiting, []
        started = self._clock.now()
        error: Exception | None = None
        try:
            self._act([entry.item for entry in batch])
        except Exception as raised:  # noqa: BLE001 - it belongs to everybody whose item was in this batch
            error = raised
        ended = self._clock.now()
        self._rested = ended + REST * (ended - started)
        for entry in batch:
            entry.done, entry.error = True, error
