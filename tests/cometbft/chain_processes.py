"""A real CometBFT chain for tests, made with its own commands alone: started directly, ended by pid."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from etcd.etcd_processes import PortPool, wait_until
from nodeyard._aio.clock import SystemClock
from nodeyard.domain.launch_plan import Endpoint
from nodeyard.kinds.cometbft import CometbftKind
from nodeyard.providers._clients.program_store import ProgramStore

FAST = {
    "addr_book_strict": "false",
    "allow_duplicate_ip": "true",
    "timeout_propose": '"1s"',
    "timeout_commit": '"200ms"',
    "flush_throttle_timeout": '"5ms"',
    "peer_gossip_sleep_duration": '"10ms"',
}
Json = dict[str, Any]


@cache
def binary() -> str:
    """The program, by the variable that users have, or built once and kept in the user's own cache."""
    if given := os.environ.get("NODEYARD_COMETBFT"):
        return given
    if shutil.which("go") is None and "CI" not in os.environ:
        pytest.skip("no Go: cometbft cannot be built here")
    spec = CometbftKind.program
    assert spec is not None
    assert spec.module is not None
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeyard"
    return str(asyncio.run(ProgramStore(folder, dict(os.environ), SystemClock()).get(spec.module)))


def ask(url: str, path: str) -> Json:
    """A plain question past Nodeyard, so that tests do not trust what they test."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + path, timeout=5) as answer:
        found: Json = json.load(answer)["result"]
        return found


def height(url: str) -> int:
    """The height that a node tells, 0 as long as it tells none."""
    with contextlib.suppress(OSError, urllib.error.URLError, ValueError, KeyError):
        return int(ask(url, "/status")["sync_info"]["latest_block_height"])
    return 0


def keys_of(home: Path) -> str:
    """A digest of keys, settings and genesis of a node."""
    digest = hashlib.sha256()
    for path in sorted((home / "config").glob("*")):
        if path.name != "addrbook.json":  # the node's own notes about whom it saw
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def cometbft(*argv: str | Path) -> str:
    """Carry out one of its commands; returns what it printed."""
    done = subprocess.run([binary(), *map(str, argv)], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@dataclass
class ChainProcess:
    """One node of a chain."""

    name: str
    home: Path
    rpc: int
    p2p: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rpc}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.url)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def peer_id(self) -> str:
        return cometbft("show-node-id", "--home", self.home)

    @property
    def external(self) -> Json:
        """How a scenario lists it."""
        return {"name": self.name, "endpoints": {"rpc": self.url}}

    def start(self, peers: str = "") -> None:
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(binary(), "start", "--home", self.home, "--proxy_app", "kvstore"),
                    *("--rpc.laddr", f"tcp://127.0.0.1:{self.rpc}", "--p2p.laddr", f"tcp://127.0.0.1:{self.p2p}"),
                    *("--p2p.persistent_peers", peers),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin"},
            )

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def ask(self, path: str) -> Json:
        return ask(self.url, path)

    def height(self) -> int:
        return height(self.url)

    def portrait(self) -> tuple[int, str, str]:
        """What a run must leave as it is: the process, its keys and its settings with the genesis."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} has ended"
        return self.pid, self.ask("/status")["node_info"]["id"], keys_of(self.home)


@dataclass
class Chain:
    """Some nodes of one chain, and the ports that they hold."""

    folder: Path
    ports: PortPool = field(default_factory=PortPool)
    nodes: list[ChainProcess] = field(default_factory=list)

    @property
    def external(self) -> list[Json]:
        return [node.external for node in self.nodes]

    @property
    def peers(self) -> str:
        return ",".join(f"{node.peer_id}@127.0.0.1:{node.p2p}" for node in self.nodes)

    def portrait(self) -> list[tuple[int, str, str]]:
        return [node.portrait() for node in self.nodes]

    def add(self, name: str, home: Path) -> ChainProcess:
        settle(home)
        node = ChainProcess(name, home, self.ports.take(), self.ports.take())
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
        self.ports.close()


def settle(home: Path) -> None:
    """Let a node make several blocks a second, with peers on one host."""
    config = home / "config" / "config.toml"
    lines = [_faster(line) for line in config.read_text().splitlines()]
    config.write_text("\n".join(lines) + "\n")


def _faster(line: str) -> str:
    key = line.partition(" = ")[0]
    return f"{key} = {FAST[key]}" if key in FAST else line


@contextlib.contextmanager
def started_chain(folder: Path, count: int = 4, *, names: str = "h", chain_id: str = "") -> Iterator[Chain]:
    """Validators that make blocks, set up with ``cometbft testnet``."""
    chain = Chain(folder)
    try:
        cometbft("testnet", "--v", str(count), "--o", folder, "--populate-persistent-peers=false")
        if chain_id:
            for path in folder.glob("node*/config/genesis.json"):
                path.write_text(json.dumps(json.loads(path.read_text()) | {"chain_id": chain_id}))
        for index in range(count):
            chain.add(f"{names}{index}", folder / f"node{index}")
        peers = chain.peers
        for node in chain.nodes:
            node.start(peers)
        wait_until(lambda: all(node.height() > 0 for node in chain.nodes), "the chain makes blocks")
        yield chain
    finally:
        chain.close()
