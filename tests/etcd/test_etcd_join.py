"""Joining a real borrowed cluster and leaving it again, whatever happened in between."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from etcd_processes import (
    EtcdCluster,
    EtcdProcess,
    FakePlace,
    Revealed,
    plan,
    started_cluster,
    wait_until,
)
from hypothesis import given
from hypothesis import strategies as st

from nodeyard._aio.clock import SystemClock
from nodeyard.domain.launch_plan import Endpoint, NetworkMaterial
from nodeyard.domain.policy import NetworkPins
from nodeyard.domain.run_identity import RunMark
from nodeyard.domain.sources import Auth, Tls
from nodeyard.errors.base import NodeyardError
from nodeyard.errors.provider import CleanupIncomplete, OperationFailed
from nodeyard.kinds._http import HttpTransport
from nodeyard.kinds.etcd import EtcdKind
from nodeyard.kinds.etcd.leave import ECHO
from nodeyard.ports.kind import CanJoin, JoinPoint, JoinRequest, JoinTicket, RenderRequest
from nodeyard.ports.ledger import Json, LedgerEntry, RemovalContext, Removed

real = pytest.mark.real
MARK = RunMark("run-1", "host", "boot")
KIND = EtcdKind()


class MemoryLedger:
    """Entries in memory; ``on_record`` looks at the world at the moment of writing."""

    def __init__(self) -> None:
        self.entries: dict[str, LedgerEntry] = {}
        self.members_at_record: list[int] = []
        self.watch: EtcdProcess | None = None

    @property
    def mark(self) -> RunMark:
        return MARK

    async def record(
        self, by: str, type: str, *, node: str | None, data: Mapping[str, Json], inverse: bool = False
    ) -> LedgerEntry:
        if self.watch is not None:
            self.members_at_record.append(len(self.watch.members()))
        entry = LedgerEntry(str(len(self.entries)), by, type, node, dict(data), inverse)
        self.entries[entry.id] = entry
        return entry

    def amend(self, entry: LedgerEntry, data: Mapping[str, Json]) -> LedgerEntry:
        new = dataclasses.replace(entry, data={**entry.data, **data})
        self.entries[entry.id] = new
        return new

    def settle(self, entry: LedgerEntry) -> None:
        self.entries.pop(entry.id, None)

    def open_entries(self) -> tuple[LedgerEntry, ...]:
        return tuple(self.entries.values())


@dataclasses.dataclass
class Joiner:
    """A borrowed cluster, and nodes that join it."""

    cluster: EtcdCluster
    ledger: MemoryLedger = dataclasses.field(default_factory=MemoryLedger)
    patience: float = 30.0
    places: dict[str, FakePlace] = dataclasses.field(default_factory=dict)

    def points(self) -> list[JoinPoint]:
        return [JoinPoint(n.name, lambda port, n=n: n.endpoint) for n in self.cluster.nodes if n.name.startswith("b")]  # type: ignore[misc]

    def request(self, name: str, http: HttpTransport, points: Sequence[JoinPoint] | None = None) -> JoinRequest:
        if name not in self.places:
            self.places[name] = self.cluster.place(name)
        clock = SystemClock()
        through = self.points() if points is None else points
        return JoinRequest(
            plan(name), self.places[name], through, http, self.ledger, clock, clock.now() + self.patience
        )

    def start(self, request: JoinRequest, ticket: JoinTicket) -> EtcdProcess:
        peers = [(request.node, request.place)]
        material = KIND.material([request.node], mark=MARK, seed=1, pins=NetworkPins())
        launch = KIND.render(RenderRequest(request.node, request.place, peers, (), material, ticket))
        return self.cluster.add(request.node.name, self.places[request.node.name], launch.args)

    async def enter(self, name: str, http: HttpTransport) -> EtcdProcess:
        request = self.request(name, http)
        ticket = await KIND.join(request)
        node = self.start(request, ticket)
        await KIND.admit(request, ticket)
        return node

    async def leave(
        self, http: HttpTransport, *, patience: float = 20.0, mark: RunMark = MARK
    ) -> Mapping[str, Removed | NodeyardError]:
        clock = SystemClock()
        context = RemovalContext(mark, clock, Revealed(), clock.now() + patience)
        return await KIND.remover(http).remove(self.ledger.open_entries(), context)


def test_the_kind_can_join() -> None:
    assert isinstance(KIND, CanJoin)


@given(borrowed=st.integers(0, 40), joining=st.integers(1, 40))
def test_a_borrowed_cluster_outlives_all_of_ours(borrowed: int, joining: int) -> None:
    """Allowed exactly if the borrowed ones alone are a majority of the enlarged cluster."""
    majority_without_ours = 2 * borrowed > borrowed + joining
    assert (KIND.join_problem(borrowed=borrowed, joining=joining) == "") is majority_without_ours


@pytest.mark.parametrize(("borrowed", "most"), [(1, 0), (2, 1), (3, 2), (5, 4)])
def test_the_problem_says_how_many_may_join(borrowed: int, most: int) -> None:
    assert f"at most {most} may join {borrowed}" in KIND.join_problem(borrowed=borrowed, joining=most + 1)


@real
def test_two_nodes_join_become_voters_and_leave_alive(tmp_path: Path) -> None:
    with started_cluster(tmp_path, 3) as cluster:
        borrowed = cluster.nodes[0]
        before = borrowed.members()
        joiner = Joiner(cluster)
        joiner.ledger.watch = borrowed

        async def scene() -> None:
            async with HttpTransport(Revealed()) as http:
                nodes = [await joiner.enter(name, http) for name in ("n0", "n1")]
                members = {str(m["name"]): m for m in borrowed.members()}
                assert {"n0-run-1", "n1-run-1"} < members.keys()
                assert not any(m.get("isLearner") for m in members.values())
                client = KIND.client(lambda port: nodes[0].endpoint, http)
                await client.put("k", "v", timeout=5)
                assert (await client.probe(timeout=5)).ready
                found = await joiner.leave(http)
                assert [outcome.absent for outcome in found.values() if isinstance(outcome, Removed)] == [False, False]
                again = await joiner.leave(http)
                assert [outcome.absent for outcome in again.values() if isinstance(outcome, Removed)] == [True, True]

        asyncio.run(scene())
        assert joiner.ledger.members_at_record == [3, 4], "the inverse is written before the cluster changes"
        for entry in joiner.ledger.open_entries():
            assert (entry.by, entry.type, entry.inverse) == ("kind:etcd", "member", True)
        assert borrowed.members() == before
        assert all(node.healthy() for node in cluster.nodes[:3])


@real
@pytest.mark.parametrize("lost", ["node killed", "node never started", "id never learned", "named, id never learned"])
def test_it_leaves_after_a_crash(tmp_path: Path, lost: str) -> None:
    with started_cluster(tmp_path, 3) as cluster:
        before = cluster.nodes[0].members()
        joiner = Joiner(cluster)

        async def scene() -> None:
            async with HttpTransport(Revealed()) as http:
                request = joiner.request("n0", http)
                ticket = await KIND.join(request)
                ticket_used = lost in ("node killed", "named, id never learned")
                if ticket_used:
                    node = joiner.start(request, ticket)
                    await KIND.admit(request, ticket)
                    wait_until(node.healthy, "the node is up")
                    node.kill()
                if "id never learned" in lost:
                    forget_id(joiner.ledger)
                if not ticket_used:  # a quorum remains: one borrowed member does not answer, another one must do
                    cluster.nodes[0].signal(signal.SIGSTOP)
                [outcome] = (await joiner.leave(http)).values()
                cluster.nodes[0].signal(signal.SIGCONT)
                assert isinstance(outcome, Removed), outcome
                assert not outcome.absent

        asyncio.run(scene())
        assert cluster.nodes[1].members() == before


def forget_id(ledger: MemoryLedger) -> None:
    for entry in ledger.open_entries():
        data = {key: value for key, value in entry.data.items() if key != "member"}
        ledger.entries[entry.id] = dataclasses.replace(entry, data=data)


@real
def test_what_it_must_not_touch(tmp_path: Path) -> None:
    """A foreign member at our peer URL, another run's entry, another cluster at the same address, a cluster that is
    not there."""
    with started_cluster(tmp_path / "a", 2) as cluster, started_cluster(tmp_path / "b", 1, token="other") as other:
        joiner = Joiner(cluster)
        foreign = cluster.nodes[1]
        address = f"http://127.0.0.1:{foreign.peer}"
        endpoint = {"url": cluster.nodes[0].endpoint.url, "auth": None, "tls": None}
        base = {"mark": MARK.text, "peer_url": address, "name": "n0-run-1", "endpoints": [endpoint]}

        async def scene() -> None:
            async with HttpTransport(Revealed()) as http:
                client = KIND.client(lambda port: cluster.nodes[0].endpoint, http)
                id = (await client.identify(timeout=5)).network.id
                peers = await client.peers(timeout=5)
                await joiner.ledger.record("kind:etcd", "member", node="n0", data={**base, "cluster": id})
                await joiner.ledger.record(
                    "kind:etcd", "member", node="n1", data={**base, "cluster": "1", "member": peers[0]}
                )
                await joiner.ledger.record("kind:etcd", "member", node="n2", data={"mark": MARK.text})
                dead = {**endpoint, "url": f"http://127.0.0.1:{cluster.ports.take()}"}
                await joiner.ledger.record(
                    "kind:etcd", "member", node="n3", data={**base, "cluster": "2", "endpoints": [dead]}
                )
                found = await joiner.leave(http, patience=ECHO + 1)
                assert isinstance(found["0"], Removed)
                assert found["0"].absent
                assert isinstance(found["1"], Removed)
                assert "another cluster" in found["1"].detail
                assert isinstance(found["2"], CleanupIncomplete)
                assert isinstance(found["3"], CleanupIncomplete)
                assert "connection refused" in found["3"].message
                strange = await joiner.leave(http, mark=RunMark("run-2", "host", "boot"))
                assert all(isinstance(outcome, CleanupIncomplete) for outcome in strange.values())

        asyncio.run(scene())
        assert len(cluster.nodes[0].members()) == 2
        assert len(other.nodes[0].members()) == 1


@real
def test_a_peer_url_that_is_a_member_already_is_refused_without_a_trace(tmp_path: Path) -> None:
    with started_cluster(tmp_path, 2) as cluster:
        joiner = Joiner(cluster)
        taken = f"127.0.0.1:{cluster.nodes[1].peer}"
        joiner.places["n0"] = FakePlace(tmp_path / "n0", {"client": taken, "peer": taken})

        async def scene() -> None:
            async with HttpTransport(Revealed()) as http:
                with pytest.raises(OperationFailed, match="member of the borrowed cluster already"):
                    await KIND.join(joiner.request("n0", http))

        asyncio.run(scene())
        assert joiner.ledger.open_entries() == ()
        assert len(cluster.nodes[0].members()) == 2


@real
def test_a_second_learner_waits_for_the_first(tmp_path: Path) -> None:
    """etcd takes one learner at a time: the second join fails at its deadline, and works when the first is promoted."""
    with started_cluster(tmp_path, 3) as cluster:
        joiner = Joiner(cluster)

        async def scene() -> None:
            async with HttpTransport(Revealed()) as http:
                first = joiner.request("n0", http)
                ticket = await KIND.join(first)
                joiner.patience = 1.0
                with pytest.raises(OperationFailed, match="in time") as failed:
                    await KIND.join(joiner.request("n1", http))
                assert "too many learner" in str(failed.value)
                joiner.patience = 30.0
                joiner.start(first, ticket)
                async with asyncio.TaskGroup() as group:
                    second = group.create_task(KIND.join(joiner.request("n2", http)))
                    await KIND.admit(first, ticket)
                assert second.result().facts["initial-cluster"].count("=") == 5
                found = await joiner.leave(http)
                assert all(isinstance(outcome, Removed) for outcome in found.values()), found

        asyncio.run(scene())
        assert len(cluster.nodes[0].members()) == 3


@real
def test_a_removed_learner_cannot_be_admitted(tmp_path: Path) -> None:
    with started_cluster(tmp_path, 2) as cluster:
        joiner = Joiner(cluster)

        async def scene() -> None:
            async with HttpTransport(Revealed()) as http:
                request = joiner.request("n0", http)
                ticket = await KIND.join(request)
                await joiner.leave(http)
                with pytest.raises(OperationFailed, match="no member of the borrowed cluster any more"):
                    await KIND.admit(request, ticket)

        asyncio.run(scene())


@real
def test_a_literal_secret_is_refused_before_anything_is_asked_to_change(tmp_path: Path) -> None:
    """The ledger would have to hold it."""
    with started_cluster(tmp_path, 2) as cluster:
        joiner = Joiner(cluster)
        node = cluster.nodes[0]
        auth = Auth.model_validate({"basic": {"username": "env:U", "password": "open sesame"}})
        point = JoinPoint("b0", lambda port: Endpoint(node.endpoint.url, auth=auth))

        async def scene() -> None:
            async with HttpTransport(Revealed(U="me")) as http:
                with pytest.raises(OperationFailed, match="ledger holds no secrets") as refused:
                    await KIND.join(joiner.request("n0", http, [point]))
                assert "open sesame" not in str(refused.value)

        asyncio.run(scene())
        assert joiner.ledger.open_entries() == ()


def test_the_ledger_holds_references_and_paths_as_written() -> None:
    from nodeyard.kinds.etcd.join import endpoint_data
    from nodeyard.kinds.etcd.leave import read

    endpoint = Endpoint(
        "https://b0:2379",
        auth=Auth.model_validate({"basic": {"username": "env:U", "password": "file:pw"}}),
        tls=Tls(ca="ca.pem", server_name="b0"),
    )
    written = endpoint_data(endpoint)
    assert "env:U" in repr(written)
    data: dict[str, Json] = {"mark": "m", "cluster": "c", "peer_url": "p", "name": "n", "endpoints": [written]}
    [back] = read(LedgerEntry("0", "kind:etcd", "member", "n0", data)).endpoints
    assert back.auth == endpoint.auth
    assert back.tls == endpoint.tls


def test_nothing_answers(tmp_path: Path) -> None:
    cluster = EtcdCluster(tmp_path)
    dead = Endpoint(f"http://127.0.0.1:{cluster.ports.take()}")
    joiner = Joiner(cluster, patience=0.5)

    async def scene() -> None:
        async with HttpTransport(Revealed()) as http:
            with pytest.raises(OperationFailed, match="in time") as failed:
                await KIND.join(joiner.request("n0", http, [JoinPoint("b0", lambda port: dead)]))
            assert "b0: no connection" in str(failed.value)

    try:
        asyncio.run(scene())
    finally:
        cluster.close()
    assert joiner.ledger.open_entries() == ()


def test_render_with_a_ticket_names_the_run() -> None:
    place = FakePlace(Path("/d/n0"), {"client": "c:1", "peer": "p:2"})
    ticket = JoinTicket({"name": "n0-run-1", "initial-cluster": "a=http://x:1,n0-run-1=http://p:2"}, "b0", "ff")
    node = plan("n0", on_demand=True)
    material = NetworkMaterial("t", {"token": "t"})
    launch = KIND.render(RenderRequest(node, place, [(node, place)], (), material, ticket))
    assert "--name=n0-run-1" in launch.args
    assert "--initial-cluster-state=existing" in launch.args
    assert "--initial-cluster=a=http://x:1,n0-run-1=http://p:2" in launch.args
