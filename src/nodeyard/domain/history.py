"""What clients did and what came of it: the record that checks decide from. Pure.

Lives here: the two lines of an operation, and how they are joined. Must not live here: files, and how load is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any


class Outcome(StrEnum):
    """How an operation ended. ``ok``: it happened; ``fail``: it did not, for certain; ``info``: it may have happened.

    A time-out is ``info``, and so is an operation whose completion was never written.
    """

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


INVOKE = "invoke"
"""The type of the first line of an operation; an ``Outcome`` is that of its second."""


OUTCOMES = {outcome.value: outcome for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One line of ``history.jsonl``. ``at`` and ``intended`` are seconds on the run's one clock.

    ``intended`` is when the operation was due by its schedule, equal to ``at`` where nothing was scheduled. ``value``
    is what was asked for (the text to write, ``[expected, new]`` of a compare-and-set), ``result`` what was answered.
    """

    index: int
    type: str
    client: int | str
    node: str | None
    op: str
    key: str | None
    value: Any
    intended: float
    at: float
    result: Any = None

    def document(self) -> dict[str, Any]:
        """The line as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Call:
    """One operation with both its ends. ``completed`` is infinite where the completion is missing.

    ``outcome`` is ``info`` then. ``result`` is what was answered, or the text of the error.
    """

    index: int
    client: int | str
    node: str | None
    op: str
    key: str | None
    value: Any
    intended: float
    invoked: float
    completed: float
    outcome: Outcome
    result: Any = None

    @property
    def latency(self) -> float:
        """Seconds from the intended time, so that a stalled system cannot hide the time that others waited."""
        return self.completed - self.intended


def joined(records: Iterable[HistoryRecord]) -> tuple[Call, ...]:
    """The operations of a history in the order of their invocation, each with its completion where there is one."""
    invoked: dict[int, HistoryRecord] = {}
    completed: dict[int, HistoryRecord] = {}
    for record in records:
        (invoked if record.type == INVOKE else completed)[record.index] = record
    return tuple(call_of(first, completed.get(index)) for index, first in invoked.items())


def call_of(first: HistoryRecord, last: HistoryRecord | None) -> Call:
    """Both lines of an operation as one value; without the last one it may have happened."""
    return Call(
        index=first.index,
        client=first.client,
        node=first.node,
        op=first.op,
        key=first.key,
        value=first.value,
        intended=first.intended,
        invoked=first.at,
        completed=last.at if last is not None else inf,
        outcome=OUTCOMES[last.type] if last is not None else Outcome.INFO,
        result=last.result if last is not None else None,
    )


def record_of(document: Mapping[str, Any]) -> HistoryRecord:
    """A line of ``history.jsonl`` as a value; unknown fields are left out. Raises ``KeyError`` for a missing one."""
    return HistoryRecord(
        index=document["index"],
        type=document["type"],
        client=document["client"],
        node=document["node"],
        op=document["op"],
        key=document["key"],
        value=document["value"],
        intended=document["intended"],
        at=document["at"],
        result=document.get("result"),
    )
