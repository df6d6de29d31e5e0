"""What ``record`` waits at: open while a reaper watches."""

from __future__ import annotations

import asyncio

from nodeyard.errors.base import NodeyardError


class ReaperGate:
    """Shut at first. An instance is a ``ledger.Gate``."""

    def __init__(self) -> None:
        self._decided = asyncio.Event()
        self._failure: NodeyardError | None = None

    async def __call__(self) -> None:
        """Return while a reaper watches, wait while another is being started. Raises what ``fail`` was given."""
        await self._decided.wait()
        if self._failure is not None:
            raise self._failure

    def open(self) -> None:
        """A reaper watches. No effect after ``fail``."""
        self._decided.set()

    def shut(self) -> None:
        """No reaper watches for now. No effect after ``fail``."""
        if self._failure is None:
            self._decided.clear()

    def fail(self, failure: NodeyardError) -> None:
        """There will be no reaper any more: everybody who waits, or comes later, is told why."""
        self._failure = self._failure or failure
        self._decided.set()
