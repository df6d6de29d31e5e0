"""``Node``: what a step holds. A thin view; every act goes through ``runtime.node_ops``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from nodeyard.domain.launch_plan import Endpoint
from nodeyard.domain.node_client import Identification, Probe
from nodeyard.domain.node_handle import NodeHandle
from nodeyard.domain.sources import Scalar
from nodeyard.ports.node_control import ExecResult, Launched, NodeState
from nodeyard.runtime.node_network import NodeNetwork

if TYPE_CHECKING:  # every plugin that acts on nodes imports this view of them, also where nothing acts
    from nodeyard.runtime.live_inventory import LiveInventory
    from nodeyard.runtime.node_ops import NodeOps

P = TypeVar("P")


class Node:
    """One node: its handle as the inventory has it now, its client and its operations.

    Operations raise ``OperationDenied`` when the node's origins do not permit them, ``OperationFailed`` when they were
    tried and did not succeed, and ``NotReady`` when the node did not come back.
    """

    def __init__(self, node_id: str, live: LiveInventory, ops: NodeOps) -> None:
        self._id = node_id
        self._live = live
        self._ops = ops

    def __repr__(self) -> str:
        return f"Node({self._id!r})"

    @property
    def id(self) -> str:
        """The id, stable for the whole run."""
        return self._id

    @property
    def handle(self) -> NodeHandle:
        """The node as the inventory has it now."""
        return self._live.handle(self._id)

    def client(self, protocol: Callable[..., P]) -> P:
        """The node's client as a client protocol, for example ``node.client(KeyValue)``.

        Raises ``ProtocolUnsupported`` when the node's kind does not speak it.
        """
        return self._ops.client(self._id, protocol)

    def speaks(self, protocol: Callable[..., object]) -> bool:
        """Whether the node's kind speaks a client protocol."""
        return self._ops.speaks(self._id, protocol)

    def endpoint(self, port: str) -> Endpoint:
        """A port as the tester reaches it now. Raises ``NodeUnreachable``."""
        return self._ops.binding(self._id).endpoint(port)

    async def identify(self, *, timeout: float) -> Identification:
        """Ask the node who it is; raises a ``ProviderError`` when it does not answer."""
        return await self._ops.identify(self._id, timeout=timeout)

    async def probe(self, *, timeout: float) -> Probe:
        """Look at the node once; a node that is down is a rung, not an error."""
        return await self._ops.probe(self._id, timeout=timeout)

    async def state(self) -> NodeState:
        """What the node's backend knows of it."""
        return await self._ops.state(self._id)

    async def start(self, *, wait: bool = True) -> None:
        """Start it; with ``wait`` returns when it is ready."""
        await self._ops.start(self._id, wait=wait)

    async def stop(self) -> None:
        """Stop it gracefully; returns when it has ended."""
        await self._ops.stop(self._id)

    async def restart(self, *, wait: bool = True) -> None:
        """Restart it; with ``wait`` returns when it is ready again."""
        await self._ops.restart(self._id, wait=wait)

    async def kill(self) -> None:
        """End it at once."""
        await self._ops.kill(self._id)

    async def pause(self) -> None:
        """Freeze it."""
        await self._ops.pause(self._id)

    async def resume(self, *, wait: bool = True) -> None:
        """Let it go on; with ``wait`` returns when it is ready again."""
        await self._ops.resume(self._id, wait=wait)

    async def patch(self, config: Mapping[str, Scalar], *, wait: bool = True) -> None:
        """Change its config and restart it into it."""
        await self._ops.patch(self._id, config, wait=wait)

    async def configure(self, config: Mapping[str, Scalar], *, wait: bool = True) -> None:
        """Give it this config in place of its own, and restart it into it."""
        await self._ops.configure(self._id, config, wait=wait)

    async def settled(self) -> None:
        """Return when no operation on it is under way."""
        await self._ops.settled(self._id)

    async def launched(self) -> Launched:
        """What it runs with now, as its backend reads it."""
        return await self._ops.launched(self._id)

    @property
    def config(self) -> Mapping[str, Scalar]:
        """Its present config, as it was launched; empty for a node that this run did not launch."""
        plan = self._ops.binding(self._id).plan
        return dict(plan.config) if plan is not None else {}

    async def wipe(self) -> None:
        """Empty its data folder; it must not run."""
        await self._ops.wipe(self._id)

    async def data_entries(self) -> int:
        """How many files and folders lie directly in its data folder."""
        return await self._ops.data_entries(self._id)

    async def readmit(self) -> None:
        """Start it after its data was lost; its network takes it in anew where its kind needs that."""
        await self._ops.readmit(self._id)

    @property
    def network(self) -> NodeNetwork:
        """What reaches it over the network, to look at and to change."""
        return NodeNetwork(self._id, self._ops)

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        """Its last ``tail`` lines of output, or all, oldest first."""
        return await self._ops.logs(self._id, tail=tail)

    async def exec(self, argv: Sequence[str], *, timeout: float = 30.0) -> ExecResult:
        """Run a command where it runs, for at most ``timeout`` seconds."""
        return await self._ops.exec(self._id, argv, timeout=timeout)
