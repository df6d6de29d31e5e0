"""The smallest world that the runtime can act on: scripted clients and controls, a gate, and a network of them.

Smaller than ``nodeyard.testing``'s world on purpose: it records every act with the decision that stood behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.capability import ALL_CAPABILITIES, ALWAYS_GRANTED, Capability
from nodeyard.domain.events import Event
from nodeyard.domain.identity import NetworkFacts, host_port
from nodeyard.domain.launch_plan import Endpoint, LaunchPlan, NetworkMaterial, NodePlan, PortSpec
from nodeyard.domain.node_client import (
    CompareAndSet,
    Identification,
    KeyValue,
    Probe,
    ReportsHeight,
    ReportsRole,
    Rung,
    Value,
)
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory, merge
from nodeyard.domain.policy import ReadinessSpec
from nodeyard.domain.scenario_spec import CheckOptions, StepSpec
from nodeyard.errors.provider import NodeTimeout, NodeUnreachable
from nodeyard.ports.bootstrapped import Binding, Bootstrapped
from nodeyard.ports.kind import RenderRequest
from nodeyard.ports.node_control import ExecResult, NodeState
from nodeyard.runtime.exits import ExitWatch
from nodeyard.runtime.history import History
from nodeyard.runtime.network import LiveNetwork
from nodeyard.runtime.scenario_runtime import Outcome, RuntimeRequest, ScenarioRuntime
from nodeyard.runtime.steps.protocols import FaultSchedule


@dataclass
class Cluster:
    """What the scripted nodes share."""

    data: dict[str, str] = field(default_factory=dict)
    acts: list[tuple[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass
class ScriptedClient:
    """A node's answers. ``down`` refuses connections, ``hanging`` accepts them and never answers."""

    name: str
    cluster: Cluster
    down: bool = False
    hanging: bool = False
    heights: list[int] = field(default_factory=lambda: [0])
    leads: str | None = "follower"
    state: Mapping[str, str] = field(default_factory=lambda: {"hash": "1"})
    peer_id: str | None = None
    calls: list[str] = field(default_factory=list)

    async def _answer(self, call: str, timeout: float) -> None:
        self.calls.append(call)
        if self.down:
            raise NodeUnreachable("connection refused", node=self.name)
        if self.hanging:
            await asyncio.sleep(timeout)
            raise NodeTimeout("no answer in time", node=self.name)

    async def probe(self, *, timeout: float) -> Probe:
        return Probe(not self.down, Rung.API_ANSWERS, "ok")

    async def identify(self, *, timeout: float) -> Identification:
        await self._answer("identify", timeout)
        return Identification(self.peer_id, NetworkFacts())

    async def get(self, key: str, *, timeout: float, local: bool = False) -> Value:
        await self._answer("get", timeout)
        return Value(self.cluster.data.get(key))

    async def put(self, key: str, value: str, *, timeout: float) -> int | None:
        await self._answer("put", timeout)
        self.cluster.data[key] = value
        return None

    async def compare_and_set(self, key: str, expected: str | None, value: str, *, timeout: float) -> bool:
        await self._answer("compare_and_set", timeout)
        return False

    async def height(self, *, timeout: float) -> int:
        await self._answer("height", timeout)
        return self.heights.pop(0) if len(self.heights) > 1 else self.heights[0]

    async def role(self, *, timeout: float) -> str | None:
        await self._answer("role", timeout)
        return self.leads

    async def digest(self, *, timeout: float) -> Mapping[str, str]:
        await self._answer("digest", timeout)
        return self.state


@dataclass
class PlainClient:
    """A client that speaks no protocol but the least one."""

    name: str

    async def probe(self, *, timeout: float) -> Probe:
        return Probe(True, Rung.API_ANSWERS, "ok")

    async def identify(self, *, timeout: float) -> Identification:
        return Identification(None, NetworkFacts())


@dataclass
class ScriptedControl:
    """Does everything, records it, and takes ``slow`` seconds for it. ``fails`` raises instead."""

    name: str
    cluster: Cluster
    present: str = "running"
    status: str = ""
    lines: list[str] = field(default_factory=list)
    launches: list[LaunchPlan] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    slow: float = 0.0

    async def _act(self, what: str, then: str | None) -> None:
        self.cluster.acts.append((self.name, what))
        if what in self.fails:
            raise self.fails[what]
        await asyncio.sleep(self.slow)
        self.present = then or self.present

    async def state(self) -> NodeState:
        return NodeState(self.present, status=self.status)

    def missing(self) -> Mapping[Capability, str]:
        return {}

    async def start(self) -> None:
        await self._act("start", "running")

    async def stop(self) -> None:
        await self._act("stop", "stopped")

    async def restart(self) -> None:
        await self._act("restart", "running")

    async def kill(self) -> None:
        await self._act("kill", "stopped")

    async def pause(self) -> None:
        await self._act("pause", "paused")

    async def resume(self) -> None:
        await self._act("resume", "running")

    async def apply(self, launch: LaunchPlan) -> None:
        self.launches.append(launch)
        await self._act("apply", "running")

    async def logs(self, *, tail: int | None = None) -> Sequence[str]:
        await self._act("logs", None)
        return self.lines[-tail:] if tail else self.lines

    async def exec(self, argv: Sequence[str], *, timeout: float) -> ExecResult:
        await self._act("exec", None)
        return ExecResult(0, " ".join(argv), "")


class ScriptedKind:
    """Renders a node's config into arguments; refuses the key ``bad``."""

    name = "fake"
    summary = "scripted"
    ports = (PortSpec("api", 1),)
    api_port = "api"
    program = None
    roles = ()
    protocols = (KeyValue, CompareAndSet, ReportsHeight, ReportsRole)
    matters: Mapping[str, Any] = {}

    def config_problems(self, config: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [("bad", "is not known")] if "bad" in config else []

    def render(self, request: RenderRequest) -> LaunchPlan:
        args = [f"--{key}={value}" for key, value in sorted(request.node.config.items())]
        args += [f"--peer={p.name}:{','.join(sorted(p.config))}" for p, _ in request.peers]
        return LaunchPlan(request.node.name, "fake", tuple(args))

    def material(self, *args: object, **kwargs: object) -> NetworkMaterial:
        return NetworkMaterial("net")

    def client(self, endpoint: object, transport: object) -> Any:
        return PlainClient("any")


class Place:
    data_dir = config_dir = "/nowhere"

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{port}"

    advertise = listen


@dataclass
class Gate:
    """Says yes after ``takes`` seconds, and merges what ``answers`` holds when asked to identify."""

    inventory: NodeInventory
    takes: float = 0.0
    refuses: Exception | None = None
    waited: list[tuple[tuple[str, ...] | None, str]] = field(default_factory=list)
    identified: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def wait(self, nodes: Collection[str] | None, spec: ReadinessSpec, *, deadline: float) -> None:
        self.waited.append((None if nodes is None else tuple(nodes), spec.policy))
        await asyncio.sleep(self.takes)
        if self.refuses is not None:
            raise self.refuses

    async def identify_again(self, nodes: Collection[str], *, reason: str) -> NodeInventory:
        self.identified.append((tuple(nodes), reason))
        fresh = [
            replace(s, peer_id=self.answers[n], revision=s.revision + 1)
            for n in nodes
            if n in self.answers
            for s in self.inventory.by_name[n].sightings
        ]
        self.inventory = self.inventory.merged(fresh)
        return self.inventory


def origin(
    cls: OriginClass = OriginClass.MANAGED,
    *,
    supported: Collection[Capability] = ALL_CAPABILITIES,
    granted: Collection[Capability] | None = None,
) -> Origin:
    given = granted if granted is not None else ALL_CAPABILITIES if cls is OriginClass.MANAGED else ALWAYS_GRANTED
    return Origin(cls, f"{cls}-source", "here", frozenset(supported), frozenset(given))


@dataclass
class World:
    """A network of scripted nodes. Make it inside the loop, with ``World.of``."""

    cluster: Cluster
    clients: dict[str, Any]
    controls: dict[str, ScriptedControl]
    gate: Gate
    network: LiveNetwork
    exits: ExitWatch

    @staticmethod
    def of(
        nodes: Mapping[str, Sequence[Origin]] | int = 3,
        *,
        deadline: float = float("inf"),
        client: Callable[[str, Cluster], Any] = ScriptedClient,
    ) -> World:
        if isinstance(nodes, int):
            nodes = {f"n{i}": [origin()] for i in range(nodes)}
        cluster, exits = Cluster(), ExitWatch()
        controls = {name: ScriptedControl(name, cluster) for name in nodes}
        clients: dict[str, Any] = {name: client(name, cluster) for name in nodes}
        sightings = [
            Sighting(name, "fake", one, address=host_port(f"http://127.0.0.1:{1000 + number}"), peer_id=f"peer-{name}")
            for number, (name, origins) in enumerate(nodes.items())
            for one in origins
        ]
        inventory = merge(sightings)
        gate = Gate(inventory)

        def emit(event: Event) -> None:
            cluster.events.append(event)
            exits.see(event)

        network = LiveNetwork(
            Bootstrapped(inventory, bindings(inventory, clients, controls)),
            gate=gate,
            clock=SystemClock(),
            emit=emit,
            deadline=deadline,
        )
        return World(cluster, clients, controls, gate, network, exits)

    @property
    def acts(self) -> list[tuple[str, str]]:
        return self.cluster.acts

    def told(self, *types: type[Event]) -> list[Event]:
        return [event for event in self.cluster.events if isinstance(event, types)]

    def runtime(
        self,
        steps: Sequence[StepSpec] = (),
        expectations: Sequence[CheckOptions] = (),
        *,
        operations: Mapping[str, Any] | None = None,
        checkers: Mapping[str, Any] | None = None,
        workloads: Mapping[str, Any] | None = None,
        fault_schedule: FaultSchedule | None = None,
        history: History | None = None,
        base: Path = Path(),
        within: float = 60.0,
        seed: int = 7,
    ) -> ScenarioRuntime:
        clock = SystemClock()

        def emit(event: Event) -> None:
            self.cluster.events.append(event)
            self.exits.see(event)

        return ScenarioRuntime(
            RuntimeRequest(
                steps=steps,
                expectations=expectations,
                operations=operations or {},
                checkers=checkers or {},
                workloads=workloads or {},
                fault_schedule=fault_schedule,
                history=history,
                base=base,
                network=self.network,
                exits=self.exits,
                clock=clock,
                emit=emit,
                seed=seed,
                deadline=clock.now() + within,
            )
        )

    async def run(
        self, steps: Sequence[StepSpec] = (), expectations: Sequence[CheckOptions] = (), **more: Any
    ) -> Outcome:
        return await self.runtime(steps, expectations, **more).run()

    @staticmethod
    async def of_run(
        steps: Sequence[StepSpec],
        expectations: Sequence[CheckOptions],
        operations: Mapping[str, Any],
        checkers: Mapping[str, Any],
        **more: Any,
    ) -> Outcome:
        return await World.of().run(steps, expectations, operations=operations, checkers=checkers, **more)


def bindings(
    inventory: NodeInventory, clients: Mapping[str, Any], controls: Mapping[str, ScriptedControl]
) -> dict[str, Binding]:
    plans = {n: NodePlan(n, "fake", i, 0, config={"kept": 1}) for i, n in enumerate(clients)}
    peers = [(plan, Place()) for plan in plans.values()]
    found = {}
    for handle in inventory:
        by_origin = {(o.origin.value, o.source): controls[handle.id] for o in handle.origins}
        owned = handle.from_class(OriginClass.MANAGED)
        request = RenderRequest(plans[handle.id], Place(), peers, (), NetworkMaterial("net")) if owned else None
        found[handle.id] = Binding(
            clients[handle.id],
            lambda port: Endpoint("http://127.0.0.1:1"),
            ScriptedKind(),  # type: ignore[arg-type]
            by_origin,
            plans[handle.id] if owned else None,
            request,
        )
    return found
