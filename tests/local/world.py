"""What the tests of the local deployer share: a context over a temporary folder, a ledger in memory, small programs."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan, PortSpec, StopPolicy
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.secrets import Secret
from nodeyard.errors.validation import Problem, SpecInvalid
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.deployer.local import LocalPlugin
from nodeyard.providers.deployer.local.deployer import LocalDeployer
from nodeyard.providers.deployer.local.options import LocalOptions
from nodeyard.testing.recording import MemoryLedger

SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self, *words): print(*words, flush=True)
host, _, port = sys.argv[1].rpartition(':')
http.server.ThreadingHTTPServer.allow_reuse_address = True
server = http.server.ThreadingHTTPServer((host, int(port)), Answer)
print('listening', port, flush=True)
server.serve_forever()
"""


def new_mark(run: str = "") -> RunMark:
    return RunMark(run or f"t-{uuid.uuid4().hex[:12]}", "testhost", "testboot")


class Secrets:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def reveal(self, secret: Secret) -> str:
        if secret.reference not in self.values:
            raise SpecInvalid([Problem(message=f"{secret.reference} is not set")])
        return self.values[secret.reference]


@dataclass
class World:
    """One run of the local deployer."""

    root: Path
    mark: RunMark = field(default_factory=new_mark)
    options: LocalOptions = field(default_factory=lambda: LocalOptions(type="local"))
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    secrets: dict[str, str] = field(default_factory=dict)
    cache: Path | None = None
    events: list[Event] = field(default_factory=list)
    ledger: MemoryLedger | None = None
    emit: Callable[[Event], None] | None = None

    def __post_init__(self) -> None:
        self.record = self.ledger or MemoryLedger(self.mark)
        self.context = PluginContext(
            mark=self.mark,
            folder=self.root / self.mark.run,
            base=self.root,
            cache=self.cache or self.root / "cache",
            ledger=self.record,
            clock=SystemClock(),
            emit=self.emit or self.events.append,
            transport=cast(Any, None),
            secrets=Secrets(self.secrets),
            environment=self.environment,
        )
        deployer = LocalPlugin().create(self.options, self.context)
        assert isinstance(deployer, LocalDeployer)
        self.deployer = deployer

    def seen(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def up(self, plans: Sequence[NodePlan], render: Callable[[NodePlan, Any], LaunchPlan]) -> None:
        """Resolve, provision and start these nodes."""
        problems = await self.deployer.resolve(plans, {})
        assert not problems, problems
        places = await self.deployer.provision(self.deployer.plan(plans))
        await self.deployer.start([render(plan, places[plan.name]) for plan in plans if not plan.on_demand])
        for plan in plans:
            if plan.on_demand:
                self.deployer.prepare(render(plan, places[plan.name]))


def plans(count: int, *, ports: Sequence[str] = ("http",), binary: str = sys.executable, **more: Any) -> list[NodePlan]:
    specs = tuple(PortSpec(name, 1000 + i) for i, name in enumerate(ports))
    return [NodePlan(f"n{i}", "toy", i, 0, binary=binary, ports=specs, **more) for i in range(count)]


def server(plan: NodePlan, place: Any, **more: Any) -> LaunchPlan:
    return LaunchPlan(plan.name, "python", ("-S", "-c", SERVER, place.listen("http")), **more)


def script(code: str, **more: Any) -> Callable[[NodePlan, Any], LaunchPlan]:
    """Renders nodes that run a Python program; ``-S`` for a quick start."""
    return lambda plan, place: LaunchPlan(plan.name, "python", ("-S", "-c", code), **more)


SLEEPER = script("import time; print('up', flush=True); time.sleep(1000)", stop=StopPolicy(grace=5.0))
