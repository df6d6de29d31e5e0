"""A node of a run that another process started: commands in its container, and its output."""

from __future__ import annotations

from collections.abc import Sequence

from nodeyard.errors.provider import OperationFailed
from nodeyard.ports.node_control import ExecResult
from nodeyard.ports.plugins import Visit
from nodeyard.providers._clients.docker import calls
from nodeyard.providers._clients.docker.address import EngineAddress
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers._clients.docker.labels import NODE, marked
from nodeyard.providers.deployer.compose.resources import CONTAINER


class ComposeVisitor:
    """Implements ``CanExec`` and ``HasLogs`` for one node."""

    def __init__(self, node: str, visit: Visit) -> None:
        self._node = node
        self._visit = visit

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        """See the port."""
        engine, container = await self._find()
        return await calls.execute(engine, container, argv, timeout=timeout, node=self._node)

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        """See the port."""
        engine, container = await self._find()
        return await calls.output(engine, container, tail)

    async def _find(self) -> tuple[Engine, str]:
        """The engine and the node's container, found by the run's mark."""
        for entry in self._visit.entries:
            if entry.type == CONTAINER and entry.node == self._node:
                engine = Engine(EngineAddress.of(entry.data.get("engine")))
                wanted = {**marked(self._visit.mark), NODE: self._node}
                for found in await calls.containers(engine, wanted):
                    return engine, found.id
        raise OperationFailed(
            "it has no container", node=self._node, operation="look into it", hint="'nodeyard ps' lists what runs"
        )
