"""Histories for tests: made by a true register, changed at random, and decided by trying every order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, permutations
from math import inf
from random import Random
from typing import Any

from nodeyard.domain.history import Call, Outcome


def call(
    index: int,
    op: str,
    value: Any,
    invoked: float,
    completed: float,
    *,
    result: Any = None,
    outcome: Outcome = Outcome.OK,
    client: int | str = 0,
    node: str | None = "n0",
    key: str | None = "k",
) -> Call:
    """One operation; ``intended`` is when it was invoked."""
    return Call(index, client, node, op, key, value, invoked, invoked, completed, outcome, result)


def true_history(
    random: Random,
    *,
    operations: int,
    clients: int = 4,
    keys: Sequence[str] = ("k",),
    values: int | None = None,
    info: float = 0.0,
    cas: float = 0.3,
    think: float = 0.0,
) -> list[Call]:
    """What clients see of registers that take each operation at one moment between invocation and completion.

    ``values`` bounds how many different values are written; without it all differ. With probability ``info`` the
    outcome of an operation is never known, whether it had its effect or not.
    """
    free = [(0.0, client) for client in range(clients)]
    plans = []
    for index in range(operations):
        at, client = min(free)
        free.remove((at, client))
        begun = at + random.expovariate(1 / think) if think else at + random.random() * 0.2
        moment = begun + random.random()
        done = moment + random.random()
        plans.append((moment, index, client, begun, done, random.choice(keys)))
        free.append((done, client))
    registers: dict[str, Any] = {}
    known: dict[tuple[int, str], Any] = {}
    calls = []
    for _, index, client, begun, done, key in sorted(plans):
        lost = random.random() < info
        happens = not lost or random.random() < 0.5
        new = f"v{index}" if values is None else f"v{random.randrange(values)}"
        roll = random.random()
        op = "cas" if roll < cas else "read" if roll < cas + (1 - cas) / 2 else "write"
        now = registers.get(key)
        value: Any = None
        result: Any = None
        if op == "read":
            result = known[client, key] = now
        elif op == "write":
            value = new
            if happens:
                registers[key] = known[client, key] = new
        else:
            value = [random.choice([known.get((client, key)), now]), new]
            result = now == value[0]
            if happens and result:
                registers[key] = known[client, key] = new
        if lost:
            calls.append(call(index, op, value, begun, inf, outcome=Outcome.INFO, client=f"{client}/{index}", key=key))
        else:
            calls.append(call(index, op, value, begun, done, result=result, client=client, key=key))
    return sorted(calls, key=lambda one: one.invoked)


def has_order(calls: Iterable[Call], initial: Any = None) -> bool:
    """By trying every subset of what may have happened, in every order: the definition itself."""
    sure = [c for c in calls if c.outcome is Outcome.OK]
    maybe = [c for c in calls if c.outcome is Outcome.INFO and c.op != "read"]
    return any(
        _fits(order, initial)
        for count in range(len(maybe) + 1)
        for some in combinations(maybe, count)
        for order in permutations([*sure, *some])
    )


def _fits(order: Sequence[Call], initial: Any) -> bool:
    value, latest = initial, -inf
    for one in order:
        if _completed(one) < latest:
            return False
        latest = max(latest, one.invoked)
        if one.op == "read":
            if one.result != value:
                return False
        elif one.op == "write":
            value = one.value
        else:
            expected, new = one.value
            happens = one.result is not False if one.outcome is Outcome.OK else True
            if happens != (value == expected):
                return False
            value = new if happens else value
    return True


def _completed(one: Call) -> float:
    return one.completed if one.outcome is Outcome.OK else inf
