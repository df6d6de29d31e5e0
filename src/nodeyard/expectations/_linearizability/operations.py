"""The operations of one register as demands on its value. Pure.

Lives here: what a ``Call`` of a history means for its register. Must not live here: deciding anything.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import Any, Final

from nodeyard.domain.history import Call, Outcome

READ, WRITE, CAS = "read", "write", "cas"


class Unset(Enum):
    """Not a value of the history: no demand, nothing written (``NOTHING``), or a value that nobody saw (``OTHER``)."""

    NOTHING = "nothing"
    OTHER = "other"


NOTHING: Final = Unset.NOTHING
OTHER: Final = Unset.OTHER

Token = Hashable
"""A value as something that can be compared and counted."""


class Unreadable(ValueError):
    """A call says something that no register operation can say. ``str`` names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation: ``sees`` is the value that must be there, ``misses`` one that must not, ``writes`` the one that is
    there afterwards; each may be ``NOTHING``. ``completed`` is infinite for one that may also never have happened.
    """

    sees: Token
    misses: Token
    writes: Token
    invoked: float
    completed: float
    call: Call

    @property
    def optional(self) -> bool:
        return self.completed == inf

    @property
    def mutates(self) -> bool:
        return self.writes is not NOTHING

    def weakened(self) -> Op:
        """The same with an outcome that nobody knows."""
        return replace(self, completed=inf)


def token(value: Any) -> Token:
    """A value of a history for comparison: texts and ``None`` as they are, everything else as its JSON."""
    if value is None or isinstance(value, str):
        return value
    return ("json", json.dumps(value, sort_keys=True))


def by_key(calls: Iterable[Call]) -> dict[str | None, list[Op]]:
    """The operations of each register that demand anything. Raises ``Unreadable``.

    What certainly did not happen is left out, and so is a read without an answer: neither can contradict anything.
    """
    registers: defaultdict[str | None, list[Op]] = defaultdict(list)
    for call in calls:
        if call.op in (READ, WRITE, CAS):
            ops = registers[call.key]
            op = _op(call)
            if op is not None:
                ops.append(op)
    return dict(registers)


def _op(call: Call) -> Op | None:
    if call.outcome is Outcome.FAIL:
        return None
    known = call.outcome is Outcome.OK
    completed = call.completed if known else inf
    if call.op == READ:
        return Op(token(call.result), NOTHING, NOTHING, call.invoked, completed, call) if known else None
    if call.op == WRITE:
        return Op(NOTHING, NOTHING, token(call.value), call.invoked, completed, call)
    expected, new = _pair(call)
    if not known or call.result is True:
        return Op(token(expected), NOTHING, token(new), call.invoked, completed, call)
    if call.result is False:
        return Op(NOTHING, token(expected), NOTHING, call.invoked, completed, call)
    raise Unreadable(f"operation {call.index}: a cas ended with {call.result!r}, which is neither true nor false")


def _pair(call: Call) -> tuple[Any, Any]:
    if isinstance(call.value, Sequence) and not isinstance(call.value, str) and len(call.value) == 2:
        return call.value[0], call.value[1]
    raise Unreadable(f"operation {call.index}: the value of a cas is {call.value!r}, not [expected, new]")
