"""What the guards of faults on nodes share: acting on each of them, and looking at each of them.

Must not live here: any fault.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from nodeyard._aio.tasks import side_by_side
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.bootstrap import NotReady
from nodeyard.ports.node_control import NodeState
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.protocols import Proof

LOOK = 1.0
"""Seconds for a node to answer a probe. A live one takes milliseconds, a frozen one never answers."""


CLOSE = 0.05
"""Seconds before the deadline of the run that count as at it."""
MOST = 200
"""Characters of a line of evidence; the rest is in the node's own log."""


class NodesGuard(ABC):
    """A fault on certain nodes, acted on side by side."""

    def __init__(self, nodes: Sequence[Node], context: StepContext) -> None:
        self.nodes = tuple(nodes)
        self.context = context

    async def heal(self) -> None:
        """Undo it on every node, once what was cut short there has come to an end."""
        await self.each(lambda node: node.settled())
        await self.undo()

    @abstractmethod
    async def undo(self) -> None:
        """Take the harm back; what does not bear it any more is left alone."""

    async def each(self, act: Callable[[Node], Awaitable[None]]) -> None:
        """``act`` on every node to its end; then the first error is raised."""
        await self.context.side_by_side(act, self.nodes)

    async def prove_each(self, look: Callable[[Node], Awaitable[Proof]]) -> Proof:
        """Proven if it is on every node; the evidence names each."""
        outcomes = await side_by_side(look, self.nodes)
        seen = [_as_proof(outcome) for outcome in outcomes]
        if len(seen) == 1:
            return seen[0]
        lines = (f"{node.id}: {proof.evidence}" for node, proof in zip(self.nodes, seen, strict=True))
        return Proof(all(proof.proven for proof in seen), "; ".join(lines))

    async def back(self) -> Proof:
        """Proven once every node is ready again and has said who it is; else the laggards and what they said last."""
        begun = self.context.clock.now()
        try:
            await self.context.network.ops.ready_again([node.id for node in self.nodes])
        except NotReady as error:
            seen = "; ".join((error.message, *(line[:MOST] for line in error.evidence[:3])))
            return Proof(False, seen, in_time=self.context.clock.now() + CLOSE < self.context.network.ops.deadline)
        took = self.context.clock.now() - begun
        return Proof(True, f"ready again after {took:.2f}s")


def _as_proof(outcome: Proof | Exception) -> Proof:
    if isinstance(outcome, Proof):
        return outcome
    if not isinstance(outcome, NodeyardError):
        raise outcome
    return Proof(False, f"could not be looked at: {outcome.message}")


def told(state: NodeState) -> str:
    """A state in words, with how the node ended."""
    return f"{state.state} ({state.status})" if state.status else state.state


async def silent(node: Node) -> tuple[bool, str]:
    """Whether a node's API gives no answer now, and what a probe of it saw."""
    probe = await node.probe(timeout=LOOK)
    return not probe.ready, f"its API: {probe.detail}"
