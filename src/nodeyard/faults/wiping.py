"""The fault ``wipe``: nodes that lose their data. They are stopped, and their data folder is emptied.

Healing starts them again without data. What that means is the kind's business: one that lists its members strikes the
node and takes it in anew, others let it fetch everything from its peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.faults.ending import Ended
from nodeyard.faults.guards import told
from nodeyard.faults.options import TargetedFault
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof


class Wiped(Ended):
    """One injection of ``wipe``."""

    def __init__(self, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(nodes, context)
        self._before: dict[str, int] = {}

    async def inject(self) -> None:
        for node in self.nodes:
            await node.stop()
            self._before[node.id] = await node.data_entries()
            await node.wipe()

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        state, before, after = await node.state(), self._before[node.id], await node.data_entries()
        seen = f"the backend says {told(state)}, its data folder held {before} entries and holds {after}"
        return Proof(not state.alive and before > 0 and after == 0, seen)

    async def _start(self, node: Node) -> None:
        """Only a node that has lost its data is taken in anew: one that was merely stopped still knows who it is."""
        if (await node.state()).alive or await node.data_entries():
            await node.start(wait=False)
        else:
            await node.readmit()


class Wipe:
    """Let nodes lose their data; start them again without it."""

    word: ClassVar[str] = "wipe"
    summary: ClassVar[str] = "stop nodes and empty their data folders, and start them again without data"
    options: ClassVar[type[FaultOptions]] = TargetedFault
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: TargetedFault) -> tuple[Requirement, ...]:
        needed = (Capability.WIPE, Capability.STOP, Capability.START)
        return tuple(options.needs(capability) for capability in needed)

    def guard(self, options: TargetedFault, nodes: Sequence[Node], context: StepContext) -> Wiped:
        return Wiped(nodes, context)
