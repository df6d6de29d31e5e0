"""The fault ``patch``: nodes that run with another config for a while. Healing gives them their own one back.

The proof is that the node was launched anew, with what its kind makes of the new config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from nodeyard.domain.capability import Capability
from nodeyard.domain.requirement import Requirement
from nodeyard.domain.scenario_spec import FaultOptions
from nodeyard.domain.sources import Scalar
from nodeyard.faults.guards import NodesGuard, told
from nodeyard.faults.options import TargetedFault
from nodeyard.ports.node_control import Launched
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof


class PatchFaultOptions(TargetedFault):
    """Which nodes, and the config keys that change meanwhile."""

    config: Annotated[dict[str, Scalar], Field(min_length=1)] = Field(description="the settings that change meanwhile")


class Patched(NodesGuard):
    """One injection of ``patch``: one node at a time, because each restarts."""

    def __init__(self, config: Mapping[str, Scalar], nodes: Sequence[Node], context: StepContext) -> None:
        super().__init__(nodes, context)
        self._config = dict(config)
        self._own: dict[str, Mapping[str, Scalar]] = {}
        self._before: dict[str, Launched] = {}

    async def inject(self) -> None:
        for node in self.nodes:
            self._before[node.id] = await node.launched()
            self._own[node.id] = node.config
            await node.patch(self._config, wait=False)

    async def prove(self) -> Proof:
        return await self.prove_each(self._look)

    async def _look(self, node: Node) -> Proof:
        state, before, after = await node.state(), self._before[node.id], await node.launched()
        changes = before.differences(after)
        if not changes:
            return Proof(False, f"the backend says {told(state)}, launched as before")
        return Proof(state.alive, f"the backend says {told(state)}, launched with {', '.join(changes)}")

    async def undo(self) -> None:
        for node in self.nodes:
            own = self._own.get(node.id)
            if own is not None and self._before[node.id].differences(await node.launched()):
                await node.configure(own, wait=False)

    async def prove_healed(self) -> Proof:
        left = [
            f"{node.id} has {', '.join(changes)}"
            for node in self.nodes
            if node.id in self._before and (changes := self._before[node.id].differences(await node.launched()))
        ]
        return Proof(False, "; ".join(left)) if left else await self.back()


class Patch:
    """Let nodes run with another config for a while."""

    word: ClassVar[str] = "patch"
    summary: ClassVar[str] = "restart nodes into another config, one at a time, and back into their own"
    options: ClassVar[type[FaultOptions]] = PatchFaultOptions
    disables: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def requires(self, options: PatchFaultOptions) -> tuple[Requirement, ...]:
        return (options.needs(Capability.PATCH),)

    def guard(self, options: PatchFaultOptions, nodes: Sequence[Node], context: StepContext) -> Patched:
        return Patched(options.config, nodes, context)
