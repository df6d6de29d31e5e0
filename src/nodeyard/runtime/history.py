"""The history of a run while it is made: every operation of every client, told to a sink line by line.

Lives here: numbering, times, counting, and reading while the run goes on. Must not live here: where lines are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from nodeyard._aio.clock import Clock
from nodeyard.domain.history import INVOKE, Call, HistoryRecord, Outcome, call_of

MOST_CAUSES = 50
"""Different causes that one workload counts apart."""


class _Book:
    """What all parts of one history share. ``calls[i]`` is operation ``i``: joined, or its first line while open."""

    def __init__(self, clock: Clock, start: float, sink: Callable[[HistoryRecord], None] | None) -> None:
        self.clock = clock
        self.start = start
        self.sink = sink
        self.calls: list[Call | HistoryRecord] = []
        self.labels: Counter[str] = Counter()


class History:
    """Records operations. ``start`` is the time of ``clock`` that the run began at: all times count from there.

    ``sink`` takes each line as it is made. It must be quick: load waits for it.
    """

    def __init__(
        self, clock: Clock, *, start: float = 0.0, sink: Callable[[HistoryRecord], None] | None = None
    ) -> None:
        self._book = _Book(clock, start, sink)

    def now(self) -> float:
        """Seconds since the run began."""
        return self._book.clock.now() - self._book.start

    def since_start(self, time: float) -> float:
        """A time of the run's clock as the history counts it: in seconds since the run began."""
        return time - self._book.start

    def invoke(
        self,
        *,
        client: int | str,
        op: str,
        node: str | None = None,
        key: str | None = None,
        value: Any = None,
        intended: float | None = None,
    ) -> int:
        """An operation begins now; returns its index. ``intended`` is when it was due, in seconds since the start."""
        book, at = self._book, self.now()
        due = at if intended is None else intended
        record = HistoryRecord(len(book.calls), INVOKE, client, node, op, key, value, due, at)
        book.calls.append(record)
        if book.sink is not None:
            book.sink(record)
        return record.index

    def complete(self, index: int, outcome: Outcome, result: Any = None) -> None:
        """The operation ended now. Raises ``KeyError`` for one that is not open."""
        book = self._book
        first = book.calls[index] if 0 <= index < len(book.calls) else None
        if not isinstance(first, HistoryRecord):
            raise KeyError(index)
        last = HistoryRecord(
            index, outcome.value, first.client, first.node, first.op, first.key, first.value, first.intended,
            self.now(), result,
        )  # fmt: skip
        book.calls[index] = call_of(first, last)
        if book.sink is not None:
            book.sink(last)

    def calls(self) -> tuple[Call, ...]:
        """Every operation so far, in the order of invocation; one that is under way is ``info``."""
        return tuple(call if isinstance(call, Call) else call_of(call, None) for call in self._book.calls)

    def __len__(self) -> int:
        """How many operations began."""
        return len(self._book.calls)

    def part(self, label: str) -> WorkloadHistory:
        """The same history as one workload writes it. A label that was taken before gets a number."""
        self._book.labels[label] += 1
        uses = self._book.labels[label]
        return WorkloadHistory(self._book, label if uses == 1 else f"{label}#{uses}")


class WorkloadHistory(History):
    """A run's history as one workload writes it: with names for its clients, and with counts of its own operations.

    ``causes`` counts what those that did not succeed were answered. ``late`` and ``dropped`` are for the workload to
    count: operations that began after they were due, and those that were never sent.
    """

    def __init__(self, book: _Book, label: str) -> None:
        self._book = book
        self.label = label
        self.counts: Counter[Outcome] = Counter()
        self.causes: Counter[str] = Counter()
        self.late = 0
        self.dropped = 0
        self._clients = 0

    def client(self) -> str:
        """A name for one more client, unique in the run."""
        self._clients += 1
        return f"{self.label}/{self._clients - 1}"

    def complete(self, index: int, outcome: Outcome, result: Any = None) -> None:
        """See ``History.complete``."""
        super().complete(index, outcome, result)
        self.counts[outcome] += 1
        if outcome is not Outcome.OK:
            cause = str(result)[:200]
            self.causes[cause if cause in self.causes or len(self.causes) < MOST_CAUSES else "other causes"] += 1
