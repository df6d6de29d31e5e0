"""Control over fake nodes, and the removal of what fake backends recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import LaunchPlan
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, OperationFailed
from nodeyard.ports.ledger import Ledger, LedgerEntry, RemovalContext, Removed
from nodeyard.ports.node_control import ExecResult, Launched, NodeState
from nodeyard.testing.fake_links import FakeLinks
from nodeyard.testing.fake_node import FakeNode, Life
from nodeyard.testing.fake_world import FakeWorld


class FakeControl(FakeLinks):
    """Supports every capability, less what ``world.node(...).cannot`` takes away. Every act takes the world's latency.

    ``by`` names the plugin in the ledger, as in ``deployer:fake``.
    """

    def __init__(self, world: FakeWorld, node: FakeNode, ledger: Ledger, by: str) -> None:
        super().__init__(world, node, ledger, by)
        self._pause: LedgerEntry | None = None
        self.launch: LaunchPlan | None = None

    async def state(self) -> NodeState:
        return self._node.seen()

    def missing(self) -> Mapping[Capability, str]:
        return dict(self._node.missing)

    async def start(self) -> None:
        await self._act("start", self._node.start_delay)
        if not self._node.alive:
            self._world.boot(self._node, self.launch)

    async def stop(self) -> None:
        await self._act("stop")
        await self._thawed()
        if self._node.alive and self._node.stubborn:
            await asyncio.sleep(self.launch.stop.grace if self.launch is not None else 0.0)
            self._node.end("killed by SIGKILL", asked=True)
        self._node.end("exit status 0", asked=True)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        await self._act("kill")
        await self._thawed()
        self._node.end("killed by SIGKILL", asked=True)

    async def pause(self) -> None:
        if self._node.life is Life.PAUSED:
            return
        self._pause = await self._ledger.record(
            self._by, "pause", node=self._node.name, data={"pid": self._node.pid}, inverse=True
        )
        await self._act("pause")
        self._node.freeze()

    async def resume(self) -> None:
        await self._act("resume")
        await self._thawed()

    async def apply(self, launch: LaunchPlan) -> None:
        await self._act("apply")
        self.launch = launch
        await self.restart()

    async def launched(self) -> Launched:
        running = self._node.launch if self._node.alive else None
        files = {f.path: hashlib.sha256(f.content).hexdigest() for f in running.files} if running else {}
        return Launched(running.args if running else (), files)

    async def wipe(self) -> None:
        await self._act("wipe")
        if self._node.alive:
            raise OperationFailed("runs, so its data cannot be wiped", node=self._node.name, operation="wipe")
        self._node.data_entries = 0

    async def data_entries(self) -> int:
        return self._node.data_entries

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        await self._act("logs")
        return tuple(self._node.lines if tail is None else self._node.lines[len(self._node.lines) - tail :])

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        await self._act("exec")
        return self._node.answers.get(tuple(argv), ExecResult(0, " ".join(argv) + "\n", ""))

    async def exited(self) -> NodeState:
        await self._node.ended()
        return self._node.seen()

    async def _thawed(self) -> None:
        self._node.thaw()
        if self._pause is not None:
            self._ledger.settle(self._pause)
            self._pause = None

    async def _act(self, step: str, seconds: float = 0.0) -> None:
        await asyncio.sleep(seconds + self._world.latency)
        if step in self._node.failures:
            raise OperationFailed(self._node.failures[step], node=self._node.name, operation=step)


class FakeRemover:
    """Carries out what fake backends recorded: ``node`` (a resource) and ``pause`` (an inverse).

    Acts only on nodes of the world that carry the mark; ``fails_at("destroy")`` makes one stay.
    """

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    async def remove(
        self, entries: Sequence[LedgerEntry], context: RemovalContext
    ) -> Mapping[str, Removed | NodeyardError]:
        await asyncio.sleep(self._world.latency)
        return {entry.id: self._remove(entry, context.mark.text) for entry in entries}

    def _remove(self, entry: LedgerEntry, mark: str) -> Removed | NodeyardError:
        node = self._world.node(entry.node or "")
        if "destroy" in node.failures:
            return CleanupIncomplete(node.failures["destroy"], node=node.name, operation="destroy")
        if entry.type == "shape":
            return Removed(absent=node.rules.pop(str(entry.data.get("name")), None) is None)
        if entry.inverse:
            frozen = node.life is Life.PAUSED and node.pid == entry.data.get("pid")
            if frozen:
                node.thaw()
            return Removed(absent=not frozen)
        if node.mark != mark:
            return Removed(absent=True)
        node.vanish()
        return Removed(absent=False)


__all__ = ["FakeControl", "FakeRemover"]
