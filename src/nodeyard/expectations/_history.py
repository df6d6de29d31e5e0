"""What expectations that decide by the history share: how operations are counted, shown, and thought about.

Must not live here: deciding anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from threading import Event
from typing import Any, TypeVar

from nodeyard.domain.history import Call, Outcome

T = TypeVar("T")


async def in_thread(think: Callable[[Callable[[], bool]], T]) -> T:
    """Run a long computation beside the loop. It is given what says that nobody waits for it any more, and must ask."""
    abandoned = Event()
    try:
        return await asyncio.to_thread(think, abandoned.is_set)
    finally:
        abandoned.set()


def shown(call: Call) -> str:
    """One operation as a line of evidence."""
    ended = f"{call.completed:.3f}" if isfinite(call.completed) else "?"
    where = f" at {call.node}" if call.node else ""
    return f"{call.invoked:.3f}-{ended} s, client {call.client}{where}: {act_of(call)}"


def act_of(call: Call) -> str:
    """What was asked for, and what was said."""
    asked = call.op if call.key is None else f"{call.op} {call.key}"
    if call.op == "cas" and isinstance(call.value, Sequence) and len(call.value) == 2:
        asked += f" from {written(call.value[0])} to {written(call.value[1])}"
    elif call.value is not None:
        asked += f" {written(call.value)}"
    if call.outcome is not Outcome.OK:
        said = {Outcome.FAIL: "refused", Outcome.INFO: "outcome unknown"}[call.outcome]
        return f"{asked} -> {said}" + (f" ({call.result})" if call.result else "")
    return asked if call.op == "write" else f"{asked} -> {written(call.result)}"


def written(value: Any) -> str:
    """A value as people read it: texts in quotes, ``nothing`` for an absent one."""
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def counted(calls: Iterable[Call]) -> tuple[str, ...]:
    """How many operations of each kind ended in which way, one line for each kind."""
    counts = Counter((call.op, call.outcome) for call in calls)
    return tuple(
        f"{op}: " + ", ".join(f"{counts[op, outcome]} {outcome.value}" for outcome in Outcome if counts[op, outcome])
        for op in sorted({op for op, _ in counts})
    )


def document(call: Call) -> dict[str, Any]:
    """A call as JSON values, for the event ``counterexample-found``."""
    return {
        "index": call.index,
        "client": call.client,
        "node": call.node,
        "op": call.op,
        "key": call.key,
        "value": call.value,
        "invoked": call.invoked,
        "completed": call.completed if isfinite(call.completed) else None,
        "outcome": call.outcome.value,
        "result": call.result,
    }
