"""One register decided by whichever way is quickest. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

from nodeyard.expectations._linearizability.operations import NOTHING, OTHER, Op, Token
from nodeyard.expectations._linearizability.search import Answer, Budget, search
from nodeyard.expectations._linearizability.zones import decide


class Initial(Enum):
    """What is known of a register before the first operation, where its value is not."""

    ANY = "any"


ANY: Final = Initial.ANY


@dataclass(frozen=True)
class Decision:
    """``suspects`` are operations that already have no order by themselves: all of them, or few where they are known.

    ``stuck`` is one that no order reaches, ``possible`` the values that the register could have had by then.
    """

    answer: Answer
    suspects: tuple[Op, ...] = ()
    stuck: Op | None = None
    possible: frozenset[Token] = frozenset()


def decided(ops: Sequence[Op], initial: Token | Initial, budget: Budget) -> Decision:
    """Whether the operations have an order; with ``ANY``, whether they have one for some first value."""
    unknown = False
    last = Decision(Answer.YES)
    for value in _first_values(ops) if initial is ANY else (initial,):
        last = _decided(ops, value, budget)
        if last.answer is Answer.YES:
            return last
        unknown |= last.answer is Answer.UNKNOWN
    if unknown:
        return Decision(Answer.UNKNOWN)
    return last if initial is not ANY else Decision(Answer.NO, tuple(ops), last.stuck, last.possible)


def _first_values(ops: Sequence[Op]) -> list[Token]:
    """Every value that could have been there at first: one that nobody saw, or one seen before a write was over."""
    first = min((op.completed for op in ops if op.mutates), default=inf)
    seen = {op.sees: None for op in ops if op.sees is not NOTHING and op.invoked <= first}
    return [OTHER, *seen]


def _decided(ops: Sequence[Op], initial: Token, budget: Budget) -> Decision:
    known = decide(ops, initial)
    if known is not None:
        budget.steps -= len(ops)
        if known.conflict:
            return Decision(Answer.NO, known.conflict)
        if not known.doubtful:
            return Decision(Answer.YES)
    found = search(ops, initial, budget)
    if found.answer is not Answer.NO or found.stuck is None:
        return Decision(found.answer)
    return Decision(Answer.NO, reached(ops, found.stuck.completed), found.stuck, found.possible)


def reached(ops: Sequence[Op], at: float) -> tuple[Op, ...]:
    """The history as it was at a time: what had begun, with an open end where the completion was still to come."""
    begun = [op for op in ops if op.invoked <= at]
    return tuple(op if op.completed <= at else op.weakened() for op in begun if op.completed <= at or op.mutates)
