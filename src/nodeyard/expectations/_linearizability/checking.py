"""A whole history: each register by itself, because a history is linearizable exactly if each of its registers is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodeyard.domain.history import Call
from nodeyard.expectations._linearizability.deciding import Decision, Initial, decided
from nodeyard.expectations._linearizability.operations import Op, Token, by_key
from nodeyard.expectations._linearizability.search import Answer, Budget, search
from nodeyard.expectations._linearizability.shrinking import shrunk

SHRINKING_STEPS = 3_000_000
"""What looking for a small counterexample may use up: a larger one is shown then."""


@dataclass(frozen=True)
class Counterexample:
    """The operations of one register that have no order, in the order of their invocation.

    ``stuck`` is one whose completion no order reaches, and ``possible`` the values that its register could have had.
    """

    key: str | None
    calls: tuple[Call, ...]
    stuck: Call | None
    possible: tuple[Token, ...]


@dataclass(frozen=True)
class History:
    """What is known of a history. ``registers`` counts the operations of each that could contradict something."""

    registers: dict[str | None, int]
    broken: tuple[str | None, ...] = ()
    undecided: tuple[str | None, ...] = ()
    counterexample: Counterexample | None = None

    @property
    def answer(self) -> Answer:
        if self.broken:
            return Answer.NO
        return Answer.UNKNOWN if self.undecided else Answer.YES


def checked(calls: Iterable[Call], *, initial: Token | Initial = None, budget: Budget | None = None) -> History:
    """Whether a history of ``read``, ``write`` and ``cas`` is linearizable. Other operations are not looked at.

    ``initial`` is the value of every register before the first operation: ``None`` for absent, ``ANY`` for unknown.
    Raises ``Unreadable`` for an operation that no register knows.
    """
    budget = budget if budget is not None else Budget()
    registers = by_key(calls)
    decisions = {key: decided(ops, initial, budget) for key, ops in registers.items()}
    broken = [key for key, decision in decisions.items() if decision.answer is Answer.NO]
    return History(
        registers={key: len(ops) for key, ops in registers.items()},
        broken=tuple(broken),
        undecided=tuple(key for key, decision in decisions.items() if decision.answer is Answer.UNKNOWN),
        counterexample=_smallest([(key, decisions[key]) for key in broken], initial, budget) if broken else None,
    )


def _smallest(
    broken: Sequence[tuple[str | None, Decision]], initial: Token | Initial, budget: Budget
) -> Counterexample:
    """The counterexample of the register whose suspects are the fewest."""
    key, decision = min(broken, key=lambda pair: len(pair[1].suspects))
    limits = Budget(SHRINKING_STEPS, budget.states, budget.over)
    ops = shrunk(decision.suspects, initial, limits)
    stuck, possible = _why(ops, initial, limits)
    values = sorted(possible, key=lambda value: (value is not None, str(value)))
    return Counterexample(key, tuple(op.call for op in ops), stuck.call if stuck is not None else None, tuple(values))


def _why(ops: Sequence[Op], initial: Token | Initial, budget: Budget) -> tuple[Op | None, frozenset[Token]]:
    if isinstance(initial, Initial):
        last = decided(ops, initial, budget)
        return last.stuck, last.possible
    found = search(ops, initial, budget)
    return found.stuck, found.possible
