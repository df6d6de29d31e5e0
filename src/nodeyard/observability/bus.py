"""Hands each event of a run to the journal first, and then to everyone else who watches."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.domain.events import ErrorRecorded, Event
from nodeyard.domain.history import HistoryRecord
from nodeyard.observability.journal import Journal
from nodeyard.ports.observer import Observer, SeesHistory


class EventBus:
    """An ``Emit``: call it with an event.

    The journal comes first and is the only observer whose failure ends a run (``RunFolderUnusable``): without it there
    is no verdict. Any other observer that raises is recorded in the journal, once, and goes on being told.
    """

    def __init__(self, journal: Journal, observers: Sequence[Observer] = ()) -> None:
        self._journal = journal
        self._observers = list(observers)
        self._recorders = [observer for observer in observers if isinstance(observer, SeesHistory)]
        self._faulty: set[int] = set()

    def add(self, observer: Observer) -> None:
        """Tell one more observer of events from now on."""
        self._observers.append(observer)
        if isinstance(observer, SeesHistory):
            self._recorders.append(observer)

    def record(self, record: HistoryRecord) -> None:
        """Tell the observers that want it of one end of an operation."""
        for observer in self._recorders:
            try:
                observer.record(record)
            except Exception as error:  # noqa: BLE001 - as below
                self._note_failure(observer, "a line of the history", error)

    def __call__(self, event: Event) -> None:
        try:
            self._journal.see(event)
        finally:
            shown = self._journal.redactor.event(event)
            for observer in self._observers:
                self._tell(observer, shown)

    def _tell(self, observer: Observer, event: Event) -> None:
        try:
            observer.see(event)
        except Exception as error:  # noqa: BLE001 - a broken display must not break the run that it displays
            self._note_failure(observer, f"'{event.name}'", error)

    def _note_failure(self, observer: object, what: str, error: Exception) -> None:
        if id(observer) in self._faulty:
            return
        self._faulty.add(id(observer))
        self._journal.see(
            ErrorRecorded(
                layer="internal",
                code="observer-failed",
                message=f"{type(observer).__name__} failed on {what}: {type(error).__name__}: {error}",
                hint="the run went on and its journal is complete; please report this",
            )
        )
