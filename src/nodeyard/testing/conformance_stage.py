"""The stage of the deployers' conformance suite: what a subclass sets, and what its tests stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from uuid import uuid4

from nodeyard._aio import poll
from nodeyard._aio.clock import SystemClock
from nodeyard.domain.capability import Capability
from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan, Place
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import Secret
from nodeyard.ports.deployer import Deployer
from nodeyard.ports.kind import ProgramSpec
from nodeyard.ports.ledger import Json, LedgerEntry, RemovalContext
from nodeyard.ports.plugins import DeployerPlugin
from nodeyard.testing.recording import MemoryLedger

T = TypeVar("T")
Render = Callable[[NodePlan, Place], LaunchPlan]
WORD, OTHER_WORD, LAST_WORD = "conformance-up", "conformance-other", "conformance-broken"
"""What the three programs of a stage print."""


class WatchedLedger(MemoryLedger):
    """Notes every entry whose resource is already there when the entry is granted."""

    def __init__(self, mark: RunMark) -> None:
        super().__init__(mark)
        self.exists: Callable[[LedgerEntry], bool] = lambda entry: False
        self.premature: list[LedgerEntry] = []

    async def record(
        self, by: str, type: str, *, node: str | None, data: Mapping[str, Json], inverse: bool = False
    ) -> LedgerEntry:
        before = self.exists(LedgerEntry("", by, type, node, data, inverse))
        entry = await super().record(by, type, node=node, data=data, inverse=inverse)
        await asyncio.sleep(0)  # whoever does not wait for the entry acts now
        if before or self.exists(entry):
            self.premature.append(entry)
        return entry


@dataclass
class Stage:
    """One run with one deployer. ``nodes`` are at least two, without and with ports, none on demand.

    ``lasting`` prints ``WORD`` and runs until it is ended, ``other`` does so with ``OTHER_WORD``, ``failing`` prints
    ``LAST_WORD`` and ends at once with status 3. ``exists`` looks whether the resource (or the change that an inverse
    would undo) of an entry is there, ``remains`` lists everything of this run, both without asking the deployer.
    """

    deployer: Deployer
    nodes: Sequence[NodePlan]
    lasting: Render
    other: Render
    failing: Render
    exists: Callable[[LedgerEntry], bool]
    remains: Callable[[], Sequence[str]]
    unrunnable: NodePlan
    programs: Mapping[str, ProgramSpec] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    async def provision(self) -> None:
        problems = await self.deployer.resolve(self.nodes, self.programs)
        assert not problems, problems
        self.places = await self.deployer.provision(self.deployer.plan(self.nodes))

    def launches(self, render: Render) -> list[LaunchPlan]:
        return [render(node, self.places[node.name]) for node in self.nodes]

    async def up(self) -> None:
        await self.provision()
        await self.deployer.start(self.launches(self.lasting))


class _NoSecrets:
    def reveal(self, secret: Secret) -> str:
        raise AssertionError(f"nothing here needs the secret {secret}")


class OnStage:
    """The tests. ``plugin`` is under test; a stage is set anew for each of them."""

    plugin: DeployerPlugin
    patience = 20.0
    """Seconds to wait for what must come."""

    def stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AbstractAsyncContextManager[Stage]:
        """A fresh stage of the run ``ledger.mark``, on this ledger and these observers; afterwards nothing is left."""
        raise AssertionError("the subclass sets a stage")

    def mark(self, run: str) -> RunMark:
        """A mark for a test run; override it where the backend needs a particular host or boot."""
        return RunMark(run, "conformance-host", "conformance-boot")

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """How the suite runs a coroutine; override it to use another loop."""
        return asyncio.run(coro)

    # -- within ------------------------------------------------------------------------------------------------------

    def _on_stage(self, act: Callable[[Stage, WatchedLedger, list[Event]], Awaitable[None]]) -> None:
        async def whole() -> None:
            # A mark of its own for each stage: tests run side by side on one machine.
            ledger, told = WatchedLedger(self.mark(f"c-{uuid4().hex}")), list[Event]()
            async with self.stage(ledger, told.append) as stage:
                ledger.exists = stage.exists
                try:
                    await act(stage, ledger, told)
                finally:
                    await stage.deployer.destroy()
                assert not stage.remains()
                assert not ledger.premature, f"these existed before their entry: {ledger.premature}"

        self.run(whole())

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async def probe() -> poll.Done[None] | bool:
            return poll.Done(None) if await condition() else False

        clock = SystemClock()
        await poll.until(probe, clock=clock, deadline=clock.now() + self.patience)

    def _removal(self, mark: RunMark) -> RemovalContext:
        clock = SystemClock()
        return RemovalContext(mark, clock, _NoSecrets(), clock.now() + self.patience)

    def _first(self, stage: Stage) -> Any:
        """The first node's control, through which every protocol may be called."""
        return cast(Any, stage.deployer.control(stage.nodes[0].name))

    def _promises(self, *wanted: Capability) -> bool:
        return set(wanted) <= self.plugin.capabilities
