"""Deployer and attach provider pass the shipped suites, on a real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import LaunchPlan, NodePlan, PortSpec, StopPolicy
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers.attach.compose import ComposeAttachPlugin
from nodeyard.providers.attach.compose.options import ComposeAttachOptions
from nodeyard.providers.deployer.compose import ComposePlugin
from nodeyard.providers.deployer.compose.options import ComposeOptions
from nodeyard.testing.conformance_attach import AttachConformance, AttachSetting
from nodeyard.testing.conformance_deployer import LAST_WORD, OTHER_WORD, WORD, DeployerConformance, Stage, WatchedLedger
from nodeyard.testing.fake_context import FakeSecrets
from nodeyard.testing.fakes import context as fake_context
from nodeyard.testing.recording import MemoryLedger

from .engine import BUSYBOX, env, ids, inspected, remains, shell
from .projects import Foreign

pytestmark = pytest.mark.real


def running(word: str, plan: NodePlan, place: Any) -> LaunchPlan:
    code = f"trap 'exit 0' TERM; echo {word}; busybox sleep 1000 & wait"
    return LaunchPlan(plan.name, "busybox", tuple(shell(code)), stop=StopPolicy(grace=5.0))


def failing(plan: NodePlan, place: Any) -> LaunchPlan:
    return LaunchPlan(plan.name, "busybox", tuple(shell(f"echo {LAST_WORD}; exit 3")))


class TestDeployer(DeployerConformance):
    plugin = ComposePlugin()
    patience = 60.0

    @pytest.fixture(autouse=True)
    def _world(self, tmp_path: Path, engine: None) -> None:
        self.folder = tmp_path

    def stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AbstractAsyncContextManager[Stage]:
        return self._stage(ledger, emit)

    @asynccontextmanager
    async def _stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AsyncIterator[Stage]:
        context = PluginContext(
            mark=ledger.mark,
            folder=self.folder / ledger.mark.run,
            base=self.folder,
            cache=self.folder / "cache",
            ledger=ledger,
            clock=SystemClock(),
            emit=emit,
            transport=cast(Any, None),
            secrets=FakeSecrets(),
            environment=env(),
            scenario="conformance",
        )
        context.folder.mkdir(exist_ok=True)
        ports = (PortSpec("a", 1001), PortSpec("b", 1002))
        label = f"nodeyard.mark={ledger.mark.text}"
        yield Stage(
            deployer=self.plugin.create(ComposeOptions(type="compose"), context),
            nodes=[NodePlan(f"n{i}", "toy", i, 0, binary=str(BUSYBOX), ports=ports) for i in range(2)],
            lasting=partial(running, WORD),
            other=partial(running, OTHER_WORD),
            failing=failing,
            exists=lambda entry: exists(entry, label),
            remains=lambda: remains(label),
            unrunnable=NodePlan("odd", "toy", 9, 1, binary="no/such/program"),
        )


def exists(entry: LedgerEntry, label: str) -> bool:
    """Whether what an entry stands for is there."""
    node = [f"nodeyard.node={entry.node}"] if entry.node else []
    if entry.type == "paused":
        return any(one["State"]["Paused"] for one in inspected(*ids("container", label, *node)))
    if entry.type in ("container", "network", "volume", "image"):
        return bool(ids(entry.type, label, *node))
    return False


class TestAttach(AttachConformance):
    plugin = ComposeAttachPlugin()

    @pytest.fixture(autouse=True)
    def _world(self, tmp_path: Path, foreign: Foreign) -> Iterator[None]:
        self.folder, self.foreign = tmp_path, foreign
        before = foreign.portrait()
        yield
        assert foreign.portrait() == before

    def _setting(self, **options: Any) -> AttachSetting:
        from nodeyard.kinds.etcd import EtcdKind

        context = fake_context(self.folder, ledger=MemoryLedger(), environment=env(), kinds={"etcd": EtcdKind()})
        return AttachSetting(ComposeAttachOptions(type="compose", **options), context)

    def some_nodes(self) -> AttachSetting:
        return self._setting(project=self.foreign.name)

    def no_nodes(self) -> AttachSetting:
        return self._setting(project="nobody-has-this-project")

    def unreachable(self) -> AttachSetting:
        return self._setting(project=self.foreign.name, host=f"unix://{self.folder}/no.sock")

    def world(self) -> object:
        return self.foreign.portrait()
