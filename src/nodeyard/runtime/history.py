"""The history of a run while it is made: every operation of every client, told to a sink line by line.

Lives here: numbering, times, and reading while the run goes on. Must not live here: where lines are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeyard._aio.clock import Clock
from nodeyard.domain.history import INVOKE, Call, HistoryRecord, Outcome, joined


class History:
    """Records operations. ``start`` is the time of ``clock`` that the run began at: all times count from there.

    ``sink`` takes each line as it is made. It must be quick: load waits for it.
    """

    def __init__(
        self, clock: Clock, *, start: float = 0.0, sink: Callable[[HistoryRecord], None] | None = None
    ) -> None:
        self._clock = clock
        self._start = start
        self._sink = sink
        self._records: list[HistoryRecord] = []
        self._open: dict[int, HistoryRecord] = {}
        self._next = 0

    def now(self) -> float:
        """Seconds since the run began."""
        return self._clock.now() - self._start

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
        at = self.now()
        due = at if intended is None else intended
        record = HistoryRecord(self._next, INVOKE, client, node, op, key, value, due, at)
        self._next += 1
        self._open[record.index] = record
        self._keep(record)
        return record.index

    def complete(self, index: int, outcome: Outcome, result: Any = None) -> None:
        """The operation ended now. Raises ``KeyError`` for one that is not open."""
        first = self._open.pop(index)
        self._keep(
            HistoryRecord(
                index, outcome.value, first.client, first.node, first.op, first.key, first.value, first.intended,
                self.now(), result,
            )
        )  # fmt: skip

    def _keep(self, record: HistoryRecord) -> None:
        self._records.append(record)
        if self._sink is not None:
            self._sink(record)

    def calls(self) -> tuple[Call, ...]:
        """Every operation so far, in the order of invocation; one that is under way is ``info``."""
        return joined(self._records)

    def __len__(self) -> int:
        """How many operations began."""
        return self._next
