"""What one step or check is given: the network, its time, its randomness, and where it reports to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

from nodeyard._aio import poll, tasks
from nodeyard._aio.clock import Clock
from nodeyard.domain.capability import Capability
from nodeyard.domain.quantity import format_duration
from nodeyard.domain.selectors import Selector
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.base import NodeyardError
from nodeyard.ports.observer import Emit

if TYPE_CHECKING:  # a plugin's class is all that checking a scenario needs, and each imports this module
    from nodeyard.runtime.exits import ExitWatch
    from nodeyard.runtime.fault_watch import FaultWatch
    from nodeyard.runtime.history import History
    from nodeyard.runtime.network import Found, LiveNetwork
    from nodeyard.runtime.node import Node

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class StepContext:
    """``deadline`` is the time of ``clock`` at which the step is ended. ``random`` is seeded by the run's seed and the
    step's place in the scenario, so that picks do not depend on what other steps drew. ``report`` takes a check that
    the step decided. ``history`` is the record of all operations of the run; a workload's own is a
    ``WorkloadHistory``. ``place`` names the seed and the place, for parts that get randomness of their own. ``base`` is
    the folder that relative paths in the scenario start from.
    """

    network: LiveNetwork
    clock: Clock
    deadline: float
    emit: Emit
    random: Random
    exits: ExitWatch
    faults: FaultWatch
    label: str
    history: History
    report: Callable[[Check], None] = field(repr=False)
    place: str = ""
    base: Path = Path()

    async def select(
        self, target: Selector, capability: Capability, *, states: Collection[str] | None = None
    ) -> tuple[Node, ...]:
        """The nodes of ``target``, at least one; see ``LiveNetwork.select``."""
        return await self.network.select(target, capability, random=self.random, deadline=self.deadline, states=states)

    async def find(self, target: Selector, capability: Capability = Capability.QUERY) -> Found:
        """The nodes of ``target`` at this moment, possibly none; see ``LiveNetwork.find``."""
        return await self.network.find(target, capability, random=self.random)

    async def side_by_side(self, act: Callable[[A], Awaitable[T]], items: Iterable[A]) -> list[T]:
        """``act`` on all at once, to the end of each; then the first error is raised, with the others as evidence."""
        outcomes = await tasks.side_by_side(act, items)
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if errors:
            first = next((e for e in errors if not isinstance(e, NodeyardError)), errors[0])
            if isinstance(first, NodeyardError):
                others = (str(e).splitlines()[0] for e in errors[1:])
                first.evidence = (*first.evidence, *(f"also {line}" for line in others))
            raise first
        return [outcome for outcome in outcomes if not isinstance(outcome, Exception)]

    async def poll_check(
        self, name: str, look: Callable[[], Awaitable[poll.Done[Check] | Check]], *, within: float
    ) -> Check:
        """Look until a pass, or a look that is ``Done``; else the last look, when ``within`` seconds have passed.

        A failure that is only due to the run's deadline, before ``within`` was over, is unknown.
        """
        begun = self.clock.now()
        limit = min(begun + within, self.deadline)

        async def once() -> poll.Done[Check] | Check:
            seen = await look()
            if isinstance(seen, Check) and seen.verdict is Verdict.PASS:
                return poll.Done(seen)
            return seen

        try:
            return await poll.until(once, clock=self.clock, deadline=limit)
        except poll.Timeout as timeout:
            last = timeout.last
        took = format_duration(round(limit - begun, 3))
        if not isinstance(last, Check):
            return Check(name, Verdict.UNKNOWN, f"no look at the nodes was finished within {took}")
        if limit < begun + within and last.verdict is Verdict.FAIL:
            reason = f"{last.reason} (the run's deadline ended it after {took} of {format_duration(within)})"
            return replace(last, verdict=Verdict.UNKNOWN, reason=reason)
        return replace(last, reason=f"{last.reason} (waited {took})")
