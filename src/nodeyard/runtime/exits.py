"""An observer that keeps which nodes ended during the run, and whether somebody had asked for it.

Whoever sees a process end says whether an operation of this run asked for it; nothing is guessed here. (A node that
dies by itself while it is being restarted would otherwise pass for one that was stopped.)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nodeyard.domain.events import Event, NodeExited


@dataclass(frozen=True)
class ExitRecord:
    """One end of one node. ``status`` as its backend words it; ``last_lines`` of its output, oldest first."""

    node: str
    status: str
    expected: bool
    last_lines: tuple[str, ...] = ()


class ExitWatch:
    """Keeps every ``NodeExited`` event, in order."""

    def __init__(self) -> None:
        self._records: list[ExitRecord] = []
        self._waiting: set[asyncio.Future[None]] = set()

    def see(self, event: Event) -> None:
        """Take note of an exit; other events are not its business."""
        if isinstance(event, NodeExited) and event.node is not None:
            self._records.append(ExitRecord(event.node, event.status, event.expected, tuple(event.last_lines)))
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def more_than(self, known: int) -> None:
        """Wait until there are more than ``known`` records."""
        while len(self._records) <= known:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    @property
    def records(self) -> tuple[ExitRecord, ...]:
        return tuple(self._records)

    def unexpected(self) -> tuple[ExitRecord, ...]:
        return tuple(record for record in self._records if not record.expected)
