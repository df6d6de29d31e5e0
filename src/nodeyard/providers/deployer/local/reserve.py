"""Which port each node gets. Chooses and locks; every attempt is in the ledger before its first lock."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from nodeyard.domain.launch_plan import NodePlan
from nodeyard.errors.provider import PortsExhausted, PortTaken
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.deployer.local.options import LocalOptions
from nodeyard.providers.deployer.local.ports import TAKING, PortLocks, bindable
from nodeyard.providers.deployer.local.resources import BY, PORTS

Slot = tuple[str, str]
"""A node and the name of one of its ports."""


def slots(nodes: Sequence[NodePlan]) -> tuple[Slot, ...]:
    """Every port that these nodes need, in their order."""
    return tuple((node.name, port.name) for node in nodes for port in node.ports)


class Reservation:
    """Reserves the ports of one run."""

    def __init__(self, options: LocalOptions, context: PluginContext) -> None:
        self._fixed = options.ports
        self._first, self._last = options.port_range
        self._context = context
        self._locks = PortLocks(context.cache)

    async def reserve(self, nodes: Sequence[NodePlan]) -> Mapping[Slot, int]:
        """A port for each slot. Raises ``PortTaken`` for a fixed one and ``PortsExhausted`` for the others."""
        fixed = {(n, p): self._fixed[n][p] for n, p in slots(nodes) if p in self._fixed.get(n, {})}
        await self._take_fixed(fixed)
        free = [slot for slot in slots(nodes) if slot not in fixed]
        found = await self._take_any(len(free), avoid=frozenset(fixed.values()))
        return {**fixed, **dict(zip(free, found, strict=True))}

    async def _lock(self, numbers: Sequence[int]) -> list[int]:
        await self._context.ledger.record(
            BY, PORTS, node=None, data={"cache": str(self._context.cache), "ports": list(numbers)}
        )
        with self._locks.usable():
            return self._locks.take(numbers, self._context.mark)

    async def _take_fixed(self, wanted: Mapping[Slot, int]) -> None:
        if not wanted:
            return
        numbers = list(wanted.values())
        await self._reclaim([number for number in numbers if number in self._locks.taken()])
        won = set(await self._lock(numbers))
        for (node, name), number in wanted.items():
            if number not in won:
                lock = self._locks.read(number)
                raise PortTaken(
                    f"port {number} for '{name}' is reserved by another run",
                    node=node,
                    operation="provision",
                    evidence=[f"held by {lock.mark.partition('@')[0]}"] if lock else (),
                    hint=f"end that run, or give {node}.{name} another port or none",
                )
            if not bindable(number, strict=False):
                raise PortTaken(
                    f"port {number} for '{name}' is in use",
                    node=node,
                    operation="provision",
                    hint=f"'ss -ltnp sport = :{number}' shows by whom; end it, or give {node}.{name} another port",
                )

    async def _take_any(self, count: int, *, avoid: frozenset[int]) -> list[int]:
        won: list[int] = []
        reclaimed = False
        tried = set(avoid)
        while len(won) < count:
            batch = self._candidates(count - len(won), tried)
            if len(batch) < count - len(won) and not reclaimed:
                reclaimed = True
                await self._reclaim(n for n in self._locks.taken() if self._first <= n <= self._last)
                continue
            if not batch:
                raise self._exhausted(count, len(won))
            tried.update(batch)
            for number in await self._lock(batch):
                # Looked at again under the lock: between choosing and locking another run may have come and gone.
                if bindable(number, strict=True):
                    won.append(number)
                else:
                    self._locks.drop_own([number])
        return won

    def _candidates(self, count: int, tried: set[int]) -> list[int]:
        """Up to ``count`` ports that look free, from a random place on, so that runs seldom want the same."""
        taken = self._locks.taken() | tried
        found: list[int] = []
        for number in self._walk():
            if len(found) == count:
                break
            if number not in taken and bindable(number, strict=True):
                found.append(number)
        return found

    def _walk(self) -> Iterator[int]:
        size = self._last - self._first + 1
        start = random.SystemRandom().randrange(size)
        return (self._first + (start + step) % size for step in range(size))

    async def _reclaim(self, numbers: Iterator[int] | Sequence[int]) -> None:
        clock = self._context.clock
        with self._locks.usable():
            await self._locks.reclaim(numbers, clock=clock, deadline=clock.now() + TAKING)

    def _exhausted(self, count: int, won: int) -> PortsExhausted:
        return PortsExhausted(
            f"{count} ports are needed and only {won} of {self._first}-{self._last} could be reserved",
            operation="provision",
            evidence=[f"{len(self._locks.taken())} locks in {self._locks.folder}"],
            hint="end other runs, remove what dead ones left with 'nodeyard gc', or widen deployer.port_range",
        )
