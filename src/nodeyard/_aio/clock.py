"""The one clock of a run.

All waiting goes through a ``Clock``; the shipped virtual-time loop makes the same code run instantly in tests, because
``SystemClock`` asks the running loop for the time and the loop is what a test replaces.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where code learns the time and how it waits."""

    def now(self) -> float:
        """Seconds on a monotonic scale of unspecified origin."""

    def utc(self) -> datetime:
        """The time of day, aware, in UTC; for records only, never for measuring."""

    async def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass; not more than once around a condition (see ``poll.until``)."""


class SystemClock:
    """The running loop's monotonic time and the system's time of day."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
