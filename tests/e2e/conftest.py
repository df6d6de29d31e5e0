"""Nodeyard with folders of its own for each test, and clusters that somebody else started."""

from __future__ import annotations

import base64
import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcd.etcd_processes import LOCKS, EtcdCluster, started_cluster

from .support import Nodeyard, wait_for

FIRST, LAST, BLOCK = 16_000, 32_600, 100


@pytest.fixture(scope="session")
def ports() -> Iterator[range]:
    """Ports for managed nodes: no other process that runs tests takes from these, so each may have its own locks."""
    LOCKS.mkdir(exist_ok=True)
    for first in range(FIRST, LAST, BLOCK):
        with (LOCKS / f"block-{first}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield range(first, first + BLOCK)
            return
    raise AssertionError("every block of ports is taken")


@pytest.fixture
def nodeyard(tmp_path: Path, ports: range) -> Iterator[Nodeyard]:
    """The command line. However a test ends, nothing of it runs on; a test that passes has left nothing."""
    home = Nodeyard(tmp_path, ports)
    try:
        yield home
        wait_for(lambda: not home.processes(), "every process of the test has ended")
    finally:
        home.close()


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Somebody else's etcd, with something in it."""
    with started_cluster(tmp_path_factory.mktemp("canary"), 1, token="canary", names="canary") as cluster:
        _put(cluster, "canary", "alive")
        yield cluster


@pytest.fixture(scope="module")
def borrowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """Somebody else's cluster of three, with something in it."""
    with started_cluster(tmp_path_factory.mktemp("borrowed"), 3, token="borrowed", names="h") as cluster:
        _put(cluster, "borrowed", "kept")
        yield cluster


def _put(cluster: EtcdCluster, key: str, value: str) -> None:
    encoded = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value.encode()).decode()}
    cluster.nodes[0].ask("/v3/kv/put", encoded)
