"""How fast a run's traffic goes now, kept while it goes on: the last few seconds, second by second."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from nodeyard.domain.history import INVOKE, HistoryRecord, Outcome

WINDOW = 5
"""Seconds that a reading looks back."""


@dataclass(frozen=True)
class Reading:
    """``rate`` of completions per second, and latencies in seconds of what was not refused, over the last seconds.

    The counts are of the whole run; ``open`` operations wait for an answer.
    """

    rate: float
    p50: float | None
    p99: float | None
    ok: int
    fail: int
    info: int
    open: int


@dataclass
class _Second:
    at: int
    done: int = 0
    latencies: list[float] = field(default_factory=list)


class Meter:
    """Takes the lines of a history in one thread; is read in another one."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque(maxlen=WINDOW + 1)
        self._counts = dict.fromkeys(Outcome, 0)
        self._open = 0
        self._lock = Lock()

    def record(self, record: HistoryRecord) -> None:
        """Take one line in."""
        with self._lock:
            if record.type == INVOKE:
                self._open += 1
                return
            self._open -= 1
            outcome = Outcome(record.type)
            self._counts[outcome] += 1
            second = self._second(int(record.at))
            second.done += 1
            if outcome is not Outcome.FAIL:  # as the report and the check ``latency`` count
                second.latencies.append(record.at - record.intended)

    def _second(self, at: int) -> _Second:
        if not self._seconds or self._seconds[-1].at < at:
            self._seconds.append(_Second(at))
        return self._seconds[-1]

    def read(self, now: float) -> Reading | None:
        """The reading at ``now``, in seconds since the run began; ``None`` before the first operation."""
        with self._lock:
            if not any(self._counts.values()) and not self._open:
                return None
            recent = [s for s in self._seconds if now - WINDOW <= s.at <= now]
            first = min((s.at for s in recent), default=now)
            took = sorted(latency for s in recent for latency in s.latencies)
            return Reading(
                rate=sum(s.done for s in recent) / max(1.0, now - first),
                p50=took[len(took) // 2] if took else None,
                p99=took[min(len(took) - 1, len(took) * 99 // 100)] if took else None,
                ok=self._counts[Outcome.OK],
                fail=self._counts[Outcome.FAIL],
                info=self._counts[Outcome.INFO],
                open=self._open,
            )
