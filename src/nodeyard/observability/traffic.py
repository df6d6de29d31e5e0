"""What a history comes to, small enough for a journal and a page whatever its length. Pure.

Lives here: counting, percentiles, and the density of latencies over time. Must not live here: drawing (``charts``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any

from nodeyard.domain.history import Call, Outcome

COLUMNS = 240
"""Bins of time."""
ROWS_PER_DECADE = 8
FASTEST = 1e-4
"""Seconds: the lower edge of the latency scale."""
DECADES = 6
"""From ``FASTEST`` to 100 s."""
ROWS = ROWS_PER_DECADE * DECADES
MOST_MARKS = 300
"""Operations that are told one by one: those that did not succeed, the first ones of each outcome."""


@dataclass(frozen=True)
class OperationRow:
    """One kind of operation. Latencies in seconds from the intended time, of those that ``waited``."""

    op: str
    ok: int
    fail: int
    info: int
    p50: float | None
    p90: float | None
    p99: float | None
    most: float | None

    @property
    def count(self) -> int:
        return self.ok + self.fail + self.info


@dataclass(frozen=True)
class Mark:
    """An operation that did not succeed: when it was invoked, and what people read of it."""

    at: float
    outcome: str
    text: str


@dataclass(frozen=True)
class Traffic:
    """A history in bins of ``bin`` seconds from ``start``.

    ``ok``, ``fail`` and ``info`` count completions in each bin (an operation without one counts where it was invoked).
    ``p50`` and ``p99`` are latencies in seconds of the operations invoked in the bin that ``waited``, or ``None``.
    ``cells`` are (bin, row, count) of the same operations over the latency scale.
    """

    start: float
    bin: float
    ok: tuple[int, ...]
    fail: tuple[int, ...]
    info: tuple[int, ...]
    p50: tuple[float | None, ...]
    p99: tuple[float | None, ...]
    cells: tuple[tuple[int, int, int], ...]
    operations: tuple[OperationRow, ...]
    marks: tuple[Mark, ...]
    left_out: int = 0

    @property
    def end(self) -> float:
        return self.start + self.bin * len(self.ok)

    @property
    def count(self) -> int:
        return sum(row.count for row in self.operations)

    def document(self) -> dict[str, Any]:
        """As JSON values, for the journal."""
        return {
            "start": self.start,
            "bin": self.bin,
            "ok": list(self.ok),
            "fail": list(self.fail),
            "info": list(self.info),
            "p50": list(self.p50),
            "p99": list(self.p99),
            "cells": [list(cell) for cell in self.cells],
            "operations": [
                {"op": r.op, "ok": r.ok, "fail": r.fail, "info": r.info, "p50": r.p50, "p90": r.p90, "p99": r.p99,
                 "max": r.most}
                for r in self.operations
            ],
            "marks": [{"at": m.at, "outcome": m.outcome, "text": m.text} for m in self.marks],
            "left_out": self.left_out,
        }  # fmt: skip


def traffic_of(document: Mapping[str, Any]) -> Traffic | None:
    """A summary as the journal holds it; ``None`` for one of another shape, as another version may write."""
    try:
        return Traffic(
            start=float(document["start"]),
            bin=float(document["bin"]),
            ok=tuple(map(int, document["ok"])),
            fail=tuple(map(int, document["fail"])),
            info=tuple(map(int, document["info"])),
            p50=tuple(None if v is None else float(v) for v in document["p50"]),
            p99=tuple(None if v is None else float(v) for v in document["p99"]),
            cells=tuple((int(x), int(y), int(n)) for x, y, n in document["cells"]),
            operations=tuple(
                OperationRow(r["op"], r["ok"], r["fail"], r["info"], r["p50"], r["p90"], r["p99"], r["max"])
                for r in document["operations"]
            ),
            marks=tuple(Mark(float(m["at"]), str(m["outcome"]), str(m["text"])) for m in document["marks"]),
            left_out=int(document["left_out"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def summarised(calls: Sequence[Call]) -> Traffic | None:
    """The summary of a history; ``None`` for an empty one."""
    if not calls:
        return None
    start = min(call.invoked for call in calls)
    last = max(max(call.invoked, call.completed if isfinite(call.completed) else 0.0) for call in calls)
    width = max((last - start) / COLUMNS, 1e-3) * (1 + 1e-9)
    columns = max(1, min(COLUMNS, ceil((last - start) / width)))

    def column(at: float) -> int:
        return min(columns - 1, int((at - start) / width))

    counts = {outcome: [0] * columns for outcome in Outcome}
    latencies: defaultdict[int, list[float]] = defaultdict(list)
    cells: Counter[tuple[int, int]] = Counter()
    for call in calls:
        counts[call.outcome][column(call.completed if isfinite(call.completed) else call.invoked)] += 1
        if waited(call):
            at = column(call.invoked)
            latencies[at].append(call.latency)
            cells[at, row_of(call.latency)] += 1
    ordered = {at: sorted(found) for at, found in latencies.items()}
    marks, left_out = _marks(calls)
    return Traffic(
        start=round(start, 6),
        bin=round(width, 9),
        ok=tuple(counts[Outcome.OK]),
        fail=tuple(counts[Outcome.FAIL]),
        info=tuple(counts[Outcome.INFO]),
        p50=tuple(_percentile(ordered.get(at, ()), 0.5) for at in range(columns)),
        p99=tuple(_percentile(ordered.get(at, ()), 0.99) for at in range(columns)),
        cells=tuple((x, y, count) for (x, y), count in sorted(cells.items())),
        operations=_rows(calls),
        marks=marks,
        left_out=left_out,
    )


def waited(call: Call) -> bool:
    """Whether its time counts as a latency: as for the check ``latency``, so that a page and a verdict say the same.

    What ended ``info`` counts with the time that it was waited for; a refusal, and what has no end, tell no latency.
    """
    return call.outcome is not Outcome.FAIL and isfinite(call.completed)


def row_of(latency: float) -> int:
    """The row of a latency on the logarithmic scale; what is beyond the scale stands at its edge."""
    if latency <= FASTEST:
        return 0
    return min(ROWS - 1, floor(log10(latency / FASTEST) * ROWS_PER_DECADE))


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that ``share`` of all are not above."""
    if not ordered:
        return None
    return round(ordered[max(0, ceil(share * len(ordered)) - 1)], 6)


def _rows(calls: Sequence[Call]) -> tuple[OperationRow, ...]:
    by_op: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_op[call.op].append(call)
    rows = []
    for op, found in sorted(by_op.items()):
        counts = Counter(call.outcome for call in found)
        took = sorted(call.latency for call in found if waited(call))
        rows.append(
            OperationRow(
                op, counts[Outcome.OK], counts[Outcome.FAIL], counts[Outcome.INFO],
                _percentile(took, 0.5), _percentile(took, 0.9), _percentile(took, 0.99), _percentile(took, 1.0),
            )
        )  # fmt: skip
    return tuple(rows)


def _marks(calls: Sequence[Call]) -> tuple[tuple[Mark, ...], int]:
    failed = [call for call in calls if call.outcome is not Outcome.OK]
    shown: list[Call] = []
    for outcome in (Outcome.FAIL, Outcome.INFO):
        shown += [call for call in failed if call.outcome is outcome][: MOST_MARKS // 2]
    marks = [Mark(round(call.invoked, 6), call.outcome.value, _told(call)) for call in shown]
    return tuple(sorted(marks, key=lambda mark: mark.at)), len(failed) - len(shown)


def _told(call: Call) -> str:
    key = f" {call.key}" if call.key is not None else ""
    value = f" {call.value!r}" if call.value is not None else ""
    where = f" on {call.node}" if call.node is not None else ""
    answer = f": {call.result}" if call.result is not None else ""
    return f"{call.op}{key}{value}{where} by client {call.client}{answer}"[:300]
