"""Observers of a run's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from nodeyard.domain.event import Event
from nodeyard.domain.history import HistoryRecord

Emit = Callable[[Event], None]
"""Tells every observer of an event, in order, before the caller goes on."""


class Observer(Protocol):
    """Sees every event of a run."""

    def see(self, event: Event) -> None:
        """Take note. Must be quick and must not raise for an event that it does not know."""


@runtime_checkable
class SeesHistory(Protocol):
    """An observer that is also told of every operation of the run's clients."""

    def record(self, record: HistoryRecord) -> None:
        """Take note of one end of an operation. Must be quick: traffic waits for it."""
