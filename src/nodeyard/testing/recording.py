"""What a run told: an observer that keeps every event, and a ledger in memory that keeps the order of its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from nodeyard.domain.events import Event
from nodeyard.domain.run_identity import RunMark
from nodeyard.errors.base import NodeyardError
from nodeyard.ports.ledger import Json, LedgerEntry

E = TypeVar("E", bound=Event)

TEST_MARK = RunMark("test-run", "test-host", "test-boot")
"""The mark of a run that exists only in a test."""


class RecordingObserver:
    """Keeps every event in order. ``see`` is an ``Emit`` as it stands."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def see(self, event: Event) -> None:
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        """The events' names as the journal writes them, in order."""
        return [event.name for event in self.events]

    def of(self, wanted: type[E], *, node: str | None = None) -> list[E]:
        """All events of one type, of one node where one is named."""
        return [e for e in self.events if isinstance(e, wanted) and (node is None or e.node == node)]


class MemoryLedger:
    """``nodeyard.ports.ledger.Ledger`` without a file and a reaper.

    ``history`` holds ``(what, entry)`` with ``record``, ``amend`` or ``settle``, in order, so that a test can prove
    that an entry came before its act. ``fails_with(error)`` makes the next ``record`` raise.
    """

    def __init__(self, mark: RunMark = TEST_MARK) -> None:
        self._mark = mark
        self._open: dict[str, LedgerEntry] = {}
        self._failure: tuple[int, NodeyardError] | None = None
        self._records = 0
        self.history: list[tuple[str, LedgerEntry]] = []

    @property
    def mark(self) -> RunMark:
        return self._mark

    def fails_with(self, error: NodeyardError, *, after: int = 0) -> None:
        """Let ``after`` more entries be recorded, then raise ``error`` once instead of recording."""
        self._failure = (self._records + after, error)

    async def record(
        self, by: str, type: str, *, node: str | None, data: Mapping[str, Json], inverse: bool = False
    ) -> LedgerEntry:
        if self._failure is not None and self._records >= self._failure[0]:
            error, self._failure = self._failure[1], None
            raise error
        self._records += 1
        entry = LedgerEntry(f"e{self._records}", by, type, node, dict(data), inverse)
        self._note("record", entry)
        return entry

    def amend(self, entry: LedgerEntry, data: Mapping[str, Json]) -> LedgerEntry:
        known = self._open.get(entry.id, entry)
        amended = replace(known, data={**known.data, **data})
        self._note("amend", amended)
        return amended

    def settle(self, entry: LedgerEntry) -> None:
        if self._open.pop(entry.id, None) is not None:
            self.history.append(("settle", entry))

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        return tuple(self._open.values())

    def recorded(self, *, by: str | None = None, inverse: bool | None = None) -> Sequence[LedgerEntry]:
        """All entries that were ever recorded, as they were then."""
        entries = (entry for what, entry in self.history if what == "record")
        return [e for e in entries if by in (None, e.by) and inverse in (None, e.inverse)]

    def _note(self, what: str, entry: LedgerEntry) -> None:
        self._open[entry.id] = entry
        self.history.append((what, entry))


__all__ = ["TEST_MARK", "MemoryLedger", "RecordingObserver"]
