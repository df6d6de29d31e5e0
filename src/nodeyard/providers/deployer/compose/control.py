"""Control over one node that is a container of the run's project.

Operations on one node take turns. The engine knows the truth: each operation looks at the container first, so that one
that was cut short leaves nothing inconsistent behind. A ``Life`` is one start of a container; its end is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nodeyard.domain import events
from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import Endpoint, LaunchPlan, NodePlan, Scheme
from nodeyard.errors.provider import BackendUnavailable, NodeUnreachable, OperationFailed, ProvisioningFailed
from nodeyard.ports.ledger import Json, LedgerEntry
from nodeyard.ports.node_control import ExecResult, Launched, NodeState
from nodeyard.providers._clients import node_files
from nodeyard.providers._clients.docker import calls, labels, objects
from nodeyard.providers._clients.docker.containers import Container, inspected
from nodeyard.providers._clients.docker.networks import ELSEWHERE, namespace_of
from nodeyard.providers._clients.netns.namespace import Namespace
from nodeyard.providers._clients.netns.shaper import Shaper
from nodeyard.providers._clients.netns.shaping import Shaping
from nodeyard.providers.deployer.compose.project import Project
from nodeyard.providers.deployer.compose.resources import BY, DATA_DIR, PAUSED, ComposePlace, volume_name

FORCED = 10.0
"""Seconds for SIGKILL to take effect and for its end to be told: a fraction of one, unless the engine is loaded."""
LAST_LINES = 12


@dataclass
class Life:
    """One start of a container, from when it was seen until its end was told."""

    key: tuple[str, str]
    asked_to_end: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    state: NodeState | None = None
    watch: asyncio.Task[None] | None = None


class ComposeControl(Shaping):
    """One node. Implements every optional protocol of ``ports.node_control``."""

    def __init__(self, node: NodePlan, place: ComposePlace, project: Project) -> None:
        self.place = place
        self.launch: LaunchPlan | None = None
        self._node = node
        self._project = project
        self._engine = project.engine
        self._container: Container | None = None
        self._life: Life | None = None
        self._frozen: LedgerEntry | None = None
        self._earlier: list[str] = []
        self._turn = asyncio.Lock()
        context = project.context
        self.shaper = Shaper(node.name, BY, context.ledger, context.clock, self._namespace, context.environment)

    @property
    def container(self) -> Container | None:
        """The container as it was last seen: its id, its ``pid`` (whose namespaces are the node's), its addresses."""
        return self._container

    def missing(self) -> Mapping[Capability, str]:
        return {} if self._engine.address.local else {Capability.NETWORK: ELSEWHERE}

    async def address(self) -> str:
        addresses = self._container.addresses if self._container is not None else {}
        if not addresses:
            raise self._failed("network", "has no address now", "it has one while it runs")
        return next(iter(addresses.values()))

    async def _namespace(self) -> Namespace | None:
        found = await calls.look(self._engine, self._container.id) if self._container is not None else None
        return namespace_of(found) if found is not None else None

    async def state(self) -> NodeState:
        if self._container is None:
            return NodeState("stopped")
        try:
            found = await calls.look(self._engine, self._container.id)
        except BackendUnavailable as error:
            return NodeState("unknown", status=error.message)
        asked = self._life is None or self._life.asked_to_end
        if found is None:
            known = self._life.state if self._life is not None else None
            return known or NodeState("stopped" if asked else "exited", status="its container was removed")
        return found.node_state(asked=asked)

    async def exited(self) -> NodeState:
        if self._life is not None:
            await self._life.ended.wait()
        return await self.state()

    async def start(self) -> None:
        async with self._operation("start") as found:
            if found is None or not found.runs:
                await self._begin(found)

    async def stop(self) -> None:
        async with self._operation("stop") as found:
            await self._end_gracefully(found)

    async def restart(self) -> None:
        async with self._operation("restart") as found:
            await self._end_gracefully(found)
            await self._begin(found)

    async def apply(self, launch: LaunchPlan) -> None:
        async with self._operation("patch") as found:
            await self._end_gracefully(found)
            self.prepare(launch)
            if found is not None:  # its output goes with it
                self._earlier += await calls.output(self._engine, found.id, None)
            await self._begin(None)

    async def kill(self) -> None:
        async with self._operation("kill") as found:
            if found is not None and found.runs and self._life is not None:
                self._life.asked_to_end = True
                await calls.kill(self._engine, found.id, node=self._node.name)
                await self._told("kill")

    async def pause(self) -> None:
        async with self._operation("pause") as found:
            if found is None or not found.runs:
                raise self._failed("pause", "is not running, so it cannot be paused", "start it first")
            if self._frozen is None:
                data: dict[str, Json] = {"engine": self._engine.address.data(), "container": found.id}
                self._frozen = await self._project.context.ledger.record(
                    BY, PAUSED, node=self._node.name, data=data, inverse=True
                )
            if found.state != "paused":
                await calls.pause(self._engine, found.id, node=self._node.name)

    async def resume(self) -> None:
        async with self._operation("resume") as found:
            if found is None or not found.runs:
                raise self._failed("resume", "is not running, so it cannot be resumed", "start it first")
            await self._thaw(found)

    async def launched(self) -> Launched:
        said = await calls.inspect(self._engine, self._container.id) if self._container is not None else None
        args = tuple(said.get("Args") or ()) if said is not None and inspected(said).runs else ()
        paths = [file.path for file in self.launch.files] if self.launch is not None else []
        return Launched(args, node_files.digests(self._project.config_dir(self._node.name), paths))

    async def wipe(self) -> None:
        """The volume goes, and with it the stopped container that holds it; the next start makes both anew."""
        async with self._operation("wipe") as found:
            if found is not None and found.runs:
                raise self._failed("wipe", "runs, so its data cannot be wiped", "stop it first")
            if found is not None:
                self._earlier += await calls.output(self._engine, found.id, None)
            self._container = None
            mine = labels.node_marked(self._project.context.mark, self._node.name)
            for gone in (
                *await objects.remove_containers(self._engine, mine),
                *await objects.remove_volumes(self._engine, mine),
            ):
                if gone.error is not None:
                    raise self._failed("wipe", f"{gone.thing.name} would not go: {gone.error.message}", "try again")

    async def data_entries(self) -> int:
        if self._container is None:
            return 0
        volume = volume_name(self._project.context.mark.run, self._node.name)
        return await objects.entries(self._engine, volume, self._container.id, DATA_DIR)

    async def diagnostics(self) -> Mapping[str, str]:
        return await calls.diagnosed(self._engine, self._container.id) if self._container is not None else {}

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        present = await calls.output(self._engine, self._container.id, tail) if self._container is not None else []
        whole = [*self._earlier, *present]
        return whole if tail is None else whole[len(whole) - min(tail, len(whole)) :]

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        if self._container is None:
            raise self._failed("exec", "was never started", "start it first")
        return await calls.execute(self._engine, self._container.id, argv, timeout=timeout, node=self._node.name)

    def endpoint(self, port: str) -> Endpoint:
        """A port as the tester reaches it since the last start. Raises ``NodeUnreachable``."""
        specs = {spec.name: spec for spec in self._node.ports}
        if port not in specs:
            raise NodeUnreachable(
                f"has no port '{port}'", node=self._node.name, operation="endpoint",
                hint="see 'nodeyard plan' for nodes and ports",
            )  # fmt: skip
        found = self._container.published_at(specs[port].number) if self._container is not None else None
        if found is None:
            raise NodeUnreachable(
                f"the engine publishes no port '{port}' of it now", node=self._node.name, operation="endpoint",
                hint="it has one while it runs",
            )  # fmt: skip
        host, number = found
        if not self._engine.address.local:
            host = self._engine.address.url.partition("://")[2].rpartition(":")[0] or host
        return Endpoint(f"{'http' if specs[port].scheme is Scheme.HTTP else 'tcp'}://{host}:{number}")

    def prepare(self, launch: LaunchPlan) -> None:
        """Remember a launch plan, and have the node in the project's file."""
        self.launch = launch
        self._project.add(self._node, launch, self.place.address or "")

    def adopt(self, found: Container) -> None:
        """Take note of a container that was started: tell it, and watch for its end. No effect on a known start."""
        self._container = found
        if (self._life is not None and self._life.key == found.life) or found.state == "created":
            return
        life = self._life = Life(found.life)
        argv = self.launch.argv if self.launch is not None else ()
        self._project.context.emit(events.NodeStarted(node=self._node.name, locator=found.locator, argv=argv))
        life.watch = asyncio.create_task(self._watch(life), name=f"watch-{self._node.name}")

    def expect_end(self) -> None:
        """Whatever ends from now on was ended by us."""
        if self._life is not None:
            self._life.asked_to_end = True

    async def close(self, *, within: float) -> None:
        """Let the end that was brought about be told, then stop watching in any case."""
        watch = self._life.watch if self._life is not None else None
        if watch is None:
            return
        await asyncio.wait({watch}, timeout=within)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _operation(self, name: str) -> AsyncIterator[Container | None]:
        async with self._turn:
            try:
                yield await self._look()
            except ProvisioningFailed as error:
                raise OperationFailed(
                    error.message, node=self._node.name, operation=name, evidence=error.evidence, hint=error.hint
                ) from error

    async def _look(self) -> Container | None:
        """The container now; what happened to it since it was last seen is told first."""
        if self._container is None:
            return None
        if self._life is not None and self._life.asked_to_end and not self._life.ended.is_set():
            # Somebody's stop was cut short, and the engine may be carrying it out still: see it through.
            await calls.kill(self._engine, self._container.id, node=self._node.name)
            await self._told("stop")
        found = await calls.look(self._engine, self._container.id)
        if self._life is not None and (found is None or not found.runs or found.life != self._life.key):
            await self._told("look at it")
        if found is not None and found.runs:
            self.adopt(found)
            self._container = found
        return found

    async def _begin(self, found: Container | None) -> None:
        """Start with the present launch plan: the container that is there, else a new one. Only with the turn."""
        if self.launch is None:
            raise ProvisioningFailed(
                "has no launch plan yet", node=self._node.name, operation="start",
                hint="a node can be started once the network was brought up",
            )  # fmt: skip
        if found is None:
            made = await self._project.up([self._node.name], anew=self._container is not None)
            self.adopt(made[self._node.name])
            return
        if self._project.closed:
            raise ProvisioningFailed(
                "is not started: its network is being taken down", node=self._node.name, operation="start",
                hint="start a new run",
            )  # fmt: skip
        await calls.start(self._engine, found.id, node=self._node.name)
        seen = await calls.look(self._engine, found.id)
        if seen is None:
            raise calls.gone(self._node.name, "start")
        self.adopt(seen)

    async def _end_gracefully(self, found: Container | None) -> None:
        if found is None or not found.runs or self._life is None:
            return
        self._life.asked_to_end = True
        await self._thaw(found)  # a frozen process takes its signal only when it goes on
        launch = self.launch or LaunchPlan("", "", ())
        grace = self._project.options.stop_grace or launch.stop.grace
        await calls.stop(self._engine, found.id, grace=grace, node=self._node.name)
        await self._told("stop")

    async def _thaw(self, found: Container) -> None:
        if found.state == "paused":
            await calls.unpause(self._engine, found.id, node=self._node.name)
        self._thawed()

    def _thawed(self) -> None:
        if self._frozen is not None:
            self._project.context.ledger.settle(self._frozen)
            self._frozen = None

    async def _told(self, operation: str) -> None:
        """Wait until the end of the present life was told."""
        if self._life is None:
            return
        try:
            async with asyncio.timeout(FORCED):
                await self._life.ended.wait()
        except TimeoutError:
            raise self._failed(operation, f"did not end within {FORCED:g}s", "is the engine loaded?") from None

    async def _watch(self, life: Life) -> None:
        """Wait for the end of a life and tell it: an event of the engine, not a poll."""
        try:
            found = await self._until_ended(life)
            state = (
                found.node_state(asked=life.asked_to_end)
                if found is not None and not found.runs
                else NodeState("stopped" if life.asked_to_end else "exited", status="its container was removed")
            )
            if self._project.lost is None:
                await self._tell_end(life, state)
            life.state = state
        except BackendUnavailable as error:
            life.state = NodeState("unknown", status=error.message)
        finally:
            life.ended.set()

    async def _tell_end(self, life: Life, state: NodeState) -> None:
        lines: Sequence[str] = ()
        if not life.asked_to_end:
            lines = await calls.output(self._engine, life.key[0], LAST_LINES)
        self._thawed()
        self._project.context.emit(
            events.NodeExited(
                node=self._node.name, status=state.status, expected=life.asked_to_end, last_lines=tuple(lines)
            )
        )

    async def _until_ended(self, life: Life) -> Container | None:
        """The container after its end; ``None`` if it is not there. Raises ``BackendUnavailable``."""
        broken: BackendUnavailable | None = None
        while True:
            try:
                await calls.ended(self._engine, life.key[0])
                found = await calls.look(self._engine, life.key[0])
            except BackendUnavailable as error:
                broken = error
                await self._project.returns(error)
                continue
            if found is not None and found.runs and found.life == life.key:
                continue
            if broken is not None and not life.asked_to_end:
                # It ended while nobody could be asked: an engine that goes takes its containers with it.
                self._project.give_up(
                    self._engine.unavailable("went away and came back, and containers ended meanwhile", "watch nodes",
                                             self._node.name, [broken.message])
                )  # fmt: skip
            return found

    def _failed(self, operation: str, fact: str, hint: str) -> OperationFailed:
        return OperationFailed(fact, node=self._node.name, operation=operation, hint=hint)
