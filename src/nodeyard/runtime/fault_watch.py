"""An observer that keeps when faults began, and when they were seen to be over."""

from __future__ import annotations

from dataclasses import dataclass

from nodeyard._aio.clock import Clock
from nodeyard.domain.events import Event, FaultHealed, FaultInjected


@dataclass(frozen=True)
class FaultRecord:
    """One moment of a fault on one node. ``at`` is a time of the run's clock; ``healed`` says which moment it is."""

    fault: str
    node: str | None
    at: float
    healed: bool


class FaultWatch:
    """Keeps every ``FaultInjected`` and ``FaultHealed`` event with its time, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: list[FaultRecord] = []

    def see(self, event: Event) -> None:
        """Take note of a fault; other events are not its business."""
        if isinstance(event, FaultInjected | FaultHealed):
            healed = isinstance(event, FaultHealed)
            self._records.append(FaultRecord(event.fault, event.node, self._clock.now(), healed))

    @property
    def records(self) -> tuple[FaultRecord, ...]:
        return tuple(self._records)
