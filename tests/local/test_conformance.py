"""The local deployer passes the shipped suite, on real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from nodeyard.domain.events import Event
from nodeyard.domain.launch_plan import NodePlan, StopPolicy
from nodeyard.domain.run_identity import RunMark
from nodeyard.ports.ledger import LedgerEntry
from nodeyard.providers._clients import process, process_sweep
from nodeyard.providers._clients.netns.firewall import Chains, in_force
from nodeyard.providers._clients.netns.wiring import NAMED, path_of
from nodeyard.providers.deployer.local import LocalPlugin
from nodeyard.providers.deployer.local.folders import owner_of
from nodeyard.providers.deployer.local.options import LocalOptions
from nodeyard.providers.deployer.local.ports import PortLocks
from nodeyard.providers.deployer.local.resources import numbers, process_of, texts
from nodeyard.testing.conformance_deployer import LAST_WORD, OTHER_WORD, WORD, DeployerConformance, Stage, WatchedLedger

from .world import World, plans, script

pytestmark = pytest.mark.real


def lasting(word: str) -> str:
    return f"import time; print('{word}', flush=True); time.sleep(1000)"


class TestLocal(DeployerConformance):
    plugin = LocalPlugin()
    options = LocalOptions(type="local")

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AbstractAsyncContextManager[Stage]:
        return self._stage(ledger, emit)

    @asynccontextmanager
    async def _stage(self, ledger: WatchedLedger, emit: Callable[[Event], None]) -> AsyncIterator[Stage]:
        world = World(self.folder, mark=ledger.mark, ledger=ledger, emit=emit, options=self.options)
        locks = PortLocks(world.context.cache)
        yield Stage(
            deployer=world.deployer,
            nodes=plans(2, ports=("a", "b")),
            lasting=script(lasting(WORD), stop=StopPolicy(grace=5.0)),
            other=script(lasting(OTHER_WORD)),
            failing=script(f"import sys; print('{LAST_WORD}', flush=True); sys.exit(3)"),
            exists=lambda entry: exists(entry, ledger.mark),
            remains=lambda: remains(ledger.mark, world, locks),
            unrunnable=NodePlan("odd", "toy", 9, 1, binary="no/such/program"),
        )


class TestIsolated(TestLocal):
    """The same with a network namespace for each node."""

    options = LocalOptions(type="local", isolation="netns")

    @pytest.fixture(autouse=True)
    def _root(self) -> None:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("network namespaces need root and iproute2")


def exists(entry: LedgerEntry, mark: RunMark) -> bool:
    """Whether what a local entry stands for is there."""
    if entry.type == "paused":
        who = process_of(entry.data)
        known = process.facts(who.pid) if who else None
        return known is not None and known.state == "T"
    if entry.type == "process":
        return entry.node in process_sweep.find(mark, ()).nodes.values()
    if entry.type == "networks":
        return any(os.path.exists(path_of(name)) for name in texts(entry.data, "namespaces"))
    if entry.type == "network-rules":
        chains = Chains.of(mark.text, str(entry.data["name"]))
        inside = ["ip", "netns", "exec", Path(str(entry.data["namespace"])).name, "iptables", "-S"]
        shown = subprocess.run(inside, capture_output=True, text=True, check=False).stdout
        return bool(in_force(chains, shown))
    if entry.type == "ports":
        locks = PortLocks(Path(str(entry.data["cache"])))
        held = (locks.read(number) for number in numbers(entry.data, "ports"))
        return any(lock is not None and lock.mark == mark.text for lock in held)
    return any(owner_of(Path(path)) == mark.text for path in texts(entry.data, "paths"))


def remains(mark: RunMark, world: World, locks: PortLocks) -> list[str]:
    """All that a run has on this machine."""
    found = [f"pid {pid}" for pid in process_sweep.find(mark, ()).members]
    held = ((number, locks.read(number)) for number in locks.taken())
    found += [f"port {number}" for number, lock in held if lock and lock.mark == mark.text]
    found += [f"namespace {name}" for name in _listed(Path(NAMED)) if mark.run in name]
    found += [str(path) for path in (world.context.folder / "nodes").glob("*/data")]
    return found


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.exists() else []
