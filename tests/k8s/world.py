"""What the tests of the Kubernetes deployer share: a context over a temporary folder, small programs, a ledger."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from local.world import Secrets
from nodeyard._aio.clock import SystemClock
from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan, PortSpec
from nodeyard.domain.run_identity import RunMark
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.deployer.k8s import K8sPlugin
from nodeyard.providers.deployer.k8s.deployer import K8sDeployer
from nodeyard.providers.deployer.k8s.options import K8sOptions
from nodeyard.testing.recording import MemoryLedger

Render = Callable[[NodePlan, Any], LaunchPlan]


def new_mark(run: str = "") -> RunMark:
    return RunMark(run or f"t-{uuid.uuid4().hex[:12]}", "testhost", "testboot")


@dataclass
class World:
    """One run of the Kubernetes deployer."""

    root: Path
    kubeconfig: str
    options: Mapping[str, Any] = field(default_factory=dict)
    mark: RunMark = field(default_factory=new_mark)
    secrets: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    ledger: MemoryLedger | None = None
    emit: Callable[[Event], None] | None = None

    def __post_init__(self) -> None:
        self.record = self.ledger or MemoryLedger(self.mark)
        self.context = PluginContext(
            mark=self.mark,
            folder=self.root / self.mark.run,
            base=self.root,
            cache=self.root / "cache",
            ledger=self.record,
            clock=SystemClock(),
            emit=self.emit or self.events.append,
            transport=cast(Any, None),
            secrets=Secrets(self.secrets),
            environment={"KUBECONFIG": self.kubeconfig, **self.environment},
        )
        deployer = K8sPlugin().create(K8sOptions(**{"type": "k8s", **self.options}), self.context)
        assert isinstance(deployer, K8sDeployer)
        self.deployer = deployer

    def seen(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def up(self, plans: Sequence[NodePlan], render: Render) -> Mapping[str, Any]:
        """Resolve, provision and start these nodes; their places."""
        problems = await self.deployer.resolve(plans, {})
        assert not problems, problems
        places = await self.deployer.provision(self.deployer.plan(plans))
        await self.deployer.start([render(plan, places[plan.name]) for plan in plans if not plan.on_demand])
        return places


def plans(count: int, image: str, *, ports: Sequence[str] = (), **more: Any) -> list[NodePlan]:
    specs = tuple(PortSpec(name, 7000 + i) for i, name in enumerate(ports))
    return [NodePlan(f"n{i}", "toy", i, 0, image=image, ports=specs, **more) for i in range(count)]


def script(code: str, **more: Any) -> Render:
    """Renders nodes that run a program of a shell."""
    return lambda plan, place: LaunchPlan(plan.name, "sh", ("-c", code), **more)
