"""When faults happen and how many nodes they must leave alone. Pure.

Times are in seconds after the phase's start. Must not live here: which nodes a selector means (``selectors``), and
waiting for any of these times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Literal

Keep = int | Literal["quorum"]
"""How many nodes faults must leave alone: a number, or a majority of all."""


@dataclass(frozen=True)
class Slot:
    """One planned injection: when it begins, and when it is healed. ``end`` is never past the phase's."""

    number: int
    start: float
    end: float


def slots(*, at: float | None, every: float | None, lasting: float | None, length: float) -> Iterator[Slot]:
    """The injections of one fault in a phase of ``length`` seconds (``inf``: one without an end of its own).

    The first comes ``at`` (0 if absent) and, with ``every``, another one each so many seconds. Without ``lasting`` each
    lasts half of ``every``, or to the end of the phase. One that would begin at the end of the phase or later is none.
    """
    first = at or 0.0
    own = lasting if lasting is not None else every / 2 if every is not None else inf
    for number in count() if every is not None else (0,):
        start = first + number * (every or 0.0)
        if start >= length:
            return
        yield Slot(number, start, min(start + own, length))


def left_alone(keeps: Iterable[Keep | None], members: int) -> int:
    """How many of ``members`` nodes all faults of a phase together must leave alone: the strictest of what each says.

    A quorum is a majority of all members, those included that are down already.
    """
    return max((members // 2 + 1 if keep == "quorum" else keep for keep in keeps if keep is not None), default=0)


def least_members(victims: int, keep: Keep | None) -> int:
    """How many nodes there must be, so that so many can be harmed and enough are left alone."""
    if keep == "quorum":
        return 2 * victims + 1
    return victims + (keep or 0)


def too_many(
    victims: Collection[str], *, members: Collection[str], down: Collection[str], keeps: Collection[Keep | None]
) -> str:
    """Why these nodes must not be harmed as well now, or an empty text.

    ``down`` are nodes that an open fault harms or that do not run; ``members`` all nodes that count.
    """
    needed = left_alone(keeps, len(members))
    harmed = set(members) & (set(down) | set(victims))
    up = len(members) - len(harmed)
    if up >= needed:
        return ""
    already = sorted(set(members) & set(down))
    return f"{', '.join(sorted(victims))} would leave {up} of {len(members)} nodes alone, and {needed} must be" + (
        f" (down already: {', '.join(already)})" if already else ""
    )


__all__ = ["Keep", "Slot", "least_members", "left_alone", "slots", "too_many"]
