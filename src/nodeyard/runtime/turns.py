"""Operations on one node take turns, and what was begun ends before the next one begins.

An order that is under way to a backend cannot be called back: a cancelled ``kill`` may still arrive, behind the
``start`` that was meant to undo it. So a cancelled caller leaves, and the operation keeps its turn until it ends.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Turns:
    """One operation at a time for each node. ``close`` at the end: until then what was begun goes on."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._begun: set[asyncio.Task[object]] = set()

    async def take(self, node: str, act: Callable[[], Awaitable[T]]) -> T:
        """Wait for the node's turn, then act. A caller who is cancelled while waiting begins nothing."""
        await self._locks[node].acquire()
        task = asyncio.create_task(_run(act), name=f"operation-{node}")
        self._begun.add(task)
        task.add_done_callback(lambda ended: self._ended(node, ended))
        return await asyncio.shield(task)

    async def free(self, node: str) -> None:
        """Return when nothing has the node's turn."""
        async with self._locks[node]:
            return

    async def close(self) -> None:
        """Cancel what goes on although nobody waits for it, and return when it has ended."""
        begun = tuple(self._begun)
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

    def _ended(self, node: str, task: asyncio.Task[object]) -> None:
        self._begun.discard(task)
        self._locks[node].release()
        if not task.cancelled():
            task.exception()  # its caller may have left; whoever comes next finds out what is true


async def _run(act: Callable[[], Awaitable[T]]) -> T:
    return await act()
