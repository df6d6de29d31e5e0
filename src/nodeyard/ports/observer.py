"""Observers of a run's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nodeyard.domain.events import Event

Emit = Callable[[Event], None]
"""Tells every observer of an event, in order, before the caller goes on."""


class Observer(Protocol):
    """Sees every event of a run."""

    def see(self, event: Event) -> None:
        """Take note. Must be quick and must not raise for an event that it does not know."""
