"""The few operations that already show that a register has no order. Pure.

Only what cannot make an order impossible is done to the history: leaving out operations that look, leaving out writes
that nobody left in it looks at, taking a compare-and-set for a plain write. So the rest has no order only if the whole
has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nodeyard.expectations._linearizability.deciding import Initial, decided
from nodeyard.expectations._linearizability.operations import NOTHING, Op, Token
from nodeyard.expectations._linearizability.search import Answer, Budget

Edit = Callable[[Sequence[Op], Sequence[Op]], list[Op]]
"""Given the operations of a part and the others, what the part becomes."""


def shrunk(suspects: Sequence[Op], initial: Token | Initial, budget: Budget) -> tuple[Op, ...]:
    """The operations without each one that can be done without, as far as the budget goes."""
    kept = sorted(suspects, key=lambda op: op.invoked)
    size = -1
    while size != len(kept) and not budget.spent:
        size = len(kept)
        for edit in (_without_lookers, _as_writes, _without_writes):
            kept = _edited(kept, edit, initial, budget)
    return tuple(kept)


def _edited(kept: list[Op], edit: Edit, initial: Token | Initial, budget: Budget) -> list[Op]:
    """Apply an edit to halves, quarters and so on down to single operations, wherever there is still no order."""
    length = len(kept)
    while length >= 1 and not budget.spent:
        start = 0
        while start < len(kept) and not budget.spent:
            before, part, after = kept[:start], kept[start : start + length], kept[start + length :]
            edited = edit(part, before + after)
            tried = before + edited + after
            if edited != part and decided(tried, initial, budget).answer is Answer.NO:
                kept = tried
                start += len(edited)
            else:
                start += length
        length //= 2
    return kept


def _without_lookers(part: Sequence[Op], others: Sequence[Op]) -> list[Op]:
    return [op for op in part if op.mutates]


def _as_writes(part: Sequence[Op], others: Sequence[Op]) -> list[Op]:
    return [replace(op, sees=NOTHING) if op.mutates and op.sees is not NOTHING else op for op in part]


def _without_writes(part: Sequence[Op], others: Sequence[Op]) -> list[Op]:
    """The part without the writes that may go: nobody who stays sees their value, or could be looking past them."""
    stay = [op for op in part if not op.mutates]
    for op in reversed([op for op in part if op.mutates]):
        rest = [*others, *stay]
        seen = any(other.sees == op.writes for other in rest)
        if seen or not all(_apart(op, other, rest) for other in rest if other.misses is not NOTHING):
            stay.append(op)
    return sorted(stay, key=lambda op: op.invoked)


def _apart(write: Op, refused: Op, rest: Sequence[Op]) -> bool:
    """Whether a refused compare-and-set can in no order come right after a write, which then hides nothing from it."""
    if write.invoked > refused.completed:
        return True
    return any(
        other.mutates and write.completed < other.invoked and other.completed < refused.invoked for other in rest
    )
