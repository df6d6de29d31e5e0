"""Ending work at a deadline whatever it does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nodeyard._aio.clock import Clock

T = TypeVar("T")

CANCEL_GRACE = 15.0
"""Seconds that cancelled work may take for its own cleanup (healing what it changed), beyond the deadline."""


@dataclass(frozen=True)
class Finished(Generic[T]):
    """The work returned in time."""

    value: T


@dataclass(frozen=True)
class Overran:
    """The deadline passed first. ``ended`` is false for work that went on although it was cancelled; it is left
    behind. ``error`` is what its cleanup raised.
    """

    ended: bool
    error: Exception | None = None


async def bounded(
    work: Coroutine[Any, Any, T], *, clock: Clock, deadline: float, grace: float = CANCEL_GRACE
) -> Finished[T] | Overran:
    """Run ``work`` until ``deadline``, then cancel it and give it ``grace`` seconds to clean up.

    An error that it raises in time is raised. Cancelling the caller cancels ``work`` in the same way.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=max(0.0, deadline - clock.now()))
    except asyncio.CancelledError:
        await _end(task, grace)
        raise
    if task.done():
        return Finished(task.result())
    return await _end(task, grace)


async def _end(task: asyncio.Future[Any], grace: float) -> Overran:
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=grace)
    finally:
        if not task.done():
            task.add_done_callback(_retrieve)
    if not task.done():
        return Overran(ended=False)
    error = None if task.cancelled() else task.exception()
    return Overran(ended=True, error=error if isinstance(error, Exception) else None)


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Take the outcome of work that was left behind, so that the loop does not report it as never retrieved."""
    if not task.cancelled():
        task.exception()
