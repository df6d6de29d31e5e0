"""The virtual-time loop: jumps, deadlocks, threads, refused I/O."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from nodeyard._aio.clock import SystemClock
from nodeyard.testing import TasksLeft, VirtualClock, VirtualDeadlock, VirtualTimeout, run_virtual
from nodeyard.testing.virtual_time import EPOCH, START


def test_an_hour_passes_at_once() -> None:
    async def body() -> float:
        await asyncio.sleep(3599)
        return SystemClock().now()

    began = time.monotonic()
    assert run_virtual(body()) == START + 3599
    assert time.monotonic() - began < 1


def test_timers_fire_in_their_order_and_time_never_goes_back() -> None:
    async def body() -> list[tuple[int, float]]:
        seen: list[tuple[int, float]] = []

        async def one(seconds: int) -> None:
            await asyncio.sleep(seconds / 10)
            seen.append((seconds, VirtualClock().now()))

        async with asyncio.TaskGroup() as group:
            for seconds in (7, 3, 5, 1):
                group.create_task(one(seconds))
        return seen

    seen = run_virtual(body())
    assert [seconds for seconds, _ in seen] == [1, 3, 5, 7]
    assert [at for _, at in seen] == sorted(at for _, at in seen)


def test_timeouts_work_unchanged() -> None:
    async def body() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return VirtualClock().now()

    assert run_virtual(body()) == START + 5


def test_a_deadlock_is_an_error_that_names_the_task() -> None:
    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait(), name="the-stuck-one")

    with pytest.raises(VirtualDeadlock, match=r"the-stuck-one at .*locks\.py"):
        run_virtual(body())


def test_an_endless_wait_ends_at_the_limit_and_is_cleaned_up() -> None:
    cleaned: list[float] = []

    async def body() -> None:
        try:
            while True:
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(5)
            cleaned.append(VirtualClock().now())

    with pytest.raises(VirtualTimeout, match="after 10 virtual seconds"):
        run_virtual(body(), timeout=10)
    assert cleaned == [START + 15]


def test_a_timeout_error_of_the_coroutine_itself_passes() -> None:
    async def body() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        run_virtual(body())


def test_tasks_that_nobody_awaits_are_an_error() -> None:
    async def body() -> None:
        body.kept = asyncio.create_task(asyncio.sleep(1), name="forgotten")  # type: ignore[attr-defined]

    with pytest.raises(TasksLeft, match="forgotten"):
        run_virtual(body())


def test_time_stands_still_while_a_thread_works() -> None:
    async def body() -> tuple[str, float]:
        async with asyncio.timeout(0.001):
            name = await asyncio.to_thread(lambda: (time.sleep(0.05), threading.current_thread().name)[1])
        return name, VirtualClock().now()

    name, now = run_virtual(body())
    assert name != threading.current_thread().name
    assert now == START


def test_real_connections_are_refused() -> None:
    async def body() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(RuntimeError, match="in virtual time"):
        run_virtual(body())


def test_subprocesses_are_refused() -> None:
    async def body() -> None:
        await asyncio.create_subprocess_exec("true")

    with pytest.raises(RuntimeError, match="a subprocess was started in virtual time"):
        run_virtual(body())


def test_the_time_of_day_starts_at_a_fixed_epoch() -> None:
    async def body() -> None:
        clock = VirtualClock()
        assert clock.utc() == EPOCH
        await clock.sleep(90)
        assert clock.utc() == EPOCH + timedelta(seconds=90)

    run_virtual(body())
