"""What several checks need to know of heights: who stands still with a reason. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard._aio.tasks import side_by_side
from nodeyard.domain.node_client import ReportsHeight
from nodeyard.expectations._asking import Answers, ask_all
from nodeyard.runtime.node import Node

DOWN = frozenset({"paused", "stopped", "exited"})
"""States in which a node is silent because somebody made it so."""


async def heights_of(nodes: Sequence[Node], *, timeout: float) -> Answers[int]:
    """The height of each node, asked side by side."""
    return await ask_all(nodes, lambda node: node.client(ReportsHeight).height(timeout=timeout))


async def down_among(nodes: Sequence[Node]) -> Mapping[str, str]:
    """Which of these nodes are known to be down, with their states: it is no use to ask them."""
    states = await side_by_side(lambda node: node.state(), nodes)
    found = {node.id: state for node, state in zip(nodes, states, strict=True) if not isinstance(state, Exception)}
    return {node: state.state for node, state in found.items() if state.state in DOWN}
