"""The Kubernetes deployer passes the shipped suite, on a real cluster."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import NodePlan, StopPolicy
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.providers.deployer.k8s import K8sPlugin
from nodeyard.testing.conformance_deployer import LAST_WORD, OTHER_WORD, WORD, DeployerConformance, Stage, WatchedLedger

from .clusters import image, kubeconfig, kubectl, of_run
from .world import World, plans, script

pytestmark = [
    pytest.mark.real,
    # A request that is cancelled while its connection opens leaves that connection to the garbage collector: the HTTP
    # client below lightkube does not close it. The fixture below collects it inside of the test that made it.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def lasting(word: str) -> str:
    return f"echo {word}; trap exit TERM; while :; do sleep 0.05; done"


class TestK8s(DeployerConformance):
    plugin = K8sPlugin()
    patience = 60.0

    @pytest.fixture(autouse=True)
    def _given(self, tmp_path: Path, namespace: str) -> Iterator[None]:
        self.folder, self.namespace = tmp_path, namespace
        yield
        gc.collect()

    def stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AbstractAsyncContextManager[Stage]:
        return self._stage(ledger, emit)

    @asynccontextmanager
    async def _stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AsyncIterator[Stage]:
        namespace = self.namespace
        world = World(
            self.folder, kubeconfig(), {"namespace": namespace, "pull": "never"},
            mark=ledger.mark, ledger=ledger, emit=emit,
        )  # fmt: skip
        yield Stage(
            deployer=world.deployer,
            nodes=plans(2, image(shell=True), ports=("a", "b")),
            lasting=script(lasting(WORD), stop=StopPolicy(grace=5.0)),
            other=script(lasting(OTHER_WORD)),
            failing=script(f"echo {LAST_WORD}; exit 3"),
            exists=lambda entry: exists(entry, ledger.mark.text, namespace),
            remains=lambda: of_run(ledger.mark.text, namespace),
            unrunnable=NodePlan("odd", "toy", 9, 1),
        )


def exists(entry: LedgerEntry, mark: str, namespace: str) -> bool:
    """Whether what an entry stands for is there."""
    if entry.type == "paused":
        keeper = ("/nodeyard/bin/keeper", "ctl", "/nodeyard/work", "state")
        said = kubectl("exec", "-n", namespace, str(entry.data["pod"]), "--", *keeper)
        return said.startswith("paused")
    if entry.type == "network-rules":
        rules = ["nsenter", f"--net=/proc/{entry.data['pid']}/ns/net", "--", "iptables-save"]
        return "nodeyard" in subprocess.run(rules, capture_output=True, text=True, check=False).stdout.lower()
    found = of_run(mark, namespace)
    return f"pod {entry.data['pod']}" in found if entry.type == "pod" else bool(found)
