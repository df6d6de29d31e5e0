"""Looks for an order of the operations of one register, after Wing & Gong (1993) and Lowe (2017). Pure, iterative.

The history is walked event by event. A state is a place in it, the register's value, and which of the open operations
have had their effect. An operation takes effect at the latest when its completion is reached ("just in time"); there,
and only there, the search branches. Whatever demands nothing but the present value takes effect at once: that can
never be wrong. States that were left without success are remembered, so none is visited twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nodeyard.expectations._linearizability.operations import NOTHING, Op, Token

LOOK_EVERY = 4096
"""Steps between two looks at the time."""


class Answer(StrEnum):
    """``yes`` there is an order, ``no`` there is none, ``unknown`` the budget was used up."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass
class Budget:
    """What a search may use up: ``steps`` over all its calls, ``states`` remembered at one time; ``over`` says that
    nobody waits for the answer any more.
    """

    steps: int = 20_000_000
    states: int = 1_000_000
    over: Callable[[], bool] = field(default=lambda: False)

    @property
    def spent(self) -> bool:
        return self.steps <= 0 or self.over()


@dataclass(frozen=True)
class Found:
    """The answer. After a ``no``: the operation whose completion no order reaches, and the values that the register
    could have had by then.
    """

    answer: Answer
    stuck: Op | None = None
    possible: frozenset[Token] = frozenset()


def search(ops: Sequence[Op], initial: Token, budget: Budget) -> Found:
    """Whether the operations of one register have an order that begins with the value ``initial``."""
    return _Walk(ops, initial, budget).run()


State = tuple[int, Token, int]
"""Place in the events, value of the register, bits of the open operations that have had their effect."""


Kind = tuple[Token, Token]
"""What an optional operation sees and writes."""


class _Walk:
    """``_kinds`` are the optional operations in the order of their invocation, by what they see and write."""

    def __init__(self, ops: Sequence[Op], initial: Token, budget: Budget) -> None:
        self._ops = ops
        self._initial = initial
        self._budget = budget
        self._events = _events(ops)
        self._bits, self._open = _slots(ops, self._events)
        self._kinds: defaultdict[Kind, list[int]] = defaultdict(list)
        for i in self._events:
            if i >= 0 and ops[i].optional:
                self._kinds[ops[i].sees, ops[i].writes].append(i)
        self._writing: defaultdict[Token, list[Kind]] = defaultdict(list)
        for kind in self._kinds:
            self._writing[kind[1]].append(kind)
        self._missed = {op.misses for op in ops}
        self._due, self._last = _reach(ops)
        self._furthest = -1
        self._possible: set[Token] = set()

    def run(self) -> Found:
        budget, visited = self._budget, set[State]()
        stack: list[State] = [(0, self._initial, 0)]
        look = budget.steps - LOOK_EVERY
        while stack:
            begun, value, mask = stack.pop()
            place, mask = self._advance(begun, value, mask)
            if place == len(self._events):
                return Found(Answer.YES)
            state = (place, value, mask)
            budget.steps -= 1 + place - begun
            if budget.steps < look:
                look = budget.steps - LOOK_EVERY
                if budget.spent:
                    return Found(Answer.UNKNOWN)
            if state in visited:
                continue
            if len(visited) >= budget.states:
                return Found(Answer.UNKNOWN)
            visited.add(state)
            self._note(place, value)
            moves = self._moves(place, value, mask)
            budget.steps -= len(moves)
            stack += reversed(moves)
        stuck = self._ops[~self._events[self._furthest]]
        return Found(Answer.NO, stuck, frozenset(self._possible))

    def _note(self, place: int, value: Token) -> None:
        if place > self._furthest:
            self._furthest = place
            self._possible.clear()
        if place == self._furthest:
            self._possible.add(value)

    def _advance(self, place: int, value: Token, mask: int) -> tuple[int, int]:
        """On to the first completion of an operation that has had no effect yet, or to the end."""
        events, ops, bits = self._events, self._ops, self._bits
        end = len(events)
        while place < end:
            event = events[place]
            if event >= 0:
                op = ops[event]
                if op.writes is NOTHING and _content(op, value):
                    mask |= bits[event]
            elif mask & bits[~event]:
                mask ^= bits[~event]
            else:
                break
            place += 1
        return place, mask

    def _moves(self, place: int, value: Token, mask: int) -> list[State]:
        """The states after each operation that could take effect next, the most promising first."""
        ops, bits = self._ops, self._bits
        waiting = [i for i in self._open[place] if not mask & bits[i]]
        able = [i for i in waiting if ops[i].mutates and _fits(ops[i], value)]
        able += self._useful(place, value, mask, waiting)
        now = ops[~self._events[place]].completed
        able.sort(key=lambda i: self._promise(i, value, now))
        return [(place, ops[i].writes, self._settled(ops[i].writes, mask | bits[i], waiting)) for i in able]

    def _settled(self, value: Token, mask: int, waiting: Sequence[int]) -> int:
        """The bits with all those waiting that are content with the value."""
        for i in waiting:
            op = self._ops[i]
            if op.writes is NOTHING and _content(op, value):
                mask |= self._bits[i]
        return mask

    def _useful(self, place: int, value: Token, mask: int, waiting: Sequence[int]) -> list[int]:
        """The operations that may have happened and whose effect somebody waits for; without that they need not have.

        Of several alike one stands for all: the first, so that those of a kind have their effects in their order.
        """
        ops, bits, now = self._ops, self._bits, self._ops[~self._events[place]].completed
        found: list[int] = []
        forgotten: set[Token] = set()
        wanted, any_ = self._wanted(waiting)
        for kind in self._kinds if any_ else wanted:
            if kind[0] is not NOTHING and kind[0] != value:
                continue
            alike = self._kinds[kind]
            first = bisect_left(alike, True, key=lambda i: not mask & bits[i])
            if first == len(alike) or ops[alike[first]].invoked > now:
                continue
            if any_ and kind not in wanted and self._last[alike[first]] <= now and kind[1] not in self._missed:
                if kind[0] in forgotten:
                    continue
                forgotten.add(kind[0])
            found.append(alike[first])
        return found

    def _wanted(self, waiting: Sequence[int]) -> tuple[dict[Kind, None], bool]:
        """The kinds of optional operations that write what is waited for, those that write what these see, and so on;
        and whether a refused compare-and-set waits for any other value, so that every kind will do.
        """
        ops = self._ops
        found: dict[Kind, None] = {}
        values = {ops[i].sees: None for i in waiting if ops[i].sees is not NOTHING}
        while values:
            for kind in self._writing.get(values.popitem()[0], ()):
                if kind not in found:
                    found[kind] = None
                    if kind[0] is not NOTHING:
                        values[kind[0]] = None
        return found, any(ops[i].misses is not NOTHING for i in waiting)

    def _promise(self, i: int, value: Token, now: float) -> tuple[int, float]:
        """Who goes first: what needs this very value, then what nobody will look at later, then by who is due first."""
        if self._ops[i].sees is not NOTHING and self._ops[i].sees == value and not self._ops[i].optional:
            return (0, self._due[i])
        return (1 if self._last[i] <= now else 2, self._due[i])


def _content(op: Op, value: Token) -> bool:
    """Whether an operation that writes nothing could take effect at this value."""
    if op.misses is not NOTHING:
        return op.misses != value
    return op.sees == value


def _fits(op: Op, value: Token) -> bool:
    return op.sees is NOTHING or op.sees == value


def _events(ops: Sequence[Op]) -> list[int]:
    """Invocations as the position of their operation, completions as its complement; at one time invocations first.

    So operations that touch in time count as concurrent: a clock may be too coarse to tell.
    """
    events = [(op.invoked, 0, i) for i, op in enumerate(ops)]
    events += [(op.completed, 1, ~i) for i, op in enumerate(ops) if not op.optional]
    return [event for _, _, event in sorted(events)]


def _slots(ops: Sequence[Op], events: Sequence[int]) -> tuple[list[int], dict[int, tuple[int, ...]]]:
    """A bit for each operation, used again by a later one; and who is open, without the optional ones, at each
    completion.
    """
    bits = [0] * len(ops)
    free: list[int] = []
    used = 0
    opened: dict[int, None] = {}
    at: dict[int, tuple[int, ...]] = {}
    for place, event in enumerate(events):
        if event >= 0:
            if not free:
                free.append(1 << used)
                used += 1
            bits[event] = free.pop()
            if not ops[event].optional:
                opened[event] = None
        else:
            at[place] = tuple(opened)
            del opened[~event]
            free.append(bits[~event])
    return bits, at


def _reach(ops: Sequence[Op]) -> tuple[list[float], list[float]]:
    """For each operation, when its value is first known to be there, and when somebody last began to look at it."""
    due: dict[Token, float] = {}
    last: dict[Token, float] = {}
    for op in ops:
        if op.sees is not NOTHING:
            due[op.sees] = min(op.completed, due.get(op.sees, op.completed))
            last[op.sees] = max(op.invoked, last.get(op.sees, op.invoked))
    return (
        [min(op.completed, due.get(op.writes, op.completed)) for op in ops],
        [max(op.invoked, last.get(op.writes, op.invoked)) for op in ops],
    )
