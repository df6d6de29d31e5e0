"""Faults that end nodes: ``kill``, ``stop``, ``restart``. Healing starts them again.

The proof is what the backend says of the process: that it ended, and how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nodeyard.domain.capability import Capability
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.faults.guards import NodesGuard, told
from nodeyard.faults.options import MomentaryFault, TargetedFault
from nodeyard.ports.node_control import NodeState
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof

KILLED = ("SIGKILL", "137", "signal 9")
"""How backends word an end by signal 9; 137 is a shell's and an engine's 128 + 9."""


def by_kill(state: NodeState) -> bool:
    """Whether a node ended by signal 9, as far as its backend tells how it ended."""
    return not state.alive and any(word in state.status for word in KILLED)


class Ended(NodesGuard):
    """Nodes that are down until they are started again."""

    async def undo(self) -> None:
        await self.each(self._start)

    async def _start(self, node: Node) -> None:
        """Without a look at its state: one whose end was cut short may run still, and a start sees that through."""
        await node.start(wait=False)

    async def prove_healed(self) -> Proof:
        return await self.back()


class Killed(Ended):
    """One injection of ``kill``."""

    async def inject(self) -> None:
        await self.each(lambda node: node.kill())

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        state = await node.state()
        return Proof(by_kill(state), f"the backend says {told(state)}")


class Stopped(Ended):
    """One injection of ``stop``: one node at a time, so that members can hand over what they hold."""

    async def inject(self) -> None:
        for node in self.nodes:
            await node.stop()

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        state = await node.state()
        ended = state.state in {"stopped", "exited"}
        return Proof(ended, f"the backend says {told(state)}")


class Restarted(Ended):
    """One injection of ``restart``: one node at a time."""

    def __init__(self, nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(nodes, context)
        self._before: dict[str, NodeState] = {}
        self._exits = len(context.exits.records)

    async def inject(self) -> None:
        for node in self.nodes:
            self._before[node.id] = await node.state()
            await node.restart(wait=False)

    async def _start(self, node: Node) -> None:
        """A restart that was cut short is made once more: nothing else needs to be permitted."""
        if not (await node.state()).alive:
            await node.restart(wait=False)

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        before, after = self._before[node.id], await node.state()
        if after.locator != before.locator:
            return Proof(True, f"{before.locator or before.state} became {after.locator or after.state}")
        ends = [r.status for r in self.context.exits.records[self._exits :] if r.node == node.id]
        return Proof(bool(ends), f"it ended ({ends[-1]})" if ends else f"it is still {after.locator or after.state}")


class Kill:
    """End nodes at once; start them again afterwards."""

    word: ClassVar[str] = "kill"
    summary: ClassVar[str] = "end nodes at once, without a goodbye, and start them again"
    options: ClassVar[type[FaultOptions]] = TargetedFault
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: TargetedFault) -> tuple[Requirement, ...]:
        return (options.needs(Capability.KILL), options.needs(Capability.START))

    def guard(self, options: TargetedFault, nodes: Sequence[Node], context: StepContext) -> Killed:
        return Killed(nodes, context)


class Stop:
    """Stop nodes gracefully; start them again afterwards."""

    word: ClassVar[str] = "stop"
    summary: ClassVar[str] = "stop nodes gracefully, one at a time, and start them again"
    options: ClassVar[type[FaultOptions]] = TargetedFault
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: TargetedFault) -> tuple[Requirement, ...]:
        return (options.needs(Capability.STOP), options.needs(Capability.START))

    def guard(self, options: TargetedFault, nodes: Sequence[Node], context: StepContext) -> Stopped:
        return Stopped(nodes, context)


class Restart:
    """Restart nodes gracefully."""

    word: ClassVar[str] = "restart"
    summary: ClassVar[str] = "stop nodes gracefully and start them at once, one at a time"
    options: ClassVar[type[FaultOptions]] = MomentaryFault
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = False

    def requires(self, options: MomentaryFault) -> tuple[Requirement, ...]:
        return (options.needs(Capability.RESTART),)

    def guard(self, options: MomentaryFault, nodes: Sequence[Node], context: StepContext) -> Restarted:
        return Restarted(nodes, context)
