"""The fault ``pause``: nodes that are frozen. They keep their connections, accept new ones, and never answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.faults.guards import NodesGuard, silent, told
from nodeyard.faults.options import TargetedFault
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof


class Frozen(NodesGuard):
    """One injection of ``pause``. The control writes the inverse into the ledger before it freezes anything."""

    async def inject(self) -> None:
        await self.each(lambda node: node.pause())

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        state = await node.state()
        quiet, seen = await silent(node)
        return Proof(state.state == "paused" and quiet, f"the backend says {told(state)}, {seen}")

    async def undo(self) -> None:
        await self.each(self._resume)

    async def _resume(self, node: Node) -> None:
        """A node that was never frozen needs nothing, and one that has ended meanwhile cannot be resumed."""
        if (await node.state()).state == "paused":
            await node.resume(wait=False)

    async def prove_healed(self) -> Proof:
        return await self.back()


class Pause:
    """Freeze nodes; let them go on afterwards."""

    word: ClassVar[str] = "pause"
    summary: ClassVar[str] = "freeze nodes, and let them go on"
    options: ClassVar[type[FaultOptions]] = TargetedFault
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: TargetedFault) -> tuple[Requirement, ...]:
        return (options.needs(Capability.PAUSE),)

    def guard(self, options: TargetedFault, nodes: Sequence[Node], context: StepContext) -> Frozen:
        return Frozen(nodes, context)
