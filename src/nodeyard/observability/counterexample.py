"""Where the bars of a counterexample stand: one lane per client, one bar per operation. Pure geometry.

A counterexample is small, so that its times need not be to scale: what counts is which operations overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeyard.domain import events as ev
from nodeyard.observability.timeline import LEFT, RIGHT, WIDTH
from nodeyard.observability.wording import seconds

LANE = 30.0
MOST_CALLS = 60
"""Operations that one drawing holds; the rest stand in the evidence of the check."""


@dataclass(frozen=True)
class CallBar:
    """One operation. ``open`` when it was never answered: its bar goes on to the edge."""

    x: float
    y: float
    width: float
    height: float
    style: str
    label: str
    title: str
    open: bool


@dataclass(frozen=True)
class Drawing:
    """The operations of one counterexample."""

    check: str
    key: str | None
    explained: str
    width: float
    height: float
    lanes: tuple[tuple[float, str], ...]
    bars: tuple[CallBar, ...]
    left_out: int


def drawing(found: ev.CounterexampleFound) -> Drawing | None:
    """The drawing; ``None`` for operations of another shape, as another version may write."""
    try:
        return _drawn(found, found.calls[:MOST_CALLS])
    except (KeyError, TypeError, ValueError):
        return None


def _drawn(found: ev.CounterexampleFound, calls: Sequence[Mapping[str, Any]]) -> Drawing:
    places = _places(calls)
    clients = list(dict.fromkeys(str(call["client"]) for call in calls))
    top = {client: 8 + number * LANE for number, client in enumerate(clients)}
    bars = []
    for call in calls:
        x = places[float(call["invoked"])]
        completed = call["completed"]
        end = places[float(completed)] if completed is not None else WIDTH - RIGHT
        label = _label(call)
        took = f"{seconds(float(call['invoked']))} to {seconds(float(completed)) if completed is not None else 'never'}"
        node = f" on {call['node']}" if call.get("node") else ""
        title = f"{label}{node}, {call['outcome']} ({took})"
        width = max(3.0, end - x)
        bars.append(CallBar(x, top[str(call["client"])], width, LANE - 8, str(call["outcome"]),
                            label if len(label) * 6.3 < width - 6 else "", title, completed is None))  # fmt: skip
    lanes = tuple((y + LANE / 2 + 1, f"client {client}") for client, y in top.items())
    return Drawing(found.check, found.key, found.explained, WIDTH, 14 + len(clients) * LANE, lanes, tuple(bars),
                   len(found.calls) - len(calls))  # fmt: skip


def _places(calls: Sequence[Mapping[str, Any]]) -> dict[float, float]:
    """An x for each moment: in their order, each as far from the next one."""
    times = {float(call["invoked"]) for call in calls}
    times |= {float(call["completed"]) for call in calls if call["completed"] is not None}
    ordered = sorted(times)
    step = (WIDTH - LEFT - RIGHT) / max(1, len(ordered))
    return {at: LEFT + number * step for number, at in enumerate(ordered)}


def _label(call: Mapping[str, Any]) -> str:
    value, result = call["value"], call["result"]
    if call["op"] == "read":
        return f"read {'?' if call['outcome'] != 'ok' else 'nothing' if result is None else result}"
    if call["op"] == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        answer = "" if call["outcome"] != "ok" else " done" if result else " refused"
        return f"cas {value[0]} to {value[1]}{answer}"
    return f"{call['op']} {value}"
