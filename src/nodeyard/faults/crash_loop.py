"""The fault ``crash-loop``: nodes that are killed again and again, soon after each start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.quantity import PositiveDuration
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.faults.ending import Ended, by_kill
from nodeyard.faults.options import TargetedFault
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof


class CrashLoopOptions(TargetedFault):
    """Which nodes, and how long each life of them lasts."""

    up: PositiveDuration = Field(default=1.0, description="how long a node runs before it is killed again")


class Crashing(Ended):
    """One injection of ``crash-loop``. Two crashes make a loop; ``hold`` goes on with it."""

    def __init__(self, options: CrashLoopOptions, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(nodes, context)
        self._up = options.up
        self._crashes = dict.fromkeys((node.id for node in nodes), 0)

    async def inject(self) -> None:
        await self.each(self._twice)

    async def _twice(self, node: Node) -> None:
        await self._crash(node)
        await node.start(wait=False)
        await self._crash(node)

    async def _crash(self, node: Node) -> None:
        """Kill it, and count it only if the backend says that it ended so."""
        await node.kill()
        if by_kill(await node.state()):
            self._crashes[node.id] += 1

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        count = self._crashes[node.id]
        return Proof(count >= 2, f"the backend saw it end by SIGKILL {count} time{'' if count == 1 else 's'}")

    async def hold(self) -> None:
        await self.each(self._again_and_again)

    async def _again_and_again(self, node: Node) -> None:
        while True:
            await node.start(wait=False)
            await self.context.clock.sleep(self._up)
            await self._crash(node)

    async def prove_healed(self) -> Proof:
        back = await self.back()
        crashes = ", ".join(f"{name} {count}" for name, count in self._crashes.items())
        return Proof(back.proven, f"{back.evidence}, after crashes: {crashes}", in_time=back.in_time)


class CrashLoop:
    """Kill nodes again and again, soon after each start."""

    word: ClassVar[str] = "crash-loop"
    summary: ClassVar[str] = "kill nodes again and again, soon after each start"
    options: ClassVar[type[FaultOptions]] = CrashLoopOptions
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: CrashLoopOptions) -> tuple[Requirement, ...]:
        return (options.needs(Capability.KILL), options.needs(Capability.START))

    def guard(self, options: CrashLoopOptions, nodes: Sequence[Node], context: StepContext) -> Crashing:
        return Crashing(options, nodes, context)
