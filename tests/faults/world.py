"""A network of fake nodes in virtual time, and the faults of a phase on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from nodeyard._aio import poll
from nodeyard.domain.capability import ALL_CAPABILITIES, Capability
from nodeyard.domain.events import Event
from nodeyard.domain.identity import host_port
from nodeyard.domain.launch_plan import NodePlan
from nodeyard.domain.node_handle import Origin, OriginClass, Sighting
from nodeyard.domain.node_inventory import NodeInventory, merge
from nodeyard.domain.policy import NetworkPins, ReadinessSpec
from nodeyard.domain.verdict import Check, Verdict
from nodeyard.errors.bootstrap import NotReady
from nodeyard.faults.crash_loop import CrashLoop
from nodeyard.faults.ending import Kill, Restart, Stop
from nodeyard.faults.freezing import Pause
from nodeyard.faults.impairing import Bandwidth, Delay, Loss
from nodeyard.faults.partitioning import Partition
from nodeyard.faults.patching import Patch
from nodeyard.faults.wiping import Wipe
from nodeyard.ports.bootstrapped import Binding, Bootstrapped
from nodeyard.ports.kind import RenderRequest
from nodeyard.ports.node_control import supported_by
from nodeyard.runtime.context import StepContext
from nodeyard.runtime.exits import ExitWatch
from nodeyard.runtime.fault_watch import FaultWatch
from nodeyard.runtime.history import History
from nodeyard.runtime.network import LiveNetwork
from nodeyard.runtime.steps.faulting import FaultUse, run_faults
from nodeyard.runtime.steps.protocols import Fault
from nodeyard.testing import (
    TEST_MARK,
    FakeDeployer,
    FakeKind,
    FakeTransport,
    FakeWorld,
    MemoryLedger,
    RecordingObserver,
    VirtualClock,
    context,
)

FAULTS: dict[str, Fault] = {
    fault.word: fault
    for fault in (
        Kill(), Stop(), Restart(), Pause(), CrashLoop(), Wipe(), Patch(), Partition(), Delay(), Loss(), Bandwidth()
    )
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "patch": {"config": {"block-time": 5}},
    "delay": {"delay": "50ms"},
    "loss": {"loss": 0.2},
    "bandwidth": {"rate": "10mbit"},
}
"""What a fault needs beside its target."""
LASTING = sorted(word for word, fault in FAULTS.items() if fault.lasts)


class Gate:
    """Waits for nodes as the real one does: until each answers, has exited, or the time is over."""

    def __init__(self, inventory: NodeInventory, bindings: dict[str, Binding]) -> None:
        self._inventory = inventory
        self._bindings = bindings

    async def wait(self, nodes: Collection[str] | None, spec: ReadinessSpec, *, deadline: float) -> None:
        clock = VirtualClock()

        async def look() -> poll.Done[None] | str:
            for name in sorted(nodes or self._bindings):
                binding = self._bindings[name]
                control = binding.managed_control
                assert control is not None
                state = await control.state()
                if not state.alive:
                    raise NotReady(f"{name} is {state.state}", node=name)
                seen = await binding.client.probe(timeout=1.0)
                if not seen.ready:
                    return f"{name}: {seen.detail}"
            return poll.Done(None)

        try:
            await poll.until(look, clock=clock, deadline=min(deadline, clock.now() + spec.timeout))
        except poll.Timeout as late:
            raise NotReady(f"not ready in time: {late.last}") from None

    async def identify_again(self, nodes: Collection[str], *, reason: str) -> NodeInventory:
        return self._inventory


@dataclass
class Network:
    """The network, what it was told, and what was reported of it."""

    world: FakeWorld
    live: LiveNetwork
    ledger: MemoryLedger
    seen: RecordingObserver
    deployer: FakeDeployer
    checks: list[Check] = field(default_factory=list)
    ends: list[Event] = field(default_factory=list)

    def context(self, length: float, *, seed: int = 7) -> StepContext:
        clock = VirtualClock()
        return StepContext(
            network=self.live,
            clock=clock,
            deadline=clock.now() + length,
            emit=self.seen.see,
            random=Random(seed),
            exits=ExitWatch(),
            faults=FaultWatch(clock),
            label="faults",
            history=History(clock),
            report=self.checks.append,
        )

    async def phase(self, length: float, *uses: dict[str, Any], seed: int = 7) -> list[Check]:
        """The faults of one phase, to their end; the checks that were reported."""
        made = [use(**one) for one in uses]
        await run_faults(made, self.context(length, seed=seed))
        return self.checks

    def state(self, node: str) -> str:
        return self.world.node(node).seen().state

    def acts(self, what: str) -> list[str]:
        return [node for node, act in self.world.acts if act == what]


def use(word: str, **options: Any) -> FaultUse:
    fault = FAULTS[word]
    return FaultUse(fault, fault.options.model_validate({"use": word, **MORE.get(word, {}), **options}))


async def network(
    tmp: Path,
    count: int = 3,
    *,
    deadline: float = 1000.0,
    granted: dict[str, Collection[Capability]] | None = None,
) -> Network:
    """``count`` nodes that run. ``granted`` makes nodes borrowed ones that permit this."""
    world, seen, ledger = FakeWorld(), RecordingObserver(), MemoryLedger()
    given = context(tmp, ledger=ledger, emit=seen.see)
    deployer, kind = FakeDeployer(world, given), FakeKind(world)
    plans = [NodePlan(f"n{i}", "fake", i, 0, ports=FakeKind.ports) for i in range(count)]
    assert not await deployer.resolve(plans, {"fake": FakeKind.program} if FakeKind.program else {})
    places = await deployer.provision(deployer.plan(plans))
    material = kind.material(plans, mark=TEST_MARK, seed=7, pins=NetworkPins())
    peers = [(node, places[node.name]) for node in plans]
    requests = {n.name: RenderRequest(n, places[n.name], peers, (), material) for n in plans}
    await deployer.start([kind.render(request) for request in requests.values()])
    origins = {n.name: _origin(deployer, n.name, (granted or {}).get(n.name)) for n in plans}
    inventory = merge(
        Sighting(n.name, "fake", origins[n.name], address=host_port(world.node(n.name).url), peer_id=f"peer-{n.name}")
        for n in plans
    )
    bindings = {
        node.name: Binding(
            kind.client(_endpoint(deployer, node.name), FakeTransport()),
            _endpoint(deployer, node.name),
            kind,
            {(origins[node.name].origin.value, "fake"): deployer.control(node.name)},
            node,
            requests[node.name],
        )
        for node in plans
    }
    clock = VirtualClock()
    live = LiveNetwork(
        Bootstrapped(inventory, bindings),
        gate=Gate(inventory, bindings),
        clock=clock,
        emit=seen.see,
        readiness=ReadinessSpec(timeout=30.0),
        deadline=clock.now() + deadline,
    )
    return Network(world, live, ledger, seen, deployer)


def _endpoint(deployer: FakeDeployer, name: str) -> Callable[[str], Any]:
    return lambda port: deployer.endpoint(name, port)


def _origin(deployer: FakeDeployer, name: str, granted: Collection[Capability] | None) -> Origin:
    supported = supported_by(deployer.control(name)) | {Capability.QUERY, Capability.SUBMIT}
    given = ALL_CAPABILITIES if granted is None else frozenset(granted) | {Capability.QUERY}
    cls = OriginClass.MANAGED if granted is None else OriginClass.ATTACHED
    return Origin(cls, "fake", name, supported, given)


Body = Callable[[], Coroutine[Any, Any, None]]

PASS, VACUOUS, UNKNOWN, FAIL = Verdict.PASS, Verdict.VACUOUS, Verdict.UNKNOWN, Verdict.FAIL
