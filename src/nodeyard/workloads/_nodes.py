"""Which nodes the clients of a workload talk to."""

from __future__ import annotations

from nodeyard.domain.capability import Capability
from nodeyard.domain.selectors import Selector
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.node import Node
from nodeyard.runtime.steps.lifecycle import RUNNING


async def present(target: Selector, capability: Capability, context: StepContext) -> tuple[Node, ...]:
    """The nodes of ``target`` that run when the phase begins; all of them where none does.

    A node that was not started yet (an on-demand one) has no clients, and one that goes down later keeps its own.
    """
    nodes = await context.select(target, capability, states=RUNNING)
    states = await context.network.states([node.id for node in nodes])
    return tuple(node for node in nodes if states[node.id] in RUNNING) or nodes
