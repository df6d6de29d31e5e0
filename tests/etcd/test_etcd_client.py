"""The etcd client against real etcd: rungs, identity, reads and writes, equal digests, outcomes that are not known."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from etcd_processes import EtcdCluster, EtcdProcess, Revealed, bare_argv, started_cluster, wait_until

from nodeyard.domain.node_client import KeyValue, PeerView, ReportsHeight, ReportsRole, Rung, StateDigest
from nodeyard.errors.provider import NodeAnswerInvalid, NodeRefused, NodeTimeout, NodeUnreachable
from nodeyard.kinds._http import HttpTransport
from nodeyard.kinds.etcd import EtcdKind
from nodeyard.kinds.etcd.client import EtcdClient

pytestmark = pytest.mark.real
T = TypeVar("T")


def ask(node: EtcdProcess, question: Callable[[EtcdClient], Awaitable[T]]) -> T:
    async def scene() -> T:
        async with HttpTransport(Revealed()) as http:
            return await question(EtcdKind().client(lambda port: node.endpoint, http))

    return asyncio.run(scene())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with started_cluster(tmp_path_factory.mktemp("etcd"), 3, token="t1", names="n") as found:
        yield found


def test_it_speaks_what_the_kind_lists(cluster: EtcdCluster) -> None:
    async def scene(client: EtcdClient) -> None:
        for protocol in (KeyValue, ReportsHeight, ReportsRole, StateDigest, PeerView):
            assert isinstance(client, protocol)
            assert protocol in EtcdKind.protocols

    ask(cluster.nodes[0], scene)


def test_identity_is_what_etcd_computes_from_peer_url_and_token(cluster: EtcdCluster) -> None:
    """The ids of a bootstrapped cluster, computed here by etcd's rule (``computeMemberId``, ``genID``)."""
    ids = {}
    for node in cluster.nodes:
        digest = hashlib.sha1(f"http://127.0.0.1:{node.peer}t1".encode()).digest()
        ids[node.name] = int.from_bytes(digest[:8], "big")
    joined = b"".join(number.to_bytes(8, "big") for number in sorted(ids.values()))
    network = int.from_bytes(hashlib.sha1(joined).digest()[:8], "big")
    for node in cluster.nodes:
        found = ask(node, lambda client: client.identify(timeout=5))
        assert found.peer_id == f"{ids[node.name]:x}"
        assert found.network.id == f"{network:x}"
        assert (found.network.api, found.network.protocol) == ("3.5.1", "3.5")
        assert found.network.auth is None
        assert found.height
        assert found.role in ("leader", "follower")
        others = ask(node, lambda client: client.peers(timeout=5))
        assert others == tuple(sorted(f"{i:x}" for n, i in ids.items() if n != node.name))


def test_one_leads_and_all_are_ready(cluster: EtcdCluster) -> None:
    roles = [ask(node, lambda client: client.role(timeout=5)) for node in cluster.nodes]
    assert sorted(map(str, roles)) == ["follower", "follower", "leader"]
    for node in cluster.nodes:
        probe = ask(node, lambda client: client.probe(timeout=5))
        assert probe.ready, probe
        assert probe.rung is Rung.HEIGHT
        assert "leader" in probe.detail


def test_reads_and_writes(cluster: EtcdCluster) -> None:
    async def scene(client: EtcdClient) -> None:
        assert (await client.get("rw/none", timeout=5)).value is None
        before = await client.height(timeout=5)
        revision = await client.put("rw/a", "grüß\n", timeout=5)
        found = await client.get("rw/a", timeout=5)
        assert (found.value, found.revision) == ("grüß\n", revision)
        assert (await client.get("rw/a", timeout=5, local=True)).value == "grüß\n"
        assert await client.put("rw/empty", "", timeout=5) == (revision or 0) + 1
        assert (await client.get("rw/empty", timeout=5)).value == ""
        assert await client.height(timeout=5) > before
        with pytest.raises(NodeRefused, match="key is not provided"):
            await client.put("", "x", timeout=5)

    ask(cluster.nodes[0], scene)


def test_compare_and_set(cluster: EtcdCluster) -> None:
    async def scene(client: EtcdClient) -> None:
        assert not await client.compare_and_set("cas", "a", "b", timeout=5)
        assert await client.compare_and_set("cas", None, "a", timeout=5)
        assert not await client.compare_and_set("cas", None, "z", timeout=5)
        assert not await client.compare_and_set("cas", "z", "b", timeout=5)
        assert await client.compare_and_set("cas", "a", "b", timeout=5)
        assert (await client.get("cas", timeout=5)).value == "b"

    ask(cluster.nodes[1], scene)


def test_digests_are_equal_exactly_when_the_state_is(cluster: EtcdCluster) -> None:
    """Over several pages, and across a compaction that only some nodes may have finished."""

    async def fill(client: EtcdClient) -> None:
        await asyncio.gather(*(client.put(f"d/{i:04}", "v" * (i % 7), timeout=10) for i in range(600)))

    def digests(revision: int) -> list[dict[str, str]]:
        found = []
        for node in cluster.nodes:
            wait_until(lambda node=node: revision_of(node) >= revision, "the node has caught up")
            found.append(dict(ask(node, lambda client: client.digest(timeout=20))))
        return found

    ask(cluster.nodes[0], fill)
    full = revision_of(cluster.nodes[0])
    first = digests(full)
    assert first[0] == first[1] == first[2]
    assert first[0]["revision"] == str(full)
    cluster.nodes[0].ask("/v3/kv/compaction", {"revision": str(full - 100)})
    assert digests(full) == first
    ask(cluster.nodes[2], lambda client: client.put("d/0599", "other", timeout=5))
    assert len({repr(sorted(one.items())) for one in digests(full + 1)}) == 1
    assert digests(full + 1)[0]["state"] != first[0]["state"]


def revision_of(node: EtcdProcess) -> int:
    header = node.ask("/v3/kv/range", {"key": "eA==", "serializable": True})["header"]
    assert isinstance(header, dict)
    return int(header["revision"])


def test_a_node_without_a_quorum(tmp_path: Path) -> None:
    """Two of three paused: the API answers, nothing is ready, local reads work, a write's outcome is not known."""
    with started_cluster(tmp_path, 3) as cluster:
        alone, *others = cluster.nodes
        ask(alone, lambda client: client.put("k", "v", timeout=5))
        for node in others:
            node.signal(signal.SIGSTOP)

        async def lonely(client: EtcdClient) -> None:
            with pytest.raises(NodeTimeout):
                await client.put("k", "w", timeout=1.0)
            with pytest.raises(NodeTimeout, match="could not say"):  # etcd gives up after 7 s and says so itself
                await client.put("k", "w", timeout=20.0)
            assert (await client.get("k", timeout=5, local=True)).value == "v"
            probe = await client.probe(timeout=2.0)
            assert (probe.ready, probe.rung) == (False, Rung.API_ANSWERS)
            assert "no leader" in probe.detail
            assert await client.role(timeout=2) is None
            assert (await client.identify(timeout=2)).role is None

        ask(alone, lonely)
        began = time.monotonic()
        frozen = ask(others[0], lambda client: client.probe(timeout=0.5))
        assert (frozen.ready, frozen.rung) == (False, Rung.PORT_OPEN)
        assert "no answer within 0.5 s" in frozen.detail
        assert time.monotonic() - began < 2


def test_a_node_that_waits_for_others_is_not_ready(tmp_path: Path) -> None:
    """A first member alone: it listens on no client port before there is a quorum of the initial cluster."""
    cluster = EtcdCluster(tmp_path)
    try:
        places = {name: cluster.place(name) for name in ("a", "b")}
        node = cluster.add("a", places["a"], bare_argv("a", places["a"], places, "t"))
        probe = ask(node, lambda client: client.probe(timeout=1))
        assert not probe.ready
        assert probe.rung < Rung.PEERS
    finally:
        cluster.close()


def test_a_dead_port_and_another_port_of_etcd(cluster: EtcdCluster) -> None:
    free = EtcdProcess("none", cluster.ports.take(), 0, [], Path("/dev/null"))
    probe = ask(free, lambda client: client.probe(timeout=2))
    assert (probe.ready, probe.rung) == (False, Rung.NOTHING)
    assert "connection refused" in probe.detail
    with pytest.raises(NodeUnreachable):
        ask(free, lambda client: client.identify(timeout=2))
    peer = EtcdProcess("peer", cluster.nodes[0].peer, 0, [], Path("/dev/null"))
    with pytest.raises(NodeAnswerInvalid, match="not JSON"):
        ask(peer, lambda client: client.identify(timeout=2))
