"""Structured use of ``asyncio.TaskGroup``: side by side with a bound, collected outcomes, shielded endings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

A = TypeVar("A")
T = TypeVar("T")


async def side_by_side(
    act: Callable[[A], Awaitable[T]], items: Iterable[A], *, at_once: int = 256
) -> list[T | Exception]:
    """``act`` on every item, at most ``at_once`` together; an exception is a result, in the place of its item.

    Cancellation of the caller cancels all of them. ``BaseException``s that are not ``Exception`` are not collected.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(item: A) -> T | Exception:
        async with gate:
            try:
                return await act(item)
            except Exception as error:  # noqa: BLE001 - the outcome of one item is a value for the caller
                return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


def raise_first(outcomes: Iterable[T | Exception]) -> list[T]:
    """The results of ``side_by_side`` where one failure fails all of them: raises the first."""
    results: list[T] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results


async def give_way() -> None:
    """Let every task that is due run until it waits for something: a new one has then begun its work."""
    await asyncio.sleep(0)


async def shielded(work: Coroutine[Any, Any, T], *, within: float) -> T:
    """Finish ``work`` although the caller is cancelled, for at most ``within`` seconds, then pass the cancellation on.

    Raises ``TimeoutError`` when ``work`` took longer. Meant for cleanup only.
    """

    async def limited() -> T:
        async with asyncio.timeout(within):
            return await work

    task = asyncio.ensure_future(limited())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()


async def first_of(*waits: Coroutine[Any, Any, Any]) -> int:
    """Run all, return the index of the first to finish, cancel and await the others; its exception is raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        index = next(i for i, task in enumerate(tasks) if task.done())
        tasks[index].result()
        return index
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
