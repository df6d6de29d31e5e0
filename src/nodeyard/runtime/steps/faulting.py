"""Runs the faults of a phase side by side: each by its schedule, all of them within what the scenario keeps alone.

Must not live here: when a fault is due and how many nodes it may harm (``domain.fault_schedule``), what a fault does
(``faults``), what it came to (``fault_verdict``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from nodeyard._aio import poll, tasks
from nodeyard.domain.capability import Capability, authorize
from nodeyard.domain.fault_schedule import Slot, slots, too_many
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.domain.selectors import LIVE_ROLE, RANDOM, Selector, candidates, resolve
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.runtime import RuntimeFailure
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.fault_verdict import fault_check
from nodeyard.runtime.steps.injecting import Injection, injected
from nodeyard.runtime.steps.protocols import Fault, FaultGuard, HoldsOn

WORKING = frozenset({"running", "unknown"})
"""States of a node that can be harmed."""


@dataclass(frozen=True)
class FaultUse:
    """One fault as a phase lists it."""

    fault: Fault
    options: FaultOptions


class FaultScheduler:
    """Carries out the faults of one phase after the other. ``faults`` are all that there are, by their words."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self._faults = faults

    async def __call__(
        self, faults: Sequence[FaultOptions], context: StepContext, *, over: asyncio.Event | None = None
    ) -> None:
        """All faults of a phase, from now to ``context.deadline``, the phase's end; ``over`` ends it early.

        Returns when the last one has healed and its nodes are back, which may be after the end: nodes have as long as
        the run has. Each use is reported as one check. When it is cancelled, what is open is healed at once, and nodes
        that are not back soon after are left undecided. Raises cancellation and defects only.
        """
        uses = [FaultUse(self._faults[options.use], options) for options in faults]
        await run_faults(uses, context, over=over)


async def run_faults(uses: Sequence[FaultUse], context: StepContext, *, over: asyncio.Event | None = None) -> None:
    """The same for faults that are given themselves; see ``FaultScheduler``."""
    phase = _Phase(uses, context, over if over is not None else asyncio.Event())
    async with asyncio.TaskGroup() as group:
        for use in uses:
            group.create_task(phase.run(use, Random(context.random.getrandbits(64))))


class _Phase:
    """What the faults of one phase share: the nodes that they harm now, and one choice at a time."""

    def __init__(self, uses: Sequence[FaultUse], context: StepContext, over: asyncio.Event) -> None:
        self._context = context
        self._begun = context.clock.now()
        self._length = context.deadline - self._begun
        self._over = over
        self._keeps = [use.options.keep for use in uses]
        self._open: Counter[str] = Counter()
        self._turn = asyncio.Lock()
        self._waiting: set[asyncio.Event] = set()

    async def run(self, use: FaultUse, random: Random) -> None:
        """Every injection of one use, one after the other, then its check."""
        record = _Record()
        options = use.options
        try:
            for slot in slots(at=options.at, every=options.every, lasting=options.for_, length=self._length):
                # Drawn for each slot, also for those that are left out, so that picks do not depend on what was.
                own = Random(random.getrandbits(64))
                if not await self._due(slot.start):
                    break
                await self._strike(use, slot, own, record)
        finally:
            name = f"fault {options.label}"
            self._context.report(fault_check(name, record.injections, record.left_out))

    async def _due(self, at: float) -> bool:
        """Wait until ``at``; false when the phase is over first."""
        delay = self._begun + at - self._context.clock.now()
        if self._over.is_set():
            return False
        if delay <= 0:
            return True
        try:
            async with asyncio.timeout(delay):
                await self._over.wait()
        except TimeoutError:
            return True
        return False

    async def _strike(self, use: FaultUse, slot: Slot, random: Random, record: _Record) -> None:
        claim = _Claim()
        try:
            nodes = await self._claimed(use, slot, random, claim)
            if isinstance(nodes, str):
                at = f"at {slot.start:g}s" if slot.start else "at the start"
                record.left_out.append(f"{at}: {nodes}")
                return
            context = replace(self._context, random=random)
            guard = use.fault.guard(use.options, nodes, context)
            names = [node.id for node in nodes]
            late = self._context.clock.now() - self._begun - slot.start
            async with injected(guard, fault=use.options.label, nodes=names, emit=self._context.emit) as seen:
                record.injections.append(seen)
                if seen.proven and use.fault.lasts:
                    seen.broken = await self._hold(guard, min(slot.end + late, self._length))
        finally:
            self._release(claim)

    async def _hold(self, guard: FaultGuard, until: float) -> NodeyardError | None:
        """Keep the fault open until then, or until the phase is over; why it could not be kept up, if so."""
        if not isinstance(guard, HoldsOn):
            await self._due(until)
            return None
        try:
            await tasks.first_of(guard.hold(), self._due(until))
        except NodeyardError as error:
            return error
        await self._due(until)
        return None

    # --- which nodes -------------------------------------------------------------------------------------------------

    async def _claimed(self, use: FaultUse, slot: Slot, random: Random, claim: _Claim) -> tuple[Node, ...] | str:
        """The nodes that this injection harms, now claimed for it; or why there are none until its time is over."""
        context = self._context
        wake = asyncio.Event()
        self._waiting.add(wake)
        fixed = random.getrandbits(64)

        async def look() -> poll.Done[tuple[Node, ...]] | str:
            if self._over.is_set():
                return poll.Done(())
            async with self._turn:
                chosen = await self._choose(use, Random(fixed))
                if isinstance(chosen, str):
                    return chosen
                if use.fault.disables:
                    claim.nodes = tuple(node.id for node in chosen)
                    self._open.update(claim.nodes)
            return poll.Done(chosen)

        deadline = self._begun + slot.end
        if context.clock.now() >= deadline:
            return "the one before it was not over"
        try:
            found: tuple[Node, ...] = await poll.until(look, clock=context.clock, deadline=deadline, wake=wake)
        except poll.Timeout as late:
            return str(late.last or "the nodes could not be looked at in time")
        finally:
            self._waiting.discard(wake)
        return found or "the phase was over"

    async def _choose(self, use: FaultUse, random: Random) -> tuple[Node, ...] | str:
        """The nodes to harm now, or why there are none."""
        network = self._context.network
        inventory = network.inventory
        selector, needed = _target(use)
        possible = candidates(selector, inventory)
        kinds = {handle.kind for handle in possible}
        members = [handle.id for handle in inventory if handle.kind in kinds]
        states = await network.states(members)
        down = {name for name, state in states.items() if state not in WORKING} | set(self._open)
        roles = await network.roles([h.id for h in possible]) if selector.kind in LIVE_ROLE else {}
        free = [
            handle.id
            for handle in possible
            if handle.id not in down and all(authorize(handle, capability).allowed for capability in needed)
        ]
        found = resolve(selector, inventory, capability=needed[0], roles=roles, random=random, running=free)
        names = [handle.id for handle in found]
        if not names:
            return _nobody(selector, states, down)
        denied = [d for h in found for capability in needed if not (d := authorize(h, capability)).allowed]
        if denied:
            return denied[0].reason
        if use.fault.disables:
            taken = sorted(set(names) & down)
            if taken:
                return f"{', '.join(taken)} {'is' if len(taken) == 1 else 'are'} down already"
            refusal = too_many(names, members=members, down=down, keeps=self._keeps)
            if refusal:
                return refusal
        return tuple(network[name] for name in names)

    def _release(self, claim: _Claim) -> None:
        self._open.subtract(claim.nodes)
        self._open = +self._open
        for wake in self._waiting:
            wake.set()


@dataclass
class _Claim:
    """Nodes that one injection harms, from the choice to the end of its recovery."""

    nodes: tuple[str, ...] = ()


@dataclass
class _Record:
    injections: list[Injection] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def _target(use: FaultUse) -> tuple[Selector, list[Capability]]:
    """Whom a fault hits, and everything that each of them must permit: a node is harmed only if it can be healed."""
    needs: Sequence[Any] = use.fault.requires(use.options)
    if not needs:
        raise RuntimeFailure(
            f"the fault '{use.options.use}' does not say which nodes it hits",
            hint="this is a defect of the fault: 'requires' names its target first",
        )
    selector = needs[0].selector
    found = [need.capability for need in needs if need.selector == selector and need.capability is not None]
    return selector, found or [Capability.QUERY]


def _nobody(selector: Selector, states: dict[str, str], down: set[str]) -> str:
    seen = ", ".join(f"{node} {'under a fault' if node in down else state}" for node, state in sorted(states.items()))
    what = "finds too few nodes to pick from" if selector.kind in RANDOM else "finds no node"
    return f"'{selector}' {what} ({seen})"


__all__ = ["FaultScheduler", "FaultUse", "run_faults"]
