"""Control over one borrowed container: each change has its inverse in the ledger before, and none of them creates."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from nodeyard.domain.capability import Capability
from nodeyard.errors.provider import BackendUnavailable, OperationFailed, ProvisioningFailed
from nodeyard.ports.ledger import Json, LedgerEntry
from nodeyard.ports.node_control import ExecResult, NodeState
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.docker import calls
from nodeyard.providers._clients.docker.containers import Container
from nodeyard.providers._clients.docker.engine import Engine
from nodeyard.providers._clients.docker.networks import ELSEWHERE, namespace_of
from nodeyard.providers._clients.netns.namespace import Namespace
from nodeyard.providers._clients.netns.shaper import Shaper
from nodeyard.providers._clients.netns.shaping import Shaping

BY = "attach:compose"
PAUSED, STOPPED = "paused", "stopped"
"""Inverses: let a container go on; start it again. ``data``: ``engine`` and ``container``, its id."""
FORCED = 5.0
"""Seconds for SIGKILL to take effect."""
GRACE = 10.0
"""Seconds that a borrowed container has to end; the engine's own default, as ``docker stop`` has it."""


class BorrowedControl(Shaping):
    """One container that somebody else made. What may be used of this is what its source grants."""

    def __init__(self, node: str, container: Container, engine: Engine, context: PluginContext) -> None:
        self.container = container
        self._node = node
        self._engine = engine
        self._context = context
        self._open: dict[str, LedgerEntry] = {}
        self._asked = False
        self._ending = False
        self._turn = asyncio.Lock()
        self.shaper = Shaper(node, BY, context.ledger, context.clock, self._namespace, context.environment)

    def missing(self) -> Mapping[Capability, str]:
        return {} if self._engine.address.local else {Capability.NETWORK: ELSEWHERE}

    async def address(self) -> str:
        addresses = self.container.addresses or (await self._look()).addresses
        if not addresses:
            raise self._failed("network", "has no address now", "it has one while it runs")
        return next(iter(addresses.values()))

    async def _namespace(self) -> Namespace | None:
        return namespace_of(await self._look())

    async def state(self) -> NodeState:
        try:
            found = await self._look()
        except BackendUnavailable as error:
            return NodeState("unknown", status=error.message)
        except OperationFailed:
            return NodeState("exited", status="its container was removed")
        return found.node_state(asked=self._asked)

    async def exited(self) -> NodeState:
        await calls.ended(self._engine, self.container.id)
        return await self.state()

    async def start(self) -> None:
        async with self._operation("start"):
            await self._started()

    async def stop(self) -> None:
        async with self._operation("stop"):
            await self._stopped()

    async def restart(self) -> None:
        async with self._operation("restart"):
            await self._stopped()
            await self._started()

    async def kill(self) -> None:
        async with self._operation("kill"):
            if (await self._look()).runs:
                await self._about_to(STOPPED)
                self._asked = self._ending = True
                await calls.kill(self._engine, self.container.id, node=self._node)
                await calls.ended(self._engine, self.container.id)
                self._ending = False
                self._settle(PAUSED)

    async def pause(self) -> None:
        async with self._operation("pause"):
            found = await self._look()
            if not found.runs:
                raise self._failed("pause", "is not running, so it cannot be paused", "its owner starts it")
            if found.state != "paused":
                await self._about_to(PAUSED)
                await calls.pause(self._engine, found.id, node=self._node)

    async def resume(self) -> None:
        async with self._operation("resume"):
            found = await self._look()
            if not found.runs:
                raise self._failed("resume", "is not running, so it cannot be resumed", "its owner starts it")
            await self._thaw(found)

    async def diagnostics(self) -> Mapping[str, str]:
        return await calls.diagnosed(self._engine, self.container.id)

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        return await calls.output(self._engine, self.container.id, tail)

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        return await calls.execute(self._engine, self.container.id, argv, timeout=timeout, node=self._node)

    @asynccontextmanager
    async def _operation(self, name: str) -> AsyncIterator[None]:
        async with self._turn:
            try:
                yield
            except ProvisioningFailed as error:
                raise OperationFailed(
                    error.message, node=self._node, operation=name, evidence=error.evidence, hint=error.hint
                ) from error

    async def _look(self) -> Container:
        """The container now, remembered for its addresses. Raises ``OperationFailed`` if it was removed."""
        found = await calls.look(self._engine, self.container.id)
        if found is None:
            raise calls.gone(self._node, "look at it")
        self.container = found
        return found

    async def _started(self) -> None:
        if self._ending:  # a stop that was cut short: the engine carries it out, and would end what we start
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE + FORCED):
                    await calls.ended(self._engine, self.container.id)
            self._ending = False
        if not (await self._look()).runs:
            await calls.start(self._engine, self.container.id, node=self._node)
            await self._look()
        self._asked = False
        self._settle(STOPPED)

    async def _stopped(self) -> None:
        found = await self._look()
        if found.runs:
            await self._about_to(STOPPED)
            self._asked = self._ending = True
            await self._thaw(found)
            await calls.stop(self._engine, found.id, grace=GRACE, node=self._node)
            self._ending = False

    async def _thaw(self, found: Container) -> None:
        if found.state == "paused":
            await calls.unpause(self._engine, found.id, node=self._node)
        self._settle(PAUSED)

    async def _about_to(self, change: str) -> None:
        """Have the inverse of a change in the ledger."""
        if change not in self._open:
            data: dict[str, Json] = {"engine": self._engine.address.data(), "container": self.container.id}
            self._open[change] = await self._context.ledger.record(BY, change, node=self._node, data=data, inverse=True)

    def _settle(self, change: str) -> None:
        if (entry := self._open.pop(change, None)) is not None:
            self._context.ledger.settle(entry)

    def _failed(self, operation: str, fact: str, hint: str) -> OperationFailed:
        return OperationFailed(fact, node=self._node, operation=operation, hint=hint)
