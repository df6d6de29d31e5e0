"""Control over one node that is a pod.

Operations on one node take turns. Whatever is cancelled in the middle leaves its pod to the ledger, and the next
operation asks the pod's keeper what is true.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from lightkube.resources.core_v1 import Pod

from nodeyard.domain import events
from nodeyard.domain.capability import Capability
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.domain.secrets import Secret
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import OperationFailed, ProvisioningFailed
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.ports.node_control import ExecResult, Launched, NodeState
from nodeyard.providers._clients.kube import nearby, states
from nodeyard.providers._clients.netns.namespace import Namespace
from nodeyard.providers._clients.netns.shaper import Shaper
from nodeyard.providers._clients.netns.shaping import Shaping
from nodeyard.providers.deployer.k8s.keeping import Keeper, KeeperGone, Kept
from nodeyard.providers.deployer.k8s.launching import PodMaker
from nodeyard.providers.deployer.k8s.layout import BY, CONTAINER, DATA, KEEPER, PAUSED, PodPlace
from nodeyard.providers.deployer.k8s.run import Run

LAST_LINES = 12
LISTENING = 5.0
"""Seconds for the last lines of a node that ended; without them its end is told all the same."""


class K8sControl(Shaping):
    """One node. Implements every optional protocol of ``ports.node_control``."""

    def __init__(self, node: NodePlan, place: PodPlace, run: Run) -> None:
        self.place = place
        self.launch: LaunchPlan | None = None
        self._node = node
        self._run = run
        self._maker = PodMaker(node, run)
        context = run.context
        self.shaper = Shaper(node.name, BY, context.ledger, context.clock, self._namespace, context.environment)
        self._container = ""
        self._state = NodeState("stopped")
        self._unsure = False
        self._starts = 0
        self._asked_to_end = False
        self._frozen: LedgerEntry | None = None
        self._ended = asyncio.Event()
        self._ended.set()
        self._last_lines: tuple[str, ...] = ()
        self._telling: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        run.told[run.layout.pod(node.name)] = self.seen

    def missing(self) -> Mapping[Capability, str]:
        return {} if self._run.near else {Capability.NETWORK: nearby.ELSEWHERE}

    async def address(self) -> str:
        pod = self._run.pod(self._node.name)
        found = states.address_of(pod) if pod is not None else ""
        if not found:
            raise self._failed("network", "has no address now", "it has one while its pod stands")
        return found

    async def _namespace(self) -> Namespace | None:
        pod = self._run.pod(self._node.name)
        uid = pod.metadata.uid if pod is not None and pod.metadata is not None else None
        return await asyncio.to_thread(nearby.namespace_of, uid) if uid else None

    async def state(self) -> NodeState:
        """What the last word of the watch, or of an operation, was: the watch tells every change."""
        return self._state

    async def exited(self) -> NodeState:
        await self._ended.wait()
        return self._state

    async def start(self) -> None:
        async with self._operation("start"):
            if not self._runs:
                await self._begin()

    async def stop(self) -> None:
        async with self._operation("stop"):
            await self._end_gracefully()

    async def restart(self) -> None:
        async with self._operation("restart"):
            await self._end_gracefully()
            await self._begin()

    async def apply(self, launch: LaunchPlan) -> None:
        async with self._operation("patch"):
            await self._end_gracefully()
            self.launch = launch
            await self._begin(changed=True)

    async def kill(self) -> None:
        async with self._operation("kill"):
            await self._end("kill")

    async def pause(self) -> None:
        async with self._operation("pause"):
            self._must_run("pause")
            if self._frozen is None:
                data = {**self._run.where.as_data(), **self._maker.data}
                ledger = self._run.context.ledger
                self._frozen = await ledger.record(BY, PAUSED, node=self._node.name, data=data, inverse=True)
            await self._tell("pause")
            self._state = NodeState("paused", self._state.locator)

    async def resume(self) -> None:
        async with self._operation("resume"):
            self._must_run("resume")
            await self._tell("resume")
            self._state = NodeState("running", self._state.locator)
            self._thawed()

    async def launched(self) -> Launched:
        if not self._runs:
            return Launched((), {})
        paths = [file.path for file in self.launch.files] if self.launch is not None else []
        found = {path: await self._keeper.digest(path) for path in paths}
        return Launched(await self._keeper.args(), {path: digest for path, digest in found.items() if digest})

    async def wipe(self) -> None:
        async with self._operation("wipe"):
            if self._runs:
                raise self._failed("wipe", "runs, so its data cannot be wiped", "stop or kill it first")
            if self._run.pod(self._node.name) is not None:
                await self._maker.until_running()
                await self._keeper.tell("wipe", DATA, within=10.0)

    async def data_entries(self) -> int:
        if self._run.pod(self._node.name) is None:
            return 0
        await self._maker.until_running()
        done = await self._keeper.run([KEEPER, "count", DATA], timeout=15.0, operation="wipe")
        if done.status or not done.stdout.strip().isdigit():
            raise self._failed("wipe", f"its data cannot be looked at: {done.stderr.strip()}", "see its pod")
        return int(done.stdout)

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        return await self._output(tail)

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        if self._run.pod(self._node.name) is None:
            raise self._failed("exec", "has no pod in which a command could run", "start it first")
        return await self._keeper.command(argv, timeout=timeout)

    # -- starting and ending ------------------------------------------------------------------------------------------

    async def make(self, together: Sequence[str]) -> None:
        """Make the pod, one of those of ``together``; ``launch_made`` follows. Raises ``ProvisioningFailed``."""
        async with self._turn:
            await self._maker.make(self._startable(), together)

    async def launch_made(self) -> None:
        """Wait until the pod that was made runs. Raises ``ProvisioningFailed``."""
        async with self._turn:
            await self._began(self._startable(), await self._maker.until_begun())

    async def _begin(self, *, changed: bool = False) -> None:
        launch = self._startable()
        await self.settled()
        pod = self._run.pod(self._node.name)
        if pod is None or states.over(pod):
            await self._maker.make(launch)
            container = await self._maker.until_begun()
        else:
            container = await self._start_again(launch, changed=changed)
        await self._began(launch, container)

    def _startable(self) -> LaunchPlan:
        if self.launch is None:
            raise self._unstartable("has no launch plan yet", "a node can be started once the network was brought up")
        if self._run.closed:
            raise self._unstartable("is not started: its network is being taken down", "start a new run")
        return self.launch

    async def _began(self, launch: LaunchPlan, container: str) -> None:
        """Take note of a program that runs in this container."""
        run, name = self._run, self._node.name
        self._container = container
        await run.open_ways(self.place)
        self._starts += 1
        self._asked_to_end, self._unsure, self._last_lines = False, False, ()
        self._ended.clear()
        locator = run.layout.locator(name, self._starts)
        self._state = NodeState("running", locator)
        run.context.emit(events.NodeStarted(node=name, locator=locator, argv=launch.argv))
        self.seen(run.watch.pods.get(run.layout.pod(name)))  # it may have ended before we could say that it began

    async def _start_again(self, launch: LaunchPlan, *, changed: bool) -> str:
        """Start the program in the pod that is there. Its container may only just come back."""
        container = await self._maker.until_running()
        self._unsure = True
        for file in launch.files if changed else ():
            await self._keeper.put(file)
        for file in launch.initial:
            await self._keeper.put(file, initial=True)
        env = await self._variables(launch) if changed or self._maker.env_changed else {}
        self._maker.env_changed = self._maker.env_changed or changed
        await self._keeper.start(launch.argv, env)
        return container

    async def _variables(self, launch: LaunchPlan) -> Mapping[str, str]:
        """The environment of a program whose launch plan differs from the one that its pod was made with."""
        base = await self._keeper.run([KEEPER, "env"], timeout=15.0, operation="start")
        inherited = dict(line.split("=", 1) for line in base.stdout.split("\0") if "=" in line)
        told = {**self._node.env, **launch.env}
        revealed = {n: self._run.reveal(Secret(v)) if Secret(v).is_reference else v for n, v in told.items()}
        return {**inherited, **revealed}

    async def _end_gracefully(self) -> None:
        policy = self.launch.stop if self.launch else LaunchPlan("", "", ()).stop
        grace = self._run.options.stop_grace or policy.grace
        await self._end("stop", str(policy.signal), str(round(grace * 1000)), within=grace)

    async def _end(self, verb: str, *words: str, within: float = 10.0) -> None:
        if not self._runs and not self._unsure:
            return
        self._asked_to_end = self._unsure = True
        try:
            kept = await self._keeper.tell(verb, *words, within=within)
        except KeeperGone:
            await self._container_gone(verb)
            return
        if self._runs:
            await self._conclude("stopped", states.exit_text(kept.code), expected=True)
        self._unsure = False

    async def _container_gone(self, verb: str) -> None:
        """The container ended while it was asked to: its end is on the way to us."""
        deadline = self._run.context.clock.now() + LISTENING
        try:
            async with asyncio.timeout(max(0.0, deadline - self._run.context.clock.now())):
                await self._ended.wait()
        except TimeoutError:
            raise self._failed(verb, "its container is gone, and nothing told how it ended", "see its pod") from None
        self._unsure = False

    async def _tell(self, verb: str) -> Kept:
        try:
            return await self._keeper.tell(verb, within=5.0)
        except KeeperGone as gone:
            raise self._failed(verb, f"ended before it could {verb}", "see its last lines") from gone

    # -- what the watch says ------------------------------------------------------------------------------------------

    def seen(self, pod: Pod | None) -> None:
        """The node's pod changed, or is gone (``None``)."""
        if not self._runs or not self._container:
            return
        if pod is None or states.over(pod):
            reason = (states.over(pod) if pod is not None else "") or "its pod was deleted"
            self._lost(reason)
            return
        for end in states.ends_of(pod, CONTAINER):
            if end.container == self._container:
                self._lost(end.status)

    def _lost(self, status: str) -> None:
        self._container = ""
        expected = self._asked_to_end or self._run.closed
        self._state = NodeState("stopped" if expected else "exited", status=status)
        task = asyncio.get_running_loop().create_task(self._conclude(self._state.state, status, expected=expected))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _conclude(self, state: str, status: str, *, expected: bool) -> None:
        """Take note of an end and tell it, with the last lines where they can be had."""
        self._state = NodeState(state, status=status)
        if not self._run.closed:
            try:
                async with asyncio.timeout(LISTENING):
                    self._last_lines = tuple(await self._output(LAST_LINES))
            except (TimeoutError, NodeyardError):
                self._last_lines = ()
        self._thawed()
        self._run.context.emit(
            events.NodeExited(node=self._node.name, status=status, expected=expected, last_lines=self._last_lines)
        )
        self._ended.set()

    async def gone(self) -> None:
        """Return when the watch has seen that there is no pod."""
        watch, name = self._run.watch, self._run.layout.pod(self._node.name)
        now = self._run.context.clock.now()
        await watch.until(lambda: True if watch.pods.get(name) is None else None, deadline=now + LISTENING)

    async def settled(self) -> None:
        """Everything that was seen is told."""
        await asyncio.gather(*self._telling)

    # -- within ------------------------------------------------------------------------------------------------------

    @property
    def _runs(self) -> bool:
        return self._state.alive

    @property
    def _keeper(self) -> Keeper:
        layout = self._run.layout
        return Keeper(self._run.cluster, layout.namespace, layout.pod(self._node.name), self._node.name)

    async def _output(self, tail: int | None) -> list[str]:
        """What its containers printed; the one before the present one is kept by Kubernetes as well."""
        run, pod = self._run, self._run.layout.pod(self._node.name)
        seen = run.pod(self._node.name)
        if seen is None:
            return list(self._last_lines)
        status = states.container_of(seen, CONTAINER)
        lines = await run.cluster.log(pod, run.layout.namespace, container=CONTAINER, tail=tail)
        if status is not None and status.restartCount and (tail is None or len(lines) < tail):
            left = None if tail is None else tail - len(lines)
            before = await run.cluster.log(pod, run.layout.namespace, container=CONTAINER, tail=left, previous=True)
            lines = before + lines
        return lines

    @asynccontextmanager
    async def _operation(self, name: str) -> AsyncIterator[None]:
        async with self._turn:
            try:
                yield
            except ProvisioningFailed as error:
                raise OperationFailed(
                    error.message, node=self._node.name, operation=name, evidence=error.evidence, hint=error.hint
                ) from error
            except KeeperGone as gone:
                raise self._failed(name, f"its container ended meanwhile: {gone}", "see its last lines") from gone

    def _must_run(self, operation: str) -> None:
        if not self._runs:
            raise self._failed(operation, f"is not running, so it cannot be {operation}d", "start it first")

    def _thawed(self) -> None:
        if self._frozen is not None:
            self._run.context.ledger.settle(self._frozen)
            self._frozen = None

    def _failed(self, operation: str, fact: str, hint: str) -> OperationFailed:
        return OperationFailed(fact, node=self._node.name, operation=operation, evidence=self._last_lines, hint=hint)

    def _unstartable(self, fact: str, hint: str) -> ProvisioningFailed:
        return ProvisioningFailed(fact, node=self._node.name, operation="start", hint=hint)
