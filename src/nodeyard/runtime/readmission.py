"""Taking a member back whose data was lost: which nodes that concerns, and the launch plan that it starts with.

Must not live here: how a network takes a member in (its kind), and starting it (``node_ops``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nodeyard._aio.clock import Clock
from nodeyard.domain.capability import Ownership
from nodeyard.domain.launch_plan import LaunchPlan
from nodeyard.domain.node_client import NodeClient
from nodeyard.domain.node_handle import NodeHandle
from nodeyard.domain.node_inventory import NodeInventory
from nodeyard.errors.runtime import RuntimeFailure
from nodeyard.ports.bootstrapped import Binding
from nodeyard.ports.kind import CanReadmit, NodeKind, ReadmitRequest

READMISSION = 30.0
"""Seconds for a network to take a member in again. etcd refuses for about 2 s, longer while it elects a leader."""


def owned_peers(inventory: NodeInventory, handle: NodeHandle) -> tuple[NodeHandle, ...]:
    """The other nodes of its kind that are ours: only their network may be changed for it."""
    return tuple(
        other
        for other in inventory
        if other.kind == handle.kind and other.id != handle.id and other.ownership is Ownership.OWNED
    )


def refuse_unowned(inventory: NodeInventory, kind: NodeKind, handle: NodeHandle) -> None:
    """Raise ``RuntimeFailure`` where taking the node back would change a network that is not ours alone."""
    borrowed = [o.id for o in inventory if o.kind == handle.kind and o.ownership is not Ownership.OWNED]
    if isinstance(kind, CanReadmit) and borrowed:
        raise RuntimeFailure(
            "its data is not wiped, because its network would have to be changed to take it back",
            node=handle.id,
            operation="wipe",
            evidence=[f"borrowed members: {', '.join(borrowed)}"],
            hint="wipe nodes of a network that is managed alone",
        )


async def readmitted(
    binding: Binding, node: str, through: Mapping[str, NodeClient], *, clock: Clock, deadline: float
) -> tuple[Binding, LaunchPlan]:
    """The node's binding and launch plan after its network took it in anew. Raises ``OperationFailed``."""
    kind, render = binding.kind, binding.render
    if not isinstance(kind, CanReadmit) or render is None:
        raise RuntimeFailure(
            "this run did not launch the node, so it cannot be taken in again", node=node, operation="readmit"
        )
    ticket = await kind.readmit(ReadmitRequest(render, through, clock, deadline))
    anew = replace(render, ticket=ticket)
    return replace(binding, render=anew), binding.kind.render(anew)
