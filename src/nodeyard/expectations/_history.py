"""What expectations that decide by the history share: how operations are counted, shown, and thought about.

Must not live here: deciding anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from threading import Event
from typing import Any, TypeVar

from nodeyard.domain.history import Call, Outcome
from nodeyard.domain.verdict import Check, Verdict

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
    end = f"{call.completed:.3f}" if isfinite(call.completed) else "?"
    where = f" at {call.node}" if call.node else ""
    return f"{call.invoked:.3f}-{end} s, client {call.client}{where}: {act_of(call)}"


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


def ended(calls: Iterable[Call], op: str | None) -> list[Call]:
    """The operations that have an end, of one kind or of all, in the order in which they were due.

    One that is still under way has not been kept waiting by anybody yet, so it tells nothing.
    """
    found = [call for call in calls if isfinite(call.completed) and (op is None or call.op == op)]
    return sorted(found, key=lambda call: call.intended)


def of_each_op(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """Operations by their kind, in the order of the names."""
    groups: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        groups[call.op].append(call)
    return dict(sorted(groups.items()))


def none_ended(name: str, op: str | None) -> Check:
    """The verdict on no operation at all: nothing was shown."""
    return Check(name, Verdict.VACUOUS, f"the history holds no operation{f' {op}' if op else ''} that ended")


def causes(calls: Iterable[Call], most: int = 5) -> list[str]:
    """Why operations did not end well, the commonest first."""
    bad = [call for call in calls if call.outcome is not Outcome.OK]
    counts = Counter((call.outcome, call.node, str(call.result)[:160]) for call in bad)
    return [
        f"{count} x {outcome.value} at {node or 'no node'}: {said}"
        for (outcome, node, said), count in counts.most_common(most)
    ]


def windows(calls: Sequence[Call], length: float) -> list[tuple[float, list[Call]]]:
    """The operations by when they were due, in windows of ``length`` seconds from the first one on, empty ones too.

    A last window that the traffic did not fill is left out, unless it is the only one.
    """
    first, last = calls[0].intended, calls[-1].intended
    count = max(1, int((last - first) / length))
    made: list[tuple[float, list[Call]]] = [(first + number * length, []) for number in range(count)]
    for call in calls:
        number = int((call.intended - first) / length)
        if number < count:
            made[number][1].append(call)
    return made
