"""Virtual time: an event loop whose time jumps to the next timer as soon as nothing is left to do.

``run_virtual(coro)`` runs a coroutine in it. Code that waits with ``asyncio.sleep``, ``asyncio.timeout`` or a
``Clock`` needs no change, because all of them ask the running loop. A wait of an hour takes no time; what would hang
is an error at once. Threads of an executor are waited for while virtual time stands still. Sockets, pipes and
subprocesses are refused: real I/O has no place in virtual time.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

START = 1000.0
"""The loop's time when it begins, in seconds. Not zero, so that a forgotten default does not look right by accident."""

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""The time of day of ``VirtualClock`` when the loop begins."""

LONGEST_THREAD = 60.0
"""Real seconds that a job in a thread may take before it counts as hanging."""


class VirtualDeadlock(RuntimeError):
    """Nothing is ready, no timer is set: the program would wait for ever. The text lists every waiting task."""


class VirtualTimeout(AssertionError):
    """The coroutine had not ended after the virtual seconds that ``run_virtual`` gave it."""


class TasksLeft(AssertionError):
    """The coroutine ended and left tasks behind that nobody awaits."""


class _JumpingSelector(selectors.SelectSelector):
    """Never blocks for a timer: it tells the loop to jump there instead."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: VirtualLoop | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.loop is not None:
            _refuse("a socket or pipe was waited for")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        if loop is None or (timeout is not None and timeout <= 0):
            return super().select(0)
        if loop.threads:
            return self._await_thread()
        woken = super().select(0)
        if not woken:
            loop.jump(timeout)
        return woken

    def _await_thread(self) -> list[tuple[selectors.SelectorKey, int]]:
        woken = super().select(LONGEST_THREAD)
        if not woken:
            raise VirtualDeadlock(f"a job in a thread had not ended after {LONGEST_THREAD:g} real seconds")
        return woken


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(f"{what} in virtual time; use a fake, or run this test with asyncio.run")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. Time passes only when nothing is ready, and never past ``ends``."""

    def __init__(self, *, ends: float = math.inf) -> None:
        self.ends = ends
        self._virtual_now = START
        self.threads = 0
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self._virtual_now

    def jump(self, seconds: float | None) -> None:
        """Let ``seconds`` pass. ``None`` means that no timer is set; raises ``VirtualDeadlock``.

        Raises ``VirtualTimeout`` once when that would go past ``ends``; what tasks do on their cancellation gets as
        long again.
        """
        if seconds is None:
            raise VirtualDeadlock(self._waiting("nothing is ready and no timer is set; waiting are"))
        if self._virtual_now + seconds > self.ends:
            passed, self.ends = self.ends - START, self.ends + self.ends - START
            raise VirtualTimeout(self._waiting(f"not finished after {passed:g} virtual seconds; waiting are"))
        self._virtual_now += seconds

    def _waiting(self, head: str) -> str:
        return "\n  ".join([head, *sorted(_place(task) for task in asyncio.all_tasks(self))])

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1

    async def shutdown_default_executor(self, *args: Any, **more: Any) -> None:
        self.threads += 1
        try:
            await super().shutdown_default_executor(*args, **more)
        finally:
            self.threads -= 1

    async def subprocess_exec(self, *args: Any, **more: Any) -> Any:
        _refuse("a subprocess was started")

    async def subprocess_shell(self, *args: Any, **more: Any) -> Any:
        _refuse("a subprocess was started")


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "not started"
    return f"{task.get_name()} at {where}"


def run_virtual(coro: Coroutine[Any, Any, T], *, timeout: float = 3600.0) -> T:
    """Run ``coro`` in a fresh virtual-time loop and return what it returns.

    ``timeout`` is in virtual seconds. Raises ``VirtualTimeout`` after them, ``VirtualDeadlock`` when the coroutine
    would wait for ever, and ``TasksLeft`` when it returned while tasks that it started still ran.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(ends=START + timeout)) as runner:
        return runner.run(_alone(coro))


async def _alone(coro: Coroutine[Any, Any, T]) -> T:
    result = await coro
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if left:
        raise TasksLeft("\n  ".join(["tasks were left behind", *sorted(_place(task) for task in left)]))
    return result


class VirtualClock:
    """``nodeyard._aio.clock.Clock`` over the running virtual loop, with a time of day that starts at ``EPOCH``."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def utc(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now() - START)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


__all__ = [
    "EPOCH",
    "START",
    "TasksLeft",
    "VirtualClock",
    "VirtualDeadlock",
    "VirtualLoop",
    "VirtualTimeout",
    "run_virtual",
]
