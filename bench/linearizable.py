"""Deciding whether histories are linearizable, beside Porcupine on the very same ones: equal answers, and the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from bench import reference
from bench.measure import Row, Setup, ratio, single
from nodeyard.domain.history import Call, Outcome
from nodeyard.expectations._linearizability.checking import checked
from nodeyard.expectations._linearizability.search import Answer

CLIENTS, KEYS = 10, 100


def rows(setup: Setup) -> list[Row]:
    count = setup.size(100_000, 500)
    made = [
        (f"{count} operations", history(Random(1), count)),
        (f"{count}, 1 % without an answer", history(Random(2), count, lost=0.01)),
        (f"{count}, with a stale read", with_stale_read(history(Random(3), count))),
    ]
    found: list[Row] = []
    for name, calls in made:
        ours = [seconds(calls) for _ in range(setup.count(5))]
        what = f"{name} on {KEYS} keys by {CLIENTS} clients"
        if not reference.available():
            found.append(single("linearizable", what, [took for took, _ in ours], 10.0, unit="s"))
            continue
        theirs = [reference.answers([calls])[0] for _ in range(setup.count(3))]
        if {answer for _, answer in ours} != {_answer(one) for one in theirs}:
            raise RuntimeError(f"the answers differ: {ours[0][1]} and {theirs[0]}")
        found.append(single("linearizable", what, [took for took, _ in ours], 10.0, unit="s"))
        times = [took for took, _ in ours], [one.seconds for one in theirs]
        found.append(ratio("linearizable", f"{what}, against Porcupine", *times, None))
    return found


def seconds(calls: Sequence[Call]) -> tuple[float, Answer]:
    begin = time.monotonic()
    answer = checked(calls).answer
    return time.monotonic() - begin, answer


def _answer(one: reference.Answered) -> Answer:
    return {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}[one.linearizable]


def history(random: Random, count: int, *, lost: float = 0.0) -> list[Call]:
    """What clients would see of registers that do each operation at one moment, as ``kv-register`` mixes them."""
    free = [(0.0, client) for client in range(CLIENTS)]
    plans = []
    for index in range(count):
        at, client = min(free)
        free.remove((at, client))
        moment = at + random.expovariate(500)
        done = moment + random.expovariate(500)
        plans.append((moment, index, client, at, done, f"k{random.randrange(KEYS)}"))
        free.append((done, client))
    held: dict[str, str] = {}
    seen: dict[str, str | None] = {}
    calls = []
    for _, index, client, begun, done, key in sorted(plans):
        op = random.choices(("read", "write", "cas"), (5, 3, 2))[0]
        new, known = f"{client}:{index}", seen.get(key)
        value = {"read": None, "write": new, "cas": [known, new]}[op]
        unknown = random.random() < lost
        happens = op != "read" and not (unknown and random.random() < 0.5) and (op == "write" or held.get(key) == known)
        if happens:
            held[key] = new
        result = {"read": held.get(key), "write": index, "cas": happens}[op]
        if unknown:
            calls.append(Call(index, client, "n0", op, key, value, begun, begun, done + 1, Outcome.INFO, "no answer"))
        else:
            seen[key] = held.get(key)
            calls.append(Call(index, client, "n0", op, key, value, begun, begun, done, Outcome.OK, result))
    return sorted(calls, key=lambda call: call.invoked)


def with_stale_read(calls: Sequence[Call]) -> list[Call]:
    """The history in which one late read saw what a much earlier one on its key saw."""
    reads = [call for call in calls if call.op == "read" and call.outcome is Outcome.OK and call.result is not None]
    late = reads[-1 - len(reads) // 10]
    early = next((call for call in reads if call.key == late.key and call.result != late.result), reads[0])
    return [replace(call, result=early.result) if call is late else call for call in calls]
